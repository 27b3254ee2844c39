package oauth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/clients"
	"github.com/keyturn/keyturn/internal/outbox"
	"github.com/keyturn/keyturn/keys"
)

const (
	// LogoutKind is the kind of the messages that tell clients of ended sessions.
	LogoutKind = "logout"
	// logoutTokenType is the typ of a logout token, by which nothing takes it for
	// another (OpenID Connect Back-Channel Logout 1.0 §2.4).
	logoutTokenType = "logout+jwt"
	logoutTokenTTL  = 2 * time.Minute
	logoutEvent     = "http://schemas.openid.net/event/backchannel-logout"
	// untoldStep is how many ended families are looked up at once, tellAtOnce how many
	// are queued concurrently.
	untoldStep = 100
	tellAtOnce = 16
)

// Backchannel tells clients of their sessions that ended (OpenID Connect Back-Channel
// Logout 1.0). Whatever ends a family leaves it to be found by Queue. Expiry is told
// to nobody: a clock ends nothing (T1), and who refreshes knows.
type Backchannel struct {
	Store Store
	// Clients finds the address of a client.
	Clients clients.Store
	Box     *outbox.Box
	Sender  *clients.LogoutSender
	Ring    *keys.Ring
	Audit   audit.Recorder
	Issuer  string
	Now     func() time.Time
}

// logout is the payload of a message: who is to be told of the end of which session.
type logout struct {
	ClientID string `json:"client_id"`
	UserID   string `json:"sub"`
	Session  string `json:"sid"`
}

// Queue puts the ends that no client was told of into the outbox, and returns how many.
// Call it about every second on every replica.
func (b *Backchannel) Queue(ctx context.Context) (int, error) {
	for total := 0; ; {
		untold, err := b.Store.UntoldFamilies(ctx, untoldStep)
		if err != nil || len(untold) == 0 {
			return total, err
		}
		var queued atomic.Int64
		var failure atomic.Pointer[error]
		var all sync.WaitGroup
		gate := make(chan struct{}, tellAtOnce)
		for _, f := range untold {
			gate <- struct{}{}
			all.Go(func() {
				defer func() { <-gate }()
				added, err := b.queue(ctx, f)
				if err != nil {
					failure.Store(&err)
				}
				if added {
					queued.Add(1)
				}
			})
		}
		all.Wait()
		total += int(queued.Load())
		if err := failure.Load(); err != nil {
			return total, *err
		}
		if queued.Load() == 0 {
			return total, nil // others are at it
		}
	}
}

func (b *Backchannel) queue(ctx context.Context, f Family) (added bool, err error) {
	payload, err := json.Marshal(logout{f.ClientID, f.UserID, f.ID})
	if err != nil {
		return false, err
	}
	m := outbox.Message{ID: "logout:" + f.ID, Kind: LogoutKind, To: "client " + f.ClientID, Payload: payload}
	added, err = b.Box.Add(ctx, m, 0, func(ctx context.Context) ([]byte, error) {
		if untold, err := b.Store.ToldFamily(ctx, f.ID); err != nil || !untold {
			return nil, err
		}
		return payload, nil
	})
	if errors.Is(err, outbox.ErrChanged) {
		err = nil // another goes on with it
	}
	return added, err
}

// Kind is how the outbox sends these messages.
func (b *Backchannel) Kind() outbox.Kind { return outbox.Kind{Send: b.send, GiveUp: b.giveUp} }

// send tells a client, wherever it is registered now.
func (b *Backchannel) send(ctx context.Context, m *outbox.Message) error {
	var l logout
	if err := json.Unmarshal(m.Payload, &l); err != nil {
		return fmt.Errorf("%w: %w", outbox.ErrFinal, err)
	}
	// Whoever queued it may have died before.
	if _, err := b.Store.ToldFamily(ctx, l.Session); err != nil {
		return err
	}
	client, err := b.Clients.ClientByID(ctx, l.ClientID)
	if errors.Is(err, clients.ErrNotFound) || err == nil && client.BackchannelLogoutURI == "" {
		return nil
	}
	if err != nil {
		return err
	}
	token, err := b.token(client, l)
	if err != nil {
		return err
	}
	if err = b.Sender.Send(ctx, client.BackchannelLogoutURI, token); errors.Is(err, clients.ErrGone) {
		return fmt.Errorf("%w: %w", outbox.ErrFinal, err)
	}
	return err
}

// logoutToken is what a logout token says (§2.4).
type logoutToken struct {
	Issuer   string                         `json:"iss"`
	Subject  string                         `json:"sub"`
	Audience string                         `json:"aud"`
	IssuedAt int64                          `json:"iat"`
	Expiry   int64                          `json:"exp"`
	ID       string                         `json:"jti"`
	Session  string                         `json:"sid"`
	Events   map[string]map[string]struct{} `json:"events"`
}

// token makes a token for one try: who refuses to see a jti twice must not refuse
// the next.
func (b *Backchannel) token(client clients.Client, l logout) (string, error) {
	now := b.Now()
	payload, err := json.Marshal(logoutToken{
		Issuer: b.Issuer, Subject: l.UserID, Audience: client.ID, IssuedAt: now.Unix(), Expiry: now.Add(logoutTokenTTL).Unix(),
		ID: uuid.NewString(), Session: l.Session, Events: map[string]map[string]struct{}{logoutEvent: {}},
	})
	if err != nil {
		return "", err
	}
	token, _, err := b.Ring.SignWith(client.SigningAlg, logoutTokenType, payload)
	return token, err
}

func (b *Backchannel) giveUp(ctx context.Context, m outbox.Message, cause error) error {
	var l logout
	_ = json.Unmarshal(m.Payload, &l) // what it does not say is not told
	return b.Audit.Record(ctx, audit.Event{
		Action: audit.LogoutUndelivered, Outcome: audit.Failure, Reason: audit.ReasonUndelivered,
		UserID: l.UserID, ClientID: l.ClientID, SessionID: l.Session, Detail: cause.Error(),
	})
}
