package oauth

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/dpop"
	"github.com/keyturn/keyturn/internal/refusal"
)

// confirmation names the key that a token is bound to (RFC 9449 §6.1).
type confirmation struct {
	JKT string `json:"jkt"`
}

// boundTo returns the confirmation of the key with that thumbprint; nil for none.
func boundTo(jkt string) *confirmation {
	if jkt == "" {
		return nil
	}
	return &confirmation{jkt}
}

// thumbprint is that of the key that a proof proves, or "".
func thumbprint(p *dpop.Proof) string {
	if p == nil {
		return ""
	}
	return p.Thumbprint
}

// tokenType is what the holder of a token has to call it (RFC 9449 §5, §7.1).
func (c *confirmation) tokenType() string {
	if c == nil {
		return "Bearer"
	}
	return "DPoP"
}

// readProof reads the DPoP proof of a request, nil if there is none, and finds it
// good or refuses it. It asks no store: the proof is still to be spent. Clients know
// a URL by the issuer that the settings name, whatever host a request names.
func (s *Service) readProof(r *http.Request, token string) (*dpop.Proof, *refusal.Error) {
	return s.proofs.Check(r.Header.Values(dpop.Header), dpop.Request{
		Method: r.Method, URL: strings.TrimSuffix(s.settings.Issuer, "/") + r.URL.EscapedPath(), Token: token,
	})
}

// spendProof has a proof count once, on whatever replica. It comes last of all that
// a request may be refused for: nothing is written for a proof that leads nowhere.
func (s *Service) spendProof(ctx context.Context, p *dpop.Proof) *refusal.Error {
	if p == nil {
		return nil
	}
	return proofSpent(s.store.DenyToken(ctx, spending(p)))
}

// spending is the entry of the denylist that has a proof count once.
func spending(p *dpop.Proof) DeniedToken { return DeniedToken{JTI: p.ID, ExpireAt: p.Until} }

// proofSpent is what the caller is told of a proof that the store was to spend.
func proofSpent(err error) *refusal.Error {
	if errors.Is(err, ErrTokenDenied) {
		return refusal.New(refusal.BadProof, audit.ReasonProofReplayed, "The DPoP proof was used before: make one for each request.")
	}
	return refusalOf(err)
}

// provesKey refuses a client that is registered to have its tokens bound and sent
// no proof (RFC 9449 §5.2).
func (q *tokenRequest) provesKey(client Client) *refusal.Error {
	if client.DPoPBound && q.proof == nil {
		return refusal.New(refusal.BadProof, audit.ReasonNoProof, "The client's tokens are bound to its key: send a DPoP proof.")
	}
	return nil
}

// sessionKey is the key that a session begun by the request is bound to: that of
// who can prove nothing else at the next refresh (RFC 9449 §5), or "".
func (q *tokenRequest) sessionKey() string {
	if q.client.Public || q.by.named {
		return thumbprint(q.proof)
	}
	return ""
}
