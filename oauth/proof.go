package oauth

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/clients"
	"github.com/keyturn/keyturn/internal/dpop"
	"github.com/keyturn/keyturn/internal/refusal"
)

// confirmation names the key that a token is bound to (RFC 9449 §6.1).
type confirmation struct {
	JKT string `json:"jkt"`
}

// boundTo returns the confirmation of the key with that thumbprint, or nil for "".
func boundTo(jkt string) *confirmation {
	if jkt == "" {
		return nil
	}
	return &confirmation{jkt}
}

// thumbprint returns the thumbprint of a proof's key, or "" without a proof.
func thumbprint(p *dpop.Proof) string {
	if p == nil {
		return ""
	}
	return p.Thumbprint
}

// tokenType returns the token_type of a token (RFC 9449 §5, §7.1).
func (c *confirmation) tokenType() string {
	if c == nil {
		return "Bearer"
	}
	return "DPoP"
}

// readProof returns the checked DPoP proof of a request, or nil if there is none. It
// does not use the store: the caller must still spend the proof. The URL in a proof
// must have the issuer of the settings, whatever host the request names.
func (s *Service) readProof(r *http.Request, token string) (*dpop.Proof, *refusal.Error) {
	return s.proofs.Check(r.Header.Values(dpop.Header), dpop.Request{
		Method: r.Method, URL: strings.TrimSuffix(s.settings.Issuer, "/") + r.URL.EscapedPath(), Token: token,
	})
}

// spendProof makes a proof count only once across all replicas. It is the last check
// of a request, so that nothing is written for a request that is refused.
func (s *Service) spendProof(ctx context.Context, p *dpop.Proof) *refusal.Error {
	if p == nil {
		return nil
	}
	return proofSpent(s.store.DenyToken(ctx, spending(p)))
}

// spending returns the denylist entry that makes a proof count only once.
func spending(p *dpop.Proof) DeniedToken { return DeniedToken{JTI: p.ID, ExpireAt: p.Until} }

// proofSpent converts the store's error from spending a proof to a refusal.
func proofSpent(err error) *refusal.Error {
	if errors.Is(err, ErrTokenDenied) {
		return refusal.New(refusal.BadProof, audit.ReasonProofReplayed, "The DPoP proof was used before: make one for each request.")
	}
	return refusalOf(err)
}

// provesKey refuses a request without a proof from a client whose registration
// requires bound tokens (RFC 9449 §5.2).
func (q *tokenRequest) provesKey(client clients.Client) *refusal.Error {
	if client.DPoPBound && q.proof == nil {
		return refusal.New(refusal.BadProof, audit.ReasonNoProof, "The client's tokens are bound to its key: send a DPoP proof.")
	}
	return nil
}

// sessionKey returns the thumbprint of the key that binds a session begun by the
// request. It is "" for a confidential client, which authenticates at each refresh
// anyway (RFC 9449 §5).
func (q *tokenRequest) sessionKey() string {
	if q.client.Public || q.by.Named {
		return thumbprint(q.proof)
	}
	return ""
}
