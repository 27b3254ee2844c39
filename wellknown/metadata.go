package wellknown

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/keyturn/keyturn/keys"
)

// The paths of the documents and of the endpoints that they name, below the
// issuer.
const (
	JWKSPath                = "/.well-known/jwks.json"
	AuthorizationServerPath = "/.well-known/oauth-authorization-server"
	OpenIDPath              = "/.well-known/openid-configuration"

	authorizePath  = "/oauth/authorize"
	logoutPath     = "/oauth/logout"
	parPath        = "/oauth/par"
	revokePath     = "/oauth/revoke"
	introspectPath = "/oauth/introspect"
	userInfoPath   = "/oauth/userinfo"
)

// Config says what the deployment offers, and so what the metadata advertise.
type Config struct {
	// Issuer is the issuer identifier (RFC 8414 §2), without a slash at the
	// end unless the iss of tokens has one.
	Issuer string
	// Grants are the grant types in force.
	Grants []string
	// Scopes are the scopes that mean something to Keyturn itself. With
	// openid among them the UserInfo endpoint is advertised.
	Scopes []string
	// Claims are the claims that ID tokens bear or the UserInfo endpoint can answer.
	Claims []string
	// ResponseModes, Prompts, Classes (acr) and Locales are those of the authorization
	// endpoint.
	ResponseModes, Prompts, Classes, Locales []string
	// ClientAuth are the authentication methods of confidential clients.
	// Public clients (none) may use the token and revocation endpoints.
	ClientAuth []string
	// ClientAuthAlgs are the algorithms of client assertions; needed with
	// private_key_jwt among the methods (RFC 8414 §2).
	ClientAuthAlgs []string
	// ProofAlgs are the algorithms of DPoP proofs (RFC 9449 §5.1).
	ProofAlgs []string
	// Published returns the published keys, as keys.Ring.Published does. The
	// metadata name their algorithms, and those of keys to come that Published
	// adds to them; they may be cached for as long as the keys.
	Published func() keys.PublishedSet
}

// TokenEndpoint is the URL of the issuer's token endpoint.
func TokenEndpoint(issuer string) string { return strings.TrimSuffix(issuer, "/") + "/oauth/token" }

// Metadata serves one document for RFC 8414 and OpenID Connect Discovery 1.0
// alike; mount it at AuthorizationServerPath and at OpenIDPath. Until there is a
// key it answers 503. Safe for concurrent use.
//
// id_token_signing_alg_values_supported names the algorithms of the published
// keys. RS256, which Discovery §3 requires, is among them where the deployment signs
// with it.
type Metadata struct {
	config Config
	last   atomic.Pointer[rendered]
}

type rendered struct {
	algs     []string
	document *document
	lifetime
}

// metadata are the members in the order in which they are written.
type metadata struct {
	Issuer                string   `json:"issuer"`
	AuthorizationEndpoint string   `json:"authorization_endpoint"`
	TokenEndpoint         string   `json:"token_endpoint"`
	PAREndpoint           string   `json:"pushed_authorization_request_endpoint"`
	RevocationEndpoint    string   `json:"revocation_endpoint"`
	IntrospectionEndpoint string   `json:"introspection_endpoint"`
	UserInfoEndpoint      string   `json:"userinfo_endpoint,omitempty"`
	EndSessionEndpoint    string   `json:"end_session_endpoint"`
	BackchannelLogout     bool     `json:"backchannel_logout_supported"`
	BackchannelSessions   bool     `json:"backchannel_logout_session_supported"`
	JWKSURI               string   `json:"jwks_uri"`
	ResponseTypes         []string `json:"response_types_supported"`
	ResponseModes         []string `json:"response_modes_supported"`
	ChallengeMethods      []string `json:"code_challenge_methods_supported"`
	Prompts               []string `json:"prompt_values_supported,omitempty"`
	Classes               []string `json:"acr_values_supported,omitempty"`
	Locales               []string `json:"ui_locales_supported,omitempty"`
	// AnswersNameIssuer is RFC 9207's. RequestURIs left out would mean true
	// (Discovery §3).
	AnswersNameIssuer     bool     `json:"authorization_response_iss_parameter_supported"`
	RequestObjects        bool     `json:"request_parameter_supported"`
	RequestURIs           bool     `json:"request_uri_parameter_supported"`
	GrantTypes            []string `json:"grant_types_supported"`
	RefreshExpiration     []string `json:"refresh_token_expiration_types_supported,omitempty"`
	Scopes                []string `json:"scopes_supported,omitempty"`
	Claims                []string `json:"claims_supported,omitempty"`
	SubjectTypes          []string `json:"subject_types_supported"`
	IDTokenAlgs           []string `json:"id_token_signing_alg_values_supported"`
	TokenAuth             []string `json:"token_endpoint_auth_methods_supported"`
	TokenAuthAlgs         []string `json:"token_endpoint_auth_signing_alg_values_supported,omitempty"`
	RevocationAuth        []string `json:"revocation_endpoint_auth_methods_supported"`
	RevocationAuthAlgs    []string `json:"revocation_endpoint_auth_signing_alg_values_supported,omitempty"`
	IntrospectionAuth     []string `json:"introspection_endpoint_auth_methods_supported"`
	IntrospectionAuthAlgs []string `json:"introspection_endpoint_auth_signing_alg_values_supported,omitempty"`
	ProofAlgs             []string `json:"dpop_signing_alg_values_supported,omitempty"`
}

// NewMetadata returns a handler, or an error that says what c lacks.
func NewMetadata(c Config) (*Metadata, error) {
	switch {
	case c.Issuer == "":
		return nil, errors.New("metadata: an issuer is needed")
	case len(c.Grants) == 0:
		// Left out, the member would mean authorization_code and implicit.
		return nil, errors.New("metadata: at least one grant type is needed")
	case len(c.ResponseModes) == 0:
		return nil, errors.New("metadata: at least one response mode is needed")
	case len(c.ClientAuth) == 0:
		return nil, errors.New("metadata: at least one client authentication method is needed")
	case slices.Contains(c.ClientAuth, "private_key_jwt") && len(c.ClientAuthAlgs) == 0:
		return nil, errors.New("metadata: private_key_jwt needs its algorithms (RFC 8414 §2)")
	case c.Published == nil:
		return nil, errors.New("metadata: the published keys are needed")
	}
	return &Metadata{config: c}, nil
}

// ServeHTTP answers GET and HEAD.
func (m *Metadata) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	set := m.config.Published()
	if len(set.Algs) == 0 {
		unavailable(w)
		return
	}
	last := m.last.Load()
	if last == nil || !slices.Equal(last.algs, set.Algs) || last.full != set.Limit {
		body, err := json.Marshal(m.describe(set.Algs))
		if err != nil {
			unavailable(w)
			return
		}
		last = &rendered{slices.Clone(set.Algs), newDocument(body), newLifetime(set.Limit)}
		m.last.Store(last)
	}
	last.document.serve(w, r, last.cache(set.MaxAge))
}

func (m *Metadata) describe(algs []string) metadata {
	c := m.config
	base := strings.TrimSuffix(c.Issuer, "/")
	withPublic := append(slices.Clone(c.ClientAuth), "none")
	d := metadata{
		Issuer:                c.Issuer,
		TokenEndpoint:         TokenEndpoint(c.Issuer),
		PAREndpoint:           base + parPath,
		RevocationEndpoint:    base + revokePath,
		IntrospectionEndpoint: base + introspectPath,
		JWKSURI:               base + JWKSPath,
		AuthorizationEndpoint: base + authorizePath,
		EndSessionEndpoint:    base + logoutPath,
		BackchannelLogout:     true,
		BackchannelSessions:   true,
		ResponseTypes:         []string{"code"},
		ResponseModes:         c.ResponseModes,
		ChallengeMethods:      []string{"S256"},
		Prompts:               c.Prompts,
		Classes:               c.Classes,
		Locales:               c.Locales,
		AnswersNameIssuer:     true,
		GrantTypes:            c.Grants,
		Scopes:                c.Scopes,
		SubjectTypes:          []string{"public"},
		IDTokenAlgs:           algs,
		TokenAuth:             withPublic,
		TokenAuthAlgs:         c.ClientAuthAlgs,
		RevocationAuth:        withPublic,
		RevocationAuthAlgs:    c.ClientAuthAlgs,
		IntrospectionAuth:     c.ClientAuth,
		IntrospectionAuthAlgs: c.ClientAuthAlgs,
		ProofAlgs:             c.ProofAlgs,
	}
	if slices.Contains(c.Grants, "refresh_token") {
		// draft-ietf-oauth-refresh-token-expiration-03 §8
		d.RefreshExpiration = []string{"authorization", "token_timeout"}
	}
	if slices.Contains(c.Scopes, "openid") {
		d.UserInfoEndpoint = base + userInfoPath
		d.Claims = c.Claims
	}
	return d
}
