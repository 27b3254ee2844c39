package server_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/keyturn/keyturn/internal/passwords/passwordstest"
	"github.com/keyturn/keyturn/internal/userfile"
)

// keycloakUser is a user as Keycloak exports one, with the password of passwordstest.
func (a *authenticator) keycloakUser(t testing.TB, name, kind string, change func(data map[string]any)) map[string]any {
	t.Helper()
	data := map[string]any{
		"aaguid": "00000000-0000-0000-0000-000000000000", "credentialId": base64.StdEncoding.EncodeToString(a.id), "counter": a.count,
		"credentialPublicKey": base64.RawURLEncoding.EncodeToString(a.cose(t)), "attestationStatementFormat": "none", "transports": []string{"internal"},
	}
	if change != nil {
		change(data)
	}
	text, err := json.Marshal(data)
	must(t, err)
	return map[string]any{
		"id": name, "username": name, "email": name + "@example.com", "emailVerified": true, "enabled": true, "totp": false, "requiredActions": []string{},
		"disableableCredentialTypes": []string{}, "realmRoles": []string{"default-roles-shop"}, "groups": []string{}, "notBefore": 0,
		"credentials": []map[string]any{
			{"id": "c1", "type": "password", "createdDate": 1700000000000,
				"secretData":     `{"value":"6cacKEtV5SGcHxK1m2QBPqbswGbBFaRATWCIlSt+bbsN1tTcnniydHFe2QP6m5iqaNGwTy5fguAqdIm6z42Cgw==","salt":"Vttp0A87zr3ljNfxcAY3HA==","additionalParameters":{}}`,
				"credentialData": `{"hashIterations":2000,"algorithm":"pbkdf2","additionalParameters":{}}`},
			{"id": "c2", "type": kind, "userLabel": "my key", "createdDate": 1700000000000, "secretData": "{}", "credentialData": string(text)},
		},
	}
}

// TestKeycloaksPasskeysLogIn: passkeys that were made at Keycloak, of the same host, go on
// here, beside the password and alone. Whether one is on several devices is learned from
// its first answer, and holds from then on.
func TestKeycloaksPasskeysLogIn(t *testing.T) {
	onBothStores(t, func(t *testing.T, w *world) {
		beside, alone := newAuthenticator(t), newAuthenticator(t)
		beside.count, alone.count = 7, 0
		alone.counts, alone.flags = false, userPresent|userVerified|backupEligible|backedUp
		unusable := map[string]func(map[string]any){
			"p384":  func(d map[string]any) { d["credentialPublicKey"] = "pQECAzgiIAIhWDA" },
			"bytes": func(d map[string]any) { d["credentialPublicKey"] = "!" },
			"id":    func(d map[string]any) { d["credentialId"] = "" },
			"count": func(d map[string]any) { d["counter"] = 1 << 40 },
		}
		all := []any{beside.keycloakUser(t, "beside", "webauthn", nil), alone.keycloakUser(t, "alone", "webauthn-passwordless", nil)}
		for name, change := range unusable {
			all = append(all, newAuthenticator(t).keycloakUser(t, name, "webauthn", change))
		}
		realm, err := json.Marshal(map[string]any{"realm": "shop", "webAuthnPolicyRpId": "", "users": all})
		must(t, err)
		bring := func(o userfile.Options) userfile.Report {
			t.Helper()
			o.Format = userfile.Keycloak
			report, err := userfile.Import(t.Context(), w.users, userfile.Read(strings.NewReader(string(realm)), o), false)
			must(t, err)
			return report
		}
		report := bring(userfile.Options{})
		if report.Imported != 2 || len(report.Refused) != len(unusable) {
			t.Fatalf("%+v", report)
		}
		for i, refused := range report.Refused {
			if text := refused.Error(); !strings.HasPrefix(text, fmt.Sprintf("line 1, user %d: it has a second factor", i+3)) {
				t.Error(text)
			}
		}

		q := read[question](t, w.sendJSON("POST", "/auth/login", "", map[string]string{"email": "beside@example.com", "password": passwordstest.Password}), 403)
		if p := q.read(t); len(p.Allow) != 1 || p.Allow[0].ID != b64.EncodeToString(beside.id) {
			t.Errorf("%+v", p)
		}
		beside.user = []byte("beside")
		got := read[tokens](t, w.answer(q, beside.signed(t, q)), 200)
		if said := claimsOf(t, got.Access); fmt.Sprint(said["amr"]) != "[pwd hwk user mfa]" || said["sub"] != "beside" {
			t.Errorf("%v", said)
		}
		if said := claimsOf(t, got.Access); said["email_verified"] != true {
			t.Errorf("the address: %v", said)
		}
		list := read[struct{ Factors []struct{ Kind, Name string } }](t, w.sendJSON("GET", "/auth/factors", got.Access, nil), 200).Factors
		if len(list) != 1 || list[0].Kind != "passkey" || list[0].Name != "my key" {
			t.Errorf("%+v", list)
		}
		beside.count = 7
		q = w.asked()
		if rec := w.answer(q, beside.signed(t, q)); rec.Code != 403 {
			t.Errorf("a counter that stands: %d", rec.Code)
		}

		alone.user = []byte("alone")
		q = w.asked()
		got = read[tokens](t, w.answer(q, alone.signed(t, q)), 200)
		if said := claimsOf(t, got.Access); fmt.Sprint(said["amr"]) != "[swk user mfa]" || said["sub"] != "alone" {
			t.Errorf("%v", said)
		}
		alone.flags = userPresent | userVerified
		q = w.asked()
		if rec := w.answer(q, alone.signed(t, q)); rec.Code != 403 {
			t.Errorf("what was learned changes: %d %s", rec.Code, rec.Body)
		}

		if elsewhere := bring(userfile.Options{DropPasskeys: true}); elsewhere.Imported != len(unusable) || elsewhere.Dropped["passkeys"] != len(unusable) {
			t.Errorf("%+v", elsewhere)
		}
		for name := range unusable {
			must(t, w.users.Delete(t.Context(), name))
		}
		report = bring(userfile.Options{DropSecondFactor: true})
		if report.Imported != len(unusable) || report.Present != 2 || report.Dropped["second factors"] != len(unusable) {
			t.Errorf("%+v", report)
		}
	})
}
