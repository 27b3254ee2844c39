package log_test

import (
	"io"
	"path/filepath"
	"testing"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/audit/audittest"
	auditlog "github.com/keyturn/keyturn/internal/audit/log"
)

func benchmarkRecord(b *testing.B, o auditlog.Options) {
	o.Node = "host"
	l, err := auditlog.Open(o)
	if err != nil {
		b.Fatal(err)
	}
	defer audittest.Close(b, l)
	ctx := audit.WithRequest(b.Context(), audittest.FullRequest)
	b.ReportAllocs()
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := l.Record(ctx, audittest.Full); err != nil {
				b.Error(err)
			}
		}
	})
}

func BenchmarkRecord(b *testing.B) {
	b.Run("discarding", func(b *testing.B) { benchmarkRecord(b, auditlog.Options{Writer: io.Discard}) })
	b.Run("file", func(b *testing.B) {
		benchmarkRecord(b, auditlog.Options{Sink: filepath.Join(b.TempDir(), "audit.log")})
	})
}

func BenchmarkRecordAlone(b *testing.B) {
	l, err := auditlog.Open(auditlog.Options{Sink: filepath.Join(b.TempDir(), "audit.log"), Node: "host"})
	if err != nil {
		b.Fatal(err)
	}
	defer audittest.Close(b, l)
	ctx := audit.WithRequest(b.Context(), audittest.FullRequest)
	for b.Loop() {
		if err := l.Record(ctx, audittest.Full); err != nil {
			b.Fatal(err)
		}
	}
}
