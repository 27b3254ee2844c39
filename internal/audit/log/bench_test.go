package log

import (
	"crypto/sha256"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
)

var benchEvent = audit.Event{
	Action: audit.TokenRefreshed, Outcome: audit.Success, UserID: "0193a1c2-7f3e-7c11-9c7a-3f1d6a0b5e42", UserEmail: "ada@example.org",
	ClientID: "shop", SessionID: "0193a1c2-7f3e-7c11-9c7a-3f1d6a0b5e43", TokenID: "0193a1c2-7f3e-7c11-9c7a-3f1d6a0b5e44",
	Grant: "refresh_token", Scope: "openid email", HasGeneration: true, Generation: 4, Presented: 3,
}

var benchRequest = audit.Request{
	ID: "0193a1c2-7f3e-7c11-9c7a-3f1d6a0b5e45", IP: "192.0.2.7",
	UserAgent: "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
}

func BenchmarkEncode(b *testing.B) {
	suffix, now := lineSuffix("1.2.3", "host:/var/log/keyturn/audit.log"), time.Now()
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = appendBody(buf[:0], &benchEvent, &benchRequest, "", now, suffix)
	}
}

func benchmarkRecord(b *testing.B, o Options) {
	o.Node = "host"
	l, err := Open(o)
	if err != nil {
		b.Fatal(err)
	}
	defer closeLog(b, l)
	ctx := audit.WithRequest(b.Context(), benchRequest)
	b.ReportAllocs()
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := l.Record(ctx, benchEvent); err != nil {
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
	ctx := audit.WithRequest(b.Context(), benchRequest)
	for b.Loop() {
		if err := l.Record(ctx, benchEvent); err != nil {
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
	ctx := audit.WithRequest(b.Context(), benchRequest)
	for range 20000 {
		if err := l.Record(ctx, benchEvent); err != nil {
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
			if err := Lines([]string{path}, func(line []byte) error { sha256.Sum256(line); return nil }); err != nil {
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
