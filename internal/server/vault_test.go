package server_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/gob"
	"errors"
	"io"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/keyturn/keyturn/keys"
)

// tokenProcess in the environment makes the test binary be a security token: a
// process of its own that makes private keys, signs with them and gives none away.
const tokenProcess = "KEYTURN_TEST_TOKEN_PROCESS"

func TestMain(m *testing.M) {
	if os.Getenv(tokenProcess) != "" {
		beToken(os.Stdin, os.Stdout)
		return
	}
	os.Exit(m.Run())
}

// order and reply are what a security token understands and answers.
type order struct {
	Make    string // an algorithm
	Sign    string // a handle
	Destroy string // a handle
	Digest  []byte
	Hash    crypto.Hash
	PSS     bool
}

type reply struct {
	Handle    string
	Public    []byte
	Signature []byte
	Error     string
}

func beToken(in io.Reader, out io.Writer) {
	held := map[string]crypto.Signer{}
	orders, replies := gob.NewDecoder(in), gob.NewEncoder(out)
	for {
		var o order
		if orders.Decode(&o) != nil {
			return
		}
		r, err := obey(held, o)
		if err != nil {
			r.Error = err.Error()
		}
		if replies.Encode(r) != nil {
			return
		}
	}
}

func obey(held map[string]crypto.Signer, o order) (r reply, err error) {
	switch {
	case o.Make != "":
		key, err := makeKey(o.Make)
		if err != nil {
			return r, err
		}
		r.Handle = "token:" + rand.Text()
		held[r.Handle] = key
		r.Public, err = x509.MarshalPKIXPublicKey(key.Public())
		return r, err
	case o.Destroy != "":
		delete(held, o.Destroy)
		return r, nil
	}
	key := held[o.Sign]
	if key == nil {
		return r, errors.New("no such handle")
	}
	var opts crypto.SignerOpts = o.Hash
	if o.PSS {
		opts = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: o.Hash}
	}
	r.Signature, err = key.Sign(rand.Reader, o.Digest, opts)
	return r, err
}

func makeKey(alg string) (crypto.Signer, error) {
	switch alg {
	case keys.ES256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case keys.EdDSA, keys.Ed25519:
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	}
	return rsa.GenerateKey(rand.Reader, 2048)
}

// foreignVault is a keys.Vault over such a token, as a PKCS #11 module or a cloud's
// key service would be one.
type foreignVault struct {
	mu      sync.Mutex
	orders  *gob.Encoder
	replies *gob.Decoder
	made    map[string]crypto.PublicKey
	// destroyed counts the orders to destroy each handle; broken makes every
	// order fail.
	destroyed map[string]int
	broken    bool
}

func startToken(t *testing.T) *foreignVault {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), tokenProcess+"=1")
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() {
		in.Close()
		_ = cmd.Wait()
	})
	return &foreignVault{orders: gob.NewEncoder(in), replies: gob.NewDecoder(out), made: map[string]crypto.PublicKey{}, destroyed: map[string]int{}}
}

func (v *foreignVault) ask(o order) (reply, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	var r reply
	if v.broken {
		return r, errors.New("the token does not answer")
	}
	if err := v.orders.Encode(o); err != nil {
		return r, err
	}
	if err := v.replies.Decode(&r); err != nil {
		return r, err
	}
	if r.Error != "" {
		return r, errors.New(r.Error)
	}
	return r, nil
}

func (v *foreignVault) breakDown(broken bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.broken = broken
}

func (v *foreignVault) Make(_ context.Context, alg string) (crypto.Signer, []byte, error) {
	r, err := v.ask(order{Make: alg})
	if err != nil {
		return nil, nil, err
	}
	public, err := x509.ParsePKIXPublicKey(r.Public)
	if err != nil {
		return nil, nil, err
	}
	v.made[r.Handle] = public
	return foreignSigner{v, r.Handle, public}, []byte(r.Handle), nil
}

func (v *foreignVault) Open(_ context.Context, sealed []byte, _ string) (crypto.Signer, error) {
	public, ok := v.made[string(sealed)]
	if !ok {
		return nil, errors.New("no such handle")
	}
	return foreignSigner{v, string(sealed), public}, nil
}

func (v *foreignVault) SealedUnder(sealed []byte) (string, bool) {
	label, _, _ := strings.Cut(string(sealed), ":")
	return label, true
}

func (v *foreignVault) Reseal(_ context.Context, sealed []byte, _ string) ([]byte, error) {
	return sealed, nil
}

func (v *foreignVault) Destroy(_ context.Context, sealed []byte) error {
	_, err := v.ask(order{Destroy: string(sealed)})
	if err == nil {
		v.destroyed[string(sealed)]++
	}
	return err
}

type foreignSigner struct {
	vault  *foreignVault
	handle string
	public crypto.PublicKey
}

func (s foreignSigner) Public() crypto.PublicKey { return s.public }

func (s foreignSigner) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	_, pss := opts.(*rsa.PSSOptions)
	r, err := s.vault.ask(order{Sign: s.handle, Digest: digest, Hash: opts.HashFunc(), PSS: pss})
	return r.Signature, err
}

// TestForeignVault runs a whole server on keys that another process holds, through
// a login, a turn, a revocation and the token's failure.
func TestForeignVault(t *testing.T) {
	for _, alg := range keys.Algorithms() {
		t.Run(alg, func(t *testing.T) {
			vault := startToken(t)
			line, err := keys.NewMaster()
			must(t, err)
			masters, err := keys.ParseMasters([]byte(line))
			must(t, err)
			var ahead time.Duration
			j := &journal{t: t}
			w := newWorldIn(t, openSQLite(t), j, masters, vault, alg, func() time.Time { return time.Now().Add(ahead) })

			first := w.verified(alg, w.login().Access)
			ahead += 25 * time.Hour
			_, err = w.keeper.Rotate(t.Context(), "")
			must(t, err)
			must(t, w.keeper.Poll(t.Context()))
			second := w.verified(alg, w.login().Access)
			if second == first {
				t.Fatal("the keys did not turn")
			}
			ahead += time.Minute
			must(t, w.keeper.Poll(t.Context()))
			vault.gone(t, w, first)

			doomed := w.login().Access
			must(t, w.keeper.Revoke(t.Context(), second, "leaked"))
			must(t, w.keeper.Poll(t.Context()))
			vault.gone(t, w, second)
			if body := w.post("/oauth/introspect", url.Values{"token": {doomed}}).Body.String(); strings.TrimSpace(body) != `{"active":false}` {
				t.Errorf("a revoked key's token: %s", body)
			}
			third := w.verified(alg, w.login().Access)
			if third == first || third == second {
				t.Errorf("after the revocation %s signs", third)
			}

			vault.breakDown(true)
			rec := w.post("/oauth/token", url.Values{"grant_type": {"client_credentials"}})
			if rec.Code < 500 || strings.Contains(rec.Body.String(), "does not answer") {
				t.Errorf("while the token is broken: status %d, %s", rec.Code, rec.Body)
			}
			vault.breakDown(false)
			w.verified(alg, w.login().Access)
		})
	}
}

// gone checks that the record and the token have both forgotten the key.
func (v *foreignVault) gone(t *testing.T, w *world, kid string) {
	t.Helper()
	records, err := w.store.Keys(t.Context())
	must(t, err)
	for _, r := range records {
		if r.KID == kid && len(r.Sealed) > 0 {
			t.Errorf("K4: the record still holds %q", r.Sealed)
		}
	}
	for handle, public := range v.made {
		if v.destroyed[handle] > 1 {
			t.Errorf("%s was destroyed %d times", handle, v.destroyed[handle])
		}
		key := jose.JSONWebKey{Key: public}
		sum, err := key.Thumbprint(crypto.SHA256)
		must(t, err)
		if base64.RawURLEncoding.EncodeToString(sum) == kid && v.destroyed[handle] == 0 {
			t.Errorf("K4: the token still holds the key %s", kid)
		}
	}
}

// verified verifies a token as a resource server does and returns its kid.
func (w *world) verified(alg, token string) string {
	w.t.Helper()
	rec := w.serve(httptest.NewRequest("GET", "/.well-known/jwks.json", nil))
	set := read[jose.JSONWebKeySet](w.t, rec, 200)
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(alg)})
	must(w.t, err)
	kid := parsed.Headers[0].KeyID
	found := set.Key(kid)
	if len(found) != 1 {
		w.t.Fatalf("%d keys %s in the set", len(found), kid)
	}
	if key, ok := found[0].Key.(ed25519.PublicKey); ok && alg == keys.Ed25519 {
		// The library knows the algorithm by its older name alone.
		at := strings.LastIndexByte(token, '.')
		signature, err := base64.RawURLEncoding.DecodeString(token[at+1:])
		if err != nil || !ed25519.Verify(key, []byte(token[:at]), signature) {
			w.t.Fatal("the signature is wrong")
		}
		return kid
	}
	var claims jwt.Claims
	must(w.t, parsed.Claims(found[0].Key, &claims))
	return kid
}
