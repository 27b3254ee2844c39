package main

import (
	"fmt"

	"github.com/keyturn/keyturn/internal/config"
	"github.com/keyturn/keyturn/internal/decision"
	"github.com/keyturn/keyturn/internal/pages"
)

// pages puts the pages together, of the brand that the settings describe.
func (d *deployment) pages(issuer string, s *services) (*pages.Pages, error) {
	brand, err := brandOf(d.cfg)
	if err != nil {
		return nil, usageError{fmt.Errorf("page_logo_file %s is refused: %w", d.cfg.PageLogoFile, err)}
	}
	p, err := pages.New(pages.Options{
		Issuer: issuer, OAuth: s.oauth, Users: s.users, Recorder: decision.Recorder{Audit: d.audit, OnError: d.requestLog},
		Brand: brand, SignUp: d.cfg.Signup, MessagesDir: d.cfg.PageMessagesDir, RememberTTL: d.cfg.BrowserRememberTTL,
	})
	if err != nil {
		return nil, usageError{fmt.Errorf("page_messages_dir %s is refused: %w", d.cfg.PageMessagesDir, err)}
	}
	return p, nil
}

// checkPages checks the files of the pages.
func (d *deployment) checkPages() error {
	_, err := d.pages(d.cfg.Issuer, &services{})
	return err
}

// brandOf returns the brand that the settings describe, or an error if the logo cannot be used.
func brandOf(c *config.Config) (b pages.Brand, err error) {
	b = pages.Brand{Name: c.PageName, Privacy: c.PagePrivacyURL, Terms: c.PageTermsURL, Support: c.PageSupportURL}
	for _, named := range []struct {
		text  string
		color **pages.Color
	}{{c.PageColor, &b.Color}, {c.PageDarkColor, &b.DarkColor}} {
		if color, err := pages.ParseColor(named.text); err == nil {
			*named.color = &color
		}
	}
	if c.PageLogoFile != "" {
		b.Logo, err = pages.ReadLogo(c.PageLogoFile)
	}
	return b, err
}
