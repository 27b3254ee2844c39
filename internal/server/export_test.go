package server

import (
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/gorilla/mux"
)

// Paths are the paths that the router knows, and those of the documents.
func (s *Server) Paths() ([]string, error) {
	paths := slices.Collect(maps.Keys(s.byPath))
	err := s.routes.Walk(func(route *mux.Route, _ *mux.Router, _ []*mux.Route) error {
		path, err := route.GetPathTemplate()
		paths = append(paths, path)
		return err
	})
	return paths, err
}

// PublicServer returns a server with the limits of a public listener, whose requests
// may take so long.
func PublicServer(timeout time.Duration, h http.Handler) *http.Server {
	s := &Server{settings: Settings{RequestTimeout: timeout}}
	return s.listenerFor(h)
}

// The limits of every listener.
const (
	ReadHeaderTimeout = readHeaderTimeout
	IdleTimeout       = idleTimeout
)
