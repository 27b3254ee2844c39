package server

import (
	"maps"
	"net"
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

// NewLazyConn is newLazyConn.
func NewLazyConn(c net.Conn) net.Conn { return newLazyConn(c) }

// LazyServer returns a server with the limits of a public listener, whose requests
// may take so long, and what has it serve on l.
func LazyServer(timeout time.Duration, h http.Handler) (srv *http.Server, serve func(l net.Listener) error) {
	s := &Server{settings: Settings{RequestTimeout: timeout}}
	srv = s.listenerFor(h)
	return srv, func(l net.Listener) error { return srv.Serve(lazyListener{l}) }
}

// The limits of every listener.
const (
	ReadHeaderTimeout = readHeaderTimeout
	IdleTimeout       = idleTimeout
)
