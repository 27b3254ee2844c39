package oauth

import (
	"context"
	"errors"

	"github.com/keyturn/keyturn/internal/audit"
)

// refreshGrant serves RFC 6749 §6.
func (s *Service) refreshGrant(ctx context.Context, a ask, token string, event *audit.Event) (issued, *Error) {
	if token == "" {
		return issued{}, badRequest("no_refresh_token", "The parameter refresh_token is missing.")
	}
	var scope, aud []string
	fits := func(f Family) error {
		var e *Error
		if scope, e = narrow(a.scope, f.Scope); e != nil {
			return e
		}
		if aud, e = target(a.resources, f.Audience); e != nil {
			return e
		}
		return nil
	}
	family, successor, err := s.families.refresh(ctx, token, a.client, fits)
	if err != nil {
		return issued{}, refreshRefused(err, event)
	}
	event.UserID, event.SessionID = family.UserID, family.ID
	event.HasGeneration, event.Generation, event.Presented = true, family.Generation, family.Generation-1
	out, e := s.issue(family, a.client, scope, aud)
	if e != nil {
		return issued{}, e
	}
	event.Action = audit.TokenRefreshed
	out.refresh = successor
	return out, nil
}

// refreshRefused answers every refresh token that does not count alike; the
// audit log is told which it was.
func refreshRefused(err error, event *audit.Event) *Error {
	var no *refusal
	var e *Error
	switch {
	case errors.As(err, &e):
		return e
	case !errors.As(err, &no):
		return unavailable("store", err)
	}
	if no.family.ID != "" {
		event.UserID, event.SessionID = no.family.UserID, no.family.ID
		event.HasGeneration, event.Generation, event.Presented = true, no.family.Generation, no.presented
	}
	if no.reuse {
		event.Action = audit.TokenReuse
		event.Previous = audit.Use{At: no.family.RotatedAt, IP: no.family.LastIP, UserAgent: no.family.LastUserAgent}
	}
	return refused(invalidGrant, no.reason, "The refresh token is not valid, has expired or was revoked.")
}
