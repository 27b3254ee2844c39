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
		if Known(agent) != want {
			t.Errorf("%q is known as %q, want %q", agent, Known(agent), want)
		}
	}
}

// TestALetterHasOneWordOfAStranger's, at most.
func TestALetterHasOneWordOfAStranger(t *testing.T) {
	for agent, want := range map[string]string{
		"python-requests/2.31": "python-requests", "okhttp/4.9.3": "okhttp", "MyApp/1.2": "MyApp", "node": "node", "Go-http-client/1.1": "Go-http-client",
		"evil.example/1.0": "", "Call me/1.0": "", "https://evil.example": "", "mozilla/5.0": "", "a@b/1": "", "<b>/1": "", "Löwe/1": "", "curl\n/8": "",
		"Call 555 now/1.0 (Android 16)": "Android", strings.Repeat("a", 33) + "/1": "",
	} {
		if got := Known(agent); got != want {
			t.Errorf("%q is known as %q, want %q", agent, got, want)
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
