package model

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// script writes a log: of each line when its request was sent, when it was written,
// and what it tells.
type script struct {
	t    *testing.T
	text strings.Builder
	n    int
	// kid and detail are those of the lines to come.
	kid, detail string
}

// key writes a line about a key.
func (s *script) key(written int, kid, action, reason, detail string) {
	had := s.kid
	s.kid, s.detail = kid, detail
	s.line(written, written, action, "success", reason)
	s.kid, s.detail = had, ""
}

// at is a moment of a script.
func at(n int) time.Time { return time.Unix(1_800_000_000, int64(n)*int64(time.Millisecond)) }

func (s *script) line(sent, written int, action, outcome, reason string, tokens ...int64) {
	s.n++
	keyturn := map[string]any{"session_id": "s", "kid": s.kid, "detail": s.detail}
	if strings.HasPrefix(action, "key-") {
		delete(keyturn, "session_id")
	}
	if len(tokens) > 0 {
		keyturn["presented_generation"], keyturn["generation"] = tokens[0], tokens[1]
	}
	event := map[string]any{"action": action, "outcome": outcome, "reason": reason}
	if action != "token-refreshed" && action != "token-refused" {
		event["id"] = fmt.Sprint("decision ", s.n)
	}
	line, err := json.Marshal(map[string]any{
		"@timestamp": at(written), "keyturn": keyturn, "event": event,
		"trace": map[string]any{"id": strings.Split(Traceparent(at(sent)), "-")[1]},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	fmt.Fprintf(&s.text, "%s\n", line)
}

func (s *script) begin(sent, written int) { s.line(sent, written, "token-issued", "success", "") }

func (s *script) refresh(sent, written int, token int64) {
	s.line(sent, written, "token-refreshed", "success", "", token, token+1)
}

func (s *script) retry(sent, written int, token int64) {
	s.line(sent, written, "token-refreshed", "success", "retry", token, token+1)
}

func (s *script) reuse(sent, written int, token, live int64) {
	s.line(sent, written, "token-reuse", "failure", "reused_token", token, live)
}

// What a faithful server writes is allowed, and what a mutant would is not.
func TestReplayTellsMutantsFromServers(t *testing.T) {
	for name, c := range map[string]struct {
		write   func(*script)
		forbids string
	}{
		"a session": {func(s *script) {
			s.begin(0, 1)
			s.refresh(2, 3, 0)
			s.retry(4, 5, 0)
			s.refresh(6, 7, 1)
			s.reuse(8, 9, 0, 2)
			s.line(10, 11, "token-refused", "failure", "ended_session", 2, 2)
		}, ""},
		"lines in another order than their decisions": {func(s *script) {
			s.begin(0, 1)
			s.retry(2, 9, 0)
			s.refresh(2, 3, 0)
			s.refresh(4, 5, 1)
		}, ""},
		"a refresh decided before a revocation, and written later": {func(s *script) {
			s.begin(0, 1)
			s.line(3, 4, "token-revoked", "success", "")
			s.refresh(2, 5, 0)
		}, ""},
		"a refresh whose server died": {func(s *script) {
			s.begin(0, 1)
			s.retry(4, 5, 0)
			s.refresh(6, 7, 1)
		}, ""},
		"a refresh taken back, that another replica told the successor of": {func(s *script) {
			s.begin(0, 1)
			s.retry(2, 3, 0)
			s.refresh(4, 5, 0)
			s.refresh(6, 7, 1)
		}, ""},
		"a reuse, found while the session moves on": {func(s *script) {
			s.begin(0, 1)
			s.refresh(2, 3, 0)
			s.refresh(4, 5, 1)
			s.refresh(7, 8, 2)
			s.reuse(6, 9, 0, 2)
		}, ""},
		string(checkThenAct): {func(s *script) {
			s.begin(0, 1)
			s.refresh(2, 3, 0)
			s.refresh(4, 5, 0)
		}, "token-refreshed of token 0"},
		string(differentSuccessor): {func(s *script) {
			s.begin(0, 1)
			s.refresh(2, 3, 0)
			s.line(4, 5, "token-refreshed", "success", "retry", 0, 2)
		}, "token-refreshed (retry) of token 0, at generation 2"},
		string(anyPredecessor): {func(s *script) {
			s.begin(0, 1)
			s.refresh(2, 3, 0)
			s.refresh(4, 5, 1)
			s.retry(6, 7, 0)
		}, "token-refreshed (retry) of token 0"},
		string(revocationLoses): {func(s *script) {
			s.begin(0, 1)
			s.line(2, 3, "token-revoked", "success", "")
			s.refresh(4, 5, 0)
		}, "token-refreshed of token 0"},
		string(takebackRevives): {func(s *script) {
			s.begin(0, 1)
			s.refresh(2, 3, 0)
			s.line(4, 5, "session-ended", "success", "logout")
			s.refresh(6, 7, 1)
		}, "token-refreshed of token 1"},
		string(reuseToldFirst): {func(s *script) {
			s.begin(0, 1)
			s.refresh(2, 3, 0)
			s.refresh(4, 5, 1)
			s.reuse(6, 7, 0, 2)
			s.refresh(8, 9, 2)
		}, "token-refreshed of token 2"},
		"a reuse that another had ended": {func(s *script) {
			s.begin(0, 1)
			s.line(2, 3, "session-ended", "success", "logout")
			s.line(2, 4, "token-refused", "failure", "ended_session", 0, 0)
		}, ""},
		"an honest client is taken for a thief": {func(s *script) {
			s.begin(0, 1)
			s.refresh(2, 3, 0)
			s.reuse(4, 5, 0, 1)
		}, "token-reuse (reused_token) of token 0"},
		"a token that nobody was given": {func(s *script) {
			s.begin(0, 1)
			s.refresh(2, 3, 5)
		}, "token-refreshed of token 5"},
		"a reuse that ended nothing": {func(s *script) {
			s.begin(0, 1)
			s.refresh(2, 3, 0)
			s.refresh(4, 5, 1)
			s.line(6, 7, "token-reuse", "failure", "reused_token", 0, 2)
			unended := strings.Replace(s.text.String(), `"id":"decision 4"`, `"id":""`, 1)
			s.text.Reset()
			s.text.WriteString(unended)
		}, "token-reuse (reused_token) of token 0"},
		"a session that nobody ended": {func(s *script) {
			s.begin(0, 1)
			s.line(2, 3, "token-refused", "failure", "ended_session", 0, 0)
		}, "token-refused (ended_session)"},
		"keys that turn, the second for an emergency": {func(s *script) {
			s.key(0, "a", "key-created", "first_key", "")
			s.key(0, "b", "key-created", "standby", "")
			s.key(0, "a", "key-activated", "", "")
			s.kid = "a"
			s.begin(1, 2)
			s.key(3, "a", "key-revoked", "", "stolen")
			s.key(4, "b", "key-activated", "", "emergency")
			s.key(4, "c", "key-created", "standby", "a key was revoked; signs from "+at(7).Format(time.RFC3339Nano))
			s.key(4, "a", "key-erased", "", "")
			s.kid = "b"
			s.refresh(5, 6, 0)
			s.key(7, "c", "key-activated", "", "")
			s.key(8, "a", "key-archived", "", "")
		}, ""},
		"a key that was revoked signs on": {func(s *script) {
			s.key(0, "a", "key-created", "first_key", "")
			s.key(0, "b", "key-created", "standby", "")
			s.key(0, "a", "key-activated", "", "")
			s.kid = "a"
			s.begin(1, 2)
			s.key(3, "a", "key-revoked", "", "stolen")
			s.key(4, "b", "key-activated", "", "emergency")
			s.refresh(5, 6, 0)
		}, "K5, K6"},
		"a key that nobody made": {func(s *script) {
			s.key(0, "a", "key-created", "first_key", "")
			s.kid = "b"
			s.begin(1, 2)
		}, "K1: it was never made"},
		"a second turn that comes too soon": {func(s *script) {
			s.begin(0, 1)
			s.key(0, "a", "key-created", "first_key", "")
			s.key(4, "c", "key-created", "standby", "a key was revoked; signs from "+at(7).Format(time.RFC3339Nano))
			s.key(6, "c", "key-activated", "", "")
		}, "K1: it was to sign later"},
		"a key that is archived with its private half": {func(s *script) {
			s.begin(0, 1)
			s.key(0, "a", "key-created", "first_key", "")
			s.key(4, "a", "key-archived", "", "")
		}, "K4"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &script{t: t}
			c.write(s)
			wrong, sessions := Replay(Deployment{}, []byte(s.text.String()))
			if sessions != 1 || len(wrong) > 0 != (c.forbids != "") || len(wrong) > 0 && !strings.Contains(wrong[0], c.forbids) {
				t.Errorf("%d sessions, %q; want %q", sessions, wrong, c.forbids)
			}
		})
	}
}
