package storetest

import (
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
)

func (s *suite) places() []test {
	return []test{{"A3_where the servers write their logs", s.placesStored}}
}

func (s *suite) placesStored(t *testing.T) {
	stores, ctx := s.replicas(t, 2), t.Context()
	all := func() []audit.Place {
		t.Helper()
		list, err := stores[1].Places(ctx)
		ok(t, err)
		return list
	}
	same(t, "an empty store", all(), nil)
	a := audit.Place{Host: "login-1", Sink: "/var/log/keyturn/audit.log", At: epoch}
	b := audit.Place{Host: "login-2", Sink: "stdout", Store: "sqlite:/a/keyturn.db", At: epoch.Add(time.Minute)}
	ok(t, stores[0].SetPlace(ctx, a))
	ok(t, stores[0].SetPlace(ctx, b))
	same(t, "the latest first", all(), []audit.Place{b, a})
	a.Store, a.At = "mongodb:db1/keyturn", epoch.Add(time.Hour)
	ok(t, stores[0].SetPlace(ctx, a))
	same(t, "begun again", all(), []audit.Place{a, b})
}
