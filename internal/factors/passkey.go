package factors

import (
	"bytes"
	"cmp"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/protocol/webauthncbor"
	"github.com/go-webauthn/webauthn/protocol/webauthncose"
)

// Passkey is a key pair of the user's device or of what keeps passkeys for them
// (WebAuthn).
const Passkey Kind = "passkey"

const (
	// PasskeyTimeout is how long a browser asks for a passkey, in milliseconds.
	PasskeyTimeout = 300_000
	// maxKey bounds the public key of a passkey, in bytes: an RSA key of 4096 bits has
	// some 530. maxHandle bounds a user handle (WebAuthn §5.4.3).
	maxKey, maxHandle = 1024, 64
)

// Credential is what is kept of a passkey, nothing of it secret.
type Credential struct {
	ID []byte `json:"credential_id,omitempty" bson:"credential_id,omitempty"`
	// PublicKey is a COSE key (RFC 9052 §7).
	PublicKey []byte `json:"public_key,omitempty" bson:"public_key,omitempty"`
	// SignCount is the last value of the authenticator's counter, if it counts.
	SignCount uint32 `json:"sign_count,omitempty" bson:"sign_count,omitempty"`
	// Synced says that the passkey can be on several devices.
	Synced bool `json:"synced,omitempty" bson:"synced,omitempty"`
	// SyncedUnknown says that whether it is Synced is still to be learned, from its next
	// answer: it was made by a system that did not keep that.
	SyncedUnknown bool `json:"synced_unknown,omitempty" bson:"synced_unknown,omitempty"`
}

var (
	// ErrForeignOrigin means that a passkey was asked for by a page of another origin.
	ErrForeignOrigin = errors.New("a page of another origin asked for the passkey")
	// ErrWrongPasskey means anything else that is wrong with what a passkey made.
	ErrWrongPasskey = errors.New("the passkey is none of the account's, or what it made does not hold")
)

// RelyingParty is whom passkeys are made for: a host and an origin, which people know by
// its name.
type RelyingParty struct{ ID, Origin, Name string }

// RelyingPartyOf returns that of an issuer, the zero one if there can be none, as where
// its host is an address (WebAuthn §5.1.3).
func RelyingPartyOf(issuer, name string) RelyingParty {
	u, err := url.Parse(issuer)
	if err != nil {
		return RelyingParty{}
	}
	if _, err := netip.ParseAddr(u.Hostname()); err == nil {
		return RelyingParty{}
	}
	return RelyingParty{strings.ToLower(u.Hostname()), u.Scheme + "://" + u.Host, name}
}

// Ceremony is one question to a passkey.
type Ceremony struct {
	RelyingParty
	Challenge []byte
	// Alone says that the passkey is all that is asked for. Then its device has to make
	// sure of the user.
	Alone bool
}

// The algorithms of passkeys, the one that every authenticator has first.
var passkeyAlgorithms = []webauthncose.COSEAlgorithmIdentifier{webauthncose.AlgES256, webauthncose.AlgEdDSA, webauthncose.AlgRS256}

// Creation returns the options by which a browser makes a passkey for the user uid, whose
// factors are s (WebAuthn §5.4), or nil if it cannot.
func (c Ceremony) Creation(uid, name string, s Set) json.RawMessage {
	if c.ID == "" {
		return nil
	}
	options := protocol.PublicKeyCredentialCreationOptions{
		RelyingParty: protocol.RelyingPartyEntity{CredentialEntity: protocol.CredentialEntity{Name: cmp.Or(c.Name, c.ID)}, ID: c.ID},
		User:         protocol.UserEntity{CredentialEntity: protocol.CredentialEntity{Name: name}, DisplayName: name, ID: protocol.URLEncodedBase64(uid)},
		Challenge:    c.Challenge, Timeout: PasskeyTimeout, CredentialExcludeList: s.descriptors(),
		AuthenticatorSelection: protocol.AuthenticatorSelection{ResidentKey: protocol.ResidentKeyRequirementPreferred, UserVerification: protocol.VerificationPreferred},
		Attestation:            protocol.PreferNoAttestation,
	}
	for _, a := range passkeyAlgorithms {
		options.Parameters = append(options.Parameters, protocol.CredentialParameter{Type: protocol.PublicKeyCredentialType, Algorithm: a})
	}
	return encode(options)
}

// Request returns the options by which a browser asks for a passkey (WebAuthn §5.5): of
// s, or of whomever if it is asked for alone. It returns nil if there can be none.
func (c Ceremony) Request(s Set) json.RawMessage {
	options := protocol.PublicKeyCredentialRequestOptions{
		Challenge: c.Challenge, Timeout: PasskeyTimeout, RelyingPartyID: c.ID, UserVerification: protocol.VerificationRequired,
	}
	if !c.Alone {
		options.AllowedCredentials, options.UserVerification = s.descriptors(), protocol.VerificationDiscouraged
	}
	if c.ID == "" || !c.Alone && options.AllowedCredentials == nil {
		return nil
	}
	return encode(options)
}

func encode(options any) json.RawMessage {
	text, _ := json.Marshal(options) // texts and numbers can always be encoded
	return text
}

func (s Set) descriptors() (list []protocol.CredentialDescriptor) {
	for _, f := range s.List {
		if f.Kind == Passkey {
			list = append(list, protocol.CredentialDescriptor{Type: protocol.PublicKeyCredentialType, CredentialID: f.Credential.ID})
		}
	}
	return list
}

// Made returns the passkey that a browser made (WebAuthn §7.1), which answers with a
// PublicKeyCredential in JSON. Who made the authenticator is not asked, so its
// attestation is not looked at.
func (c Ceremony) Made(response []byte) (Credential, error) {
	p, err := protocol.ParseCredentialCreationResponseBytes(response)
	if err != nil {
		return Credential{}, ErrWrongPasskey
	}
	data := p.Response.AttestationObject.AuthData
	if err := c.verify(p.Response.CollectedClientData, protocol.CreateCeremony, data); err != nil {
		return Credential{}, err
	}
	made := Credential{ID: data.AttData.CredentialID, PublicKey: data.AttData.CredentialPublicKey, SignCount: data.Counter, Synced: data.Flags.HasBackupEligible()}
	if !bytes.Equal(p.RawID, made.ID) {
		return Credential{}, ErrWrongPasskey
	}
	return made, made.Usable()
}

// Usable refuses what no passkey can be.
func (c Credential) Usable() error {
	var key webauthncose.PublicKeyData
	if len(c.ID) == 0 || len(c.ID) > 1023 || len(c.PublicKey) > maxKey || webauthncbor.Unmarshal(c.PublicKey, &key) != nil {
		return ErrWrongPasskey
	}
	if _, err := webauthncose.ParsePublicKey(c.PublicKey); err != nil || !slices.Contains(passkeyAlgorithms, webauthncose.COSEAlgorithmIdentifier(key.Algorithm)) {
		return ErrWrongPasskey
	}
	return nil
}

// verify checks what both ceremonies have in common.
func (c Ceremony) verify(said protocol.CollectedClientData, kind protocol.CeremonyType, data protocol.AuthenticatorData) error {
	if c.ID == "" {
		return ErrWrongPasskey
	}
	if !protocol.IsOriginInHaystack(said.Origin, []string{c.Origin}) {
		return ErrForeignOrigin
	}
	challenge := base64.RawURLEncoding.EncodeToString(c.Challenge)
	host := sha256.Sum256([]byte(c.ID))
	if said.Verify(challenge, kind, []string{c.Origin}, nil, nil, protocol.TopOriginExplicitVerificationMode, false) != nil ||
		data.Verify(host[:], nil, c.Alone, true) != nil || data.Flags.HasBackupState() && !data.Flags.HasBackupEligible() {
		return ErrWrongPasskey
	}
	return nil
}

// Assertion is what a passkey signed for a log-in, as a browser sent it. The zero one
// holds for nobody.
type Assertion struct {
	parsed *protocol.ParsedCredentialAssertionData
}

// ParseAssertion reads an assertion, a PublicKeyCredential in JSON.
func ParseAssertion(response []byte) Assertion {
	p, err := protocol.ParseCredentialRequestResponseBytes(response)
	if err != nil {
		return Assertion{}
	}
	return Assertion{p}
}

// UserID returns whose passkey it says that it is of, or "" if it says nothing.
func (a Assertion) UserID() string {
	if a.parsed == nil || len(a.parsed.Response.UserHandle) > maxHandle || !utf8.Valid(a.parsed.Response.UserHandle) {
		return ""
	}
	return string(a.parsed.Response.UserHandle)
}

// decoy is the key of no passkey: what is refused for want of one costs a signature's
// verification like any other (U1).
var decoy = sync.OnceValue(func() []byte {
	g := elliptic.P256().Params()
	key, err := webauthncbor.Marshal(webauthncose.EC2PublicKeyData{
		PublicKeyData: webauthncose.PublicKeyData{KeyType: int64(webauthncose.EllipticKey), Algorithm: int64(webauthncose.AlgES256)},
		Curve:         int64(webauthncose.P256), XCoord: g.Gx.Bytes(), YCoord: g.Gy.Bytes(),
	})
	if err != nil {
		panic(err) // it is a constant
	}
	return key
})

// Judge returns which passkey of s made an assertion (WebAuthn §7.2), or
// ErrForeignOrigin or ErrWrongPasskey. Signed looks at the counter.
func (c Ceremony) Judge(a Assertion, s Set) (Factor, error) {
	if a.parsed == nil {
		return Factor{}, ErrWrongPasskey
	}
	signed := a.parsed.Response
	if err := c.verify(signed.CollectedClientData, protocol.AssertCeremony, signed.AuthenticatorData); err != nil {
		return Factor{}, err
	}
	of, key := Factor{}, decoy()
	for _, f := range s.List {
		if f.Kind == Passkey && bytes.Equal(f.Credential.ID, a.parsed.RawID) {
			of, key = f, f.PublicKey
		}
	}
	err := a.parsed.Verify(signed.CollectedClientData.Challenge, c.ID, "", []string{c.Origin}, nil, nil,
		protocol.TopOriginExplicitVerificationMode, false, c.Alone, true, key, protocol.SignaturePolicy{})
	if err != nil || of.ID == "" || of.Synced != signed.AuthenticatorData.Flags.HasBackupEligible() && !of.SyncedUnknown {
		return Factor{}, ErrWrongPasskey
	}
	return of, nil
}

// Signed returns the passkey after an assertion of it that Judge took, or false if the
// counter did not grow: then the passkey has a copy (WebAuthn §6.1.1).
func (f Factor) Signed(a Assertion) (Factor, bool) {
	data := a.parsed.Response.AuthenticatorData
	count := data.Counter
	if (count != 0 || f.SignCount != 0) && count <= f.SignCount {
		return f, false
	}
	f.SignCount = count
	if f.SyncedUnknown {
		f.Synced, f.SyncedUnknown = data.Flags.HasBackupEligible(), false
	}
	return f, true
}

// Methods are what a log-in with the factor proved, as RFC 8176 has it.
func (f Factor) Methods() string {
	switch {
	case f.Kind != Passkey:
		return "otp"
	case f.Synced:
		return "swk user"
	}
	return "hwk user"
}
