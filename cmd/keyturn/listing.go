package main

import "context"

// listPage is how many records are read from the store at once.
const listPage = 500

// listAll reads a listing of the store to its end, page by page, and returns
// every record as row makes it.
func listAll[T, R any](
	ctx context.Context, list func(ctx context.Context, after string, limit int) ([]T, error), id func(T) string, row func(T) R,
) ([]R, error) {
	rows := []R{}
	for after := ""; ; {
		page, err := list(ctx, after, listPage)
		if err != nil {
			return nil, err
		}
		for _, record := range page {
			rows = append(rows, row(record))
			after = id(record)
		}
		if len(page) < listPage {
			return rows, nil
		}
	}
}
