package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/clients"
	"github.com/keyturn/keyturn/internal/decision"
	"github.com/keyturn/keyturn/internal/factors"
	"github.com/keyturn/keyturn/internal/store"
	"github.com/keyturn/keyturn/keys"
	"github.com/keyturn/keyturn/oauth"
	"github.com/keyturn/keyturn/users"
)

// epoch is the time at which the suite takes place: so late that no engine
// that removes expired records by its own clock interferes.
var epoch = time.Date(2101, time.March, 4, 5, 6, 7, 89e6, time.UTC)

// odd are strings that must come back as they went in.
var odd = []string{
	`O'Brien "the quoted" \ back\\slash`,
	`$set.a.b`, `.dotted.$key.`, `{"$gt": ""}`, `%s%n_`, `'; DROP TABLE users; --`,
	"tab\tnew\nline\rreturn",
	"żółć 日本語 עברית 🔑\u200d🚪 e\u0301",
	" spaces around ",
	"null", "0", "1e9", "true",
}

// uid returns the n-th identifier; identifiers sort as their numbers do.
func uid(n int) string { return fmt.Sprintf("%08x-0000-4000-8000-000000000000", n) }

func sampleUser(n int) users.User {
	return users.User{
		UID:            uid(n),
		Email:          fmt.Sprintf("User%d@Example.com", n),
		EmailKey:       fmt.Sprintf("user%d@example.com", n),
		VerifiedEmail:  fmt.Sprintf("User%d@Example.com", n),
		EmailChange:    uid(n + 400),
		Username:       fmt.Sprintf("User%d", n),
		UsernameKey:    fmt.Sprintf("user%d", n),
		FirstName:      "Ada",
		LastName:       "Lovelace",
		Roles:          []string{"admin", "editor"},
		Claims:         `{"department":"engines"}`,
		PasswordHash:   "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA",
		ResetHash:      []byte{3, 0, 255},
		ResetIssuedAt:  epoch.Add(time.Hour),
		ResetExpiresAt: epoch.Add(24 * time.Hour),
		Mailed: users.MailedReset{
			Hash: []byte{5, 0, 255}, ExpiresAt: epoch.Add(time.Hour), Barred: true,
			Since: users.Moment{Latest: epoch.Add(time.Minute), Confirmed: epoch.Add(2 * time.Minute)},
		},
		Factors: factors.Set{
			List: []factors.Factor{
				{ID: uid(n + 100), Kind: factors.TOTP, Name: odd[0], CreatedAt: epoch, LastUsedAt: epoch.Add(time.Hour), Sealed: []byte{1, 0, 255}, Step: 1 << 40, Params: factors.Params{Algorithm: "SHA512", Digits: 8, Period: 60}},
				{ID: uid(n + 200), Kind: factors.TOTP, CreatedAt: epoch, Sealed: []byte{2}},
				{ID: uid(n + 300), Kind: factors.Passkey, CreatedAt: epoch, Credential: factors.Credential{ID: []byte{0, 255}, PublicKey: []byte{3, 0}, SignCount: 1<<32 - 1, Synced: true, SyncedUnknown: true}},
			},
			Recovery: [][]byte{{0, 1}, {255}},
		},
		Consents: []users.Consent{
			{ClientID: "wiki", Scope: []string{"openid", "email"}, GivenAt: epoch.Add(time.Millisecond)},
			{ClientID: "a b", Scope: []string{"read:things"}, GivenAt: epoch.Add(time.Hour)},
		},
		Epoch:             7,
		CreatedAt:         epoch,
		UpdatedAt:         epoch.Add(time.Millisecond),
		PasswordChangedAt: epoch.Add(2 * time.Millisecond),
	}
}

func sampleClient(id string) clients.Client {
	return clients.Client{
		ID:                     id,
		Name:                   "Ada’s “shop”",
		SecretHash:             []byte{0, 1, 2, 255},
		JWKS:                   `{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`,
		JWKSURI:                "https://client.example.com/jwks.json",
		Grants:                 []string{"password", "refresh_token"},
		RedirectURIs:           []string{"https://app.example.com/callback", "com.example.app:/callback"},
		PostLogoutRedirectURIs: []string{"https://app.example.com/bye"},
		BackchannelLogoutURI:   "https://app.example.com/ended",
		Scope:                  []string{"openid", "email", "read:things"},
		DefaultScope:           []string{"openid", "read:things"},
		Audience:               []string{"https://api.example.com/a", "urn:example:b"},
		Introspects:            []string{"https://api.example.com/a"},
		Claims:                 []string{"roles", "department"},
		SigningAlg:             "RS256",
		DPoPBound:              true,
		RequiresPAR:            true,
		RequireFactor:          true,
		PasswordAlone:          true,
		ThirdParty:             true,
		AccessTTL:              90 * time.Second,
		RefreshIdleTTL:         36 * time.Hour,
		RefreshTTL:             720*time.Hour + time.Millisecond,
		RetryWindow:            clients.RetryUntilUsed,
		CreatedAt:              epoch,
		UpdatedAt:              epoch.Add(time.Millisecond),
	}
}

func sampleFamily(n int) oauth.Family {
	return oauth.Family{
		ID:             uid(n),
		ClientID:       "web",
		UserID:         "user-1",
		Scope:          []string{"openid", "email"},
		Audience:       []string{"https://api.example.com"},
		Email:          "ada@example.com",
		Claims:         `{"roles":["admin"]}`,
		JKT:            "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I",
		LoginID:        uid(99),
		TellEnd:        true,
		Factor:         "otp",
		Authenticated:  true,
		Salt:           []byte{0, 1, 2, 3, 254, 255},
		MasterID:       "m1",
		Generation:     5,
		RotatedAt:      epoch.Add(3 * time.Millisecond),
		AuthTime:       epoch.Add(time.Millisecond),
		CreatedAt:      epoch.Add(2 * time.Millisecond),
		IdleExpiresAt:  epoch.Add(48 * time.Hour),
		ExpiresAt:      epoch.Add(720 * time.Hour),
		PurgeAt:        epoch.Add(721 * time.Hour),
		FirstIP:        "192.0.2.1",
		FirstUserAgent: "curl/8.0",
		LastIP:         "2001:db8::1",
		LastUserAgent:  "Mozilla/5.0 (X11; Linux x86_64)",
	}
}

// refresh is a refresh token presented to a store: the rotation that is wanted
// of a family.
type refresh struct {
	familyID, clientID string
	oauth.Rotation
}

// refreshOf returns the refresh of f's live generation an hour after epoch.
func refreshOf(f oauth.Family) refresh {
	at := epoch.Add(time.Hour)
	return refresh{f.ID, f.ClientID, oauth.Rotation{
		Presented:     f.Generation,
		MasterID:      "m2",
		At:            at,
		IdleExpiresAt: at.Add(48 * time.Hour),
		PurgeAt:       at.Add(1000 * time.Hour),
		IP:            "198.51.100.7",
		UserAgent:     "next/2.0",
	}}
}

// errRefused is what decide says of a token that is not the live one.
var errRefused = errors.New("refused")

// decide is an oauth.Decide that lets the live generation on, and any above.
func (r refresh) decide(f oauth.Family, _ clients.Client) (*oauth.Rotation, error) {
	if f.ID == "" || !f.RevokedAt.IsZero() || f.Generation > r.Presented {
		return nil, errRefused
	}
	return &r.Rotation, nil
}

// rotate has st decide on r.
func rotate(ctx context.Context, st store.Store, r refresh) (oauth.Family, error) {
	return st.RotateFamily(ctx, r.familyID, r.clientID, r.decide)
}

// rotated returns what f must be after r.
func rotated(f oauth.Family, r refresh) oauth.Family {
	f.Generation = r.Presented + 1
	f.RotatedAt, f.MasterID = r.At, r.MasterID
	f.IdleExpiresAt, f.PurgeAt = r.IdleExpiresAt, r.PurgeAt
	f.LastIP, f.LastUserAgent = r.IP, r.UserAgent
	if !r.ExpiresAt.IsZero() {
		f.ExpiresAt = r.ExpiresAt
	}
	return f
}

func sampleKey(seq int64) keys.Record {
	return keys.Record{
		Seq:        seq,
		KID:        fmt.Sprintf("kid-%d", seq),
		Alg:        "ES256",
		Public:     []byte(`{"kty":"EC","crv":"P-256"}`),
		Sealed:     []byte{9, 8, 7, 0, 255},
		CreatedAt:  epoch,
		ActivateAt: epoch.Add(10 * time.Minute),
		TokenTTL:   time.Hour,
		Margin:     2 * time.Minute,
		Lead:       24 * time.Hour,
		Version:    1,
		Decision:   decision.Held{SlotID: "5a.0", Slot: []byte{1, 0}},
	}
}

func sampleAnchor(chain string, seq int64) audit.Anchor {
	return audit.Anchor{
		Chain: chain,
		Seq:   seq,
		Hash:  fmt.Sprintf("%064x", seq),
		Node:  "node-1",
		At:    epoch.Add(time.Duration(seq) * time.Second),
	}
}

// race runs n calls of f at the same time and waits for all.
func race(n int, f func(i int)) {
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			<-start
			f(i)
		})
	}
	close(start)
	wg.Wait()
}
