// Package argon2 computes Argon2i and Argon2id (RFC 9106) as
// golang.org/x/crypto/argon2 does, with its code, but in memory that is used
// again.
//
// That package takes new memory for each hash. Clearing it is a twentieth of a
// hash's time at 19 MiB, and as garbage it makes a server under a load of logins
// hold several times what its hashes need. It offers no other way in
// (golang/go#36634), so its functions are reached by name; before their first
// use they are held against its front door, and should they ever differ, that
// is used instead.
package argon2

import (
	"bytes"
	"sync"

	"golang.org/x/crypto/argon2"
)

// Version is the version of Argon2 computed here.
const Version = argon2.Version

// The types of Argon2, as they are numbered in RFC 9106 §3.2.
const (
	typeI  = 1
	typeID = 2
)

// IDKey returns what x/crypto's IDKey returns. Safe for concurrent use.
func IDKey(password, salt []byte, time, memory uint32, threads uint8, keyLen uint32) []byte {
	if !sameAsFrontDoor() || time < 1 || threads < 1 {
		return argon2.IDKey(password, salt, time, memory, threads, keyLen)
	}
	return derive(typeID, password, salt, time, memory, uint32(threads), keyLen)
}

// Key returns what x/crypto's Key, which is Argon2i, returns. Safe for
// concurrent use.
func Key(password, salt []byte, time, memory uint32, threads uint8, keyLen uint32) []byte {
	if !sameAsFrontDoor() || time < 1 || threads < 1 {
		return argon2.Key(password, salt, time, memory, threads, keyLen)
	}
	return derive(typeI, password, salt, time, memory, uint32(threads), keyLen)
}

// sameAsFrontDoor holds one hash of each type against x/crypto's own.
var sameAsFrontDoor = sync.OnceValue(func() (same bool) {
	defer func() {
		if recover() != nil {
			same = false
		}
	}()
	password, salt := []byte("password"), []byte("somesaltsomesalt")
	const passes, memory, threads, length = 2, 64, 2, 40
	return bytes.Equal(derive(typeID, password, salt, passes, memory, threads, length),
		argon2.IDKey(password, salt, passes, memory, threads, length)) &&
		bytes.Equal(derive(typeI, password, salt, passes, memory, threads, length),
			argon2.Key(password, salt, passes, memory, threads, length))
})

// derive is RFC 9106 §3.2.
func derive(kind int, password, salt []byte, time, memory, threads, keyLen uint32) []byte {
	h0 := initHash(password, salt, nil, nil, time, memory, threads, keyLen, kind)
	// A lane is a whole number of slices, of two blocks at the least.
	memory = max(memory/(slices*threads), 2) * slices * threads
	a := pool.take(memory)
	defer pool.give(a)
	f := filling{
		b: a.blocks[:memory], kind: kind, time: time, memory: memory, threads: threads,
		lane: memory / threads, segment: memory / threads / slices,
	}
	f.start(h0)
	f.fill()
	key := extractKey(f.b, memory, threads, keyLen)
	clear(f.b[memory-1:]) // the one block that the key follows from
	return key
}
