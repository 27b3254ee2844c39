package clients

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/decision"
	"github.com/keyturn/keyturn/internal/jws"
	"github.com/keyturn/keyturn/internal/refusal"
	"github.com/keyturn/keyturn/keys"
)

// Registry registers clients, for operators.
type Registry struct {
	Store Store
	Audit audit.Recorder
	// IsUser reports whether a user has the id, in any case; nil asks nobody. A client that has
	// a user's id could pass for the user as the subject of a token (RFC 9700
	// §4.15).
	IsUser func(ctx context.Context, id string) (bool, error)
	// AccessTTL is the deployment's access token lifetime, the most that a
	// client may have.
	AccessTTL time.Duration
	// RefreshIdleTTL is the deployment's, for clients that have none of their own.
	RefreshIdleTTL time.Duration
	Now            func() time.Time
}

// Add checks and registers a client and returns it with its secret, which is
// empty for a client that is public or has keys, and shown only this once.
func (c *Registry) Add(ctx context.Context, client Client) (Client, string, error) {
	var secret string
	if !client.Public && !client.hasKeys() {
		secret, client.SecretHash = newSecret()
	}
	now := c.Now().UTC().Truncate(time.Millisecond)
	client.CreatedAt, client.UpdatedAt = now, now
	event := audit.Event{
		Action: audit.ClientAdded, Outcome: audit.Success, ClientID: client.ID, Scope: strings.Join(client.Scope, " "), Detail: described(client),
	}
	err := c.Check(client)
	if err == nil && c.IsUser != nil {
		var is bool
		if is, err = c.IsUser(ctx, client.ID); err != nil {
			return Client{}, "", c.conclude(ctx, event, err)
		}
		if is {
			err = fmt.Errorf("client id %q: it is the id of a user, for whom the client could pass as the subject of a token", client.ID)
		}
	}
	if err != nil {
		err = invalid(err)
	} else {
		err = c.maker().Add(ctx, decision.Change[Client]{Event: event, After: client}, func(err error) bool {
			if errors.Is(err, ErrExists) {
				_, err = c.Store.ClientByID(ctx, client.ID)
			}
			return errors.Is(err, ErrNotFound)
		})
	}
	if err = c.conclude(ctx, event, err); err != nil {
		return Client{}, "", err
	}
	return client, secret, nil
}

// described says what the log is to know of a registration beside the scope.
func described(c Client) string {
	text := "grants: " + strings.Join(c.Grants, " ") + "; authenticates by: " + c.AuthMethod() + describeClaims(c)
	if c.Name != "" {
		text += "; name: " + c.Name
	}
	if c.ThirdParty {
		text += "; third party"
	}
	if len(c.RedirectURIs) > 0 {
		text += "; redirect URIs: " + strings.Join(c.RedirectURIs, " ")
	}
	if len(c.PostLogoutRedirectURIs) > 0 {
		text += "; post-logout redirect URIs: " + strings.Join(c.PostLogoutRedirectURIs, " ")
	}
	if c.BackchannelLogoutURI != "" {
		text += "; back-channel logout URI: " + c.BackchannelLogoutURI
	}
	if c.RequireFactor {
		text += "; a second factor is required"
	}
	if c.PasswordAlone {
		text += "; the password alone opens accounts with a second factor"
	}
	return text
}

// Update changes a registered client: apply is given what it is now and leaves
// in it what it shall be. Its id, its kind and whether it is disabled stay. A
// client that is given keys loses its secret. ErrNotFound if there is no such
// client. Sessions that live keep what the client may still have.
func (c *Registry) Update(ctx context.Context, id string, apply func(*Client)) (Client, error) {
	client, _, err := c.change(ctx, audit.Event{Action: audit.ClientChanged}, id, func(client *Client, e *audit.Event) error {
		old := *client
		apply(client)
		client.ID, client.Public, client.Disabled = old.ID, old.Public, old.Disabled
		if client.hasKeys() {
			client.SecretHash = nil
		}
		err := c.check(*client)
		if err == nil && !client.Public && !client.hasKeys() && len(client.SecretHash) == 0 {
			err = errors.New("without its keys the client could not authenticate: give it other keys, or register another client")
		}
		if err != nil {
			return invalid(err)
		}
		e.Scope, e.Detail = strings.Join(client.Scope, " "), described(*client)
		return nil
	})
	return client, err
}

// Check returns what keeps a client from being registered, without asking the store.
// Clients that have a space in their id, which was accepted once, keep it.
func (c *Registry) Check(client Client) error {
	if !ValidID(client.ID) || strings.Contains(client.ID, " ") {
		return fmt.Errorf("client id %q: use 1 to 128 visible ASCII characters, no spaces", client.ID)
	}
	return c.check(client)
}

// check is Check without the id.
func (c *Registry) check(client Client) error {
	if len(client.Grants) == 0 {
		return fmt.Errorf("name at least one grant: %s", strings.Join(Grants(), ", "))
	}
	if err := c.CheckValues(client); err != nil {
		return err
	}
	if client.Public && slices.Contains(client.Grants, GrantClientCredentials) {
		return errors.New("a public client cannot use client_credentials: it has no secret (RFC 6749 §4.4)")
	}
	if slices.Contains(client.Grants, GrantRefreshToken) && !slices.Contains(client.Grants, GrantPassword) && !slices.Contains(client.Grants, GrantAuthorizationCode) {
		return errors.New("the grant refresh_token needs the grant authorization_code or password beside it: nothing else starts a session")
	}
	if err := checkRedirectURIs(client); err != nil {
		return err
	}
	if uri := client.BackchannelLogoutURI; uri != "" {
		if err := checkBackchannelURI(uri); err != nil {
			return err
		}
	}
	if client.ThirdParty && slices.Contains(client.Grants, GrantPassword) {
		return fmt.Errorf("a third party's client cannot use the grant %s: its users' passwords are none of its business", GrantPassword)
	}
	if client.RequiresPAR && !slices.Contains(client.Grants, GrantAuthorizationCode) {
		return fmt.Errorf("pushed authorization requests are for the grant %s", GrantAuthorizationCode)
	}
	for _, s := range client.DefaultScope {
		if !slices.Contains(client.Scope, s) {
			return fmt.Errorf("default scope %q: it is not in the client's scope", s)
		}
	}
	if client.RequireFactor && client.PasswordAlone {
		return errors.New("a client that requires a second factor cannot take the password alone")
	}
	if err := checkKeys(client); err != nil {
		return err
	}
	return c.checkLifetimes(client)
}

// CheckValues is Check for a part of a client: it returns which value no client may
// have, whatever its other values are.
func (c *Registry) CheckValues(client Client) error {
	for _, g := range client.Grants {
		if !slices.Contains(Grants(), g) {
			return fmt.Errorf("grant %q: use %s", g, strings.Join(Grants(), ", "))
		}
	}
	if n := client.Name; n != strings.TrimSpace(n) || utf8.RuneCountInString(n) > 60 || !utf8.ValidString(n) || strings.ContainsFunc(n, unprintable) {
		return fmt.Errorf("name %q: use up to 60 characters that are seen, in one line", n)
	}
	for _, s := range client.Scope {
		if !validScopeToken(s) {
			return fmt.Errorf("scope %q: use visible ASCII characters but quote and backslash (RFC 6749 §3.3)", s)
		}
	}
	for _, uri := range slices.Concat(client.RedirectURIs, client.PostLogoutRedirectURIs) {
		if why := whyNoRedirect(uri, true); why != "" {
			return fmt.Errorf("redirect URI %q: %s", uri, why)
		}
	}
	if client.JWKSURI != "" {
		if err := checkJWKSURI(client.JWKSURI); err != nil {
			return err
		}
	}
	if err := checkClaims(client); err != nil {
		return err
	}
	if alg := client.SigningAlg; alg != "" && !slices.Contains(keys.Algorithms(), alg) {
		return fmt.Errorf("signing algorithm %q: use one of %s", alg, strings.Join(keys.Algorithms(), ", "))
	}
	for _, a := range slices.Concat(client.Audience, client.Introspects) {
		if u, err := url.Parse(a); err != nil || a == "" || len(a) > 512 || u.Fragment != "" || strings.ContainsAny(a, " \t\r\n") {
			return fmt.Errorf("audience %q: use a URI or a name without spaces or fragment", a)
		}
	}
	return c.checkAccessTTL(client)
}

func unprintable(r rune) bool { return !unicode.IsPrint(r) }

func checkKeys(client Client) error {
	switch {
	case !client.hasKeys():
		return nil
	case client.Public:
		return errors.New("a public client has no keys: whoever can read its program could use them")
	case client.JWKS != "" && client.JWKSURI != "":
		return errors.New("give a client's keys or the URL of its keys, not both (RFC 7591 §2)")
	case client.JWKSURI != "":
		return nil // CheckValues looked at it
	}
	keys, err := ParseJWKS([]byte(client.JWKS))
	for i := range keys {
		if unsound := jws.CheckSound(keys[i].Key); unsound != nil {
			err = fmt.Errorf("key %d of the JWK set: %w", i+1, unsound)
		}
	}
	return err
}

func (c *Registry) checkAccessTTL(client Client) error {
	switch {
	case client.AccessTTL < 0 || client.RefreshIdleTTL < 0 || client.RefreshTTL < 0:
		return errors.New("a lifetime cannot be negative")
	case client.AccessTTL > c.AccessTTL:
		return fmt.Errorf("access token lifetime %s: a client's may be shorter than the deployment's access_token_ttl (%s), not longer", client.AccessTTL, c.AccessTTL)
	case client.AccessTTL > 0 && client.AccessTTL < time.Second:
		return fmt.Errorf("access token lifetime %s: use 1s or more", client.AccessTTL)
	}
	return nil
}

func (c *Registry) checkLifetimes(client Client) error {
	switch {
	case client.RetryWindow < RetryNever:
		return fmt.Errorf("retry window %d: it cannot be negative", client.RetryWindow)
	case client.RetryWindow > 0 && time.Duration(client.RetryWindow) >= cmp.Or(client.RefreshIdleTTL, c.RefreshIdleTTL):
		return fmt.Errorf("retry window %s: a spent token would outlive its session, which ends unused after %s; use %s, or less",
			client.RetryWindow, cmp.Or(client.RefreshIdleTTL, c.RefreshIdleTTL), RetryUntilUsed)
	case client.RefreshTTL > 0 && client.RefreshIdleTTL > client.RefreshTTL:
		return fmt.Errorf("idle lifetime %s is longer than the whole lifetime %s of a session", client.RefreshIdleTTL, client.RefreshTTL)
	}
	return nil
}

// RotateSecret gives the client a new secret and returns it; the old one is
// void at once. ErrNotFound if there is no such client.
func (c *Registry) RotateSecret(ctx context.Context, id string) (string, error) {
	secret, hash := newSecret()
	_, _, err := c.change(ctx, audit.Event{Action: audit.ClientSecretTurned}, id, func(client *Client, _ *audit.Event) error {
		switch {
		case client.Public:
			return refusal.New(refusal.Unacceptable, audit.ReasonClientHasNoSecret, "client "+id+" is public: it has no secret")
		case client.hasKeys():
			return refusal.New(refusal.Unacceptable, audit.ReasonClientHasNoSecret, "client "+id+" authenticates with its keys: it has no secret")
		}
		client.SecretHash = hash
		return nil
	})
	if err != nil {
		return "", err
	}
	return secret, nil
}

// SettleDecisions carries forward what a process that died, or could not reach
// the store or the audit log, left on its way. Run it every second or so, on
// every replica.
func (c *Registry) SettleDecisions(ctx context.Context) (int, error) { return c.maker().Settle(ctx) }

// change reads the client id, has alter make of it what it shall be, and carries
// that out with its one event. alter is given the event to fill in, may be called
// again, and refuses with an error.
func (c *Registry) change(ctx context.Context, event audit.Event, id string, alter func(client *Client, e *audit.Event) error) (Client, audit.Event, error) {
	event.ClientID, event.Outcome = id, audit.Success
	client, e, err := c.maker().Revise(ctx, decision.Revision[Client]{
		Event: event,
		Read:  func(ctx context.Context) (Client, error) { return c.byID(ctx, id) },
		Alter: func(client *Client, e *audit.Event) error {
			last := client.UpdatedAt
			err := alter(client, e)
			// Later than what it replaces, though clocks differ: that tells two
			// states of a client apart.
			client.UpdatedAt = c.Now().UTC().Truncate(time.Millisecond)
			if !client.UpdatedAt.After(last) {
				client.UpdatedAt = last.Add(time.Millisecond)
			}
			return err
		},
	})
	return client, e, c.conclude(ctx, e, err)
}

// byID returns the client id. Of one that is being registered the error is
// decision.ErrUnderWay, and not ErrNotFound.
func (c *Registry) byID(ctx context.Context, id string) (Client, error) {
	client, err := c.Store.ClientByID(ctx, id)
	if errors.Is(err, ErrNotFound) {
		if held, failed := c.Store.HeldClient(ctx, id); failed == nil && held.Unborn {
			err = decision.ErrUnderWay
		}
	}
	return client, err
}

// conclude writes the event of a change that was refused, or that the store could
// not make, and returns why.
func (c *Registry) conclude(ctx context.Context, event audit.Event, err error) error {
	if err == nil || decision.Concluded(err) {
		return err
	}
	event.Outcome, event.Reason, event.Count, event.ID = audit.Failure, changeReason(err), 0, decision.IDOf(err)
	ctx, cancel := audit.Outlast(ctx)
	defer cancel()
	if failure := c.Audit.Record(ctx, event); failure != nil {
		return fmt.Errorf("the change could not be recorded in the audit log: %w", errors.Join(failure, err))
	}
	return err
}

// invalid refuses a registration, before the store is asked for it.
func invalid(err error) error {
	return refusal.New(refusal.Unacceptable, audit.ReasonInvalidRegistration, err.Error())
}

// changeReason is what the audit log is to say of an operator's change that came to
// nothing.
func changeReason(err error) audit.Reason {
	if refused, ok := errors.AsType[*refusal.Error](err); ok {
		return refused.Reason
	}
	return audit.ReasonFailed
}
