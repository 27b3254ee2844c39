package main

import (
	"context"

	"github.com/keyturn/keyturn/internal/listing"
)

// listAll reads a listing of the store to its end and returns a row for every
// record.
func listAll[T, R any](
	ctx context.Context, list func(ctx context.Context, after string, limit int) ([]T, error), id func(T) string, row func(T) R,
) ([]R, error) {
	rows := []R{}
	for record, err := range listing.All(ctx, list, id) {
		if err != nil {
			return nil, err
		}
		rows = append(rows, row(record))
	}
	return rows, nil
}
