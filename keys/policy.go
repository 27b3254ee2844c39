package keys

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Policy says how keys live. It applies to keys created from now on. What an
// existing key may do follows from its record, and from Poll and Skew, which
// must be the same on all replicas.
type Policy struct {
	// Algs are the signing algorithms, the default first. Each has keys and a
	// schedule of its own.
	Algs []string
	// Interval is how long a key signs.
	Interval time.Duration
	// Lead is how long a key is published before it signs (K1).
	Lead time.Duration
	// Poll is how often each replica reads the store.
	Poll time.Duration
	// Skew is the largest difference between two clocks. It also has to cover
	// the time of a write to the store; a key whose creation took longer is put
	// off.
	Skew time.Duration
	// MaxAge is how long a resource server may cache the published set.
	MaxAge time.Duration
	// TokenTTL is the longest life of a token.
	TokenTTL time.Duration
}

// margin is how much longer than its last token a key stays published. A replica
// that has not read of a turn made by hand goes on signing for one poll, and the
// clocks of the signer, of the replica that drops the key and of the one where
// the turn was made may differ.
func (p Policy) margin() time.Duration { return p.Poll + 3*p.Skew }

// AnswerPause is how long a ring that has got a key because one was revoked waits
// before it gets another: an eighth of the time that such a key waits for its turn.
func (p Policy) AnswerPause() time.Duration { return p.Lead / 8 }

// longest is ten years, far below where sums of durations overflow.
const longest = 10 * 365 * 24 * time.Hour

// PolicyError says which setting of a Policy is unusable, why, and what would be
// accepted.
type PolicyError struct{ Setting, Reason, Accepted string }

// Error returns a text that begins with the name of the setting.
func (e *PolicyError) Error() string {
	return e.Setting + ": " + e.Reason + "; accepted: " + e.Accepted
}

// Validate returns a *PolicyError if the policy is unusable.
func (p Policy) Validate() error {
	if faults := p.Faults(); len(faults) > 0 {
		return &faults[0]
	}
	return nil
}

// Faults returns every fault of the policy.
func (p Policy) Faults() []PolicyError {
	var faults []PolicyError
	fault := func(setting, reason, accepted string) {
		faults = append(faults, PolicyError{setting, reason, accepted})
	}
	known := strings.Join(Algorithms(), ", ")
	if len(p.Algs) == 0 {
		fault("signing_algs", "there is none", known)
	}
	for i, alg := range p.Algs {
		switch {
		case !knownAlgorithm(alg):
			fault("signing_algs", fmt.Sprintf("%.40q is unknown", alg), known)
		case slices.Contains(p.Algs[:i], alg):
			fault("signing_algs", alg+" stands there twice", "each once")
		}
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
			fault(d.name, fmt.Sprintf("%v cannot be used", d.value), fmt.Sprintf("1ms to %v", longest))
		}
	}
	if least := p.MaxAge + p.Poll + p.Skew; p.Lead < least {
		fault("key_publish_lead", "a key would sign before every cache of the key set holds it",
			fmt.Sprintf("at least %v, which is jwks_max_age %v + key_poll_interval %v + clock_skew %v", least, p.MaxAge, p.Poll, p.Skew))
	}
	if p.Interval < p.Lead {
		fault("key_rotation_interval", "the next key could not be published early enough",
			fmt.Sprintf("at least key_publish_lead, %v", p.Lead))
	}
	return faults
}
