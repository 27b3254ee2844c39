package storetest

import (
	"testing"
	"time"
)

func (s *suite) steadyTime() []test {
	return []test{{"T1_the time stored last", s.steadyTimeStored}}
}

func (s *suite) steadyTimeStored(t *testing.T) {
	stores, ctx := s.replicas(t, 2), t.Context()
	at, err := stores[0].SteadyTime(ctx)
	ok(t, err)
	same(t, "an empty store", at, time.Time{})
	for _, want := range []time.Time{epoch, epoch.Add(time.Hour), epoch.Add(time.Minute)} {
		ok(t, stores[0].SetSteadyTime(ctx, want))
		at, err = stores[1].SteadyTime(ctx)
		ok(t, err)
		same(t, "the other replica", at, want)
	}
}
