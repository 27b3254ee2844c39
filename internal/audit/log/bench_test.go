package log

import (
	"crypto/sha256"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/keyturn/keyturn/internal/audit"
)

func benchmarkRecord(b *testing.B, o Options) {
	o.Node = "host"
	l, err := Open(o)
	if err != nil {
		b.Fatal(err)
	}
	defer closeLog(b, l)
	ctx := audit.WithRequest(b.Context(), fullRequest)
	b.ReportAllocs()
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := l.Record(ctx, full); err != nil {
				b.Error(err)
			}
		}
	})
}

func BenchmarkRecord(b *testing.B) {
	b.Run("discarding", func(b *testing.B) { benchmarkRecord(b, Options{Writer: io.Discard}) })
	b.Run("file", func(b *testing.B) {
		benchmarkRecord(b, Options{Sink: filepath.Join(b.TempDir(), "audit.log")})
	})
}

func BenchmarkRecordAlone(b *testing.B) {
	l, err := Open(Options{Sink: filepath.Join(b.TempDir(), "audit.log"), Node: "host"})
	if err != nil {
		b.Fatal(err)
	}
	defer closeLog(b, l)
	ctx := audit.WithRequest(b.Context(), fullRequest)
	for b.Loop() {
		if err := l.Record(ctx, full); err != nil {
			b.Fatal(err)
		}
	}
}

// benchFile writes a log of 20000 lines and returns its path and size.
func benchFile(b *testing.B) (string, int64) {
	b.Helper()
	path := filepath.Join(b.TempDir(), "audit.log")
	l, err := Open(Options{Sink: path, Node: "host"})
	if err != nil {
		b.Fatal(err)
	}
	ctx := audit.WithRequest(b.Context(), fullRequest)
	for range 20000 {
		if err := l.Record(ctx, full); err != nil {
			b.Fatal(err)
		}
	}
	closeLog(b, l)
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
			mustVerify(b, VerifyOptions{}, path)
		}
	})
	b.Run("sha256 of the lines", func(b *testing.B) {
		b.SetBytes(size)
		for b.Loop() {
			if err := Lines([]string{path}, func(text []byte) error { sha256.Sum256(text); return nil }); err != nil {
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
