package pages

import (
	"bytes"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// FuzzColor: what is a colour prints as it is read, and what is shown of it can be read,
// on either ground and with what is written on it.
func FuzzColor(f *testing.F) {
	for _, s := range []string{"#000000", "#ffffff", "#ffff00", "#0b57d0", "#1a1f26", "#767676", "#zzzzzz", "red", "", "#fff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c, err := ParseColor(s)
		if err != nil {
			return
		}
		if c.String() != strings.ToLower(s) {
			t.Fatalf("%q is read as %s", s, c)
		}
		for _, ground := range []Color{lightCard, darkCard} {
			m := regexp.MustCompile(`--accent: (#......); --on-accent: (#......);`).FindStringSubmatch(accent(c, ground))
			shown, _ := ParseColor(m[1])
			on, _ := ParseColor(m[2])
			if contrast(shown, ground) < 4.5 || contrast(on, shown) < 4.5 {
				t.Errorf("%s on %s: shown as %s, and %s on it", c, ground, shown, on)
			}
		}
	})
}

// TestContrastIsThatOfTheStandard holds the ratio to known ones, and the grounds to the
// style sheet.
func TestContrastIsThatOfTheStandard(t *testing.T) {
	if got := contrast(black, white); got != 21 {
		t.Errorf("black on white: %v", got)
	}
	if got := contrast(Color{0x76, 0x76, 0x76}, white); got < 4.54 || got > 4.55 {
		t.Errorf("#767676 on white: %v", got)
	}
	grounds := regexp.MustCompile(`--card: (#[0-9a-f]+)`).FindAllStringSubmatch(style, -1)
	if len(grounds) != 2 || grounds[0][1] != "#fff" || grounds[1][1] != darkCard.String() {
		t.Errorf("the style's grounds are %v", grounds)
	}
}

func TestBrandsColorsAreInTheStyle(t *testing.T) {
	day, night := Color{0xb0, 0, 0x20}, Color{0x20, 0xf0, 0x20}
	plain, _ := Brand{}.style()
	one, version := Brand{Color: &day}.style()
	if string(plain) != style || strings.Count(string(one), "--accent: #b00020") != 1 || strings.Count(string(one), "--accent:") != 4 {
		t.Errorf("one colour: %s", one[len(plain):])
	}
	two, other := Brand{Color: &day, DarkColor: &night}.style()
	if !strings.Contains(string(two), "--accent: #20f020") || version == other {
		t.Errorf("two colours: %s", two[len(plain):])
	}
}

// TestLogosArePicturesAlone: what is served to everybody runs nothing.
func TestLogosArePicturesAlone(t *testing.T) {
	var small bytes.Buffer
	if err := png.Encode(&small, image.NewGray(image.Rect(0, 0, 2, 2))); err != nil {
		t.Fatal(err)
	}
	const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1">`
	for name, c := range map[string]struct{ body, kind string }{
		"PNG":               {small.String(), "image/png"},
		"SVG":               {`<?xml version="1.0"?><!-- x -->` + svg + `<path d="M0 0h1v1z"/></svg>`, "image/svg+xml"},
		"JPEG":              {"\xff\xd8\xff\xe0", "image/jpeg"},
		"WebP":              {"RIFF\x00\x00\x00\x00WEBPVP8 ", "image/webp"},
		"script":            {svg + `<script>alert(1)</script></svg>`, ""},
		"event":             {svg + `<path onclick="alert(1)"/></svg>`, ""},
		"link to script":    {svg + `<a href=" JavaScript:alert(1)"/></svg>`, ""},
		"HTML inside":       {svg + `<foreignObject/></svg>`, ""},
		"HTML":              {"<html><body>x</body></html>", ""},
		"another namespace": {"<svg/>", ""},
		"cut off":           {svg, ""},
		"GIF":               {"GIF89a", ""},
		"nothing":           {"", ""},
		"large":             {small.String() + strings.Repeat("x", maxLogo), ""},
	} {
		path := filepath.Join(t.TempDir(), "logo")
		if err := os.WriteFile(path, []byte(c.body), 0o600); err != nil {
			t.Fatal(err)
		}
		if logo, err := ReadLogo(path); (err == nil) != (c.kind != "") || logo.Type != c.kind {
			t.Errorf("%s: %q, %v", name, logo.Type, err)
		}
	}
	if _, err := ReadLogo(filepath.Join(t.TempDir(), "missing")); err == nil {
		t.Error("a file that is not there is taken")
	}
}

// FuzzLogo: no bytes make an SVG that holds a script.
func FuzzLogo(f *testing.F) {
	f.Add([]byte(`<svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0"/></svg>`))
	f.Add([]byte(`<svg xmlns="http://www.w3.org/2000/svg"><Script/></svg>`))
	f.Fuzz(func(t *testing.T, body []byte) {
		if checkSVG(body) == nil && regexp.MustCompile(`(?i)<([a-z]+:)?script[\s/>]`).Match(regexp.MustCompile(`(?s)<!--.*?-->|<!\[CDATA\[.*?\]\]>|<\?.*?\?>|<!.*?>`).ReplaceAll(body, nil)) {
			t.Errorf("%q is taken", body)
		}
	})
}
