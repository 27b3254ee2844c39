package server_test

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/keyturn/keyturn/internal/audit"
)

// coverage is what the decisions of a test left in the log, and which routes
// they took.
type coverage struct {
	routes []string
	events []string
}

func kind(action audit.Action, outcome audit.Outcome, reason audit.Reason) string {
	return strings.TrimSpace(string(action) + " " + string(outcome) + " " + reason.String())
}

func (c *coverage) saw(route string, e audit.Event) {
	if e.Outcome != audit.Success {
		e.Outcome = audit.Failure // as the log writes it
	}
	c.routes = append(c.routes, route)
	c.events = append(c.events, kind(e.Action, e.Outcome, e.Reason))
}

// undecided are the routes on which nothing is decided: documents that are the
// same for everybody, and health.
var undecided = []string{
	"/.well-known/jwks.json", "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration", "/openapi.yaml",
	"/healthz", "/readyz", "/", "/favicon.ico", "/account", "/account/style.css", "/account/post.js", "/account/passkey.js", "/account/logo", "GET /auth/login/passkey", "GET /account/login", "GET /account/logout", "GET /account/signup", "GET /account/forgot", "GET /account/reset", "GET /account/confirm", "GET /account/password", "GET /account/email", "GET /account/factors", "GET /account/factors/app", "GET /account/profile", "GET /account/delete",
}

// checkRoutes walks the router: each method of each route has a decision, and
// where there is none to be made no event is left.
func (c *coverage) checkRoutes(t *testing.T) {
	t.Helper()
	w := newWorld(t)
	w.mailed()
	paths, err := w.server.Paths()
	must(t, err)
	if len(paths) < 18 {
		t.Fatalf("the router has only the paths %v", paths)
	}
	for _, path := range paths {
		allow := w.serve(httptest.NewRequest("OPTIONS", path, nil)).Header().Get("Allow")
		if allow == "" {
			t.Errorf("%s: no Allow", path)
		}
		for method := range strings.SplitSeq(allow, ", ") {
			decides := method != "OPTIONS" && method != "HEAD" && !slices.Contains(undecided, path) && !slices.Contains(undecided, method+" "+path)
			if decides && !slices.Contains(c.routes, method+" "+path) {
				t.Errorf("no decision goes by %s %s: add it to decisions or refusals", method, path)
			}
			if !decides && slices.Contains(undecided, path) {
				w.serve(httptest.NewRequest(method, path, nil))
			}
		}
		w.serve(httptest.NewRequest("PATCH", path, nil))
	}
	w.serve(httptest.NewRequest("GET", "/nowhere", nil))
	if events := w.journal.take(); len(events) > 0 {
		t.Errorf("nothing was decided, and the log has %+v", events)
	}
}

// elsewhere are the events that other tests have the server write, each with the
// directory and the name of a test that looks for it.
var elsewhere = map[string]string{
	"logout-undelivered failure undelivered": "internal/server TestWhoCannotBeToldIsNotWaitedFor",
	"letter-undelivered failure undelivered": "internal/server TestALetterThatNobodyTakesIsGivenUp",
	"reset-issued failure disabled_user":     "internal/server TestU1_NobodyLearnsWhoIsSentALetter",
	"factor-used success":                    "internal/server TestA1_ACodeIsSpentWithItsEvent",
	"token-refused failure account_changed":  "internal/server TestF7_WhatEndsSessionsEndsALoginUnderWay",
	"user-logged-in failure busy":            "internal/server TestU2_ThePageToo",
	"token-refused failure busy":             "internal/e2e TestU2_Overload",
	"user-signed-up failure busy":            "users TestA1_ABusyHasherIsTheReason",
	"user-added failure busy":                "users TestA1_ABusyHasherIsTheReason",
	"user-imported failure busy":             "users TestA1_ABusyHasherIsTheReason",
	"password-changed failure busy":          "users TestA1_ABusyHasherIsTheReason",
	"password-reset failure busy":            "users TestA1_ABusyHasherIsTheReason",
	"reset-redeemed failure busy":            "users TestA1_ABusyHasherIsTheReason",
	"reset-forced failure busy":              "users TestA1_ABusyHasherIsTheReason",
	"key-erased success":                     "keys TestK4_ErasureIsRecordedOnceAndMemoryForgets",
	"key-archived success":                   "keys TestK4_ErasureIsRecordedOnceAndMemoryForgets",
	"store-copied success":                   "internal/e2e TestEventsPage",
	"store-copied failure failed":            "internal/e2e TestEventsPage",
	"store-restored success":                 "internal/e2e TestEventsPage",
	"store-restored failure failed":          "cmd/keyturn TestA1_ARestoreThatFailsIsRecorded",
	"server-started success":                 "internal/e2e TestEventsPage",
	"server-stopped success":                 "internal/e2e TestEventsPage",
	"server-stopped failure":                 "internal/e2e TestEventsPage",
	"audit-events-lost failure":              "internal/e2e TestEventsPage",
	"audit-checkpoint success":               "internal/audit/log TestA2_CheckpointsByNumberByTimeAndAtTheEnd",
	"audit-log-resumed success":              "internal/audit/log TestA3_AFullLogIsToldAndTried",
}

// checkVocabulary holds what was seen, here or elsewhere, against the list of
// what a log can hold, both ways.
func (c *coverage) checkVocabulary(t *testing.T) {
	t.Helper()
	known := map[string]bool{}
	for _, term := range audit.Vocabulary() {
		for outcome, reasons := range map[audit.Outcome][]audit.Reason{audit.Success: term.Success, audit.Failure: term.Failure} {
			for _, reason := range reasons {
				event := kind(term.Action, outcome, reason)
				known[event] = true
				_, other := elsewhere[event]
				// TestA1_WhatComesToNothingIsInTheVocabulary has every decision come to it.
				undone := reason == audit.ReasonConflict
				switch seen := slices.Contains(c.events, event); {
				case !seen && !other && !undone:
					t.Errorf("no decision leaves the event %s", event)
				case seen && other:
					t.Errorf("the event %s is looked for here: take it off elsewhere", event)
				}
			}
		}
	}
	for event, where := range elsewhere {
		dir, name, _ := strings.Cut(where, " ")
		if !known[event] || !hasTest(t, dir, name) {
			t.Errorf("%s: not in the vocabulary, or there is no test %s", event, where)
		}
	}
}

// hasTest reports whether a package of this module has a test of that name.
func hasTest(t *testing.T, dir, name string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "..", dir, "*_test.go"))
	must(t, err)
	return slices.ContainsFunc(files, func(file string) bool {
		text, err := os.ReadFile(file)
		must(t, err)
		return strings.Contains(string(text), "\nfunc "+name+"(t *testing.T)")
	})
}
