package users

import (
	"bytes"
	"crypto/sha256"
	"time"
)

// letterLife is how long the link of a forgotten password is good, since it was asked for.
const letterLife = 30 * time.Minute

// MailedReset is what letters can do for an account whose user forgot the password: the
// last one that was sent has a one-time token.
type MailedReset struct {
	// Hash is the SHA-256 of the token's secret. ExpiresAt is zero once the token is void,
	// for good: the letter may still wait for its next try.
	Hash      []byte    `json:"hash,omitempty" bson:"hash,omitempty"`
	ExpiresAt time.Time `json:"expires_at,omitzero" bson:"expires_at,omitempty"`
	// Since is when that letter was asked for, or the account changed so that no letter of
	// before counts: one that was asked for at or before it is not sent.
	Since Moment `json:"since,omitzero" bson:"since,omitempty"`
	// Barred says that an operator made the password void: no letter opens the account
	// until it has another, but one that an operator sends, and no passkey alone.
	Barred bool `json:"barred,omitempty" bson:"barred,omitempty"`
}

// IsZero reports whether letters have done nothing, and can.
func (m MailedReset) IsZero() bool {
	return len(m.Hash) == 0 && m.ExpiresAt.IsZero() && m.Since.IsZero() && !m.Barred
}

// Moment is a time by two clocks: the later of both, and the one that no wrong clock
// moves. Where the first proves to be of a clock that was ahead, the second counts (T1).
type Moment struct {
	Latest    time.Time `json:"latest,omitzero" bson:"latest,omitempty"`
	Confirmed time.Time `json:"confirmed,omitzero" bson:"confirmed,omitempty"`
}

// IsZero reports whether it is no time at all.
func (m Moment) IsZero() bool { return m.Latest.IsZero() && m.Confirmed.IsZero() }

// aheadBy is how much later than the latest clock here a right clock elsewhere may be.
const aheadBy = time.Minute

// ahead reports whether t is later than a right clock can have been (T1).
func (s *Service) ahead(t time.Time) bool { return t.After(s.latest().Add(aheadBy)) }

// latest returns the later of the two clocks' times: the earlier may be wrong, or that of
// a server that has just started.
func (s *Service) latest() time.Time { return s.moment().Latest }

// moment returns the present.
func (s *Service) moment() Moment {
	now := s.now()
	if s.Confirmed == nil {
		return Moment{Latest: now, Confirmed: now}
	}
	m := Moment{Latest: now, Confirmed: s.Confirmed().UTC().Truncate(time.Millisecond)}
	if m.Confirmed.After(now) {
		m.Latest = m.Confirmed
	}
	return m
}

// timeOf returns when m was, or false if both of its clocks were ahead.
func (s *Service) timeOf(m Moment) (time.Time, bool) {
	switch {
	case !s.ahead(m.Latest):
		return m.Latest, true
	case !s.ahead(m.Confirmed):
		return m.Confirmed, true
	}
	return time.Time{}, false
}

// voidMailed takes from u what letters of up to now could do, for good.
func (s *Service) voidMailed(u *User) {
	u.Mailed.ExpiresAt, u.Mailed.Since = time.Time{}, s.moment()
}

// mailedLive reports whether the token of the last letter is good by its time.
func (s *Service) mailedLive(u User) bool {
	left := u.Mailed.ExpiresAt.Sub(s.latest())
	return left > 0 && left <= letterLife+aheadBy
}

// mail makes the token of a letter valid, or returns why it is not to be: an error of
// noLetter, and for the log what more there is to say.
func (s *Service) mail(u *User, asked resetAsked, to string) (detail string, err error) {
	hash := sha256.Sum256(asked.Secret)
	same := bytes.Equal(hash[:], u.Mailed.Hash)
	at, _ := s.timeOf(asked.moment())
	since, _ := s.timeOf(u.Mailed.Since)
	switch {
	case u.Disabled:
		return "", errNoPassword
	case u.Email != to, same && u.Mailed.ExpiresAt.IsZero(), !same && !at.After(since):
		return "a later letter, or a change of the account, has taken its place", errVoid
	case u.Mailed.Barred && !asked.ByOperator:
		return "an operator made the password void: no letter opens the account", errVoid
	}
	u.Mailed.Hash, u.Mailed.ExpiresAt, u.Mailed.Since = hash[:], at.Add(letterLife), asked.moment()
	return validUntil(u.Mailed.ExpiresAt), nil
}
