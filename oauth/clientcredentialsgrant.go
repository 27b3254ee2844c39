package oauth

import (
	"context"
	"strings"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/clients"
	"github.com/keyturn/keyturn/internal/refusal"
)

// clientCredentialsGrant is the grant of RFC 6749 §4.4: the client acts for
// itself, and its id is the subject (RFC 9068 §2.2).
var clientCredentialsGrant = grant{name: clients.GrantClientCredentials, confidential: true, decide: (*Service).issueToClient}

func (s *Service) issueToClient(ctx context.Context, q *tokenRequest) (issued, *refusal.Error) {
	scope, aud, e := q.reach(func([]string) []string { return q.client.Audience })
	if e != nil {
		return issued{}, e
	}
	if e := s.spendProof(ctx, q.proof); e != nil {
		return issued{}, e
	}
	c := claims{Subject: q.client.ID, Audience: aud, Scope: strings.Join(scope, " "), Confirmation: boundTo(thumbprint(q.proof))}
	token, err := s.mint(c, q.client, s.now())
	if err != nil {
		return issued{}, refusal.Undecided(audit.ReasonSigning, err)
	}
	q.event.Action = audit.TokenIssued
	return issued{access: token, scope: scope}, nil
}
