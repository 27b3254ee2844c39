package keys

import (
	"fmt"
	"time"
)

// Policy says how keys live. It shapes the keys that are made from now on; what
// a key that is there may do follows from its record, and from Poll and Skew,
// which must be the same on all replicas.
type Policy struct {
	// Alg is the algorithm of new keys.
	Alg string
	// Interval is how long a key signs before the next one does.
	Interval time.Duration
	// Lead is how long a key stands in the published set before it signs (K1).
	Lead time.Duration
	// Poll is how often each replica reads the store.
	Poll time.Duration
	// Skew is how far two clocks may be apart. It also has to cover the time
	// that a write to the store takes; a key whose creation took longer is
	// put off.
	Skew time.Duration
	// MaxAge is how long a resource server may cache the published set.
	MaxAge time.Duration
	// TokenTTL is the longest life of a token.
	TokenTTL time.Duration
}

// margin is how long a key stays published after the last token that it should
// have signed has expired: a replica that has not heard of a turn made by hand
// signs on for one poll, and the clocks of the signer, of the replica that drops
// the key and of the one where the turn was made may differ.
func (p Policy) margin() time.Duration { return p.Poll + 3*p.Skew }

// longest is ten years: far from where sums of durations overflow.
const longest = 10 * 365 * 24 * time.Hour

// Validate returns an error that begins with the name of a setting if the
// policy cannot be kept.
func (p Policy) Validate() error {
	if !knownAlgorithm(p.Alg) {
		return fmt.Errorf("signing_alg: %w", errUnknownAlgorithm(p.Alg))
	}
	for _, d := range []struct {
		name  string
		value time.Duration
	}{
		{"key_rotation_interval", p.Interval},
		{"key_publish_lead", p.Lead},
		{"key_poll_interval", p.Poll},
		{"clock_skew", p.Skew},
		{"jwks_max_age", p.MaxAge},
		{"access_token_ttl", p.TokenTTL},
	} {
		// Stores keep milliseconds; a shorter time would become none.
		if d.value < time.Millisecond || d.value > longest {
			return fmt.Errorf("%s: %v cannot be used; 1ms to %v is accepted", d.name, d.value, longest)
		}
	}
	if p.Poll > p.Lead {
		return fmt.Errorf("key_poll_interval: %v is longer than key_publish_lead (%v); %v or less is accepted",
			p.Poll, p.Lead, p.Lead)
	}
	if needed := p.MaxAge + p.Poll + p.Skew; p.Lead < needed {
		return fmt.Errorf("key_publish_lead: %v is shorter than jwks_max_age (%v), key_poll_interval (%v) and "+
			"clock_skew (%v) together; %v or more is accepted", p.Lead, p.MaxAge, p.Poll, p.Skew, needed)
	}
	if p.Interval < p.Lead {
		return fmt.Errorf("key_rotation_interval: %v is shorter than key_publish_lead (%v); %v or more is accepted",
			p.Interval, p.Lead, p.Lead)
	}
	return nil
}
