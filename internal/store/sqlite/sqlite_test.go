package sqlite

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/keyturn/keyturn/internal/store"
	"github.com/keyturn/keyturn/internal/store/storetest"
)

func TestStore(t *testing.T) {
	storetest.Run(t, storetest.Factory{New: func(t *testing.T) storetest.Opener {
		path := filepath.Join(t.TempDir(), "keyturn.db")
		return func(ctx context.Context) (store.Store, error) { return Open(ctx, path) }
	}})
}
