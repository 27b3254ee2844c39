package server_test

import (
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/keyturn/keyturn/internal/audit"
)

// TestF8_WhoCopiesAWholeRequestEndsNothing sends requests again, each with the proof that
// it was sent with: whoever copied it from a log or a proxy has no key, so that it is no
// reuse and the session lives.
func TestF8_WhoCopiesAWholeRequestEndsNothing(t *testing.T) {
	onBothStores(t, func(t *testing.T, w *world) {
		owner := w.holder()
		copied := func(client string, v values) (send func() *httptest.ResponseRecorder) {
			proof := owner.Prove(t, owner.claims(w.tokenRequest(client, v)))
			return func() *httptest.ResponseRecorder {
				r := w.tokenRequest(client, v)
				r.Header.Set("DPoP", proof)
				return w.serve(r)
			}
		}
		refused := func(what string, rec *httptest.ResponseRecorder) {
			t.Helper()
			if rec.Code != 400 || refusedWith(t, rec) != "invalid_dpop_proof" {
				t.Errorf("%s: %d %s", what, rec.Code, rec.Body)
			}
			if events := w.journal.take(); len(events) != 1 || events[0].Action != audit.TokenRefused || events[0].Reason != audit.ReasonProofReplayed {
				t.Errorf("%s: events %+v", what, events)
			}
		}
		again := copied("page", refresh(owner.login().Refresh))
		held := read[bound](t, again(), 200)
		w.journal.take()
		refused("a token just spent", again())
		for range 2 {
			held = read[bound](t, owner.ask("page", refresh(held.Refresh)), 200)
		}
		w.journal.take()
		refused("a token spent long ago", again())

		code := w.loggedIn().code(nil)
		exchange := copied("shop", exchanges(code, nil))
		begun := read[bound](t, exchange(), 200)
		w.journal.take()
		refused("a code", exchange())

		for client, token := range map[string]string{"page": held.Refresh, "shop": begun.Refresh} {
			if rec := owner.ask(client, refresh(token)); rec.Code != 200 {
				t.Errorf("the session of %s has ended: %d %s", client, rec.Code, rec.Body)
			}
		}
	})
}

// TestF2_BoundTabsRefreshAtOnce has tabs of one page refresh with one token at once, each
// with a proof of its own: all get the same successor.
func TestF2_BoundTabsRefreshAtOnce(t *testing.T) {
	onBothStores(t, func(t *testing.T, w *world) {
		owner := w.holder()
		held := owner.login()
		for range 5 {
			answers := make([]*httptest.ResponseRecorder, 4)
			var tabs sync.WaitGroup
			for i := range answers {
				r := w.tokenRequest("page", refresh(held.Refresh))
				r.Header.Set("DPoP", owner.Prove(t, owner.claims(r)))
				tabs.Go(func() {
					answers[i] = httptest.NewRecorder()
					w.handler.ServeHTTP(answers[i], r)
				})
			}
			tabs.Wait()
			next := read[bound](t, answers[0], 200)
			for _, rec := range answers {
				if got := read[bound](t, rec, 200); got.Refresh != next.Refresh {
					t.Error("two tabs got different successors")
				}
			}
			held = next
		}
	})
}
