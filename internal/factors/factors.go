// Package factors defines the second factors of an account: what proves, besides the
// password, that it is its user who logs in. It computes and compares, and decides
// nothing: package users keeps the factors in the account and decides about them.
package factors

import (
	"bytes"
	"slices"
	"time"
)

// Kind is a kind of second factor.
type Kind string

// TOTP is an authenticator app with time-based one-time passwords (RFC 6238).
const TOTP Kind = "totp"

// Most bounds the factors of an account.
const Most = 10

// Factor is one second factor.
type Factor struct {
	// ID is a UUID.
	ID   string `json:"id" bson:"id"`
	Kind Kind   `json:"kind" bson:"kind"`
	// Name is what the user calls it.
	Name       string    `json:"name,omitempty" bson:"name,omitempty"`
	CreatedAt  time.Time `json:"created_at" bson:"created_at"`
	LastUsedAt time.Time `json:"last_used_at,omitzero" bson:"last_used_at,omitempty"`
	// Sealed is the secret, sealed under the master key (K7).
	Sealed []byte `json:"sealed,omitempty" bson:"sealed,omitempty"`
	// Step is the last time step whose code was used: neither it nor an earlier one
	// is taken again, whatever the clock says (T1).
	Step int64 `json:"step,omitempty" bson:"step,omitempty"`
	// Params are those of an imported app.
	Params `bson:",inline"`
	// Credential is that of a passkey.
	Credential `bson:",inline"`
}

// Set is the second factors of an account.
type Set struct {
	List []Factor `json:"list,omitempty" bson:"list,omitempty"`
	// Recovery are the SHA-256 of the recovery codes that were not used.
	Recovery [][]byte `json:"recovery,omitempty" bson:"recovery,omitempty"`
	// Required says that the account is to have a factor: who has none sets one up at the
	// next log-in.
	Required bool `json:"required,omitempty" bson:"required,omitempty"`
}

// IsZero reports whether there is nothing in the set.
func (s Set) IsZero() bool { return len(s.List) == 0 && len(s.Recovery) == 0 && !s.Required }

// Due reports whether a log-in needs a second factor.
func (s Set) Due() bool { return len(s.List) > 0 }

// Clone returns a copy that shares no list with s.
func (s Set) Clone() Set { return Set{slices.Clone(s.List), slices.Clone(s.Recovery), s.Required} }

// Add returns the set with one more factor, or false if there are too many.
func (s Set) Add(f Factor) (Set, bool) {
	if len(s.List) >= Most {
		return s, false
	}
	s = s.Clone()
	s.List = append(s.List, f)
	return s, true
}

// Find returns the place of a factor in the list, or -1.
func (s Set) Find(id string) int {
	return slices.IndexFunc(s.List, func(f Factor) bool { return f.ID == id })
}

// Has reports whether the set has a factor already.
func (s Set) Has(f Factor) bool {
	return slices.ContainsFunc(s.List, func(has Factor) bool {
		return has.ID == f.ID || f.Kind == Passkey && bytes.Equal(has.Credential.ID, f.Credential.ID)
	})
}

// Remove returns the set without a factor, or false if there is none of that id. The
// recovery codes go with the last factor that they stand in for.
func (s Set) Remove(id string) (Set, bool) {
	at := s.Find(id)
	if at < 0 {
		return s, false
	}
	s = s.Clone()
	s.List = slices.Delete(s.List, at, at+1)
	if !s.Due() {
		s.Recovery = nil
	}
	if len(s.List) == 0 {
		s.List = nil
	}
	return s, true
}
