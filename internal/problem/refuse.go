package problem

import (
	"net/http"

	"github.com/keyturn/keyturn/internal/refusal"
)

// kinds is the one table from refusals to problems. The grants of OAuth that the
// first-party routes run are refused here in those routes' terms: what concerns
// the client is the operator's to mend.
var kinds = [...]Kind{
	refusal.Unavailable: TryAgain, refusal.Unfinished: Unfinished, refusal.Busy: TryAgain, refusal.Throttled: TooManyAttempts,
	refusal.Malformed: MalformedBody, refusal.TooLarge: BodyTooLarge, refusal.WrongContentType: WrongContentType,
	refusal.WrongEncoding: WrongContentType,
	refusal.Unacceptable:  UnacceptableValue, refusal.Taken: Taken, refusal.Conflict: ChangedMeanwhile, refusal.NotFound: NotFound,
	refusal.BadCredentials: WrongCredentials, refusal.BadGrant: SessionOver, refusal.BadResetToken: ResetTokenOver,
	refusal.BadClient: ClientNotReady, refusal.GrantNotAllowed: ClientNotReady, refusal.UnsupportedGrant: ClientNotReady,
	refusal.BadScope: MalformedBody, refusal.BadTarget: MalformedBody,
	refusal.NoToken: NoToken, refusal.BadBearer: MalformedBearer, refusal.BadToken: NoToken, refusal.BeyondToken: BeyondToken,
}

// challenges say how to ask with an access token (RFC 6750 §3), as every refusal
// that is about one must.
var challenges = map[refusal.Code]string{
	refusal.NoToken:     `Bearer realm="keyturn"`,
	refusal.BadBearer:   `Bearer realm="keyturn", error="invalid_request"`,
	refusal.BadToken:    `Bearer realm="keyturn", error="invalid_token"`,
	refusal.BeyondToken: `Bearer realm="keyturn", error="insufficient_scope"`,
}

// Refuse answers e as a problem.
func Refuse(w http.ResponseWriter, e *refusal.Error) {
	if challenge := challenges[e.Code]; challenge != "" {
		if e.Code != refusal.NoToken {
			challenge += `, error_description="` + e.Public() + `"`
		}
		w.Header().Set("WWW-Authenticate", challenge)
	}
	if e.Temporary() {
		RetryAfter(w, e.RetryAfter)
	}
	if e.Code == refusal.WrongEncoding {
		w.Header().Set("Accept-Encoding", "identity") // RFC 9110 §15.5.16
	}
	WriteField(w, kinds[e.Code], e.Field, e.Public())
}
