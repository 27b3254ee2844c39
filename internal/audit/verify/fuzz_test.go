package verify

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/audit/line"
)

func FuzzVerify(f *testing.F) {
	id := line.NewChainID(time.Unix(1e9, 0))
	at := time.Unix(1e9, 0)
	text, _ := line.Head{Chain: id, Seq: 11}.Append(nil, line.AppendBody(nil, &audit.Event{Action: audit.UserAdded, UserID: "u"}, &audit.Request{IP: "192.0.2.1"}, "a.b.c", at, line.Suffix("1", "n")), at)
	f.Add(text)
	f.Add(slices.Concat(text, text))
	f.Fuzz(func(t *testing.T, content []byte) {
		v := newVerifier(Options{})
		v.expect([]*source{{files: []string{v.place.file}}})
		for text := range bytes.Lines(content) {
			if v.take(bytes.TrimSuffix(text, []byte{'\n'})) != nil {
				break
			}
		}
		_ = v.end() // whatever it finds, it must not panic
		v.report()
	})
}
