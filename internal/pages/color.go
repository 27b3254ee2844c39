package pages

import (
	"encoding/hex"
	"fmt"
	"math"
)

// Color is an sRGB colour.
type Color [3]uint8

// ParseColor reads a colour as #rrggbb.
func ParseColor(s string) (c Color, err error) {
	if len(s) != 7 || s[0] != '#' {
		return c, fmt.Errorf("it is not as in #0b57d0")
	}
	_, err = hex.Decode(c[:], []byte(s[1:]))
	return c, err
}

func (c Color) String() string { return "#" + hex.EncodeToString(c[:]) }

// The grounds that a colour stands on, as in style.css.
var (
	lightCard, darkCard = Color{0xff, 0xff, 0xff}, Color{0x1a, 0x1f, 0x26}
	black, white        = Color{}, Color{0xff, 0xff, 0xff}
)

// leastContrast is that of text (WCAG 2.2, 1.4.3), with something to spare for text on
// grounds that are a little off.
const leastContrast = 5

// accent returns the style's accent for a brand's colour on a ground: the colour itself,
// or as much darker or lighter as text in it needs to be read, and what is read on it.
func accent(c, ground Color) string {
	shown, on := readable(c, ground)
	return fmt.Sprintf(" --accent: %s; --on-accent: %s; ", shown, on)
}

// Accent returns the colour of buttons on a light ground, and what is read on it.
func (b Brand) Accent() (shown, on Color) {
	c := Color{0x0b, 0x57, 0xd0} // as in style.css
	if b.Color != nil {
		c = *b.Color
	}
	return readable(c, lightCard)
}

func readable(c, ground Color) (shown, on Color) {
	towards := black
	if contrast(ground, white) > contrast(ground, black) {
		towards = white
	}
	shown = c
	for step := 1; contrast(shown, ground) < leastContrast; step++ {
		shown = mix(c, towards, float64(step)/32)
	}
	on = white
	if contrast(shown, black) > contrast(shown, white) {
		on = black
	}
	return shown, on
}

func mix(a, b Color, share float64) (c Color) {
	for i := range c {
		c[i] = uint8(math.Round(float64(a[i])*(1-share) + float64(b[i])*share))
	}
	return c
}

// contrast is the ratio of WCAG 2.2, from 1 to 21.
func contrast(a, b Color) float64 {
	x, y := a.luminance(), b.luminance()
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

func (c Color) luminance() float64 {
	var linear [3]float64
	for i, v := range c {
		s := float64(v) / 255
		if linear[i] = s / 12.92; s > 0.04045 {
			linear[i] = math.Pow((s+0.055)/1.055, 2.4)
		}
	}
	return 0.2126*linear[0] + 0.7152*linear[1] + 0.0722*linear[2]
}
