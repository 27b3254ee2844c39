package dpop_test

import (
	"encoding/base64"
	"math/big"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/dpop"
	"github.com/keyturn/keyturn/internal/dpop/dpoptest"
	"github.com/keyturn/keyturn/internal/refusal"
	"github.com/keyturn/keyturn/keys"
)

func encode(n *big.Int) string { return base64.RawURLEncoding.EncodeToString(n.Bytes()) }

// TestNonces has nonces of this replica, of others, of other times and of strangers.
func TestNonces(t *testing.T) {
	old, err := keys.NewMaster()
	if err != nil {
		t.Fatal(err)
	}
	next, err := keys.NewMaster()
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	at := func(after time.Duration, needs bool, lines ...string) *dpop.Checker {
		return dpop.NewChecker(parseMasters(t, lines...), needs, 30*time.Second, func() time.Time { return now.Add(after) })
	}
	h := dpoptest.New(t, "ES256")
	check := func(c *dpop.Checker, claims dpoptest.Claims) (*dpop.Proof, *refusal.Error) {
		return c.Check([]string{h.Prove(t, claims)}, request)
	}
	_, e := check(at(0, true, old), dpoptest.For("POST", url))
	if e == nil || e.Code != refusal.NeedsNonce || e.Reason.String() != "no_proof_nonce" || e.Nonce == "" {
		t.Fatalf("without a nonce: %+v", e)
	}
	// The client's clock is of no account.
	claims := dpoptest.With(dpoptest.With(dpoptest.For("POST", url), "nonce", e.Nonce), "iat", 1)
	for name, c := range map[string]struct {
		of   *dpop.Checker
		good bool
	}{
		"at once":                        {at(0, true, old), true},
		"where none is asked for":        {at(0, false, old), true},
		"on a replica with a new secret": {at(time.Minute, true, next, old), true},
		"on a replica that is behind":    {at(-25*time.Second, true, old), true},
		"before it expires":              {at(299*time.Second, true, old), true},
		"expired":                        {at(302*time.Second, true, old), false},
		"expired where none is asked":    {at(302*time.Second, false, old), false},
		"made in the future":             {at(-35*time.Second, true, old), false},
		"of another deployment":          {at(0, true, next), false},
	} {
		p, e := check(c.of, claims)
		if (e == nil) != c.good {
			t.Errorf("%s: %v", name, e)
			continue
		}
		if c.good && (p.Until.Before(now.Add(330*time.Second)) || p.Until.After(now.Add(7*time.Minute))) {
			t.Errorf("%s: it is remembered until %s from now", name, p.Until.Sub(now))
		}
		if !c.good && (e.Reason.String() != "proof_nonce" || e.Nonce == "" || e.Nonce == claims["nonce"]) {
			t.Errorf("%s: %+v", name, e)
		}
	}
	for i := range len(e.Nonce) {
		changed := []byte(e.Nonce)
		changed[i] ^= 1
		if _, e := check(at(0, true, old), dpoptest.With(claims, "nonce", string(changed))); e == nil {
			t.Fatalf("a nonce changed at %d was taken", i)
		}
	}
}
