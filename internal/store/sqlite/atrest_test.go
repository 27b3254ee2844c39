package sqlite

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/uuid"

	"github.com/keyturn/keyturn/users"
)

// BenchmarkAtRest reports the bytes that an account and a session take in the
// file, indexes included.
func BenchmarkAtRest(b *testing.B) {
	// The size of the hash is what matters of it.
	const hash = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	atRest(b, "user", func(c *conn, i int) error {
		key := fmt.Sprintf("ada.lovelace%06d@example.com", i)
		_, err := writeUser(c, insertUser, users.User{
			UID: uuid.NewString(), Email: key, EmailKey: key, FirstName: "Ada", LastName: "Lovelace", PasswordHash: hash,
			CreatedAt: began, UpdatedAt: began, PasswordChangedAt: began,
		})
		return err
	})
	atRest(b, "session", func(c *conn, _ int) error {
		f := family(uuid.NewString())
		f.UserID = uuid.NewString()
		_, err := c.exec(insertFamily, familyValues(f)...)
		return err
	})
}

func atRest(b *testing.B, what string, add func(*conn, int) error) {
	const many, batch = 50_000, 1000
	b.Run(what, func(b *testing.B) {
		path := filepath.Join(b.TempDir(), "keyturn.db")
		size := func(first, last int) int64 {
			s, err := Open(b.Context(), path)
			if err != nil {
				b.Fatal(err)
			}
			for at := first; at < last; at += batch {
				_, err := change(b.Context(), s, func(c *conn) (int, error) {
					for i := range batch {
						if err := add(c, at+i); err != nil {
							return 0, err
						}
					}
					return 0, nil
				})
				if err != nil {
					b.Fatal(err)
				}
			}
			if err := s.Close(); err != nil {
				b.Fatal(err)
			}
			info, err := os.Stat(path)
			if err != nil {
				b.Fatal(err)
			}
			return info.Size()
		}
		empty := size(0, 0)
		b.ReportMetric(float64(size(0, many)-empty)/many, "B/"+what)
	})
}
