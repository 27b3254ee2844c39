package server

import (
	"maps"
	"slices"

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
