package keys

import (
	"slices"
	"testing"
	"time"
)

// minutes is a time on the clock of these tests.
func minutes(n int) time.Time { return start.Add(time.Duration(n) * time.Minute) }

func key(seq int64, kid string, activate int) Record {
	return Record{
		Seq: seq, KID: kid, Alg: ES256, Sealed: []byte{1}, TokenTTL: 20 * time.Minute, Margin: time.Minute,
		CreatedAt: minutes(activate - 60), ActivateAt: minutes(activate),
	}
}

func revoked(r Record, at int) Record {
	r.RevokedAt, r.RevokeReason = minutes(at), "test"
	return r
}

func erased(r Record) Record {
	r.Sealed = nil
	return r
}

func answering(r Record, at int) Record {
	r.Answers = minutes(at)
	return r
}

func TestView(t *testing.T) {
	a, b, c := key(0, "a", 0), key(1, "b", 60), key(2, "c", 120)
	for _, test := range []struct {
		name      string
		records   []Record
		now       int
		signs     string
		emergency bool
		states    []State
		published []bool
		duties    []dutyKind
	}{
		{"empty store", nil, 0, "", false, nil, nil, []dutyKind{createFirst}},
		{"in the beginning", []Record{a, b}, 1, "a", false, []State{Active, Standby}, []bool{true, true}, nil},
		{"clock behind the first key", []Record{a, b}, -1, "a", false, []State{Active, Standby}, []bool{true, true}, nil},
		{"no standby", []Record{a}, 1, "a", false, []State{Active}, []bool{true}, []dutyKind{createStandby}},
		{"before a turn", []Record{a, b}, 60 - 1, "a", false, []State{Active, Standby}, []bool{true, true}, nil},
		{"after a turn", []Record{a, b, c}, 60, "b", false, []State{Retired, Active, Standby}, []bool{true, true, true}, nil},
		{"after a turn, late", []Record{a, b, c}, 70, "b", false, []State{Retired, Active, Standby}, []bool{true, true, true}, []dutyKind{erase}},
		{"expired", []Record{erased(a), b, c}, 90, "b", false, []State{Retired, Active, Standby}, []bool{false, true, true}, []dutyKind{archive}},
		{"signing key revoked", []Record{revoked(a, 30), b, c}, 30, "b", true, []State{Revoked, Active, Standby}, []bool{false, true, true}, []dutyKind{promoteStandby, answer, erase}},
		{"standby revoked", []Record{a, erased(revoked(b, 30)), c}, 70, "a", false, []State{Active, Revoked, Standby}, []bool{true, false, true}, []dutyKind{answer, archive}},
		{"both revoked", []Record{erased(revoked(a, 30)), erased(revoked(b, 20)), c}, 30, "c", true, []State{Revoked, Revoked, Active}, []bool{false, false, true}, []dutyKind{promoteStandby, answer, createStandby}},
		{"revocation answered", []Record{a, erased(revoked(b, 30)), c, answering(key(3, "d", 45), 30)}, 40, "a", false, []State{Active, Revoked, Standby, Standby}, []bool{true, false, true, true}, nil},
		{"second turn", []Record{a, c, answering(key(3, "d", 45), 30)}, 46, "d", false, []State{Retired, Retired, Active}, []bool{true, true, true}, []dutyKind{createStandby, erase, erase}},
		{"all revoked", []Record{erased(revoked(a, 30)), erased(revoked(b, 30))}, 30, "", false, []State{Revoked, Revoked}, []bool{false, false}, []dutyKind{createFirst}},
		{"the last number stays taken", []Record{a, c, erased(revoked(key(3, "d", 180), 10))}, 90, "a", false, []State{Active, Standby, Revoked}, []bool{true, true, false}, []dutyKind{answer}},
	} {
		v := newView(test.records, testPolicy(), minutes(test.now), nil)
		signing, _ := v.signingKey(mainRing)
		var states []State
		var published []bool
		for _, k := range v.Keys {
			states, published = append(states, k.State), append(published, k.Published)
		}
		var duties []dutyKind
		for _, d := range v.Duties {
			duties = append(duties, d.Kind)
		}
		if signing.KID != test.signs || v.ring(mainRing).emergency != test.emergency || !slices.Equal(states, test.states) ||
			!slices.Equal(published, test.published) || !slices.Equal(duties, test.duties) {
			t.Errorf("%s: %q signs, emergency %v, %v, published %v, duties %v",
				test.name, signing.KID, v.ring(mainRing).emergency, states, published, duties)
		}
	}
}

func TestViewPromotesToTheTimeOfTheRevocation(t *testing.T) {
	records := []Record{revoked(key(0, "a", 0), 30), key(1, "b", 60), key(2, "c", 120)}
	v := newView(records, testPolicy(), minutes(31), nil)
	if d := v.Duties[0]; d.Kind != promoteStandby || d.KID != "b" || !d.At.Equal(minutes(30)) {
		t.Fatalf("duty %+v", d)
	}
	records[1].ActivateAt = minutes(30)
	v = newView(records, testPolicy(), minutes(31), nil)
	if signing, _ := v.signingKey(mainRing); signing.KID != "b" || !v.ring(mainRing).emergency || v.Duties[0].Kind == promoteStandby {
		t.Errorf("after the promotion %s signs, emergency %v, duties %v", signing.KID, v.ring(mainRing).emergency, v.Duties)
	}
}

// A key that signs again because its successor was revoked stops when its ring ends,
// and is published for as long after that.
func TestK3_KeyThatSignedOnUntilItsRingEnded(t *testing.T) {
	of := func(r Record) Record {
		r.Seq += ringSpan
		return r
	}
	a, b := of(key(0, "a", 0)), of(revoked(key(1, "b", 60), 61))
	a.EndAt = minutes(100)
	records := []Record{key(0, "main", 0), key(1, "next", 600), a, erased(b)}
	for _, test := range []struct {
		now, until int
		signs      string
		published  bool
	}{{62, 82, "a", true}, {82, 100, "a", true}, {100, 121, "", true}, {121, 0, "", false}} {
		v := newView(records, testPolicy(), minutes(test.now), nil)
		signing, _ := v.signingKey(1)
		if signing.KID != test.signs || v.Keys[2].Published != test.published || test.until > 0 && !v.Until.Equal(minutes(test.until)) {
			t.Errorf("after %d minutes %q signs until %v; a is published: %v", test.now, signing.KID, v.Until.Sub(start), v.Keys[2].Published)
		}
	}
}

// A ring ends when its key does, though the key was revoked before and another
// signs in its place: what a replica has in memory holds until then.
func TestK5_RingEndsWithItsRevokedKey(t *testing.T) {
	of := func(r Record) Record {
		r.Seq += ringSpan
		return r
	}
	b := of(revoked(key(1, "b", 60), 61))
	b.EndAt = minutes(70)
	records := []Record{key(0, "main", 0), key(1, "next", 600), of(key(0, "a", 0)), b}
	for _, test := range []struct {
		now   int
		signs string
	}{{62, "a"}, {69, "a"}, {70, ""}} {
		v := newView(records, testPolicy(), minutes(test.now), nil)
		if signing, _ := v.signingKey(1); signing.KID != test.signs {
			t.Errorf("after %d minutes %q signs; want %q", test.now, signing.KID, test.signs)
		}
		if test.now < 70 && v.Until.After(minutes(70)) {
			t.Errorf("the view of %d minutes is taken to hold until %v", test.now, v.Until.Sub(start))
		}
	}
}

func TestUnusableKeys(t *testing.T) {
	records := []Record{key(0, "a", 0), key(1, "b", 60), key(2, "c", 120)}
	for _, test := range []struct {
		unusable []string
		now      int
		signs    string
	}{
		{[]string{"a"}, 30, "b"},
		{[]string{"b"}, 30, "a"},
		{[]string{"b"}, 61, "c"},
		{[]string{"b", "c"}, 60, "a"},
		{[]string{"a", "b", "c"}, 30, ""},
	} {
		bad := make(map[string]error)
		for _, kid := range test.unusable {
			bad[kid] = errDamaged
		}
		v := newView(records, testPolicy(), minutes(test.now), bad)
		if signing, _ := v.signingKey(mainRing); signing.KID != test.signs {
			t.Errorf("without %v %q signs, want %q", test.unusable, signing.KID, test.signs)
		}
		if d := v.Duties; len(test.unusable) == 1 && test.now == 30 && test.unusable[0] == "b" &&
			(len(d) != 1 || d[0].Kind != postpone || d[0].KID != "b" || !d[0].At.Equal(minutes(70))) {
			t.Errorf("without a standby whose turn comes first: %+v", d)
		}
		if test.signs == "" && len(v.Duties) > 0 {
			t.Errorf("no key can be used, and still there are duties: %v", v.Duties)
		}
	}
}
