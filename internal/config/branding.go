package config

import (
	"encoding/hex"
	"errors"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

// branding is how the pages present the deployment.
func branding() []Setting {
	return []Setting{
		{Name: "page_name", Default: "Keyturn", kind: text(func(c *Config) *string { return &c.PageName }, "text",
			"a name of up to 60 characters", checkPageName),
			Help: "name of the product or company on the pages that people see, and in their authenticator apps"},
		{Name: "page_logo_file", kind: filePath(func(c *Config) *string { return &c.PageLogoFile }, "the path of a PNG, JPEG, WebP or SVG file of up to 256 KiB"),
			Help: "logo on the pages, beside the name; read at the start"},
		{Name: "page_color", kind: text(func(c *Config) *string { return &c.PageColor }, "text", "a colour such as #0b57d0", checkColor),
			Help: "colour of buttons and links on the pages; where text in it could not be read it is shown darker or lighter"},
		{Name: "page_dark_color", kind: text(func(c *Config) *string { return &c.PageDarkColor }, "text", "a colour such as #8ab4f8", checkColor),
			Help: "the same for people whose system is dark; empty: page_color"},
		{Name: "page_privacy_url", kind: pageURL(func(c *Config) *string { return &c.PagePrivacyURL }), Help: "where the pages lead to for what is done with personal data"},
		{Name: "page_terms_url", kind: pageURL(func(c *Config) *string { return &c.PageTermsURL }), Help: "where the pages lead to for the terms of use"},
		{Name: "page_support_url", kind: pageURL(func(c *Config) *string { return &c.PageSupportURL }), Help: "where the pages lead to for help"},
		{Name: "page_messages_dir", kind: filePath(func(c *Config) *string { return &c.PageMessagesDir }, "the path of a directory"),
			Help: "directory with messages of the pages, such as it.json: languages to add, or to have instead of those that are built in; read at the start"},
	}
}

func checkPageName(s string) error {
	if strings.TrimSpace(s) == "" || utf8.RuneCountInString(s) > 60 || strings.ContainsFunc(s, unicode.IsControl) {
		return errNotAccepted
	}
	return nil
}

func checkColor(s string) error {
	if s == "" {
		return nil
	}
	if _, err := hex.DecodeString(strings.TrimPrefix(s, "#")); err != nil || len(s) != 7 || s[0] != '#' {
		return errNotAccepted
	}
	return nil
}

// pageURL is a kind of addresses that pages lead people to.
func pageURL(field func(*Config) *string) kind {
	return text(field, "URL", "an https URL, or mailto: and an address", func(s string) error {
		if s == "" {
			return nil
		}
		u, err := url.Parse(s)
		switch {
		case err != nil || len(s) > 1024 || strings.ContainsFunc(s, unicode.IsControl):
			return errNotAccepted
		case u.Scheme == "mailto" && strings.Contains(u.Opaque, "@"), u.Scheme == "https" && u.Host != "" && u.User == nil:
			return nil
		}
		return errors.New("it is neither")
	})
}
