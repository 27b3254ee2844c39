package clients

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// ErrGone means that a client wants to be told nothing at its address any more.
var ErrGone = errors.New("it answered 410 Gone")

// LogoutSender sends logout tokens to clients (OpenID Connect Back-Channel Logout 1.0
// §2.5). It is safe for concurrent use.
type LogoutSender struct{ client *http.Client }

// NewLogoutSender returns a LogoutSender that sends to public addresses and to the
// networks allowed.
func NewLogoutSender(allowed []netip.Prefix) *LogoutSender {
	return &LogoutSender{guarded(allowed)}
}

// Send sends a token to uri and returns nil if it was taken.
func (s *LogoutSender) Send(ctx context.Context, uri, token string) error {
	// A store may contain a URI that an earlier version accepted.
	if err := checkBackchannelURI(uri); err != nil {
		return err
	}
	form := url.Values{"logout_token": {token}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, uri, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := s.client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	switch {
	case res.StatusCode == http.StatusGone:
		return ErrGone
	case res.StatusCode/100 != 2: // some frameworks make a 204 of §2.8's 200
		return fmt.Errorf("it answered %d; redirects are not followed", res.StatusCode)
	}
	return nil
}

// checkBackchannelURI returns an error if a client's backchannel_logout_uri cannot be
// used.
func checkBackchannelURI(uri string) error {
	if why := whyNoRedirect(uri, false); why != "" {
		return fmt.Errorf("backchannel_logout_uri %q: %s", uri, why)
	}
	return nil
}
