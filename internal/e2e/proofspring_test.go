//go:build interop && installed

package e2e

import (
	"net/http"
	"testing"

	"github.com/keyturn/keyturn/internal/dpop"
	"github.com/keyturn/keyturn/internal/dpop/dpoptest"
)

// TestF8_SpringSecurityChecksProofs has Spring Security's resource server take bound
// tokens with the proofs that are theirs, each once.
func TestF8_SpringSecurityChecksProofs(t *testing.T) {
	t.Parallel()
	s := openShopBehindFront(t, newDeployment(t, ""))
	r := javaProgram.start(t, s, nil)
	h, other := dpoptest.New(t, "ES256"), dpoptest.New(t, "ES256")
	endpoint := s.issuer + "/oauth/token"
	var held tokens
	a := mustSend(t, "POST", s.url+"/oauth/token", http.Header{"Content-Type": {formType}, "Dpop": {h.Prove(t, dpoptest.For("POST", endpoint))}},
		values("grant_type", "password", "username", email, "password", password, "client_id", s.public.id, "resource", api).Encode())
	a.decode(t, &held)
	url := r.up(t) + "/spring-dpop"
	get := func(proof string) int {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "DPoP "+held.AccessToken)
		request.Header.Set("DPoP", proof)
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		return answer.StatusCode
	}
	good := func() dpoptest.Claims {
		return dpoptest.With(dpoptest.For("GET", url), "ath", dpop.Hash(held.AccessToken))
	}
	first := h.Prove(t, good())
	for _, c := range []struct {
		name, proof string
		status      int
	}{
		{"good", first, 200},
		{"another", h.Prove(t, good()), 200},
		{"the first again", first, 401},
		{"of another key", other.Prove(t, good()), 401},
		{"of another token", h.Prove(t, dpoptest.With(good(), "ath", dpop.Hash("x"))), 401},
		{"of another URL", h.Prove(t, dpoptest.With(good(), "htu", url+"x")), 401},
	} {
		if status := get(c.proof); status != c.status {
			t.Errorf("%s: status %d, want %d", c.name, status, c.status)
		}
	}
}
