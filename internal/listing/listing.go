// Package listing reads what a store lists page by page.
package listing

import (
	"context"
	"iter"
)

// Page is how many records are asked for at once.
const Page = 500

// All yields every record that list returns, from the first page to the last; id
// is what the listing is sorted by. An error of list is the last that it yields.
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
