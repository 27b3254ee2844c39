package verify_test

import (
	"crypto/sha256"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/audit/audittest"
	auditlog "github.com/keyturn/keyturn/internal/audit/log"
	"github.com/keyturn/keyturn/internal/audit/verify"
)

// benchFile writes a log of 20000 lines and returns its path and size.
func benchFile(b *testing.B) (string, int64) {
	b.Helper()
	path := filepath.Join(b.TempDir(), "audit.log")
	l, err := auditlog.Open(auditlog.Options{Sink: path, Node: "host"})
	if err != nil {
		b.Fatal(err)
	}
	ctx := audit.WithRequest(b.Context(), audittest.FullRequest)
	for range 20000 {
		if err := l.Record(ctx, audittest.Full); err != nil {
			b.Fatal(err)
		}
	}
	audittest.Close(b, l)
	info, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	return path, info.Size()
}

func BenchmarkVerify(b *testing.B) {
	path, size := benchFile(b)
	b.Run("verify", func(b *testing.B) {
		b.SetBytes(size)
		for b.Loop() {
			audittest.MustVerify(b, verify.Options{}, path)
		}
	})
	b.Run("sha256 of the lines", func(b *testing.B) {
		b.SetBytes(size)
		for b.Loop() {
			if err := verify.Lines([]string{path}, func(text []byte) error { sha256.Sum256(text); return nil }); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("sha256 of the file", func(b *testing.B) {
		b.SetBytes(size)
		for b.Loop() {
			f, err := os.Open(path)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := io.Copy(sha256.New(), f); err != nil {
				b.Fatal(err)
			}
			if err := f.Close(); err != nil {
				b.Fatal(err)
			}
		}
	})
}
