package problem

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/keyturn/keyturn/internal/dpop"
	"github.com/keyturn/keyturn/internal/refusal"
)

// kinds is the one table from refusals to problems. For the OAuth grants behind the
// first-party routes it uses the terms of those routes: refusals about the client
// are for the operator to fix.
var kinds = [...]Kind{
	refusal.Unavailable: TryAgain, refusal.Unfinished: Unfinished, refusal.Busy: TryAgain, refusal.Throttled: TooManyAttempts,
	refusal.Malformed: MalformedBody, refusal.TooLarge: BodyTooLarge, refusal.WrongContentType: WrongContentType,
	refusal.WrongEncoding: WrongContentType,
	refusal.Unacceptable:  UnacceptableValue, refusal.Taken: Taken, refusal.Conflict: ChangedMeanwhile, refusal.NotFound: NotFound,
	refusal.BadCredentials: WrongCredentials, refusal.BadGrant: SessionOver, refusal.NeedsFactor: FactorNeeded, refusal.NeedsEnrolment: EnrolmentNeeded, refusal.WrongCode: WrongCode, refusal.BadChallenge: LoginOver, refusal.StaleLogin: LoginTooOld, refusal.BadResetToken: ResetTokenOver,
	refusal.BadClient: ClientNotReady, refusal.GrantNotAllowed: ClientNotReady, refusal.UnsupportedGrant: ClientNotReady,
	refusal.BadScope: MalformedBody, refusal.BadTarget: MalformedBody,
	refusal.NoToken: NoToken, refusal.BadBearer: MalformedBearer, refusal.BadToken: NoToken, refusal.BeyondToken: BeyondToken,
	refusal.BadProof: BadProof, refusal.NeedsNonce: NeedsNonce,
}

// challenged are the error codes of refusals about an access token or its proof
// (RFC 6750 §3.1, RFC 9449 §7.1, RFC 9470 §3). Their answers must have a challenge.
var challenged = map[refusal.Code]string{
	refusal.NoToken: "", refusal.BadBearer: "invalid_request", refusal.BadToken: "invalid_token", refusal.BeyondToken: "insufficient_scope",
	refusal.StaleLogin: "insufficient_user_authentication", refusal.BadProof: "invalid_dpop_proof", refusal.NeedsNonce: "use_dpop_nonce",
}

// challenge sets WWW-Authenticate: the scheme of the request with the error and, if
// that was not DPoP, the DPoP scheme too (RFC 9449 §7.2).
func challenge(h http.Header, e *refusal.Error) {
	code, due := challenged[e.Code]
	if !due {
		return
	}
	wrong := ""
	if code != "" {
		wrong = `, error="` + code + `", error_description="` + e.Public() + `"`
	}
	if e.Code == refusal.StaleLogin {
		wrong += fmt.Sprintf(`, max_age="%.0f"`, refusal.FreshLogin.Seconds())
	}
	byProof := `DPoP realm="keyturn", algs="` + strings.Join(dpop.Algs(), " ") + `"`
	if e.ByProof || e.Code == refusal.BadProof || e.Code == refusal.NeedsNonce {
		h.Set("WWW-Authenticate", byProof+wrong)
		return
	}
	h.Set("WWW-Authenticate", `Bearer realm="keyturn"`+wrong)
	h.Add("WWW-Authenticate", byProof)
}

// Refuse answers e as a problem.
func Refuse(w http.ResponseWriter, e *refusal.Error) {
	challenge(w.Header(), e)
	if e.Nonce != "" {
		w.Header().Set(dpop.NonceHeader, e.Nonce)
	}
	if e.Temporary() {
		RetryAfter(w, e.RetryAfter)
	}
	if e.Code == refusal.WrongEncoding {
		w.Header().Set("Accept-Encoding", "identity") // RFC 9110 §15.5.16
	}
	kinds[e.Code].write(w, Details{Detail: e.Public(), Field: e.Field, Challenge: e.Challenge, Secret: e.Secret, URI: e.URI, Options: e.Options})
}
