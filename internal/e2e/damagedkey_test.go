package e2e

import (
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

type listedKey struct {
	KID, State, Problem string
	ActivateAt          string `json:"activate_at"`
	Seq                 int
}

func (d *deployment) keyList(t *testing.T) (list []listedKey) {
	t.Helper()
	d.must(t, &list, "keys", "list")
	return list
}

// row returns the record of a key as the database has it.
func (d *deployment) row(t *testing.T, kid string) string {
	t.Helper()
	db, err := sql.Open("sqlite", strings.TrimPrefix(d.store, "sqlite:"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var sealed, public, rest string
	err = db.QueryRow(`SELECT hex(sealed), public, alg || ' ' || created_at || ' ' || activate_at || ' ' || revoked_at || ' ' || archived
		|| ' ' || version FROM keys WHERE kid = ?`, kid).Scan(&sealed, &public, &rest)
	if err != nil {
		t.Fatalf("the record of the key %s: %v", kid, err)
	}
	return fmt.Sprint(sealed, " ", public, " ", rest)
}

// signedBy returns the kid of the key that signed a token.
func signedBy(t *testing.T, token string) string {
	t.Helper()
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	return parsed.Headers[0].KeyID
}

// TestDamagedKeys damages key records behind the servers' backs. A server that starts
// on them names the key in its log, in /readyz and in keys list, serves with the
// healthy ones, and leaves the record as it is; it makes what is missing beside it.
func TestDamagedKeys(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		seq  int
		harm string
	}{
		"the active key is damaged":          {0, "sealed = x'00112233'"},
		"the standby is damaged":             {1, "sealed = CAST(substr(sealed, 1, length(sealed) - 1) || x'00' AS BLOB)"},
		"sealed under an unknown master key": {1, "sealed = CAST(substr(sealed, 1, 1) || x'0102030405060708' || substr(sealed, 10) AS BLOB)"},
		"an unknown algorithm":               {1, "alg = 'ML-DSA-65'"},
		"the public half of another":         {1, "public = (SELECT other.public FROM keys other WHERE other.seq = 0)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDeployment(t, "")
			s := openShop(t, d)
			list := d.keyList(t)
			var kid, healthy string
			for _, key := range list {
				if key.Seq == c.seq {
					kid = key.KID
				} else {
					healthy = key.KID
				}
			}
			s.server.stop(t)
			d.tamper(t, fmt.Sprintf("UPDATE keys SET %s, version = version + 1 WHERE seq = %d", c.harm, c.seq))
			before := d.row(t, kid)

			s.server = s.server.again(t)
			if !s.logsError(kid) {
				t.Errorf("the log does not name the key %s", kid)
			}
			if h := s.health(t); h.code != 200 || !slices.Contains(h.Warnings, "key_unusable") {
				t.Errorf("/readyz says %+v", h)
			}
			got := s.grant(t, s.confidential, "grant_type", "client_credentials")
			if by := signedBy(t, got.AccessToken); by != healthy {
				t.Errorf("the key %s signs; want the healthy one, %s", by, healthy)
			}
			list = d.keyList(t)
			if len(list) != 3 {
				t.Errorf("keys list shows %d keys; want the two and one made beside them", len(list))
			}
			for _, key := range list {
				if (key.Problem != "") != (key.KID == kid) {
					t.Errorf("keys list says of the key %s: %q", key.KID, key.Problem)
				}
			}
			if after := d.row(t, kid); after != before {
				t.Errorf("the record was %q and is %q", before, after)
			}
		})
	}
}
