package e2e

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/keyturn/keyturn/internal/dpop/dpoptest"
)

// postProven sends a form with a proof past those who write down what is said. The
// status is 0 where the connection broke before there was one.
func postProven(t *testing.T, url, proof, form string) (status int, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(form))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", formType)
	r.Header.Set("DPoP", proof)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err.Error()
	}
	return res.StatusCode, string(text)
}

// TestF8_AProofCountsOnceOverACrash sends proofs over the wire: good ones, one again
// after the server was killed, two at once, and one of 100 KB.
func TestF8_AProofCountsOnceOverACrash(t *testing.T) {
	t.Parallel()
	d := newDeployment(t, "")
	s := openShop(t, d)
	h := dpoptest.New(t, "EdDSA")
	token := s.url + "/oauth/token"
	post := func(form string, proofs ...string) answer {
		t.Helper()
		return mustSend(t, "POST", token, http.Header{"Content-Type": {formType}, "Dpop": proofs}, form)
	}
	proof := func() string { return h.Prove(t, dpoptest.For("POST", token)) }
	login := values("grant_type", "password", "username", email, "password", password, "client_id", s.public.id).Encode()

	first := proof()
	var held tokens
	if a := post(login, first); a.status != http.StatusOK {
		t.Fatalf("status %d, %s", a.status, a.body)
	} else {
		a.decode(t, &held)
	}
	if held.TokenType != "DPoP" {
		t.Errorf("the type is %q", held.TokenType)
	}
	s.kill(t)
	s.server = s.again(t)
	refresh := values("grant_type", "refresh_token", "refresh_token", held.RefreshToken, "client_id", s.public.id).Encode()
	large := h.Prove(t, dpoptest.With(dpoptest.For("POST", token), "x", strings.Repeat("x", 75<<10)))
	for name, c := range map[string]struct {
		a      answer
		status int
		code   string
	}{
		"the same after a crash": {post(refresh, first), 400, `"invalid_dpop_proof"`},
		"two":                    {post(refresh, proof(), proof()), 400, `"invalid_dpop_proof"`},
		"none":                   {post(refresh), 400, `"invalid_dpop_proof"`},
	} {
		if c.a.status != c.status || !strings.Contains(c.a.body, c.code) {
			t.Errorf("%s: status %d, %s", name, c.a.status, c.a.body)
		}
	}
	// No head of a request may be so long: net/http refuses it unread, and hangs up on
	// who is still sending.
	if status, body := postProven(t, token, large, refresh); status != http.StatusRequestHeaderFieldsTooLarge && status != 0 {
		t.Errorf("100 KB: status %d, %s", status, body)
	}
	if a := post(refresh, proof()); a.status != http.StatusOK {
		t.Errorf("afterwards: status %d, %s", a.status, a.body)
	}
	if log := readFile(t, d.auditLog); strings.Count(log, `"proof_replayed"`) != 1 || strings.Count(log, `"token-unproven"`) != 1 || strings.Contains(log, `"token-reuse"`) {
		t.Errorf("the log tells another story:\n%s", log)
	}
}
