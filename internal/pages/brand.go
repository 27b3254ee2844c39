package pages

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
)

// Brand is how a deployment presents itself on the pages.
type Brand struct {
	// Name is that of the product, and Logo its picture, if there is one.
	Name string
	Logo Logo
	// Color is that of buttons and links, by day and by night; nil is the pages'
	// own, and by night that of the day.
	Color, DarkColor *Color
	// Privacy, Terms and Support are addresses that the pages lead to, or empty.
	Privacy, Terms, Support string
}

// Logo is a picture and its media type.
type Logo struct {
	Body []byte
	Type string
}

// maxLogo bounds a logo: it is shown some 40 pixels high.
const maxLogo = 256 << 10

// ReadLogo reads a PNG, JPEG, WebP or SVG file. An SVG may hold no script: as a picture
// on a page it would not run, but somebody could open its address.
func ReadLogo(path string) (Logo, error) {
	f, err := os.Open(path)
	if err != nil {
		return Logo{}, err
	}
	defer f.Close()
	body, err := io.ReadAll(io.LimitReader(f, maxLogo+1))
	switch {
	case err != nil:
		return Logo{}, err
	case len(body) > maxLogo:
		return Logo{}, fmt.Errorf("it is larger than %d KiB", maxLogo>>10)
	}
	switch found := http.DetectContentType(body); found {
	case "image/png", "image/jpeg", "image/webp":
		return Logo{body, found}, nil
	}
	if err := checkSVG(body); err != nil {
		return Logo{}, fmt.Errorf("it is no PNG, JPEG or WebP, and as an SVG %w", err)
	}
	return Logo{body, "image/svg+xml"}, nil
}

// checkSVG refuses what is no plain picture.
func checkSVG(body []byte) error {
	d := xml.NewDecoder(bytes.NewReader(body))
	for first := true; ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) && !first {
			return nil
		}
		if err != nil {
			return fmt.Errorf("it cannot be read: %w", err)
		}
		element, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		if first && (element.Name.Local != "svg" || element.Name.Space != "http://www.w3.org/2000/svg") {
			return errors.New("it begins with another element than svg")
		}
		first = false
		if name := strings.ToLower(element.Name.Local); name == "script" || name == "foreignobject" {
			return fmt.Errorf("it holds the element %s", name)
		}
		for _, a := range element.Attr {
			if strings.HasPrefix(strings.ToLower(a.Name.Local), "on") || strings.HasPrefix(strings.ToLower(strings.TrimSpace(a.Value)), "javascript:") {
				return fmt.Errorf("it holds the attribute %s", a.Name.Local)
			}
		}
	}
}

//go:embed assets/style.css
var style string

// style returns the style sheet with the colours of the brand, and what changes with
// it and with the logo.
func (b Brand) style() (sheet []byte, version string) {
	text := style
	if b.Color != nil {
		text += ":root {" + accent(*b.Color, lightCard) + "}\n"
	}
	if dark := cmp.Or(b.DarkColor, b.Color); dark != nil {
		text += "@media (prefers-color-scheme: dark) { :root {" + accent(*dark, darkCard) + "} }\n"
	}
	sum := sha256.Sum256(append([]byte(text), b.Logo.Body...))
	return []byte(text), hex.EncodeToString(sum[:6])
}

//go:embed assets/icon.svg
var icon []byte

// Icon is served at IconPath: the logo, or a key.
func (p *Pages) Icon() Logo {
	if p.Brand.Logo.Body != nil {
		return p.Brand.Logo
	}
	return Logo{icon, "image/svg+xml"}
}

// Style is served at StylePath.
func (p *Pages) Style() []byte { return p.style }

// ProtectLogo sets the headers of a picture: opened by itself, an SVG runs nothing either.
func ProtectLogo(h http.Header) {
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'none'")
}
