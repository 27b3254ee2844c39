package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn/internal/clients"
	"github.com/keyturn/keyturn/internal/config"
	"github.com/keyturn/keyturn/users"
)

// clientFlags are the flags that say what a client may do and how it proves
// who it is; "clients add" and "clients update" share them.
type clientFlags struct {
	cmd                 *cobra.Command
	client              clients.Client
	scope, defaultScope string
	jwksFile            string
	retryWindow         string
}

func newClientFlags(cmd *cobra.Command) *clientFlags {
	c := &clientFlags{cmd: cmd}
	f := cmd.Flags()
	f.StringVar(&c.client.Name, "name", "", "what people know it by at the pages (default: its id)")
	f.StringSliceVar(&c.client.Grants, "grant", nil, "a grant that the client may use: "+strings.Join(clients.Grants(), ", ")+" (repeat for several)")
	f.StringSliceVar(&c.client.RedirectURIs, "redirect-uri", nil, "where the grant authorization_code may send users back to, compared exactly but for the port of http://127.0.0.1 and http://[::1] (repeat for several)")
	f.StringSliceVar(&c.client.PostLogoutRedirectURIs, "post-logout-redirect-uri", nil, "where it may send users after they have logged out, compared exactly (repeat for several)")
	f.StringVar(&c.client.BackchannelLogoutURI, "backchannel-logout-uri", "", "where it is told of each of its sessions that ends (OpenID Connect Back-Channel Logout)")
	f.StringVar(&c.scope, "scope", "", "what the client may ask for, separated by spaces")
	f.StringVar(&c.defaultScope, "default-scope", "", "what it gets where it asks for nothing (default: all that it may ask for)")
	f.StringSliceVar(&c.client.Audience, "audience", nil, "a resource server that its tokens may be for (repeat for several)")
	f.StringSliceVar(&c.client.Introspects, "introspect", nil, "an audience whose tokens it may ask the introspection endpoint about (repeat for several; default: those of --audience)")
	f.BoolVar(&c.client.TokenEndpointAudience, "token-endpoint-audience", false, "take assertions of this client that were made for the token endpoint's URL, and not for the issuer alone")
	f.BoolVar(&c.client.DPoPBound, "dpop-bound-access-tokens", false, "every token of this client is to be bound to a key of its own, of which it sends a proof (DPoP, RFC 9449)")
	f.BoolVar(&c.client.ThirdParty, "third-party", false, "the client is somebody else's: users are asked before it gets anything, and can withdraw that")
	f.BoolVar(&c.client.RequiresPAR, "require-pushed-authorization-requests", false, "take authorization requests of this client only if it has pushed them (PAR, RFC 9126)")
	f.BoolVar(&c.client.RequireFactor, "client-require-second-factor", false, "nobody logs in to it without a second factor; who has none sets one up at the log-in")
	f.BoolVar(&c.client.PasswordAlone, "password-alone", false, "its password grant, which cannot ask for a code, opens accounts with a second factor without it")
	f.StringSliceVar(&c.client.Claims, "claim", nil, "what its tokens say of the user beside the scope: "+users.RolesClaim+", or the name of a custom claim (repeat for several)")
	f.StringVar(&c.client.SigningAlg, "client-signing-alg", "", "what its access tokens are signed with, one of signing_algs (default: the first)")
	f.StringVar(&c.jwksFile, "jwks-file", "", "file with the client's public keys, a JWK set (- for standard input): it authenticates with them and has no secret")
	f.StringVar(&c.client.JWKSURI, "jwks-uri", "", "https URL where the client publishes its JWK set, in place of --jwks-file")
	f.Var(lifetime{&c.client.AccessTTL}, "client-access-token-ttl", "life of its access tokens (default, and with 0: the deployment's)")
	f.Var(lifetime{&c.client.RefreshIdleTTL}, "client-refresh-idle-ttl", "life of its sessions since their last use (default, and with 0: the deployment's)")
	f.Var(lifetime{&c.client.RefreshTTL}, "client-refresh-ttl", "life of its sessions in all (default, and with 0: the deployment's)")
	f.StringVar(&c.retryWindow, "client-retry-window", "", "how long its spent refresh tokens yield their successor again: "+config.AcceptedRetryWindow+" (default, and with an empty text: the deployment's)")
	return c
}

// read turns the flags into a client of a deployment with these settings.
func (c *clientFlags) read(p *program, cfg *config.Config) error {
	algs := cfg.KeyPolicy().Algs
	if alg := c.client.SigningAlg; alg != "" && !slices.Contains(algs, alg) {
		return usageError{fmt.Errorf("--client-signing-alg %q: signing_algs has %s", alg, strings.Join(algs, ", "))}
	}
	var ok bool
	if c.client.Scope, ok = clients.ParseScope(c.scope); !ok {
		return usageError{fmt.Errorf("--scope %q: use scope names separated by spaces (RFC 6749 §3.3)", c.scope)}
	}
	if c.client.DefaultScope, ok = clients.ParseScope(c.defaultScope); !ok {
		return usageError{fmt.Errorf("--default-scope %q: use scope names separated by spaces (RFC 6749 §3.3)", c.defaultScope)}
	}
	if c.retryWindow != "" {
		var err error
		if c.client.RetryWindow, err = config.ParseRetryWindow(c.retryWindow); err != nil {
			return usageError{fmt.Errorf("--client-retry-window %q: use %s", c.retryWindow, config.AcceptedRetryWindow)}
		}
	}
	if c.jwksFile == "" {
		return nil
	}
	text, err := p.readJWKS(c.jwksFile)
	if err != nil {
		return fmt.Errorf("--jwks-file %s: %w", c.jwksFile, err)
	}
	c.client.JWKS = text
	return nil
}

// apply changes in client what the flags given say.
func (c *clientFlags) apply(client *clients.Client) {
	given := c.cmd.Flags().Changed
	for flag, set := range map[string]func(){
		"name":                                  func() { client.Name = c.client.Name },
		"grant":                                 func() { client.Grants = c.client.Grants },
		"redirect-uri":                          func() { client.RedirectURIs = c.client.RedirectURIs },
		"post-logout-redirect-uri":              func() { client.PostLogoutRedirectURIs = c.client.PostLogoutRedirectURIs },
		"backchannel-logout-uri":                func() { client.BackchannelLogoutURI = c.client.BackchannelLogoutURI },
		"scope":                                 func() { client.Scope = c.client.Scope },
		"default-scope":                         func() { client.DefaultScope = c.client.DefaultScope },
		"audience":                              func() { client.Audience = c.client.Audience },
		"introspect":                            func() { client.Introspects = c.client.Introspects },
		"token-endpoint-audience":               func() { client.TokenEndpointAudience = c.client.TokenEndpointAudience },
		"dpop-bound-access-tokens":              func() { client.DPoPBound = c.client.DPoPBound },
		"require-pushed-authorization-requests": func() { client.RequiresPAR = c.client.RequiresPAR },
		"client-require-second-factor":          func() { client.RequireFactor = c.client.RequireFactor },
		"password-alone":                        func() { client.PasswordAlone = c.client.PasswordAlone },
		"third-party":                           func() { client.ThirdParty = c.client.ThirdParty },
		"claim":                                 func() { client.Claims = c.client.Claims },
		"client-signing-alg":                    func() { client.SigningAlg = c.client.SigningAlg },
		"jwks-file":                             func() { client.JWKS, client.JWKSURI = c.client.JWKS, "" },
		"jwks-uri":                              func() { client.JWKS, client.JWKSURI = "", c.client.JWKSURI },
		"client-access-token-ttl":               func() { client.AccessTTL = c.client.AccessTTL },
		"client-refresh-idle-ttl":               func() { client.RefreshIdleTTL = c.client.RefreshIdleTTL },
		"client-refresh-ttl":                    func() { client.RefreshTTL = c.client.RefreshTTL },
		"client-retry-window":                   func() { client.RetryWindow = c.client.RetryWindow },
	} {
		if given(flag) {
			set()
		}
	}
}

// maxJWKSFile bounds what is read as a JWK set; the set itself may be smaller.
const maxJWKSFile = 1 << 20

// readJWKS reads a client's key set, checks it, and returns it in one line.
func (p *program) readJWKS(path string) (string, error) {
	text, err := p.readAll(path, maxJWKSFile)
	if err != nil {
		return "", err
	}
	keys, err := clients.ParseJWKS(text)
	if err != nil {
		return "", err
	}
	line, err := json.Marshal(map[string]any{"keys": keys})
	return string(line), err
}
