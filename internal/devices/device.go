// Package devices says what a request came from, and remembers from what an account was
// used.
package devices

import (
	"regexp"
	"strings"
)

// What a User-Agent names, the more particular before what it claims to be like.
var (
	browsers = [][2]string{
		{"Edg/", "Edge"}, {"EdgA/", "Edge"}, {"EdgiOS/", "Edge"}, {"OPR/", "Opera"}, {"SamsungBrowser/", "Samsung Internet"}, {"Vivaldi/", "Vivaldi"},
		{"Firefox/", "Firefox"}, {"FxiOS/", "Firefox"}, {"CriOS/", "Chrome"}, {"Chrome/", "Chrome"}, {"Safari/", "Safari"},
	}
	systems = [][2]string{
		{"iPhone", "iPhone"}, {"iPad", "iPad"}, {"Android", "Android"}, {"CrOS", "ChromeOS"}, {"Windows", "Windows"},
		{"Macintosh", "macOS"}, {"Mac OS X", "macOS"}, {"Linux", "Linux"},
	}
)

// Of says in plain words what sent a User-Agent, or "" if it says nothing: the browser and
// the system, or the program by the name that it gives itself.
func Of(agent string) string {
	browser, system := named(browsers, agent), named(systems, agent)
	if browser == "" || !strings.HasPrefix(agent, "Mozilla/") {
		browser, _, _ = strings.Cut(agent, "/")
		browser = strings.ToValidUTF8(strings.TrimSpace(browser[:min(len(browser), 40)]), "")
		if strings.EqualFold(browser, "Mozilla") {
			browser = ""
		}
	}
	return join(browser, system)
}

// program is how programs begin a User-Agent.
var program = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9_-]{0,31})(/|$)`)

// Known is Of for letters, where nobody is to be told what a stranger chose: a program's
// name is one word, which can be no address and no sentence, or left out.
func Known(agent string) string {
	browser := ""
	if strings.HasPrefix(agent, "Mozilla/") {
		browser = named(browsers, agent)
	} else if name := program.FindStringSubmatch(agent); name != nil && !strings.EqualFold(name[1], "Mozilla") {
		browser = name[1]
	}
	return join(browser, named(systems, agent))
}

func join(browser, system string) string {
	switch {
	case browser == "":
		return system
	case system == "":
		return browser
	}
	return browser + ", " + system
}

func named(names [][2]string, agent string) string {
	for _, n := range names {
		if strings.Contains(agent, n[0]) {
			return n[1]
		}
	}
	return ""
}
