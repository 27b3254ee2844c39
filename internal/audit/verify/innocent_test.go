package verify_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/audit/audittest"
	"github.com/keyturn/keyturn/internal/audit/line"
	auditlog "github.com/keyturn/keyturn/internal/audit/log"
	"github.com/keyturn/keyturn/internal/audit/verify"
)

// history is what happens to a log. Its clock is moved by hand; a list of heads is
// kept in the middle of it.
type history struct {
	*audittest.Fixture
	t    *testing.T
	ns   atomic.Int64 // what the clock shows; logs read it as they like
	kept []audit.Anchor
}

func (h *history) clock(o *auditlog.Options) {
	o.Now = func() time.Time { h.step(time.Millisecond); return h.now() }
}

func (h *history) step(d time.Duration) { h.ns.Add(int64(d)) }
func (h *history) now() time.Time       { return time.Unix(0, h.ns.Load()).UTC() }

// server begins a server's chain in the file at path.
func (h *history) server(path string) *auditlog.Log {
	h.t.Helper()
	return h.Open(h.t, h.clock, func(o *auditlog.Options) { o.Sink, o.Seen = path, h.Anchors.All() })
}

// command writes what a command does, of which it is a chain's only line.
func (h *history) command() {
	h.t.Helper()
	l := h.Open(h.t, h.clock)
	l.SetSigner(keyless{})
	if err := l.Record(h.t.Context(), audit.Event{Action: audit.UserAdded, Outcome: audit.Success, UserID: "u1"}); err != nil {
		h.t.Fatal(err)
	}
	audittest.Close(h.t, l)
}

func (h *history) keep() { h.kept = h.Anchors.All() }

func (h *history) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *history) read(path string) []byte {
	h.t.Helper()
	b, err := os.ReadFile(path)
	h.must(err)
	return b
}

// extend writes behind the end of a file, as somebody who is no log of ours.
func (h *history) extend(path string, content []byte) {
	h.t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o600)
	h.must(err)
	_, err = f.Write(content)
	h.must(errors.Join(err, f.Close()))
}

// rotated writes on, has the file rotated as told, and writes on again.
func rotated(rotate func(h *history, l *auditlog.Log) string) func(h *history) []string {
	return func(h *history) []string {
		l := h.server(h.Path)
		audittest.Record(h.t, l, 3)
		h.command()
		h.keep()
		old := rotate(h, l)
		h.command()
		audittest.Record(h.t, l, 3)
		h.command()
		audittest.Close(h.t, l)
		return []string{h.Path, old}
	}
}

// innocent are histories in which nobody changed anything. Each returns its files.
var innocent = map[string]func(h *history) []string{
	"a server is killed, and another begins": func(h *history) []string {
		audittest.Record(h.t, h.server(h.Path), 7)
		h.command()
		h.keep()
		l := h.server(h.Path)
		audittest.Record(h.t, l, 2)
		audittest.Close(h.t, l)
		return []string{h.Path}
	},
	"a server is killed while it writes, and commands go on": func(h *history) []string {
		audittest.Record(h.t, h.server(h.Path), 3)
		h.keep()
		h.extend(h.Path, []byte(h.Lines(h.t)[0][:200]))
		h.command()
		h.command()
		return []string{h.Path}
	},
	"a server is killed while it writes, and nobody goes on": func(h *history) []string {
		audittest.Record(h.t, h.server(h.Path), 3)
		h.keep()
		h.extend(h.Path, []byte(h.Lines(h.t)[0][:200]))
		return []string{h.Path}
	},
	"logrotate with copytruncate": rotated(func(h *history, _ *auditlog.Log) string {
		h.must(os.WriteFile(h.Path+".1", h.read(h.Path), 0o600))
		h.must(os.Truncate(h.Path, 0))
		return h.Path + ".1"
	}),
	"logrotate with create": rotated(func(h *history, _ *auditlog.Log) string {
		h.must(os.Rename(h.Path, h.Path+".1"))
		h.must(os.WriteFile(h.Path, nil, 0o600))
		return h.Path + ".1"
	}),
	"logrotate with nocreate and a late signal": rotated(func(h *history, l *auditlog.Log) string {
		h.must(os.Rename(h.Path, h.Path+".1"))
		audittest.Record(h.t, l, 2)
		h.must(l.Reopen())
		return h.Path + ".1"
	}),
	"logrotate that compresses with gzip": rotated(func(h *history, _ *auditlog.Log) string {
		h.must(os.WriteFile(h.Path+".1.gz", compressed[".gz"](h.t, h.read(h.Path)), 0o600))
		h.must(os.Remove(h.Path))
		return h.Path + ".1.gz"
	}),
	"logrotate that compresses with zstd": rotated(func(h *history, _ *auditlog.Log) string {
		h.must(os.WriteFile(h.Path+".1.zst", compressed[".zst"](h.t, h.read(h.Path)), 0o600))
		h.must(os.Remove(h.Path))
		return h.Path + ".1.zst"
	}),
	"the clock is set back and forth": func(h *history) []string {
		l := h.server(h.Path)
		for _, step := range []time.Duration{0, -time.Hour, 24 * time.Hour, -24 * time.Hour, time.Minute, -time.Second} {
			h.step(step)
			audittest.Record(h.t, l, 2)
			h.command()
			if step == 24*time.Hour {
				h.keep()
			}
		}
		audittest.Close(h.t, l)
		return []string{h.Path}
	},
	"two replicas share a file": func(h *history) []string {
		a, b := h.server(h.Path), h.server(h.Path)
		for i := range 9 {
			audittest.Record(h.t, []*auditlog.Log{a, b, b}[i%3], 1+i%2)
			if i == 4 {
				h.keep()
			}
		}
		audittest.Close(h.t, a)
		audittest.Record(h.t, b, 1)
		audittest.Close(h.t, b)
		return []string{h.Path}
	},
	"two replicas have files of their own": func(h *history) []string { return h.replicas() },
	"the files of two replicas are shipped into one": func(h *history) []string {
		var all [2][]string
		for i, path := range h.replicas() {
			all[i] = audittest.ReadLines(h.t, path)
		}
		var shipped []string
		for i := 0; len(all[0])+len(all[1]) > 0; i++ {
			from := &all[i/3%2] // three lines of each in turn
			if len(*from) > 0 {
				shipped, *from = append(shipped, (*from)[0]), (*from)[1:]
			}
		}
		return []string{audittest.WriteLines(h.t, shipped)}
	},
	"a replica of an older version writes to the file": func(h *history) []string {
		l := h.server(h.Path)
		audittest.Record(h.t, l, 2)
		older := line.Beginning(line.NewChainID(h.now()), h.now())
		for range 3 {
			var b []byte
			if older.Seq < 0 {
				h.must(h.Anchors.SetAnchor(context.Background(), audit.Anchor{Chain: older.Chain, Seq: -1, Hash: line.NoHash, Node: l.Node(), At: h.now()}))
			}
			e := audit.Event{Action: audit.UserAdded, Outcome: audit.Success, UserID: "u"}
			b, older = older.Append(nil, line.AppendBody(nil, &e, &audit.Request{}, "", h.now(), line.Suffix("0.9", l.Node())), h.now())
			h.extend(h.Path, b)
			h.must(h.Anchors.SetAnchor(context.Background(), audit.Anchor{Chain: older.Chain, Seq: older.Seq, Hash: older.Hash(), Node: l.Node(), At: h.now()}))
			audittest.Record(h.t, l, 1)
			h.keep()
		}
		audittest.Close(h.t, l)
		return []string{h.Path}
	},
	"a store is restored, and heads were kept with its backup":  func(h *history) []string { return h.restored(h.keep, func() {}) },
	"a store is restored, and heads were kept after its backup": func(h *history) []string { return h.restored(func() {}, h.keep) },
	"the store is full while commands run": func(h *history) []string {
		h.command()
		h.keep()
		h.Anchors.FailHeads(errors.New("disk full"))
		h.command()
		h.Anchors.Fail(nil)
		h.command()
		return []string{h.Path}
	},
}

// restored has the store put back to a backup that is older than two chains and the
// end of a third, and go on. Heads are kept with the backup or before it is used.
func (h *history) restored(withBackup, before func()) []string {
	l := h.server(h.Path)
	audittest.Record(h.t, l, 3)
	h.command()
	withBackup()
	backup := h.Anchors.All()
	audittest.Record(h.t, l, 3)
	h.command()
	audittest.Close(h.t, l)
	h.command()
	before()
	h.Anchors = &audittest.MemoryAnchors{}
	for _, a := range backup {
		h.must(h.Anchors.SetAnchor(h.t.Context(), a))
	}
	ahead, unsigned, err := verify.Ahead([]string{h.Path}, verify.Options{Keys: h.Signer.Keys(), Anchors: backup})
	h.must(err)
	if len(ahead) != 1 || len(unsigned) != 2 {
		h.t.Errorf("the log is ahead by %+v, and by what is not signed, %+v", ahead, unsigned)
	}
	ahead = append(ahead, unsigned...)
	told := h.Open(h.t, h.clock)
	h.must(told.Record(h.t.Context(), audit.Event{Action: audit.StoreRestored, Outcome: audit.Success, Count: len(ahead)}))
	audittest.Close(h.t, told)
	for _, a := range ahead {
		h.must(h.Anchors.SetAnchor(h.t.Context(), a))
	}
	l = h.server(h.Path)
	audittest.Record(h.t, l, 2)
	h.command()
	audittest.Close(h.t, l)
	return []string{h.Path}
}

// replicas writes two logs side by side, the heads being kept in the middle.
func (h *history) replicas() []string {
	second := h.Path + ".second"
	a, b := h.server(h.Path), h.server(second)
	for i := range 8 {
		audittest.Record(h.t, a, 1)
		h.command()
		audittest.Record(h.t, b, 1)
		if i == 3 {
			h.keep()
		}
	}
	audittest.Close(h.t, a)
	audittest.Close(h.t, b)
	return []string{h.Path, second}
}

// TestA2_NothingInnocentIsCalledTampering verifies each history with every combination
// of evidence, the heads kept on the way and those of its end.
func TestA2_NothingInnocentIsCalledTampering(t *testing.T) {
	for name, happen := range innocent {
		t.Run(name, func(t *testing.T) {
			h := &history{Fixture: audittest.NewFixture(t), t: t}
			h.ns.Store(time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC).UnixNano())
			files := happen(h)
			for _, e := range combinations {
				for when, heads := range map[string][]audit.Anchor{"on the way": h.kept, "at the end": h.Anchors.All()} {
					var o verify.Options
					if e.keys || e.store {
						o.Keys = h.Signer.Keys()
					}
					if e.store {
						o.Anchors = h.Anchors.All()
					}
					if e.heads {
						o.Heads = slices.Clone(heads)
					}
					for _, read := range []func() error{
						func() error { _, err := verify.Files(files, o); return err },
						func() error {
							_, err := verify.Each(files, o, func([]byte) error { return nil })
							return err
						},
					} {
						if err := read(); err != nil {
							t.Errorf("with %s, heads of %s: %v", e, when, err)
						}
					}
				}
			}
			if t.Failed() {
				for _, f := range files {
					for i, l := range audittest.ReadLines(t, f) {
						t.Log(filepath.Base(f), fmt.Sprint(i+1), l[:min(len(l), 260)])
					}
				}
			}
		})
	}
}
