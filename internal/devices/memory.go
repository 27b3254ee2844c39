package devices

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
)

// period is the least time for which something stays known since it was last seen.
const period = 180 * 24 * time.Hour

// Counters keep what is known; see throttle.Counters.
type Counters interface {
	AddCount(ctx context.Context, key string, n int64, expireAt time.Time) (int64, error)
	Counts(ctx context.Context, keys []string) ([]int64, error)
}

// Memory remembers from what accounts were used, for half a year or up to a whole one:
// the device, as Of names it, and the place, which is the wider network of an address.
// Neither is kept itself, but a digest of it with the account. A Memory is safe for
// concurrent use, by all replicas together.
type Memory struct {
	Counters Counters
	Now      func() time.Time
}

// Sight is one use of an account.
type Sight struct {
	// New reports that the account was used before, but not from this device, or not
	// from this place.
	New bool
	// missing are the counters that are to know of it from now on.
	missing  []string
	expireAt time.Time
}

// Look compares a use of an account with those before. It reads once.
func (m *Memory) Look(ctx context.Context, account string, from audit.Request) (Sight, error) {
	now := m.Now().UnixMilli() / period.Milliseconds()
	s := Sight{expireAt: time.UnixMilli((now + 2) * period.Milliseconds())}
	subjects := [][]string{{account}, {account, "device", Of(from.UserAgent)}}
	if place := placeOf(from.IP); place != "" {
		subjects = append(subjects, []string{account, "place", place})
	}
	var keys []string
	for _, subject := range subjects {
		sum := sha256.Sum256([]byte(strings.Join(subject, "\x00")))
		id := hex.EncodeToString(sum[:16])
		keys = append(keys, fmt.Sprintf("seen:%s:%d", id, now), fmt.Sprintf("seen:%s:%d", id, now-1))
	}
	counts, err := m.Counters.Counts(ctx, keys)
	if err != nil {
		return Sight{}, err
	}
	unknown := make([]bool, len(subjects))
	for i := range subjects {
		of, before := counts[2*i], counts[2*i+1]
		if of == 0 {
			s.missing = append(s.missing, keys[2*i])
		}
		unknown[i] = of == 0 && before == 0
	}
	s.New = !unknown[0] && slices.Contains(unknown[1:], true)
	return s, nil
}

// Remember has what was seen be known. Most often it is, and nothing is written.
func (m *Memory) Remember(ctx context.Context, s Sight) error {
	for _, key := range s.missing {
		if _, err := m.Counters.AddCount(ctx, key, 1, s.expireAt); err != nil {
			return err
		}
	}
	return nil
}

// placeOf returns the wider network of an address, within which those of one connection
// or telephone change: an IPv4 /16, or an IPv6 /32. It is "" for an unknown address.
func placeOf(ip string) string {
	addr, err := netip.ParseAddr(ip)
	if err != nil {
		return ""
	}
	bits := 32
	if addr = addr.Unmap().WithZone(""); addr.Is4() {
		bits = 16
	}
	return netip.PrefixFrom(addr, bits).Masked().String()
}
