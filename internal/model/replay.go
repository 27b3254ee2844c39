package model

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Event is a line of the audit log, as far as the model says anything of it.
type Event struct {
	Keyturn struct {
		Session    string `json:"session_id"`
		Client     string `json:"client_id"`
		Token      string `json:"jti"`
		Key        string `json:"kid"`
		Generation *int64 `json:"generation"`
		Presented  *int64 `json:"presented_generation"`
		Detail     string `json:"detail"`
		Chain      struct {
			ID string `json:"id"`
		} `json:"chain"`
	} `json:"keyturn"`
	Written time.Time `json:"@timestamp"`
	Event   struct {
		ID      string `json:"id"`
		Action  string `json:"action"`
		Outcome string `json:"outcome"`
		Reason  string `json:"reason"`
	} `json:"event"`
	User struct {
		ID string `json:"id"`
	} `json:"user"`
	Trace struct {
		ID string `json:"id"`
	} `json:"trace"`
}

// traceMark begins the trace-ids that say when a request was sent.
const traceMark = "6b65797475726e21"

// Traceparent is the header of a request that is sent now: the log then bears the
// time before which nothing of it can have been decided.
func Traceparent(now time.Time) string {
	return fmt.Sprintf("00-%s%016x-%s-01", traceMark, now.UnixNano(), traceMark)
}

// sent is when the request was sent, if its header said so.
func (e *Event) sent() (time.Time, bool) {
	nano, ok := strings.CutPrefix(e.Trace.ID, traceMark)
	if !ok {
		return time.Time{}, false
	}
	n, err := strconv.ParseInt(nano, 16, 64)
	return time.Unix(0, n), err == nil
}

// Deployment is what a replay has to know beside the log.
type Deployment struct {
	// Bounded says that some retry_window is set: the token just spent may be reuse.
	Bounded bool
	// TwoWin says that the store lets two conditional updates succeed at once.
	TwoWin bool
	// Rings says that several algorithms sign side by side.
	Rings bool
	// WrongClock says that a server's clock jumped. It then signs by it at once, and
	// writes that it turned at its next poll.
	WrongClock bool
	// Lossy says that the log was away for a while: it may hold what was taken back.
	Lossy bool
}

// Replay holds logs of one deployment, each in its order, against the model, and
// returns the first step of each session that it forbids, in words. Of a session
// whose beginning the logs do not hold it says nothing, nor of those of a store
// that was put back.
//
// Between its sending and its line a request may have been decided at any moment. So
// an order of decisions is looked for in which the model allows them all.
func Replay(d Deployment, logs ...[]byte) (wrong []string, sessions int) {
	var events []Event
	for _, log := range logs {
		for text := range strings.Lines(string(log)) {
			var e Event
			if json.Unmarshal([]byte(text), &e) == nil {
				events = append(events, e)
			}
		}
	}
	h := &history{Deployment: d, ended: map[string]bool{}, timed: true}
	bySession := map[string][]Event{}
	for _, e := range events {
		if e.Event.Action == "store-restored" {
			return nil, 0
		}
		h.note(&e)
		if e.Keyturn.Session == "" {
			continue
		}
		// What is told twice is one decision, and the last line of it counts.
		list := bySession[e.Keyturn.Session]
		if i := slices.IndexFunc(list, func(o Event) bool { return o.Event.ID != "" && o.Event.ID == e.Event.ID }); i >= 0 {
			list[i] = e
			continue
		}
		bySession[e.Keyturn.Session] = append(list, e)
	}
	for id, list := range bySession {
		begun := slices.IndexFunc(list, func(e Event) bool { return e.Event.Action == "token-issued" && e.Event.Outcome == "success" })
		if begun < 0 {
			continue
		}
		sessions++
		if text := h.session(list); text != "" {
			wrong = append(wrong, fmt.Sprintf("session %s: %s", id, text))
		}
	}
	wrong = append(wrong, h.keys(events)...)
	slices.Sort(wrong)
	return wrong, sessions
}

// history is what the logs say apart from single sessions.
type history struct {
	Deployment
	// ended are the users and clients whose sessions were ended all at once.
	ended map[string]bool
	// timed says that the servers' clocks and the one that requests bear run together.
	timed bool
}

// apart is how long a request may take before its clock is taken for another.
const apart = 30 * time.Second

func (h *history) note(e *Event) {
	switch e.Event.Action {
	case "user-disabled", "user-deleted", "password-changed", "password-reset", "reset-redeemed":
		h.ended[e.User.ID] = true
	case "sessions-ended", "client-disabled":
		h.ended[e.User.ID], h.ended[e.Keyturn.Client] = true, true
	case "audit-events-lost", "audit-log-resumed":
		h.Lossy = true
	}
	if sent, ok := e.sent(); ok && (sent.After(e.Written) || e.Written.Sub(sent) > apart) {
		h.timed = false
	}
}

// act is one step of a session that a line of the log tells of.
type act struct {
	*Event
	kind          string
	showing       Showing
	stands        int64 // the generation that the line names
	began, latest int64
	// after is the act that comes before this one in any case, or -1.
	after int
}

func (a act) String() string {
	text := a.Event.Event.Action
	if a.Event.Event.Reason != "" {
		text += " (" + a.Event.Event.Reason + ")"
	}
	if a.Keyturn.Presented != nil {
		text += fmt.Sprintf(" of token %d, at generation %d", *a.Keyturn.Presented, *a.Keyturn.Generation)
	}
	return text + " at " + a.Written.Format("15:04:05.000000")
}

// session looks for an order of the lines of a session.
func (h *history) session(list []Event) string {
	var acts []act
	for i := range list {
		acts = h.acts(acts, &list[i])
	}
	s := search{history: h, acts: acts, dead: map[string]bool{}, left: 50_000}
	if s.order(make([]byte, len(acts)), standing{}, 0) || s.left == 0 {
		return ""
	}
	return "the model forbids " + s.stuck()
}

func (h *history) acts(acts []act, e *Event) []act {
	a := act{Event: e, began: math.MinInt64, latest: e.Written.UnixNano(), after: -1}
	if sent, ok := e.sent(); ok && h.timed {
		a.began = sent.UnixNano()
	}
	if !h.timed {
		a.latest = math.MaxInt64
	}
	if e.Keyturn.Generation != nil && e.Keyturn.Presented != nil {
		a.stands, a.showing.Generation = *e.Keyturn.Generation, int32(*e.Keyturn.Presented)
	}
	a.showing.Foreign = e.Event.Reason == "foreign_client"
	success := e.Event.Outcome == "success"
	switch action := e.Event.Action; {
	case action == "token-issued" && success:
		a.kind = "begin"
	case action == "token-refreshed" && success:
		a.kind = "advance"
		if e.Event.Reason == "retry" {
			a.kind = "repeat"
		}
	case action == "token-reuse" && e.Keyturn.Presented != nil:
		a.kind = "reuse"
		if e.Event.Reason != "reused_token" && e.Event.Reason != "foreign_client" {
			return append(acts, a) // the store could not end it
		}
		acts = append(acts, a)
		if a.kind, a.after = "end", len(acts)-1; e.Event.ID == "" {
			a.kind = "refusal" // another has ended it
		}
	case action == "token-reuse" && e.Event.ID != "": // of an authorization code
		a.kind = "end"
	case (action == "token-revoked" && e.Keyturn.Token == "" || action == "session-ended") && success && e.Event.ID != "":
		a.kind = "end"
	case e.Event.Reason == "ended_session" && e.Keyturn.Presented != nil:
		a.kind = "refusal"
	default:
		return acts
	}
	return append(acts, a)
}

// standing is a session as the acts so far leave it. Unlogged says that what moved it
// here has no line: its server died, or could not write it, or the store its answer.
type standing struct {
	Session
	unlogged bool
	// told is the newest token that somebody was given.
	told int64
}

// search looks for an order, back and forth.
type search struct {
	*history
	acts []act
	dead map[string]bool
	left int
	// best is the longest beginning of an order that was found.
	best     int
	forbids  []act
	standing standing
}

// order reports whether what is not done can follow on s in some order.
func (s *search) order(done []byte, now standing, n int) bool {
	if n == len(s.acts) {
		return true
	}
	key := fmt.Sprint(string(done), now)
	if s.dead[key] || s.left == 0 {
		return s.left == 0
	}
	s.left--
	end := int64(math.MaxInt64)
	for i := range s.acts {
		if done[i] == 0 {
			end = min(end, s.acts[i].latest)
		}
	}
	var refused []act
	for i := range s.acts {
		a := s.acts[i]
		if done[i] != 0 || a.began > end || a.after >= 0 && done[a.after] == 0 {
			continue
		}
		next, ok := s.allows(now, a)
		if !ok {
			refused = append(refused, a)
			continue
		}
		done[i] = 1
		if s.order(done, next, n+1) {
			return true
		}
		done[i] = 0
	}
	if n >= s.best {
		s.best, s.forbids, s.standing = n, refused, now
	}
	s.dead[key] = true
	return false
}

func (s *search) stuck() string {
	if len(s.forbids) == 0 {
		return "the order of the lines"
	}
	return fmt.Sprintf("%v where the session stands at %d (ended: %v)", s.forbids[0], s.standing.Generation, s.standing.Ended)
}

// allows says what the model makes of an act, and of what must have happened without a
// line for it to be possible.
func (s *search) allows(now standing, a act) (standing, bool) {
	shown := int64(a.showing.Generation)
	moved := now
	switch a.kind {
	case "begin":
		moved.Born = true
		return moved, !now.Born
	case "end":
		moved.Ended = true
		return moved, now.Born && !now.Ended
	case "refusal":
		return now, now.Ended || s.ended[a.User.ID] || s.ended[a.Keyturn.Client]
	}
	if !now.Born || shown > now.told && !s.Lossy {
		return now, false // nobody was given this token
	}
	// What has no line may have moved the session on, or back from there.
	for _, from := range []standing{now, now.silently(shown), now.silently(int64(now.Generation)), now.back()} {
		verdict := Present(from.Session, a.showing)
		next := standing{verdict.After(from.Session, a.showing), from.unlogged, now.told}
		switch a.kind {
		case "advance":
			again := verdict == Repeats && (from.unlogged || s.TwoWin || s.Lossy)
			if (verdict == Advances || again) && a.stands == shown+1 {
				next.Generation, next.unlogged = int32(a.stands), false
				return next.telling(a.stands), true
			}
		case "repeat":
			if verdict == Repeats && a.stands == shown+1 {
				return next.telling(a.stands), true
			}
		case "reuse":
			if a.showing.Late = s.Bounded; int64(from.Generation) == a.stands && (verdict == Reused || Present(from.Session, a.showing) == Reused) {
				next.Session = from.Session // its end is an act of its own
				return next, true
			}
		}
	}
	return now, false
}

// silently is the session after a refresh that has no line.
func (n standing) silently(token int64) standing {
	if t := (Showing{Generation: int32(token)}); Present(n.Session, t) == Advances {
		n.Session, n.unlogged = Advances.After(n.Session, t), true
	}
	return n
}

// back is the session after that was taken back.
func (n standing) back() standing {
	if n.unlogged {
		n.Generation--
		n.unlogged = false
	}
	return n
}

// telling is the session once a token was given to somebody.
func (n standing) telling(token int64) standing {
	n.told = max(n.told, token)
	return n
}
