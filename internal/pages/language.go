package pages

import (
	"embed"
	"encoding/json"
	"io/fs"
	"net/http"
	"strings"

	textlanguage "golang.org/x/text/language"
)

// messageFiles hold what the pages say, one for each language: its name is the
// language's tag (BCP 47), its members are the same in all. The member dir says how
// it is written, ltr or rtl; what a message is about stands in its place as %s.
//
//go:embed messages/*.json
var messageFiles embed.FS

// language is the language of a page.
type language struct {
	// Lang is its tag.
	Lang     string
	messages map[string]string
}

// Say returns a message.
func (l language) Say(key string) string { return l.messages[key] }

// About returns a message in two parts, around what it is about.
func (l language) About(key string) []string {
	before, after, _ := strings.Cut(l.messages[key], "%s")
	return []string{before, after}
}

// languages are all there are; the first is for who reads none of them.
var languages, matcher = func() (all []language, m textlanguage.Matcher) {
	names, err := fs.Glob(messageFiles, "messages/*.json")
	if err != nil {
		panic(err) // the pattern is a good one
	}
	for _, name := range names {
		tag := strings.TrimSuffix(strings.TrimPrefix(name, "messages/"), ".json")
		l := language{Lang: tag}
		text, err := messageFiles.ReadFile(name)
		if err == nil {
			err = json.Unmarshal(text, &l.messages)
		}
		if err != nil {
			panic(err) // a test reads every file
		}
		if tag == "en" {
			all = append([]language{l}, all...)
		} else {
			all = append(all, l)
		}
	}
	var tags []textlanguage.Tag
	for _, l := range all {
		tags = append(tags, textlanguage.Make(l.Lang))
	}
	return all, textlanguage.NewMatcher(tags)
}()

// Languages lists the tags of the languages of the pages.
func Languages() []string {
	tags := make([]string, len(languages))
	for i, l := range languages {
		tags[i] = l.Lang
	}
	return tags
}

// languageOf picks the language of a page: what the client asked for (ui_locales,
// OpenID Connect Core §3.1.2.1), or else what the browser prefers.
func languageOf(r *http.Request, locales string) language {
	var wanted []string
	if locales != "" {
		wanted = append(wanted, strings.Join(strings.Fields(locales), ","))
	}
	_, at := textlanguage.MatchStrings(matcher, append(wanted, r.Header.Get("Accept-Language"))...)
	return languages[at]
}
