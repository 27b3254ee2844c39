// Package messages reads what people are told, in every language that there is a file
// for: its name is the language's tag (BCP 47), its members are the same in all. The
// member dir says how it is written, ltr or rtl; what a message is about stands in its
// place as %s.
package messages

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"

	textlanguage "golang.org/x/text/language"
)

// Language has the messages in one language.
type Language struct {
	// Lang is its tag.
	Lang  string
	texts map[string]string
}

// Say returns a message.
func (l Language) Say(key string) string { return l.texts[key] }

// About returns a message in two parts, around what it is about.
func (l Language) About(key string) []string {
	before, after, _ := strings.Cut(l.texts[key], "%s")
	return []string{before, after}
}

// Keys lists the messages that there are, in order.
func (l Language) Keys() []string { return slices.Sorted(maps.Keys(l.texts)) }

// Languages are all there are; the first, English, is for who reads none of them.
type Languages struct {
	All     []Language
	matcher textlanguage.Matcher
}

// Read reads the files that are built in, *.json, and those of a directory, if it is
// named: they add languages, or replace them. If needed, the directory must have one.
func Read(builtIn fs.FS, dir string, needed bool) (*Languages, error) {
	english, err := readFile(builtIn, "en.json")
	if err != nil {
		return nil, err
	}
	sources := []fs.FS{builtIn}
	if dir != "" {
		sources = append(sources, os.DirFS(dir))
		if _, err := os.ReadDir(dir); err != nil {
			return nil, err
		}
	}
	found := map[string]Language{}
	for _, files := range sources {
		names, err := fs.Glob(files, "*.json")
		if err == nil && len(names) == 0 && needed {
			err = fmt.Errorf("it is to have files such as de.json: %w", fs.ErrNotExist)
		}
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			l, err := readFile(files, name)
			if err = cmp.Or(err, l.check(english)); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			found[l.Lang] = l
		}
	}
	ls := &Languages{All: []Language{found["en"]}}
	delete(found, "en")
	ls.All = append(ls.All, slices.SortedFunc(maps.Values(found), func(a, b Language) int { return strings.Compare(a.Lang, b.Lang) })...)
	var tags []textlanguage.Tag
	for _, tag := range ls.Tags() {
		tags = append(tags, textlanguage.Make(tag))
	}
	ls.matcher = textlanguage.NewMatcher(tags)
	return ls, nil
}

func readFile(files fs.FS, name string) (Language, error) {
	l := Language{Lang: strings.TrimSuffix(name, ".json")}
	text, err := fs.ReadFile(files, name)
	if err == nil {
		err = json.Unmarshal(text, &l.texts)
	}
	return l, err
}

// check holds a language to another, which has every message.
func (l Language) check(whole Language) error {
	if _, err := textlanguage.Parse(l.Lang); err != nil {
		return fmt.Errorf("the name is no language tag: %w", err)
	}
	if dir := l.Say("dir"); dir != "ltr" && dir != "rtl" {
		return fmt.Errorf("dir is %q: ltr or rtl", dir)
	}
	for key, text := range whole.texts {
		if strings.TrimSpace(l.texts[key]) == "" {
			return fmt.Errorf("%s is missing", key)
		}
		if strings.Count(l.texts[key], "%s") != strings.Count(text, "%s") {
			return fmt.Errorf("%s: %%s has to be there as often as in %q", key, text)
		}
	}
	for _, key := range l.Keys() {
		if _, known := whole.texts[key]; !known {
			return fmt.Errorf("%s is no message", key)
		}
	}
	return nil
}

// Tags lists the tags of the languages.
func (ls *Languages) Tags() []string {
	var tags []string
	for _, l := range ls.All {
		tags = append(tags, l.Lang)
	}
	return tags
}

// Match returns the language that is nearest to what is wanted most: tags, or values of
// Accept-Language.
func (ls *Languages) Match(wanted ...string) Language {
	_, at := textlanguage.MatchStrings(ls.matcher, wanted...)
	return ls.All[at]
}
