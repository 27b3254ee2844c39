package server_test

import (
	"encoding/base64"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/keyturn/keyturn/users"
)

// TestAnswersNameTheirIssuer is the defence of clients against mix-up (RFC 9700 §4.4.2.1,
// RFC 9207): whatever comes back says once who answers, by the name in the metadata.
func TestAnswersNameTheirIssuer(t *testing.T) {
	w := newWorld(t)
	metadata := read[struct {
		Issuer string
		Names  bool `json:"authorization_response_iss_parameter_supported"`
	}](t, w.get("/.well-known/openid-configuration"), 200)
	if !metadata.Names || metadata.Issuer != issuer {
		t.Errorf("%+v", metadata)
	}
	b := w.loggedIn()
	forged := setting("iss", "https://evil.example")
	answers := map[string]url.Values{
		"a code":           answerIn(t, b.authorize(asks(forged))),
		"an error":         answerIn(t, b.authorize(asks(setting("scope", "everything")))),
		"nobody logged in": answerIn(t, w.browser().authorize(asks(setting("prompt", "none")))),
		"a pushed request": answerIn(t, b.authorize(w.push(forged))),
	}
	_, answers["a form"] = formOn(t, b.authorize(asks(setting("response_mode", "form_post"))))
	w.asThirdParty()
	answers["no consent"] = answerIn(t, b.decide(b.authorize(asks(nil)), "deny", nil))
	w.journal.breakDown(true)
	answers["no log"] = answerIn(t, b.authorize(asks(setting("prompt", "none"))))
	for name, v := range answers {
		if !slices.Equal(v["iss"], []string{issuer}) || v.Has("code") == v.Has("error") {
			t.Errorf("%s: %v", name, v)
		}
	}
}

// TestAnInjectedCodeIsOfNoUse has somebody put a code that they saw in place of the one of
// their own log-in (RFC 9700 §4.5): the application, which has the verifier of that one,
// gets nothing for it; and the victim, whose code it is, gets tokens with their own nonce.
func TestAnInjectedCodeIsOfNoUse(t *testing.T) {
	w := newWorld(t)
	seen := w.loggedIn().code(setting("nonce", "victim"))
	_, err := w.users.Add(t.Context(), users.NewUser{Email: "eve@example.com", Password: long})
	must(t, err)
	eve := w.browser()
	own := strings.Repeat("e", 43)
	begun := asks(func(v url.Values) { v.Set("code_challenge", challengeOf(own)); v.Set("nonce", "eve") })
	hers := answerIn(t, eve.get(eve.logIn(eve.authorize(begun), "eve@example.com", long).Header().Get("Location"))).Get("code")
	for name, form := range map[string]url.Values{
		"into the attacker's log-in": exchanges(seen, setting("code_verifier", own)),
		"into the victim's":          exchanges(hers, nil),
	} {
		if rec := w.post("/oauth/token", form); rec.Code != 400 || !strings.Contains(rec.Body.String(), `"invalid_grant"`) {
			t.Errorf("%s: %d %s", name, rec.Code, rec.Body)
		}
	}
	if id := w.idToken(read[codeTokens](t, w.exchange(seen), 200).ID); id["nonce"] != "victim" || id["sub"] != w.uid {
		t.Errorf("the victim's: %v", id)
	}
}

// TestAHintNamesWhoIsAnswered: OpenID Connect Core §3.1.2.1, also if the key that signed the
// hint is gone. A hint that is none is refused.
func TestAHintNamesWhoIsAnswered(t *testing.T) {
	w := newWorld(t)
	_, err := w.users.Add(t.Context(), users.NewUser{Email: "grace@example.com", Password: long})
	must(t, err)
	ada := w.loggedIn()
	hint := read[codeTokens](t, w.exchange(ada.code(nil)), 200).ID
	grace := w.browser()
	grace.logIn(grace.get("/account"), "grace@example.com", long)
	hinted := func(prompt string) url.Values {
		return asks(func(v url.Values) { v.Set("id_token_hint", hint); v.Set("prompt", prompt) })
	}
	after := func(b *browser, prompt, name, word string) *httptest.ResponseRecorder {
		return b.get(b.logIn(b.authorize(hinted(prompt)), name, word).Header().Get("Location"))
	}
	for name, c := range map[string]struct {
		rec  *httptest.ResponseRecorder
		code bool
	}{
		"who is named":                      {ada.authorize(hinted("none")), true},
		"another":                           {grace.authorize(hinted("none")), false},
		"another, with a page":              {grace.authorize(hinted("")), false},
		"who is named by a key that left":   {ada.authorize(asks(setting("id_token_hint", unproven(t, hint)))), true},
		"another, named by a key that left": {grace.authorize(asks(setting("id_token_hint", unproven(t, hint)))), false},
		"another, who logs in":              {after(w.browser(), "", "grace@example.com", long), false},
		"who is named logs in":              {after(w.browser(), "", email, password), true},
		"who is named logs in for them":     {after(grace, "login", email, password), true},
	} {
		if v := answerIn(t, c.rec); v.Has("code") != c.code || !c.code && v.Get("error") != "login_required" {
			t.Errorf("%s: %v", name, v)
		}
	}
	held := read[codeTokens](t, w.exchange(ada.code(nil)), 200)
	for name, none := range map[string]string{"no token": "x", "an access token": held.Access, "a refresh token": held.Refresh, "another's": foreign(t, hint)} {
		if v := answerIn(t, ada.authorize(asks(setting("id_token_hint", none)))); v.Get("error") != "invalid_request" {
			t.Errorf("%s: %v", name, v)
		}
	}
}

// unproven is an ID token as if its key had left the key ring.
func unproven(t *testing.T, token string) string { return altered(t, token, 0, `"kid":"`, `"kid":"x`) }

// foreign is an ID token as another server would issue it.
func foreign(t *testing.T, token string) string { return altered(t, token, 1, `"iss":"`, `"iss":"x`) }

// altered replaces text in a part of a token.
func altered(t *testing.T, token string, part int, from, to string) string {
	t.Helper()
	parts := strings.Split(token, ".")
	text, err := base64.RawURLEncoding.DecodeString(parts[part])
	must(t, err)
	parts[part] = base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(string(text), from, to, 1)))
	if next := strings.Join(parts, "."); next != token {
		return next
	}
	t.Fatalf("no %s in %s", from, text)
	return ""
}
