package verify

import (
	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/audit/line"
)

// attested is a head that somebody vouches for apart from the store: a later
// chain's signature, or a list that was kept elsewhere.
type attested struct {
	line.Seen
	by     string
	signed bool
}

func (v *verifier) attest(a attested) {
	old, ok := v.attested[a.Chain]
	if !ok || a.Seq > old.Seq || a.Seq == old.Seq && a.signed && a.Hash == old.Hash {
		v.attested[a.Chain] = a
	}
}

// checkAttested holds the chains against what was attested of them. It finds a
// chain that was cut short or replaced by somebody who could change
// the store as well.
func (v *verifier) checkAttested() error {
	for _, c := range v.order {
		a, ok := v.attested[c.id]
		switch {
		case !ok:
		case c.seq < a.Seq && !v.o.Partial:
			return c.at.bad("chain %s ends here with line %d, but %s attests line %d: what followed was cut off", c.id, c.seq, a.by, a.Seq)
		case c.seq == a.Seq && string(c.hash[:]) != a.Hash:
			return c.at.bad("the line is not the one that %s attests as line %d of chain %s: it or lines before it were changed", a.by, a.Seq, c.id)
		case c.seq >= a.Seq && a.signed && c.sealedSeq < a.Seq:
			c.sealedSeq, c.vouched = a.Seq, max(c.vouched, a.Seq)
		}
	}
	return nil
}

// needsSignature holds the actions that only a running server, or a command
// that has the master keys, writes. Their chains are signed from the first
// lines on.
var needsSignature = map[audit.Action]bool{
	audit.TokenIssued: true, audit.TokenRefreshed: true, audit.TokenReuse: true, audit.TokenUnproven: true, audit.TokenRefused: true, audit.TokenRevoked: true, audit.TokenIntrospected: true,
	audit.UserLoggedIn: true, audit.UserLoggedOut: true, audit.LogoutUndelivered: true, audit.LetterAsked: true, audit.EmailVerified: true, audit.LetterUndelivered: true, audit.CodeIssued: true, audit.RequestPushed: true, audit.UserInfoRead: true, audit.UserSignedUp: true, audit.UserRead: true, audit.PasswordChanged: true, audit.ConsentGiven: true, audit.ConsentsListed: true, audit.SessionsListed: true, audit.RequestRefused: true,
	audit.KeyRotated: true, audit.KeyRevoked: true, audit.KeyErased: true, audit.KeyArchived: true, audit.KeyRewrapped: true, audit.ServerStopped: true, audit.EventsLost: true,
}

// watchUnsigned remembers the first line of an unsigned chain that should not
// be in one.
func (v *verifier) watchUnsigned(c *chainState, text []byte) {
	if v.o.Keys == nil || c.sealedSeq >= 0 || c.firstSeq > 0 || c.suspectAt.line > 0 {
		return
	}
	if needsSignature[line.Action(text)] {
		c.suspectAt = v.place
	}
}

// checkSigned finds chains that no key vouches for: anybody who can write to
// the log and the store could have made them.
func (v *verifier) checkSigned() error {
	if v.o.Keys == nil {
		return nil
	}
	for _, c := range v.order {
		if c.sealedSeq >= 0 || c.firstSeq > 0 {
			continue
		}
		if c.suspectAt.line > 0 {
			return c.suspectAt.bad("chain %s bears no signature of the server, but this line is of a kind that is always signed: the chain was put there", c.id)
		}
		if v.o.Signed {
			return c.firstAt.bad("chain %s bears no signature", c.id)
		}
	}
	return nil
}
