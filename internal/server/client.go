package server

import (
	"net/http"
	"sync/atomic"
	"time"
)

// unknownClient stands for the address of a client for which the proxy sent no
// readable one.
const unknownClient = "unknown"

const (
	// unreadableQuiet is the least time between two log lines about it.
	unreadableQuiet = time.Minute
	// unreadableRecent is how long a replica warns after the last one.
	unreadableRecent = 10 * time.Minute
	// maxShown bounds the part of a header in the log, in bytes.
	maxShown = 200
)

// unreadable counts the requests of unknown clients. It is safe for concurrent
// use.
type unreadable struct {
	count atomic.Uint64
	// last is when the last one came and told when the log last reported it, by
	// uptime.
	last, told atomic.Int64
}

// clientIP returns the address of the client of a route, or unknownClient, of which it
// warns. It does not for a look at the health, where nothing is decided: its own answer
// says so, and keyturn doctor tries what is believed that way.
func (s *Server) clientIP(r *http.Request, route string) string {
	if ip := s.settings.Clients.Find(r); ip.IsValid() {
		return ip.String()
	}
	if route == readyPath {
		return unknownClient
	}
	s.health.unreadable.count.Add(1)
	now := int64(uptime())
	s.health.unreadable.last.Store(now)
	told := s.health.unreadable.told.Load()
	if (told == 0 || now-told >= int64(unreadableQuiet)) && s.health.unreadable.told.CompareAndSwap(told, now) {
		header := s.settings.Clients.Shown(r)
		s.log.Warn().Str("proxy", r.RemoteAddr).Str("header", header[:min(len(header), maxShown)]).
			Msg("a trusted proxy sends addresses that cannot be read, or in another header than client_address names; its clients are throttled by their accounts alone")
	}
	return unknownClient
}

// recent reports whether a client was unknown recently.
func (u *unreadable) recent() bool {
	last := u.last.Load()
	return last != 0 && int64(uptime())-last < int64(unreadableRecent)
}
