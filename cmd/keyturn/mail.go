package main

import (
	"context"
	"errors"
	"fmt"
	netmail "net/mail"
	"net/url"
	"strings"

	"github.com/keyturn/keyturn/internal/doctor"
	"github.com/keyturn/keyturn/internal/mail"
	"github.com/keyturn/keyturn/internal/mail/transport"
	"github.com/keyturn/keyturn/internal/outbox"
	"github.com/keyturn/keyturn/internal/pages"
	"github.com/keyturn/keyturn/keys"
	"github.com/keyturn/keyturn/users"
)

// leastWebhookSecret is the least length of the secret of a webhook, in bytes.
const leastWebhookSecret = 32

// letterBox returns what writes letters into the outbox, which servers send, or nil if
// there is no mail, or a command has no master key.
func (d *deployment) letterBox() *mail.Post {
	if d.serves || !d.cfg.Mail() {
		return d.post
	}
	masters, err := d.givenMasters()
	if err != nil {
		return nil
	}
	return &mail.Post{Box: &outbox.Box{Store: d.store, Now: d.now}, Sealer: masters.Sealer(mail.SealLetters), GiveUp: (&users.Service{Audit: d.audit, Now: wallClock}).GiveUpLetter, Now: d.now}
}

// notices returns the letters that decisions owe.
func (d *deployment) notices() users.Notices {
	if n := users.Notices(d.cfg.MailNotices); d.cfg.Mail() && n != "none" {
		return n
	}
	return ""
}

// newPost puts together what writes letters and sends them, or returns nil if the settings
// name nothing that carries them.
func (d *deployment) newPost(issuer string, masters *keys.Masters, box *outbox.Box) (*mail.Post, error) {
	if !d.cfg.Mail() {
		return nil, nil
	}
	carrier, err := d.carrier()
	if err != nil {
		return nil, err
	}
	words, err := d.words(issuer)
	if err != nil {
		return nil, err
	}
	p := &mail.Post{Carrier: carrier, Words: words, Box: box, Sealer: masters.Sealer(mail.SealLetters), From: d.cfg.MailFrom, Now: box.Now}
	if from, err := netmail.ParseAddress(d.cfg.MailFrom); err == nil {
		_, p.Domain, _ = strings.Cut(from.Address, "@")
	} else if u, err := url.Parse(issuer); err == nil {
		p.Domain = u.Hostname()
	}
	return p, nil
}

// words returns what puts letters into words, of the brand of the pages.
func (d *deployment) words(issuer string) (*mail.Words, error) {
	brand, err := brandOf(d.cfg)
	if err != nil {
		return nil, err
	}
	shown, on := brand.Accent()
	b := mail.Brand{Name: brand.Name, Privacy: brand.Privacy, Support: brand.Support, Site: issuer, Color: shown.String(), OnColor: on.String()}
	if brand.Logo.Body != nil && brand.Logo.Type != "image/svg+xml" { // which readers of mail do not show
		b.Logo = issuer + pages.LogoPath
	}
	w, err := mail.NewWords(b, d.cfg.MailLanguage, d.cfg.MailTemplatesDir)
	switch {
	case errors.Is(err, mail.ErrNoLanguage):
		err = fmt.Errorf("mail_language %q is refused: %w", d.cfg.MailLanguage, err)
	case err != nil:
		err = fmt.Errorf("mail_templates_dir %q is refused: %w", d.cfg.MailTemplatesDir, err)
	}
	return w, err
}

// checkedCarrier can be tried without a letter.
type checkedCarrier interface {
	mail.Carrier
	Check(context.Context) error
}

// carrier returns what carries letters, or nil if nothing does.
func (d *deployment) carrier() (checkedCarrier, error) {
	switch c := d.cfg; {
	case c.MailWebhookURL != "":
		secret, err := d.readSecretFile("mail_webhook_secret_file", c.MailWebhookSecretFile)
		if err == nil && len(strings.TrimSpace(string(secret))) < leastWebhookSecret {
			err = fmt.Errorf("mail_webhook_secret_file %s is refused: it is to have %d bytes or more", c.MailWebhookSecretFile, leastWebhookSecret)
		}
		return &transport.Webhook{URL: c.MailWebhookURL, Secret: []byte(strings.TrimSpace(string(secret))), Now: wallClock}, err
	case c.MailHost != "":
		smtp := &transport.SMTP{Host: c.MailHost, Port: c.MailPort, Security: transport.Security(c.MailSecurity), Username: c.MailUsername}
		if c.MailPasswordFile == "" {
			return smtp, nil
		}
		password, err := d.readSecretFile("mail_password_file", c.MailPasswordFile)
		smtp.Password = strings.TrimRight(string(password), "\r\n")
		return smtp, err
	}
	return nil, nil
}

// tryMail logs in to the mail server, or connects to the webhook.
func (d *deployment) tryMail() doctor.Finding {
	carrier, err := d.carrier()
	if err == nil {
		err = carrier.Check(d.ctx)
	}
	if d.cfg.MailWebhookURL != "" {
		return doctor.Webhook(d.cfg.MailWebhookURL, err)
	}
	return doctor.Mail(d.cfg.MailHost, err)
}

// checkMail checks the files of letters.
func (d *deployment) checkMail() error {
	_, err := d.carrier()
	if d.cfg.Mail() {
		_, wordsErr := d.words(d.cfg.Issuer)
		err = errors.Join(err, wordsErr)
	}
	return err
}
