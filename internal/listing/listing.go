// Package listing reads all records of a store page by page.
package listing

import (
	"context"
	"iter"
)

// Page is the number of records on a page.
const Page = 500

// All yields every record that list returns, page by page; id returns the sort
// key of a record. After an error of list it yields that error and stops.
func All[T any](
	ctx context.Context, list func(ctx context.Context, after string, limit int) ([]T, error), id func(T) string,
) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for after := ""; ; {
			page, err := list(ctx, after, Page)
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, record := range page {
				if after = id(record); !yield(record, nil) {
					return
				}
			}
			if len(page) < Page {
				return
			}
		}
	}
}
