package sqlite

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/clients"
	"github.com/keyturn/keyturn/oauth"
)

// began is when the tests take place.
var began = time.Date(2101, time.March, 4, 5, 6, 7, 0, time.UTC)

func family(id string) oauth.Family {
	return oauth.Family{
		ID:             id,
		ClientID:       "web",
		UserID:         "f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
		Scope:          []string{"openid", "email", "profile"},
		Audience:       []string{"https://api.example.com"},
		Email:          "ada@example.com",
		Salt:           make([]byte, 32),
		MasterID:       "m1",
		RotatedAt:      began,
		AuthTime:       began,
		CreatedAt:      began,
		IdleExpiresAt:  began.Add(48 * time.Hour),
		ExpiresAt:      began.Add(720 * time.Hour),
		PurgeAt:        began.Add(721 * time.Hour),
		FirstIP:        "192.0.2.1",
		FirstUserAgent: "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
		LastIP:         "192.0.2.1",
		LastUserAgent:  "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
	}
}

func rotation(f oauth.Family, presented int64) *oauth.Rotation {
	at := began.Add(time.Minute)
	return &oauth.Rotation{
		Presented:     presented,
		MasterID:      f.MasterID,
		At:            at,
		IdleExpiresAt: at.Add(48 * time.Hour),
		PurgeAt:       at.Add(721 * time.Hour),
		IP:            f.LastIP,
		UserAgent:     f.LastUserAgent,
	}
}

// rotate makes r of f, whatever f stands at.
func rotate(ctx context.Context, s *Store, f oauth.Family, r *oauth.Rotation) (oauth.Family, error) {
	return s.RotateFamily(ctx, f.ID, f.ClientID, func(oauth.Family, clients.Client) (*oauth.Rotation, error) { return r, nil })
}

func client(id string) clients.Client {
	return clients.Client{
		ID:         id,
		SecretHash: make([]byte, 32),
		Grants:     []string{"password", "refresh_token"},
		Scope:      []string{"openid", "email", "profile"},
		Audience:   []string{"https://api.example.com"},
		CreatedAt:  began,
		UpdatedAt:  began,
	}
}

// open opens the store at path and closes it when t ends.
func open(t *testing.T, path string) *Store {
	t.Helper()
	s, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("closing: %v", err)
		}
	})
	return s
}

func fresh(t *testing.T) *Store {
	t.Helper()
	return open(t, filepath.Join(t.TempDir(), "keyturn.db"))
}
