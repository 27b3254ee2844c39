package server_test

import (
	"context"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	auditlog "github.com/keyturn/keyturn/internal/audit/log"
)

// benchWorld has a real audit log beside the real store.
func benchWorld(b *testing.B) *world {
	log, err := auditlog.Open(auditlog.Options{Sink: filepath.Join(b.TempDir(), "audit.log"), Node: "bench", Version: "bench"})
	must(b, err)
	b.Cleanup(func() { log.Close() })
	return newWorldWith(b, log)
}

// unlogged takes events and keeps none.
type unlogged struct{}

func (unlogged) Record(context.Context, audit.Event) error { return nil }

// BenchmarkRefresh is one whole refresh: HTTP decoding, client, family, durable
// write, signature, audit line, encoding. 32 clients share the group commits.
// Beside it stand the same without an audit log, and of sessions with the scope
// openid, whose tokens have an ID token beside them: a signature more.
func BenchmarkRefresh(b *testing.B) {
	b.Run("logged", func(b *testing.B) { benchmarkRefresh(b, benchWorld(b), "email") })
	b.Run("unlogged", func(b *testing.B) { benchmarkRefresh(b, newWorldWith(b, unlogged{}), "email") })
	b.Run("openid", func(b *testing.B) { benchmarkRefresh(b, benchWorld(b), "openid email") })
}

func benchmarkRefresh(b *testing.B, w *world, scope string) {
	const clients = 32
	held := make([]string, clients)
	for i := range held {
		held[i] = read[tokens](b, w.post("/oauth/token", url.Values{"grant_type": {"password"},
			"username": {email}, "password": {password}, "scope": {scope}}), 200).Refresh
	}
	var next atomic.Int32
	b.SetParallelism(clients / 2)
	b.ReportAllocs()
	used := cpuTime(b)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		mine := int(next.Add(1)-1) % clients
		for pb.Next() {
			rec := w.post("/oauth/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {held[mine]}})
			held[mine] = read[tokens](b, rec, 200).Refresh
		}
	})
	b.ReportMetric(float64(cpuTime(b)-used)/float64(b.N), "cpu-ns/op")
}

// cpuTime is the time that this process has had of the processors: what other
// work on the machine slows does not count.
func cpuTime(b *testing.B) time.Duration {
	var used syscall.Rusage
	must(b, syscall.Getrusage(syscall.RUSAGE_SELF, &used))
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// BenchmarkClientCredentials is one token without a session.
func BenchmarkClientCredentials(b *testing.B) {
	w := benchWorld(b)
	b.ReportAllocs()
	for b.Loop() {
		read[tokens](b, w.post("/oauth/token", url.Values{"grant_type": {"client_credentials"}}), 200)
	}
}

// BenchmarkJWKS is one fetch of the key set.
func BenchmarkJWKS(b *testing.B) {
	w := benchWorld(b)
	r := httptest.NewRequest("GET", "/.well-known/jwks.json", nil)
	b.ReportAllocs()
	for b.Loop() {
		if rec := w.serve(r); rec.Code != 200 {
			b.Fatal(rec.Code)
		}
	}
}
