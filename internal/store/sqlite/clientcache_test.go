package sqlite

import (
	"path/filepath"
	"testing"

	"github.com/keyturn/keyturn/oauth"
)

// TestF7_ARefreshSeesTheClientAsItIs changes a client in every way there is, by
// the store that refreshes and by another process's: the next refresh must be
// shown what was written.
func TestF7_ARefreshSeesTheClientAsItIs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keyturn.db")
	server, command := open(t, path), open(t, path)
	ctx := t.Context()
	f := family("family-1")
	if err := server.CreateFamily(ctx, f); err != nil {
		t.Fatal(err)
	}
	shown := func() (by oauth.Client) {
		_, err := server.RotateFamily(ctx, f.ID, "web", func(_ oauth.Family, c oauth.Client) (*oauth.Rotation, error) {
			by = c
			return nil, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return by
	}
	expect(t, "before there is one", shown().ID, "")
	if err := command.CreateClient(ctx, client("web")); err != nil {
		t.Fatal(err)
	}
	for i, by := range []*Store{server, command, command, server, command} {
		hash := string(rune('a' + i))
		if err := by.SetClientSecret(ctx, "web", []byte(hash), began); err != nil {
			t.Fatal(err)
		}
		expect(t, "the secret", string(shown().SecretHash), hash)
		expect(t, "the secret, once more", string(shown().SecretHash), hash)
	}
	if err := command.DisableClient(ctx, "web", began); err != nil {
		t.Fatal(err)
	}
	expect(t, "disabled", shown().Disabled, true)
}
