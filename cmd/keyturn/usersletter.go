package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn/internal/config"
	"github.com/keyturn/keyturn/internal/mail"
	"github.com/keyturn/keyturn/users"
)

func (p *program) usersLetterCommand() *cobra.Command {
	var kind, language string
	cmd := &cobra.Command{
		Use:   "letter EMAIL|USERNAME|UID --kind reset|confirm",
		Short: "Have a letter sent to the user of an account",
		Long: `Puts a letter into the outbox, which a running server sends: reset has a link to
set a new password by, good for 30 minutes, and confirm one to confirm the
address of the account by, good for a day. It needs the settings of mail and the
master key of the servers. Letters that an operator sends are not limited.`,
		Example: `  keyturn users letter ada@example.com --kind confirm --language de`,
		Args:    cobra.ExactArgs(1),
	}
	p.withUser(cmd, func(cfg *config.Config, _ []string) error {
		switch {
		case kind != string(mail.Reset) && kind != string(mail.Confirm):
			return usageError{fmt.Errorf("--kind %q: reset or confirm", kind)}
		case !cfg.Mail():
			return usageError{errors.New("there is no mail: set mail_host or mail_webhook_url as the servers have it")}
		case language != "":
			if _, err := mail.NewWords(mail.Brand{}, language, cfg.MailTemplatesDir); err != nil {
				return usageError{fmt.Errorf("--language %q: %w", language, err)}
			}
		}
		return nil
	}, func(d *deployment, s *users.Service, u users.User) error {
		if s.Post == nil {
			_, err := d.givenMasters()
			return err
		}
		if err := s.SendLetter(d.ctx, u.UID, mail.Kind(kind), language); err != nil {
			return err
		}
		return p.say(answer{"uid": u.UID, "email": u.Email, "kind": kind}, "a letter to %s is in the outbox\n", u.Email)
	})
	cmd.Flags().StringVar(&kind, "kind", "", "reset, to set a new password, or confirm, to confirm the address")
	cmd.Flags().StringVar(&language, "language", "", "the language of the letter; without it that of mail_language")
	return cmd
}
