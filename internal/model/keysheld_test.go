package model

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/keys"
)

// replica is the store, the vault, the log and the clock of a real keeper of keys.
type replica struct {
	records []keys.Record
	clock   time.Time
	// running is for how long its process runs, beside what clock tells.
	running time.Duration
}

func (r *replica) Keys(context.Context) ([]keys.Record, error) {
	return slices.DeleteFunc(slices.Clone(r.records), func(k keys.Record) bool { return k.Archived }), nil
}

func (r *replica) ArchivedKeys(context.Context) ([]keys.Record, error) { return nil, nil }

func (r *replica) CreateKey(_ context.Context, k keys.Record) error {
	r.records = append(r.records, k)
	return nil
}

func (r *replica) UpdateKey(_ context.Context, k keys.Record) error {
	k.Version++
	r.records[slices.IndexFunc(r.records, func(other keys.Record) bool { return other.KID == k.KID })] = k
	return nil
}

func (r *replica) Record(context.Context, audit.Event) error { return nil }

// What a record holds sealed is the private key: none here is secret.
func (r *replica) Make(context.Context, string) (crypto.Signer, []byte, error) {
	_, private, err := ed25519.GenerateKey(nil)
	return private, private, err
}

func (r *replica) Open(_ context.Context, sealed []byte, _ string) (crypto.Signer, error) {
	return ed25519.PrivateKey(sealed), nil
}

func (r *replica) Reseal(_ context.Context, sealed []byte, _ string) ([]byte, error) {
	return sealed, nil
}

func (r *replica) SealedUnder([]byte) (string, bool) { return "", true }

func (r *replica) Destroy(context.Context, []byte) error { return nil }

func (r *replica) keeper(t *testing.T) *keys.Keeper {
	k, err := keys.NewKeeper(keys.Options{Store: r, Vault: r, Audit: r, Now: func() time.Time { return r.clock }, Elapsed: func() time.Duration { return r.clock.Sub(timeOf(1)) + r.running }, Policy: keys.Policy{
		Algs: []string{keys.Ed25519}, Interval: ticks(interval), Lead: ticks(lead), Poll: ticks(poll), Skew: ticks(skew),
		MaxAge: ticks(maxAge), TokenTTL: ticks(tokenTTL),
	}})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func ticks(n int8) time.Duration { return time.Duration(n) * time.Minute }

// timeOf is the time of a tick, and tickOf the tick of a time; 0 is never.
func timeOf(tick int8) time.Time {
	if tick == 0 {
		return time.Time{}
	}
	return time.Unix(0, 0).UTC().Add(ticks(tick))
}

func tickOf(at time.Time) int8 {
	if at.IsZero() {
		return 0
	}
	return int8(at.Unix() / 60)
}

// blankKeys are as many records as the model has keys.
func blankKeys(t *testing.T) []keys.Record {
	var r replica
	for i := range int8(keyCount) {
		r.clock = timeOf(1 + i*interval)
		if err := r.keeper(t).Poll(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return r.records[:keyCount]
}

// records are a ring of the model as a store has it.
func (r *ring) records(blank []keys.Record) []keys.Record {
	list := slices.Clone(blank[:r.count()])
	for i, k := range r[:len(list)] {
		to := &list[i]
		to.CreatedAt, to.ActivateAt, to.RevokedAt, to.Answers = timeOf(k.made), timeOf(k.signs), timeOf(k.revoked), timeOf(k.answers)
		if k.erased {
			to.Sealed = nil
		}
	}
	return list
}

// ringOf is the other way round. What does not go in is left.
func ringOf(records []keys.Record) (r ring) {
	for i, k := range records[:min(keyCount, len(records))] {
		r[i] = signingKey{made: tickOf(k.CreatedAt), signs: tickOf(k.ActivateAt), revoked: tickOf(k.RevokedAt), answers: tickOf(k.Answers), erased: k.Sealed == nil}
	}
	return r
}

// shown is what a replica does with what it has read.
type shown struct {
	signing     int
	set         uint8
	maxAge, ttl int8
}

func (m keyRules) shown(r keyReplica, now, ahead int8) shown {
	return shown{r.view.signing(now + ahead), m.published(r, now, ahead), m.promise(r, now), m.ttl(r, now)}
}

func shownBy(r *keys.Ring, blank []keys.Record) shown {
	set := r.Published()
	s := shown{signing: -1, maxAge: int8(set.MaxAge / ticks(1)), ttl: int8(r.TokenTTL() / ticks(1))}
	active, err := r.Active()
	for i, k := range blank {
		if err == nil && k.KID == active.KID {
			s.signing = i
		}
		if slices.ContainsFunc(set.Keys, func(key json.RawMessage) bool { return string(key) == string(k.Public) }) {
			s.set |= 1 << i
		}
	}
	return s
}

// question is what a replica can be asked: from what it has read at some time it shows
// something now, by a clock that is ahead; and perhaps it polls.
type question struct {
	of         keyReplica
	now, ahead int8
	polls      bool
}

// questions adds those that the states of a walk pose.
func (m keyRules) questions(states map[keyWorld]struct{}, to map[question]bool) {
	for w := range states {
		for i, of := range w.replica {
			to[question{keyReplica{view: of.view, read: of.read}, w.now, m.ahead[i], false}] = true
			to[question{keyReplica{view: w.store, read: w.now}, w.now, m.ahead[i], true}] = true
		}
	}
}

// ask puts a question to the model and to package keys: from the same records, read at the
// same time, by the same clock, both sign with the same key and publish the same set, for
// as long, and a poll makes the same records of them.
func (q question) ask(t *testing.T, blank []keys.Record) {
	m := keyRules{ahead: [3]int8{q.ahead}}
	real := &replica{records: q.of.view.records(blank), clock: timeOf(q.of.read + q.ahead)}
	k := real.keeper(t)
	if err := k.Look(t.Context()); err != nil {
		t.Fatal(err)
	}
	real.clock = timeOf(q.now + q.ahead)
	if got, want := shownBy(k.Ring(), blank), m.shown(q.of, q.now, q.ahead); got != want {
		t.Fatalf("%+v: %+v; want %+v", q, got, want)
	}
	if !q.polls {
		return
	}
	real.running = time.Hour // it erases only what it has itself seen retired for long enough
	w := keyWorld{now: q.now, store: q.of.view}
	m.poll(&w, 0)
	if err := k.Poll(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := ringOf(real.records); got != w.store {
		t.Fatalf("%+v: a poll makes %v; want %v", q, got, w.store)
	}
}
