package argon2

import (
	"bytes"
	"encoding/hex"
	"runtime"
	"testing"

	"golang.org/x/crypto/argon2"
	"pgregory.net/rapid"
)

// TestSameAsFrontDoor holds hashes of every form against x/crypto's own, in
// memory that others have used before.
func TestSameAsFrontDoor(t *testing.T) {
	if !sameAsFrontDoor() {
		t.Fatal("x/crypto's functions are not what they were: every hash is computed in memory of its own")
	}
	rapid.Check(t, func(t *rapid.T) {
		password := rapid.SliceOfN(rapid.Byte(), 0, 80).Draw(t, "password")
		salt := rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "salt")
		passes := rapid.Uint32Range(1, 4).Draw(t, "passes")
		memory := rapid.Uint32Range(0, 3000).Draw(t, "memory")
		threads := rapid.Uint8Range(1, 5).Draw(t, "threads")
		length := rapid.Uint32Range(1, 100).Draw(t, "length")
		if got, want := IDKey(password, salt, passes, memory, threads, length), argon2.IDKey(password, salt, passes, memory, threads, length); !bytes.Equal(got, want) {
			t.Errorf("argon2id: %x; want %x", got, want)
		}
		if got, want := Key(password, salt, passes, memory, threads, length), argon2.Key(password, salt, passes, memory, threads, length); !bytes.Equal(got, want) {
			t.Errorf("argon2i: %x; want %x", got, want)
		}
	})
}

// TestReference is a hash that the reference implementation's own tests give
// (argon2id, version 1.3, t=2, m=2^16 KiB, p=1).
func TestReference(t *testing.T) {
	const want = "09316115d5cf24ed5a15a31a3ba326e5cf32edc24702987c02b6566f61913cf7"
	if got := hex.EncodeToString(IDKey([]byte("password"), []byte("somesalt"), 2, 1<<16, 1, 32)); got != want {
		t.Errorf("got %s; want %s", got, want)
	}
}

func TestMemoryFits(t *testing.T) {
	var m memory
	for _, n := range []uint32{8, 6, 9, 8} {
		a := m.take(n)
		if uint32(len(a.blocks)) < n {
			t.Errorf("asked for %d blocks, got %d", n, len(a.blocks))
		}
		m.give(a)
	}
}

func TestMemoryIsTakenAgain(t *testing.T) {
	var m memory
	first, second := m.take(8), m.take(8)
	m.give(first)
	m.give(second)
	if a, b := m.take(8), m.take(8); a == b || a != first && a != second || b != first && b != second {
		t.Error("two areas came back, and others were made")
	}
	runtime.KeepAlive(first)
	runtime.KeepAlive(second)
}

func TestMemoryIsNotKept(t *testing.T) {
	var m memory
	m.give(m.take(8))
	runtime.GC()
	if a := m.free[0].Value(); a != nil {
		t.Error("memory that no hash needs was kept")
	}
}

// BenchmarkIDKey hashes on all cores.
func BenchmarkIDKey(b *testing.B) {
	for name, key := range map[string]func(password, salt []byte, time, memory uint32, threads uint8, keyLen uint32) []byte{
		"again": IDKey, "new": argon2.IDKey,
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					key([]byte("password"), []byte("sixteen bytes ok"), 2, 19456, 1, 32)
				}
			})
		})
	}
}
