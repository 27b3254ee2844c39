package server_test

import (
	"fmt"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
)

// TestF3_ACodeWhoseExchangeIsUnderWay is exchanged again before the first exchange has
// its event in the log: the second is told what came of the first, and it is no outage.
func TestF3_ACodeWhoseExchangeIsUnderWay(t *testing.T) {
	second := func(t *testing.T, decided func(w *world)) (w *world, first, again *httptest.ResponseRecorder) {
		w = newWorld(t)
		code := w.loggedIn().code(nil)
		w.journal.take()
		answered := make(chan struct{})
		w.journal.meanwhile = func() {
			w.journal.meanwhile = nil
			go func() {
				again = w.exchange(code)
				close(answered)
			}()
			time.Sleep(time.Second)
			decided(w)
		}
		first = w.exchange(code)
		w.journal.breakDown(false)
		<-answered
		return w, first, again
	}
	t.Run("and stands", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w, first, again := second(t, func(*world) {})
			held := read[codeTokens](t, first, 200)
			if again.Code != 400 || !strings.Contains(again.Body.String(), `"invalid_grant"`) || w.inside.Load() != 0 {
				t.Errorf("%d %s", again.Code, again.Body)
			}
			if events := w.journal.take(); len(events) != 2 || events[1].Action != audit.TokenReuse || events[1].Reason != audit.ReasonReusedCode {
				t.Errorf("events: %+v", events)
			}
			if w.lives(held.Refresh) {
				t.Error("the session of a code that two parties hold lives")
			}
		})
	})
	t.Run("and comes to nothing", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w, first, again := second(t, func(w *world) { w.journal.breakDown(true) })
			if first.Code != 503 {
				t.Fatalf("first: %d", first.Code)
			}
			if held := read[codeTokens](t, again, 200); !w.lives(held.Refresh) {
				t.Error("the session does not live")
			}
		})
	})
	t.Run("for too long", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			told := int64(-1)
			w, _, again := second(t, func(w *world) {
				time.Sleep(w.timeout + 2*time.Second)
				told = w.inside.Load()
			})
			if again.Code != 503 || again.Header().Get("Retry-After") == "" || told != 0 {
				t.Errorf("%d %s, %d failures told", again.Code, again.Body, told)
			}
			if events := w.journal.take(); events[0].Action != audit.TokenRefused || events[0].Reason != audit.ReasonConflict {
				t.Errorf("events: %+v", events)
			}
		})
	})
}

// TestF3_ACodeThatWasNotAnsweredIsNotSpent has the log not know whether it wrote an
// exchange, or the server die before the session is born. The code is exchanged again by
// who got no tokens: it is good, and no theft.
func TestF3_ACodeThatWasNotAnsweredIsNotSpent(t *testing.T) {
	for _, dies := range []bool{false, true} {
		for _, lands := range []bool{false, true} {
			t.Run(fmt.Sprintf("dies: %t, lands: %t", dies, lands), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w, log := hungWorld(t, openSQLite(t), audit.TokenIssued)
					code := w.loggedIn().code(nil)
					w.journal.take()
					log.lands, log.fails = lands, audit.ErrInDoubt
					log.meanwhile = func(e audit.Event) {
						if dies {
							if lands {
								must(t, w.journal.Record(t.Context(), e))
							}
							runtime.Goexit()
						}
					}
					var first *httptest.ResponseRecorder
					over := make(chan struct{})
					go func() {
						defer close(over)
						first = w.exchange(code)
					}()
					<-over
					if !dies && first.Code != 503 {
						t.Fatalf("first: %d %s", first.Code, first.Body)
					}
					// Others settle every second.
					stop := make(chan struct{})
					go func() {
						for {
							select {
							case <-stop:
								return
							case <-time.After(time.Second):
								_ = w.settleOnce(t.Context(), 0)
							}
						}
					}()
					again := w.exchange(code)
					close(stop)
					if held := read[codeTokens](t, again, 200); !w.lives(held.Refresh) {
						t.Error("the session does not live")
					}
					ids := map[string]bool{}
					for id, e := range lastWords(w.journal.take()) {
						if e.Action == audit.TokenReuse {
							t.Error("told as a theft")
						}
						if e.Action == audit.TokenIssued && e.Outcome == audit.Success {
							ids[id] = true
						}
					}
					if len(ids) != 1 {
						t.Errorf("%d log-ins stand", len(ids))
					}
				})
			})
		}
	}
}

// TestF3_ACodeIsExchangedBesideAServerThatHangs has the log of a server hang for so long at
// an exchange that others take it for dead, and the code is exchanged again. When the log
// takes the first one's line, its caller gets no tokens, and the second's session lives.
func TestF3_ACodeIsExchangedBesideAServerThatHangs(t *testing.T) {
	w, log := hungWorld(t, openSQLite(t), audit.TokenIssued)
	code := w.loggedIn().code(nil)
	var again *httptest.ResponseRecorder
	log.meanwhile = func(audit.Event) {
		must(t, w.settleOnce(t.Context(), time.Hour))
		again = w.exchange(code)
	}
	if first := w.exchange(code); granted(first) {
		t.Errorf("first: %d %s", first.Code, first.Body)
	}
	if held := read[codeTokens](t, again, 200); !w.lives(held.Refresh) {
		t.Error("the session does not live")
	}
}
