package mail

import (
	"embed"
	"errors"
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

// ErrNoLanguage means that there are no messages in the language of the settings.
var ErrNoLanguage = errors.New("there are no messages in it")

// mostValue bounds a value in a letter, in characters.
const mostValue = 200

// NewWords reads the templates and messages that are built in, and those of a directory,
// if it is named: letter.txt and letter.html are for every kind that has no template of
// its own, as in reset.html, and files as in it.json add or replace languages; there are to
// be no others, but for those whose names begin with a dot. language is that of letters for
// which none is known; the error is ErrNoLanguage if there are no messages in it.
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
		return nil, fmt.Errorf("%w: there are %s", ErrNoLanguage, strings.Join(w.languages.Tags(), ", "))
	}
	w.text = template.Must(template.ParseFS(templateFiles, "templates/*.txt"))
	w.html = htmltemplate.Must(htmltemplate.ParseFS(templateFiles, "templates/*.html"))
	if dir != "" {
		if err := checkNames(dir); err != nil {
			return nil, err
		}
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

// checkNames refuses files that nothing would be read from.
func checkNames(dir string) error {
	files, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, f := range files {
		kind, ext, _ := strings.Cut(f.Name(), ".")
		isTemplate := (ext == "txt" || ext == "html") && (kind == "letter" || slices.Contains(kinds(), Kind(kind)))
		if !isTemplate && ext != "json" && kind != "" {
			return fmt.Errorf("%s: no letter has this name: there are NAME.txt and NAME.html, with letter for NAME or one of %v, and LANGUAGE.json", f.Name(), kinds())
		}
	}
	return nil
}

// check writes every letter, with all that it can tell and with nothing: a template that
// cannot, or that leaves out the link of a letter that is sent for it, is refused at the
// start.
func (w *Words) check() error {
	values := map[string]string{}
	for _, name := range facts {
		values[name] = "example"
	}
	values["change"] = changes[0]
	const token = "kt_example"
	for _, l := range w.languages.All {
		for _, kind := range kinds() {
			for _, told := range []map[string]string{values, nil} {
				m, err := w.put(Letter{Kind: kind, Language: l.Lang, Token: token, Values: told})
				if err != nil {
					return fmt.Errorf("%s in %s: %w", kind, l.Lang, err)
				}
				text, html := w.templates(kind)
				for name, part := range map[string]string{text.Name(): m.Text, html.Name(): m.HTML} {
					if linked[kind] != "" && kind != Taken && !strings.Contains(part, token) {
						return fmt.Errorf("%s: the letter %s lacks its link: {{.Link}}, or an address of yours with {{.Token}}", name, kind)
					}
				}
			}
		}
	}
	return nil
}

// templates returns those of a kind, its own or those of all.
func (w *Words) templates(kind Kind) (*template.Template, *htmltemplate.Template) {
	t, h := w.text.Lookup(string(kind)+".txt"), w.html.Lookup(string(kind)+".html")
	if t == nil {
		t = w.text.Lookup("letter.txt")
	}
	if h == nil {
		h = w.html.Lookup("letter.html")
	}
	return t, h
}

// fact is one thing that a letter tells, by a name for people.
type fact struct{ Name, Value string }

// view is what a template is shown.
type view struct {
	language messages.Language
	// Lang is the tag of the language.
	Lang  string
	Kind  Kind
	Brand Brand
	// Link is where the button leads, or empty; Token is in it.
	Link, Token string
	Facts       []fact
}

// Say returns a message about the product.
func (v view) Say(key string) (string, error) {
	if !slices.Contains(v.language.Keys(), key) {
		return "", fmt.Errorf("there is no message %q", key)
	}
	return v.say(key), nil
}

func (v view) say(key string) string {
	return strings.ReplaceAll(v.language.Say(key), "%s", v.Brand.Name)
}

// Subject, Body, After and Button are the messages of the kind.
func (v view) Subject() string { return v.say(string(v.Kind) + "_subject") }

// Body is what the letter is about.
func (v view) Body() string { return v.say(string(v.Kind) + "_text") }

// After says what to do if it is not for the receiver.
func (v view) After() string { return v.say(string(v.Kind) + "_after") }

// Button is what the link says.
func (v view) Button() string { return v.say(string(v.Kind) + "_button") }

// put puts l into words.
func (w *Words) put(l Letter) (Message, error) {
	language := w.languages.Match(l.Language, w.language)
	v := view{language: language, Lang: language.Lang, Kind: l.Kind, Brand: w.brand}
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
			value = v.say("change_" + value)
		}
		if value != "" {
			v.Facts = append(v.Facts, fact{v.say("fact_" + name), value})
		}
	}
	var text, html strings.Builder
	t, h := w.templates(l.Kind)
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
