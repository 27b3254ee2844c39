package log_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/audit/audittest"
	auditlog "github.com/keyturn/keyturn/internal/audit/log"
	"github.com/keyturn/keyturn/internal/audit/verify"
)

// TestA3_AFullLogIsToldAndTried has a log get full and have room again while no
// decision comes to try it, since the replica was taken out of service.
func TestA3_AFullLogIsToldAndTried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &limited{room: 1 << 20}
		l, err := auditlog.Open(auditlog.Options{Writer: w, Node: "n"})
		if err != nil {
			t.Fatal(err)
		}
		audittest.Record(t, l, 1)
		w.refill(0)
		for range 3 {
			if err := l.Record(t.Context(), audit.Event{Action: audit.UserRead}); err == nil {
				t.Error("recorded")
			}
		}
		if why, stands := l.Away(); !errors.Is(why, errFull) || stands {
			t.Errorf("away: %v, %v", why, stands)
		}
		audittest.Elapse(5 * time.Second)
		w.refill(1 << 20)
		audittest.Elapse(2 * time.Second)
		if why, stands := l.Away(); why != nil || !stands {
			t.Errorf("away: %v, %v", why, stands)
		}
		audittest.Close(t, l)
		if n := strings.Count(w.String(), `"action":"audit-log-resumed"`); n != 1 || !strings.Contains(w.String(), `"count":3`) {
			t.Errorf("%d lines about it: %s", n, w.String())
		}
		if rep := audittest.MustVerify(t, verify.Options{}, audittest.WriteLines(t, audittest.SplitLines(w.String()))); rep.Lines != 2 {
			t.Errorf("%+v", rep)
		}
	})
}
