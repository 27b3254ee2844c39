package model

import (
	"fmt"
	"strings"
	"time"
)

// keyLife is what the logs tell of a signing key.
type keyLife struct {
	made, erased bool
	// from is the time from which a line says that it signs.
	from time.Time
}

// keys holds the lines about keys, and the keys of tokens, against the model. The lines
// of one process are in the order in which it wrote them; of several, only times tell.
func (h *history) keys(events []Event) (wrong []string) {
	lives := map[string]*keyLife{}
	life := func(kid string) *keyLife {
		if lives[kid] == nil {
			lives[kid] = &keyLife{}
		}
		return lives[kid]
	}
	whole := false
	for i := range events {
		e := &events[i]
		if e.Event.Outcome != "success" || e.Keyturn.Key == "" {
			continue
		}
		k := life(e.Keyturn.Key)
		switch e.Event.Action {
		case "key-created":
			k.made, whole = true, whole || e.Event.Reason == "first_key"
			k.from = signsFrom(e)
		case "key-erased":
			k.erased = true
		}
	}
	if !whole || h.Lossy {
		return nil
	}
	// turned holds, for each process, when it wrote that it signs with a key, and last
	// the key that it named last.
	turned, last := map[string]map[string]time.Time{}, map[string]string{}
	for i := range events {
		e := &events[i]
		kid, chain := e.Keyturn.Key, e.Keyturn.Chain.ID
		if e.Event.Outcome != "success" || kid == "" {
			continue
		}
		forbid := func(invariant string) {
			wrong = append(wrong, fmt.Sprintf("key %s: the model forbids %s at %s: %s", kid, e.Event.Action, e.Written.Format("15:04:05.000000"), invariant))
		}
		switch k := life(kid); e.Event.Action {
		case "key-activated":
			if turned[chain] == nil {
				turned[chain] = map[string]time.Time{}
			}
			turned[chain][kid], last[chain] = e.Written, kid
			if !k.made {
				forbid("K1: it was never made")
			}
			if h.timed && e.Keyturn.Detail != "emergency" && e.Written.Before(k.from) {
				forbid("K1: it was to sign later")
			}
		case "key-archived":
			if !k.erased {
				forbid("K4: its private half was not erased")
			}
		case "token-issued", "token-refreshed":
			if !k.made {
				forbid("K1: it was never made")
			}
			before, signed := turned[chain][kid]
			now := turned[chain][last[chain]]
			if sent, ok := e.sent(); ok && h.timed && !h.Rings && !h.WrongClock && signed && now.After(before) && sent.After(now) {
				forbid("K5, K6: its server had turned to another")
			}
		}
	}
	return wrong
}

// signsFrom is the time that a line names from which its key signs.
func signsFrom(e *Event) time.Time {
	_, text, _ := strings.Cut(e.Keyturn.Detail, "signs from ")
	at, _ := time.Parse(time.RFC3339Nano, text)
	return at
}
