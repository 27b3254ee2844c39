package devices

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestDevicesInPlainWords(t *testing.T) {
	for agent, want := range map[string]string{
		"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0":                                                                     "Firefox, Linux",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0":              "Edge, Windows",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Safari/605.1.15":                      "Safari, macOS",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1":    "Safari, iPhone",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/140.0 Mobile/15E148 Safari/604.1":     "Chrome, iPhone",
		"Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile Safari/537.36":                      "Chrome, Android",
		"Mozilla/5.0 (Linux; Android 15; SM-S921B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/27.0 Chrome/125.0.0.0 Mobile Safari/537.36": "Samsung Internet, Android",
		"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 OPR/120.0":                   "Opera, ChromeOS",
		"Shop/4.2 (Android 16; Pixel 9)": "Shop, Android",
		"curl/8.14.1":                    "curl",
		"Mozilla/5.0":                    "",
		"":                               "",
	} {
		if got := Of(agent); got != want {
			t.Errorf("%q: %q, want %q", agent, got, want)
		}
		if want = strings.TrimPrefix(strings.TrimPrefix(want, "Shop, "), "curl"); Known(agent) != want {
			t.Errorf("%q is known as %q, want %q", agent, Known(agent), want)
		}
	}
}

// FuzzDevice: whatever somebody calls himself, it stays short and text.
func FuzzDevice(f *testing.F) {
	f.Add("Shop/4.2 (Android 16)")
	f.Add(strings.Repeat("\u00e9", 80))
	f.Fuzz(func(t *testing.T, agent string) {
		if got := Of(agent); len(got) > 80 || utf8.ValidString(agent) && !utf8.ValidString(got) {
			t.Errorf("%q: %q", agent, got)
		}
	})
}
