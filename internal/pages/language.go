package pages

import (
	"cmp"
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path"
	"slices"
	"strings"

	textlanguage "golang.org/x/text/language"
)

// messageFiles hold what the pages say, one for each language: its name is the
// language's tag (BCP 47), its members are the same in all. The member dir says how
// it is written, ltr or rtl, language what it calls itself; what a message is about
// stands in its place as %s.
//
//go:embed messages/*.json
var messageFiles embed.FS

// language is the language of a page.
type language struct {
	// Lang is its tag.
	Lang     string
	messages map[string]string
	// chosen says that it was asked for, and not only what the browser prefers.
	chosen bool
}

// Say returns a message.
func (l language) Say(key string) string { return l.messages[key] }

// About returns a message in two parts, around what it is about.
func (l language) About(key string) []string {
	before, after, _ := strings.Cut(l.messages[key], "%s")
	return []string{before, after}
}

// languages are all there are; the first, English, is for who reads none of them.
type languages struct {
	all     []language
	matcher textlanguage.Matcher
}

// readLanguages reads the files that are built in, and those of a directory, if it is
// named: they add languages, or replace them.
func readLanguages(dir string) (*languages, error) {
	english, err := readMessages(messageFiles, "messages/en.json")
	if err != nil {
		return nil, err
	}
	found := map[string]language{}
	for _, source := range []struct {
		files   fs.FS
		pattern string
	}{{messageFiles, "messages/*.json"}, {os.DirFS(dir), "*.json"}} {
		names, err := fs.Glob(source.files, source.pattern)
		if err == nil && len(names) == 0 && dir != "" {
			_, err = os.ReadDir(dir)
			err = fmt.Errorf("it is to have files such as de.json: %w", cmp.Or(err, fs.ErrNotExist))
		}
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			l, err := readMessages(source.files, name)
			if err == nil {
				err = l.check(english)
			}
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			found[l.Lang] = l
		}
		if dir == "" {
			break
		}
	}
	ls := &languages{all: []language{found["en"]}}
	delete(found, "en")
	ls.all = append(ls.all, slices.SortedFunc(maps.Values(found), func(a, b language) int { return strings.Compare(a.Lang, b.Lang) })...)
	var tags []textlanguage.Tag
	for _, l := range ls.all {
		tags = append(tags, textlanguage.Make(l.Lang))
	}
	ls.matcher = textlanguage.NewMatcher(tags)
	return ls, nil
}

func readMessages(files fs.FS, name string) (language, error) {
	l := language{Lang: strings.TrimSuffix(path.Base(name), ".json")}
	text, err := fs.ReadFile(files, name)
	if err == nil {
		err = json.Unmarshal(text, &l.messages)
	}
	return l, err
}

// check holds a language to another, which has every message.
func (l language) check(whole language) error {
	if _, err := textlanguage.Parse(l.Lang); err != nil {
		return fmt.Errorf("the name is no language tag: %w", err)
	}
	if dir := l.Say("dir"); dir != "ltr" && dir != "rtl" {
		return fmt.Errorf("dir is %q: ltr or rtl", dir)
	}
	for key, text := range whole.messages {
		if strings.TrimSpace(l.messages[key]) == "" {
			return fmt.Errorf("%s is missing", key)
		}
		if strings.Count(l.messages[key], "%s") != strings.Count(text, "%s") {
			return fmt.Errorf("%s: %%s has to be there as often as in %q", key, text)
		}
	}
	return nil
}

// Languages lists the tags of the languages of the pages.
func (p *Pages) Languages() []string {
	var tags []string
	for _, l := range p.languages.all {
		tags = append(tags, l.Lang)
	}
	return tags
}

// languageOf picks the language of a page: what was chosen on it, or what the client
// asked for (ui_locales, OpenID Connect Core §3.1.2.1), or else what the browser
// prefers.
func (p *Pages) languageOf(r *http.Request, locales string) language {
	chosen := r.URL.Query().Get("ui_locales")
	wanted := append(strings.Fields(chosen), strings.Fields(locales)...)
	_, at := textlanguage.MatchStrings(p.languages.matcher, append(wanted, r.Header.Get("Accept-Language"))...)
	l := p.languages.all[at]
	l.chosen = chosen != ""
	return l
}
