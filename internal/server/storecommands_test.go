package server_test

import (
	"context"
	"fmt"
	"maps"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/event"

	"github.com/keyturn/keyturn/internal/store/mongodb"
	"github.com/keyturn/keyturn/internal/store/mongodb/mongotest"
	"github.com/keyturn/keyturn/users"
)

// commandLog keeps what MongoDB is asked.
type commandLog struct {
	mu    sync.Mutex
	asked []string
}

func (l *commandLog) monitor() *event.CommandMonitor {
	return &event.CommandMonitor{Started: func(_ context.Context, e *event.CommandStartedEvent) {
		l.mu.Lock()
		defer l.mu.Unlock()
		in, _ := bson.Raw(e.Command).Lookup(e.CommandName).StringValueOK()
		l.asked = append(l.asked, e.CommandName+" "+in)
	}}
}

func (l *commandLog) take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	asked := l.asked
	l.asked = nil
	return asked
}

// counted says how often each command was asked.
func counted(asked []string) string {
	times := map[string]int{}
	for _, a := range asked {
		times[a]++
	}
	all := slices.Sorted(maps.Keys(times))
	for i, a := range all {
		if times[a] > 1 {
			all[i] = fmt.Sprintf("%d × %s", times[a], a)
		}
	}
	return strings.Join(all, ", ")
}

// TestCommandsOfAnOperation holds docs/scaling.md to what MongoDB is really asked
// for each operation: a command more in a request that everybody makes is a
// command more for every server of the cluster.
func TestCommandsOfAnOperation(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/scaling.md")
	must(t, err)
	log := &commandLog{}
	st, err := mongodb.Open(t.Context(), mongotest.URI(t), mongodb.Options{AcceptRisk: true, Monitor: log.monitor()})
	must(t, err)
	t.Cleanup(func() { must(t, st.Close()) })
	j := &journal{t: t}
	w := newWorldOn(t, st, j)
	w.journal = j
	var held tokens
	extra := w.login()
	spent := ""
	present := func(token string) *httptest.ResponseRecorder {
		return w.post("/oauth/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}})
	}
	const refusedLogin = "log-in, refused" // the same whatever is wrong (U1)
	refused := func(name, password string) {
		read[any](t, w.post("/oauth/token", url.Values{"grant_type": {"password"}, "username": {name}, "password": {password}}), 400)
	}
	for _, op := range []struct {
		name string
		do   func()
	}{
		{"log-in", func() { held = w.login() }},
		{refusedLogin, func() { refused(email, "another password than that") }},
		{refusedLogin, func() { refused("nobody@example.com", password) }},
		{"refresh", func() {
			spent = held.Refresh
			held = read[tokens](t, present(spent), 200)
		}},
		{"refresh, repeated", func() { read[tokens](t, present(spent), 200) }},
		{"access token for a client", func() { read[tokens](t, w.post("/oauth/token", url.Values{"grant_type": {"client_credentials"}}), 200) }},
		{"introspection", func() { read[any](t, w.post("/oauth/introspect", url.Values{"token": {held.Access}}), 200) }},
		{"revocation of an access token", func() { read[any](t, w.post("/oauth/revoke", url.Values{"token": {extra.Access}}), 200) }},
		{"revocation of a refresh token", func() { read[any](t, w.post("/oauth/revoke", url.Values{"token": {extra.Refresh}}), 200) }},
		{"userinfo", func() { read[any](t, w.sendJSON("GET", "/oauth/userinfo", held.Access, nil), 200) }},
		{"poll of the keys", func() { must(t, w.keeper.Poll(t.Context())) }},
		{"logout of everything, 1 session", func() {
			_, err := st.RevokeFamiliesOfUser(t.Context(), w.uid, "", time.Now(), "logout")
			must(t, err)
		}},
		{refusedLogin, func() {
			w.alter(func(u *users.User) { u.Disabled = true })
			log.take()
			refused(email, password)
		}},
	} {
		log.take()
		op.do()
		row := fmt.Sprintf("| %s | %s |", op.name, counted(log.take()))
		if !strings.Contains(string(page), row) {
			t.Errorf("docs/scaling.md lacks the row %s", row)
		}
	}
}
