package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/keyturn/keyturn/keys"
)

// TestK1_ACommandWithAWrongClockKeepsTheLead revokes a key by a clock that is right, an
// hour behind the latest time that a server stored, and an hour ahead of it: no key signs
// earlier than its lead after the store's time, the answer says when the second turn
// comes, and the operator learns of the clock.
func TestK1_ACommandWithAWrongClockKeepsTheLead(t *testing.T) {
	t.Cleanup(func() { wallClock = time.Now })
	for off, says := range map[time.Duration]string{0: "", -time.Hour: "clock is behind", time.Hour: "clock is ahead"} {
		t.Run(off.String(), func(t *testing.T) {
			began := time.Now()
			kid := serveHere(t)
			wallClock = func() time.Time { return time.Now().Add(off).Round(0) }
			stdout, stderr := command(t, "keys", "revoke", kid, "--reason", "leaked", "--output", "json")
			var answer struct {
				SecondTurn struct {
					KID        string    `json:"kid"`
					ActivateAt time.Time `json:"activate_at"`
					Lead       string    `json:"lead"`
				} `json:"second_turn"`
			}
			if err := json.Unmarshal([]byte(stdout), &answer); err != nil {
				t.Fatal(err)
			}
			const lead = 24 * time.Hour
			next := answer.SecondTurn
			if early := next.ActivateAt.Before(began.Add(lead).Truncate(time.Millisecond)); early || next.KID == "" || next.Lead != lead.String() {
				t.Errorf("the second turn is %+v", next)
			}
			if says == "" && strings.Contains(stderr, "clock") || !strings.Contains(stderr, says) {
				t.Errorf("it says %q", stderr)
			}
			if off > 0 {
				return
			}
			command(t, "users", "add", "ada@example.com", "--password-file", "-")
			stdout, _ = command(t, "users", "list", "--output", "json")
			var users []struct {
				CreatedAt time.Time `json:"created_at"`
			}
			if err := json.Unmarshal([]byte(stdout), &users); err != nil || len(users) != 1 || users[0].CreatedAt.Before(began.Truncate(time.Millisecond)) {
				t.Errorf("an account of that hour: %+v, %v", users, err)
			}
		})
	}
}

// TestKeysRevokeSaysWhenTheSecondTurnComes and by which lead. A second revocation soon
// after has its turn scheduled later.
func TestKeysRevokeSaysWhenTheSecondTurnComes(t *testing.T) {
	kid := serveHere(t)
	if stdout, _ := command(t, "keys", "revoke", kid, "--reason", "leaked"); !strings.Contains(stdout, "second turn: ") || !strings.Contains(stdout, "(a lead of 24h0m0s, the default") {
		t.Errorf("it prints %q", stdout)
	}
	stdout, _ := command(t, "keys", "list", "--output", "json")
	var list []struct{ KID, State string }
	if err := json.Unmarshal([]byte(stdout), &list); err != nil {
		t.Fatal(err)
	}
	for _, k := range list {
		if k.State != "active" {
			continue
		}
		if stdout, _ := command(t, "keys", "revoke", "--reason", "leaked too", "--", k.KID); !strings.Contains(stdout, "servers schedule it within 3h0m0s") {
			t.Errorf("it prints %q", stdout)
		}
	}
}

// serveHere has a server make its keys in a directory of its own, and store the time. It
// returns the key that signs.
func serveHere(t *testing.T) string {
	t.Helper()
	t.Chdir(t.TempDir())
	wallClock = time.Now
	d := openHere(t, t.Output())
	err := d.steadily(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := d.services(d.cfg.Issuer)
	if err != nil {
		t.Fatal(err)
	}
	err = s.keeper.Poll(t.Context())
	d.keepTime(t.Context())
	list, listErr := s.keeper.List(t.Context())
	if err := errors.Join(err, listErr, d.close()); err != nil || len(list) == 0 || list[0].State != keys.Active {
		t.Fatal(list, err)
	}
	return list[0].KID
}

// command runs a command on the deployment of the directory.
func command(t *testing.T, args ...string) (stdout, stderr string) {
	t.Helper()
	var out, said bytes.Buffer
	p := &program{stdin: strings.NewReader("a long enough sentence"), stdout: &out, stderr: &said, environ: []string{"KEYTURN_ISSUER=https://login.example.com"}}
	if code := p.run(t.Context(), args); code != exitOK {
		t.Fatalf("%v: %d %s", args, code, said.String())
	}
	return out.String(), said.String()
}
