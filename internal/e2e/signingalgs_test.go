package e2e

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/keyturn/keyturn/keys"
)

// TestSigningAlgs has a deployment sign with several algorithms side by side, each
// client's tokens as its registration says, from the first token of an empty store
// on.
func TestSigningAlgs(t *testing.T) {
	t.Parallel()
	onSQLite(t, func(t *testing.T, d *deployment) {
		d.settings = append(d.settings, "--signing-algs", "ES256,RS256,Ed25519")
		s := stock(t, d)
		strict := d.addClient(t, "strict", "--grant", "client_credentials", "--audience", api, "--client-signing-alg", "RS256")
		modern := d.addClient(t, "modern", "--grant", "client_credentials", "--audience", api, "--client-signing-alg", "Ed25519")
		s.server = d.serve(t)
		s.issuer = s.url
		tokens := map[string]string{}
		for want, by := range map[string]credentials{"ES256": s.confidential, "RS256": strict, "Ed25519": modern} {
			token := s.grant(t, by, "grant_type", "client_credentials").AccessToken
			if got := algOfHeader(t, token); got != want {
				t.Errorf("%s has a token of %s; want %s", by.id, got, want)
			}
			tokens[want] = token
			if !s.active(t, s.confidential, token) {
				t.Errorf("the token of %s is not active", want)
			}
		}

		var set struct {
			Keys []struct{ KID, Alg string }
		}
		var metadata struct {
			Algs []string `json:"id_token_signing_alg_values_supported"`
		}
		for path, v := range map[string]any{"/.well-known/jwks.json": &set, "/.well-known/openid-configuration": &metadata} {
			if err := json.Unmarshal([]byte(mustSend(t, "GET", s.url+path, nil, "").body), v); err != nil {
				t.Fatal(err)
			}
		}
		var first []string
		for _, key := range set.Keys[:3] {
			first = append(first, key.Alg)
		}
		if len(set.Keys) != 6 || !slices.Equal(first, []string{"ES256", "RS256", "Ed25519"}) {
			t.Errorf("the key set has %v", set.Keys)
		}
		if !slices.Equal(metadata.Algs, []string{"ES256", "Ed25519", "RS256"}) {
			t.Errorf("the metadata name %v", metadata.Algs)
		}

		// A turn and a revocation of one algorithm's key leave the others' signing.
		var list []struct{ KID, Alg, State, Ring string }
		s.must(t, &list, "keys", "list")
		for _, key := range list {
			if key.Alg == "RS256" && key.State == "active" {
				s.must(t, nil, "keys", "revoke", key.KID, "--reason", "leaked in a test")
			}
		}
		eventually(t, "the token of the revoked key is dead", func() bool { return !s.active(t, s.confidential, tokens["RS256"]) })
		for _, alg := range []string{"ES256", "Ed25519"} {
			if !s.active(t, s.confidential, tokens[alg]) {
				t.Errorf("the token of %s died with the key of another algorithm", alg)
			}
		}
		eventually(t, "the standby of RS256 signs", func() bool {
			token := s.grant(t, strict, "grant_type", "client_credentials").AccessToken
			return token != "" && algOfHeader(t, token) == "RS256" && s.active(t, s.confidential, token)
		})
		if o := d.run(t, "clients", "add", "x", "--grant", "client_credentials", "--client-signing-alg", "PS256"); o.code != 2 || !strings.Contains(o.stderr, "ES256, RS256, Ed25519") {
			t.Errorf("an algorithm that the deployment does not sign with: exit code %d\n%s", o.code, o.stderr)
		}
	})
}

// TestA2_CheckpointsOfEveryAlgorithm verifies a log that keys of each algorithm
// signed.
func TestA2_CheckpointsOfEveryAlgorithm(t *testing.T) {
	t.Parallel()
	for _, alg := range keys.Algorithms() {
		d := newDeployment(t, "", "--signing-alg", alg)
		d.serve(t).stop(t)
		if o := d.run(t, "audit", "verify", "--signed", d.auditLog); o.code != 0 {
			t.Errorf("a log signed with %s: exit code %d\n%s%s", alg, o.code, o.stdout, o.stderr)
		}
	}
}

// algOfHeader is the algorithm that a token's header names.
func algOfHeader(t *testing.T, token string) string {
	t.Helper()
	head, _, _ := strings.Cut(token, ".")
	text, err := base64.RawURLEncoding.DecodeString(head)
	var header struct{ Alg string }
	if err != nil || json.Unmarshal(text, &header) != nil {
		t.Fatalf("%q is no token", token)
	}
	return header.Alg
}
