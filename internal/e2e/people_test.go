package e2e

import (
	"net/http"
	"path/filepath"
	"testing"
)

// TestPeopleTypeTheirNames as telephones, browsers and languages have it: with white
// space around, in another case, with a domain in either form, by username; and first
// names with the joiners that their spelling needs. A password is never trimmed.
func TestPeopleTypeTheirNames(t *testing.T) {
	t.Parallel()
	onBothStores(t, []string{"--first-party-client", "app"}, func(t *testing.T, d *deployment) {
		d.addClient(t, "app", "--public", "--grant", "password", "--grant", "refresh_token")
		s := d.serve(t)
		const typed, persian = " Ada@bücher.example ", "می\u200cخواهم"
		if a := postJSON(t, s.url+"/auth/signup", nil, map[string]string{
			"email": typed, "username": " Ada L\u00a0", "first_name": persian, "password": password,
		}); a.status != http.StatusCreated {
			t.Fatalf("sign-up: %d %s", a.status, a.body)
		}
		secret := filepath.Join(t.TempDir(), "password")
		writeFile(t, secret, password+"\n")
		d.must(t, nil, "users", "add", "--username", "kiosk", "--password-file", secret)
		file := filepath.Join(t.TempDir(), "users.jsonl")
		writeFile(t, file, `{"email":"\u3000grace@XN--bcher-kva.example ","password":"`+password+`"}`+"\n")
		d.importUsers(t, file, importReport{Imported: 1})
		login := func(name, password string) answer {
			return postJSON(t, s.url+"/auth/login", nil, map[string]string{"email": name, "password": password})
		}
		for _, name := range []string{
			"ada@bücher.example", typed, "ada@XN--Bcher-kva.example\n", "ada l", " ADA L", "kiosk", "Kiosk ", "grace@bücher.example", "grace@xn--bcher-kva.example",
		} {
			if a := login(name, password); a.status != http.StatusOK {
				t.Errorf("%q: %d %s", name, a.status, a.body)
			}
			checkProblem(t, name, login(name, password+" "), http.StatusForbidden, "Invalid email or password")
		}
		for _, taken := range []string{"ada@xn--bcher-kva.example", "Grace@bücher.example"} {
			checkProblem(t, taken, postJSON(t, s.url+"/auth/signup", nil, map[string]string{"email": taken, "password": password}), http.StatusConflict, "")
		}
		// An operator finds them by either form.
		for _, name := range []string{"ada@xn--bcher-kva.example", "ada@bücher.example"} {
			d.must(t, nil, "users", "sessions", name)
		}
	})
}
