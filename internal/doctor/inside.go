package doctor

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/keyturn/keyturn/keys"
)

// Schedule checks the key schedule in the store. interval is
// key_rotation_interval.
func Schedule(list []keys.Info, interval time.Duration, now time.Time) Finding {
	var active, standby *keys.Info
	for i := range list {
		if list[i].Ring != "" {
			continue // the keys of other algorithms turn as these do
		}
		switch list[i].State {
		case keys.Active:
			active = &list[i]
		case keys.Standby:
			standby = &list[i]
		}
	}
	find := func(v Verdict, seen, fix string) Finding { return Finding{"key schedule", v, seen, fix} }
	switch {
	case active == nil:
		return find(Failure, fmt.Sprintf("none of %d keys signs", len(list)), "start a server, and see its log")
	case active.MasterID == "":
		return find(Failure, "the private half of the signing key is gone", "run keyturn keys rotate, and see the audit log for who erased it")
	case standby == nil:
		return find(Failure, "there is no standby", "see the server's log for why the next key is not made")
	case now.Sub(active.ActivateAt) > interval+time.Hour:
		return find(Failure, fmt.Sprintf("key %s has signed for %s; a turn is overdue", active.KID, now.Sub(active.ActivateAt).Round(time.Minute)),
			"see whether a server runs with these settings, and its log")
	}
	return find(OK, fmt.Sprintf("key %s signs; %s takes over in %s", active.KID, standby.KID, standby.ActivateAt.Sub(now).Round(time.Minute)), "")
}

// SameKeys checks whether the issuer publishes the key that signs according to
// the store.
func (d *Doctor) SameKeys(list []keys.Info) Finding {
	for _, k := range list {
		if k.State == keys.Active && !slices.Contains(d.published, k.KID) {
			return Finding{"published keys", Failure, "the issuer does not publish key " + k.KID + ", which signs by the store",
				"see whether issuer and store are of one deployment, and whether the server reads the store"}
		}
	}
	return Finding{"published keys", OK, "those of the store", ""}
}

// Engine checks the database engine. seen describes it; breaks says whether it is
// known to break promises.
func Engine(seen string, breaks bool) Finding {
	if breaks {
		return Finding{"store engine", Warning, seen, "use MongoDB for what must not be lost; docs/operating.md has a table of engines"}
	}
	return Finding{"store engine", OK, seen, ""}
}

// Pepper checks pepper_file. needed says that accounts have hashes with a pepper,
// and given that the setting is set.
func Pepper(needed, given bool) Finding {
	switch {
	case needed && !given:
		return Finding{"password hashes", Failure, "some have a pepper, and pepper_file is not set", "set pepper_file: nobody can log in to their accounts without it"}
	case needed:
		return Finding{"password hashes", OK, "some have a pepper, which pepper_file holds", ""}
	case given:
		return Finding{"password hashes", OK, "none needs pepper_file any more", ""}
	}
	return Finding{"password hashes", OK, "none has a pepper", ""}
}

// Mail says what came of logging in to the mail server at host.
func Mail(host string, err error) Finding {
	if err != nil {
		return Finding{"mail", Failure, host + ": " + err.Error(),
			vouching(err, "look at mail_host, mail_port and mail_security, and at mail_username and mail_password_file") + "; letters wait meanwhile"}
	}
	return Finding{"mail", OK, host + " lets us in", ""}
}

// Webhook says what came of connecting to the webhook at address, of which only the host is
// shown: the rest may hold a secret.
func Webhook(address string, err error) Finding {
	host := "the webhook"
	if u, e := url.Parse(address); e == nil {
		host = u.Host
	}
	if err != nil {
		return Finding{"mail", Failure, host + ": " + err.Error(),
			vouching(err, "look at mail_webhook_url and mail_webhook_secret_file, and at whether it runs") + "; letters wait meanwhile"}
	}
	return Finding{"mail", OK, host + " can be reached; nothing was sent, so whether it takes letters the first will tell", ""}
}

// vouching returns the fix for a certificate that nothing vouches for, or otherwise another.
func vouching(err error, otherwise string) string {
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return "have it send its whole chain of certificates; if its authority is a private one, set SSL_CERT_FILE for Keyturn to a file with the certificate of that"
	}
	return otherwise
}
