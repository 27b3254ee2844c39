package e2e

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// steady puts in the place of what differs from run to run what does not: the
// same for the same, in the order of appearance.
type steady struct {
	known map[string]string
	count map[string]int
	rules []rule
}

type rule struct {
	kind string
	// finds has one group, which is replaced.
	finds *regexp.Regexp
	// made makes the n-th replacement of its kind.
	made func(was string, n int) string
	// always makes another each time.
	always bool
}

func newSteady() *steady {
	fixed := func(s string) func(string, int) string { return func(string, int) string { return s } }
	begin := time.Date(2026, 11, 24, 9, 0, 0, 123456789, time.UTC)
	return &steady{known: map[string]string{}, count: map[string]int{}, rules: []rule{
		{"seq", regexp.MustCompile(`"seq":(\d+)`), func(_ string, n int) string { return fmt.Sprint(n) }, true},
		{"prev", regexp.MustCompile(`"prev":"([0-9a-f]{64})"`), func(_ string, n int) string {
			sum := sha256.Sum256([]byte(fmt.Sprint(n)))
			return hex.EncodeToString(sum[:])
		}, true},
		// It depends on who else has just written.
		{"after", regexp.MustCompile(`(,"after":"[0-9a-f]{64}")`), fixed(""), true},
		// The tests' own clients send it; see send.
		{"trace", regexp.MustCompile(`(,"trace":\{"id":"[0-9a-f]{32}"\})`), fixed(""), true},
		{"jws", regexp.MustCompile(`"checkpoint":"([^"]+)"`), fixed("eyJhbGciOiJFUzI1NiJ9.eyJjaGFpbiI6Ii4uLiJ9.c2lnbmF0dXJl"), false},
		{"kid", regexp.MustCompile(`"kid":"([\w-]{43})"`), func(_ string, n int) string {
			sum := sha256.Sum256([]byte(fmt.Sprint(n)))
			return base64.RawURLEncoding.EncodeToString(sum[:])
		}, false},
		{"pid", regexp.MustCompile(`"process":\{"pid":(\d+)`), fixed("4711"), true},
		{"user", regexp.MustCompile(`"process":\{"pid":4711,"command_line":"[^"]*","user":\{"name":"([^"]+)"`), fixed("keyturn"), true},
		{"operator", regexp.MustCompile(`"related":\{"user":\[(?:[^\]]*,)?"([^"]+)"\]`), fixed("keyturn"), true},
		{"host", regexp.MustCompile(`"host":\{"name":"([^"]+)"`), fixed("login-1"), true},
		{"hosts", regexp.MustCompile(`"hosts":\["([^"]+)"\]`), fixed("login-1"), true},
		{"command", regexp.MustCompile(`"command_line":"([^"]*)"`), func(was string, _ int) string {
			// The flags name files of the test.
			words := strings.Fields(was)
			if n := slices.IndexFunc(words, func(w string) bool { return strings.HasPrefix(w, "--") }); n >= 0 {
				words = words[:n]
			}
			for i, w := range words {
				if words[i] = filepath.Base(w); len(words[i]) == 43 { // and not the path, whose length is chance
					words[i] = "KID"
				}
			}
			return strings.Join(words, " ")
		}, true},
		{"why", regexp.MustCompile(`"detail":"((?:audit event was not written to|sync) [^"]+)"`),
			fixed("audit event was not written to /var/log/keyturn/audit.log: no space left on device"), true},
		{"uuid", regexp.MustCompile(`([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})`), func(was string, n int) string {
			return fmt.Sprintf("00000000-0000-%c000-8000-%012d", was[14], n)
		}, false},
		// In one second or in two, as it happens.
		{"until", regexp.MustCompile(`valid until ([\w:-]+)`), fixed("2026-11-25T09:00:00Z"), true},
		{"time", regexp.MustCompile(`(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z)`), func(was string, n int) string {
			at := begin.Add(time.Duration(n) * time.Minute)
			if len(was) == len("2006-01-02T15:04:05.000000000Z") {
				return at.Format("2006-01-02T15:04:05.000000000Z")
			}
			return at.Format(time.RFC3339)
		}, false},
		{"cause", regexp.MustCompile(`Z: (audit event was not written to [^"]+)"`),
			fixed("audit event was not written to /var/log/keyturn/audit.log: no space left on device"), true},
		{"node", regexp.MustCompile(`"node":\{"name":"([^"]+)"`), fixed("login-1:/var/log/keyturn/audit.log"), false},
		{"version", regexp.MustCompile(`"service":\{"name":"keyturn","version":"([^"]+)"`), fixed("1.0.0"), false},
	}}
}

func (s *steady) line(line string) string {
	for _, r := range s.rules {
		at := 0
		for {
			found := r.finds.FindStringSubmatchIndex(line[at:])
			if found == nil {
				break
			}
			from, to := at+found[2], at+found[3]
			put := s.put(r, line[from:to])
			line = line[:from] + put + line[to:]
			at = from + len(put)
		}
	}
	return line
}

func (s *steady) put(r rule, was string) string {
	key := r.kind + " " + was
	if put, ok := s.known[key]; ok && !r.always {
		return put
	}
	put := r.made(was, s.count[r.kind])
	s.count[r.kind]++
	s.known[key] = put
	return put
}
