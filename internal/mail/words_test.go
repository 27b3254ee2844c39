package mail

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestEveryLetterHasItsWords holds the files of messages to each other and to the kinds.
func TestEveryLetterHasItsWords(t *testing.T) {
	w, err := NewWords(Brand{Name: "Engines <b>", Color: "#0b57d0", OnColor: "#ffffff", Support: "mailto:help@example.com", Privacy: "https://example.com/privacy"}, "en", "")
	must(t, err)
	want := map[string]bool{"dir": true, "support": true, "privacy": true}
	for _, kind := range kinds() {
		for _, part := range []string{"_subject", "_text", "_after"} {
			want[string(kind)+part] = true
		}
		if linked[kind] != "" {
			want[string(kind)+"_button"] = true
		}
	}
	for _, name := range facts {
		want["fact_"+name] = true
	}
	for _, name := range changes {
		want["change_"+name] = true
	}
	if len(w.languages.All) != 7 {
		t.Errorf("%v", w.languages.Tags())
	}
	for _, l := range w.languages.All {
		if keys := slices.Sorted(maps.Keys(want)); !slices.Equal(l.Keys(), keys) {
			t.Errorf("%s: %v, want %v", l.Lang, l.Keys(), keys)
		}
		for _, kind := range kinds() {
			m, err := w.put(Letter{Kind: kind, Language: l.Lang, Token: "kt_x", Values: map[string]string{"address": "192.0.2.7", "change": "passkey_removed"}})
			must(t, err)
			if said := l.Say("change_passkey_removed"); !strings.Contains(m.Text, said) || !strings.Contains(m.HTML, said) {
				t.Errorf("%s %s: %s", l.Lang, kind, m.Text)
			}
			for _, in := range []string{m.Text, m.HTML, m.Subject} {
				if strings.Contains(in, "%s") || strings.Contains(in, "ZgotmplZ") || !strings.Contains(in, "Engines") {
					t.Errorf("%s %s: %s", l.Lang, kind, in)
				}
			}
			if strings.Contains(m.HTML, "Engines <b>") || strings.Contains(m.Text, "token=kt_x&ui_locales="+l.Lang+"\n") != (linked[kind] != "") || !strings.Contains(m.HTML, "background:#0b57d0") && linked[kind] != "" {
				t.Errorf("%s %s: %s\n%s", l.Lang, kind, m.Text, m.HTML)
			}
		}
	}
}

// TestTemplatesOfOthers: a directory has templates for all kinds or one, and languages.
func TestTemplatesOfOthers(t *testing.T) {
	english, err := messageFiles.ReadFile("messages/en.json")
	must(t, err)
	dir := t.TempDir()
	write := func(name, text string) { must(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600)) }
	write("letter.txt", "{{.Body}} https://app.example.com/#{{.Token}} from us")
	write("reset.html", "<b>{{.Subject}}</b>{{.Token}}")
	write(".keep", "")
	write("it.json", strings.Replace(string(english), "Set a new password for %s", "Nuova password per %s", 1))
	w, err := NewWords(Brand{Name: "Engines"}, "it", dir)
	must(t, err)
	m, err := w.put(Letter{Kind: Reset, Token: "kt_x"})
	must(t, err)
	if m.HTML != "<b>Nuova password per Engines</b>kt_x" || !strings.HasSuffix(m.Text, "https://app.example.com/#kt_x from us\n") || m.Language != "it" {
		t.Errorf("%+v", m)
	}
	if m, err = w.put(Letter{Kind: Confirm}); err != nil || !strings.Contains(m.HTML, "<!doctype html>") {
		t.Errorf("%+v, %v", m, err)
	}
	for _, file := range [][2]string{
		{"letter.html", "{{.Missing}}"}, {"reset.txt", "{{if}}"}, {"sw.json", "{}"}, {"resset.html", "{{.Link}}"}, {"README.md", ""}, {"reset.html.bak", ""},
		{"reset.txt", "hello, no link here"}, {"letter.html", "{{.Body}}"}, {"device.txt", `{{.Say "nope"}}`}, {"device.html", "{{if not .Facts}}{{.Nope}}{{end}}"},
		{"it.json", strings.Replace(string(english), "{", `{"nope": "x",`, 1)},
	} {
		dir = t.TempDir()
		write(file[0], file[1])
		if _, err := NewWords(Brand{Name: "Engines"}, "en", dir); err == nil || !strings.Contains(err.Error(), file[0]) {
			t.Errorf("%s: %v", file, err)
		}
	}
	if _, err := NewWords(Brand{}, "en", filepath.Join(dir, "missing")); err == nil {
		t.Error("a directory that is not there is taken")
	}
	if _, err := NewWords(Brand{}, "it", ""); !errors.Is(err, ErrNoLanguage) {
		t.Errorf("a language that is not there: %v", err)
	}
}

// TestTheManualListsWhatTemplatesHave: letters, fields and messages.
func TestTheManualListsWhatTemplatesHave(t *testing.T) {
	manual, err := os.ReadFile("../../docs/operating.md")
	must(t, err)
	var fields, keys []string
	for _, of := range []reflect.Type{reflect.TypeFor[view](), reflect.TypeFor[Brand](), reflect.TypeFor[fact]()} {
		prefix := map[string]string{"Brand": "Brand."}[of.Name()]
		for _, f := range reflect.VisibleFields(of) {
			if f.IsExported() && (of.Name() != "view" || f.Name != "Brand") {
				fields = append(fields, "."+prefix+f.Name)
			}
		}
		for m := range of.Methods() {
			fields = append(fields, "."+m.Name)
		}
	}
	var names []string
	for _, kind := range kinds() {
		names = append(names, string(kind))
	}
	w, err := NewWords(Brand{}, "en", "")
	must(t, err)
	for _, key := range w.languages.All[0].Keys() {
		at := strings.LastIndex(key, "_")
		if at < 0 || !slices.Contains(names, key[:at]) {
			keys = append(keys, key)
		}
	}
	keys = append(keys, "NAME_subject", "NAME_text", "NAME_after", "NAME_button")
	for row, want := range map[string][]string{"letters": names, "fields": fields, "messages": keys} {
		_, line, _ := strings.Cut(string(manual), "\n| "+row+" of templates | ")
		line, _, _ = strings.Cut(line, "\n")
		var listed []string
		for _, name := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(line, -1) {
			listed = append(listed, name[1])
		}
		slices.Sort(want)
		slices.Sort(listed)
		if !slices.Equal(listed, want) {
			t.Errorf("%s: %q, want %q", row, listed, want)
		}
	}
}

func FuzzOneLine(f *testing.F) {
	for _, seed := range []string{"Firefox, Linux", "a\r\nb", "\u202e\u2028\x00", strings.Repeat("ä", 300), "\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		got := oneLine(value)
		if strings.ContainsFunc(got, func(r rune) bool { return !unicode.IsGraphic(r) || unicode.Is(unicode.Cf, r) }) || len([]rune(got)) > mostValue+1 || oneLine(got) != got && len([]rune(got)) <= mostValue {
			t.Errorf("%q of %q", got, value)
		}
	})
}
