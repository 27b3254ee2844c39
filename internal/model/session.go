// Package model has the rules by which sessions live and signing keys turn, as
// small as they can be said: what the explorer of its tests walks through, what the
// logs of the end-to-end tests are replayed against, and what the simulation in
// docs/security.md runs on. The server does not link it.
package model

// Session is what the store holds of a family of refresh tokens.
type Session struct {
	// Generation is the live token's.
	Generation int32
	// Born is a session whose login stands; Ended one that was revoked; Expired one
	// whose time is over; Bound one that was begun with a DPoP key (F8).
	Born, Ended, Expired, Bound bool
}

// Showing is a refresh token as it is presented.
type Showing struct {
	Generation int32
	// Foreign means that another client presents it than it was issued to, Proved
	// that the key of the session proves it.
	Foreign, Proved bool
	// Late means that the token was spent longer ago than who set a retry_window
	// allows.
	Late bool
	// Doubted means that the clocks of the replica differ on whether the session
	// lives (T1).
	Doubted bool
}

// Verdict is what a presented token comes to.
type Verdict uint8

// The verdicts. The zero one is no.
const (
	// Refused ends the matter for whoever presented the token; of the session it
	// changes nothing.
	Refused Verdict = iota
	// PutOff asks to come again.
	PutOff
	// Unproved is a refusal for want of the key.
	Unproved
	// Advances moves the session on by one generation (F1).
	Advances
	// Repeats tells the successor once more (F2).
	Repeats
	// Reused ends the session, before the answer (F3).
	Reused
)

// Present judges a token.
func Present(s Session, t Showing) Verdict {
	switch {
	case !s.Born:
		return Refused
	case s.Bound && !t.Proved:
		return Unproved // and learns nothing of the session (F8)
	case s.Ended:
		return Refused
	case t.Foreign:
		return Reused
	case t.Doubted:
		return PutOff
	case s.Expired:
		return Refused
	case t.Generation >= s.Generation:
		// Above it is a token of ours from before the store was set back.
		return Advances
	case t.Generation == s.Generation-1 && !t.Late:
		return Repeats
	}
	return Reused
}

// After is the session once a verdict on a token stands.
func (v Verdict) After(s Session, t Showing) Session {
	switch v {
	case Advances:
		s.Generation = t.Generation + 1
	case Reused:
		s.Ended = true
	}
	return s
}
