package mail

import (
	"embed"
	"fmt"
	htmltemplate "html/template"
	"io/fs"
	"net/url"
	"os"
	"slices"
	"strings"
	"text/template"
	"unicode"

	"github.com/keyturn/keyturn/internal/messages"
)

//go:embed messages/*.json
var messageFiles embed.FS

//go:embed templates/*
var templateFiles embed.FS

// Brand is how a deployment presents itself in letters.
type Brand struct {
	// Name is that of the product; Logo, Privacy and Support are addresses, or empty.
	Name, Logo, Privacy, Support string
	// Site is the issuer, below which links lead.
	Site string
	// Color is that of the button, OnColor of the text on it, as #rrggbb.
	Color, OnColor string
}

// Words put letters into words.
type Words struct {
	brand     Brand
	language  string
	languages *messages.Languages
	text      *template.Template
	html      *htmltemplate.Template
}

// mostValue bounds a value in a letter, in characters.
const mostValue = 200

// NewWords reads the templates and messages that are built in, and those of a directory,
// if it is named: letter.txt and letter.html are for every kind that has no template of
// its own, as in reset.html, and files as in it.json add or replace languages. language is
// that of letters for which none is known.
func NewWords(b Brand, language, dir string) (*Words, error) {
	builtIn, err := fs.Sub(messageFiles, "messages")
	if err != nil {
		return nil, err
	}
	w := &Words{brand: b, language: language}
	if w.languages, err = messages.Read(builtIn, dir, false); err != nil {
		return nil, err
	}
	if !slices.Contains(w.languages.Tags(), language) {
		return nil, fmt.Errorf("there are no messages in the language %s: %s are there", language, strings.Join(w.languages.Tags(), ", "))
	}
	w.text = template.Must(template.ParseFS(templateFiles, "templates/*.txt"))
	w.html = htmltemplate.Must(htmltemplate.ParseFS(templateFiles, "templates/*.html"))
	if dir != "" {
		for pattern, parse := range map[string]func(...string) error{
			"*.txt":  func(p ...string) (err error) { w.text, err = w.text.ParseFS(os.DirFS(dir), p...); return err },
			"*.html": func(p ...string) (err error) { w.html, err = w.html.ParseFS(os.DirFS(dir), p...); return err },
		} {
			if names, err := fs.Glob(os.DirFS(dir), pattern); err != nil || len(names) == 0 {
				continue
			}
			if err := parse(pattern); err != nil {
				return nil, err
			}
		}
	}
	return w, w.check()
}

// check writes every letter once: a template that cannot is refused at the start.
func (w *Words) check() error {
	values := map[string]string{}
	for _, name := range facts {
		values[name] = "example"
	}
	values["change"] = changes[0]
	for _, l := range w.languages.All {
		for _, kind := range kinds() {
			if _, err := w.put(Letter{Kind: kind, Language: l.Lang, Token: "example", Values: values}); err != nil {
				return fmt.Errorf("%s in %s: %w", kind, l.Lang, err)
			}
		}
	}
	return nil
}

// fact is one thing that a letter tells, by a name for people.
type fact struct{ Name, Value string }

// view is what a template is shown.
type view struct {
	messages.Language
	Kind  Kind
	Brand Brand
	// Link is where the button leads, or empty; Token is in it.
	Link, Token string
	Facts       []fact
}

// Say returns a message about the product.
func (v view) Say(key string) string {
	return strings.ReplaceAll(v.Language.Say(key), "%s", v.Brand.Name)
}

// Subject, Body, After and Button are the messages of the kind.
func (v view) Subject() string { return v.Say(string(v.Kind) + "_subject") }

// Body is what the letter is about.
func (v view) Body() string { return v.Say(string(v.Kind) + "_text") }

// After says what to do if it is not for the receiver.
func (v view) After() string { return v.Say(string(v.Kind) + "_after") }

// Button is what the link says.
func (v view) Button() string { return v.Say(string(v.Kind) + "_button") }

// put puts l into words.
func (w *Words) put(l Letter) (Message, error) {
	v := view{Language: w.languages.Match(l.Language, w.language), Kind: l.Kind, Brand: w.brand}
	if !slices.Contains(kinds(), l.Kind) {
		return Message{}, fmt.Errorf("there is no letter %q", l.Kind)
	}
	if path := linked[l.Kind]; path != "" {
		query := url.Values{"ui_locales": {v.Lang}}
		if v.Token = l.Token; l.Token != "" {
			query.Set("token", l.Token)
		}
		v.Link = w.brand.Site + path + "?" + query.Encode()
	}
	for _, name := range facts {
		value := oneLine(l.Values[name])
		if name == "change" && slices.Contains(changes, value) {
			value = v.Say("change_" + value)
		}
		if value != "" {
			v.Facts = append(v.Facts, fact{v.Say("fact_" + name), value})
		}
	}
	var text, html strings.Builder
	t, h := w.text.Lookup(string(l.Kind)+".txt"), w.html.Lookup(string(l.Kind)+".html")
	if t == nil {
		t = w.text.Lookup("letter.txt")
	}
	if h == nil {
		h = w.html.Lookup("letter.html")
	}
	if err := t.Execute(&text, v); err != nil {
		return Message{}, err
	}
	if err := h.Execute(&html, v); err != nil {
		return Message{}, err
	}
	return Message{Kind: l.Kind, Language: v.Lang, To: l.To, Subject: v.Subject(), Text: strings.TrimSpace(text.String()) + "\n", HTML: html.String()}, nil
}

// oneLine makes one bounded line of a value, in which nothing is invisible: no value can
// pass for a part of the letter.
func oneLine(value string) string {
	shown := strings.Map(func(r rune) rune {
		if !unicode.IsSpace(r) && (!unicode.IsGraphic(r) || unicode.Is(unicode.Cf, r)) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(value, ""))
	shown = strings.Join(strings.Fields(shown), " ")
	if runes := []rune(shown); len(runes) > mostValue {
		shown = string(runes[:mostValue]) + "…"
	}
	return shown
}
