// Package problem writes errors as problem details (RFC 9457) and reads the
// JSON bodies of the first-party routes.
package problem

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/refusal"
	"github.com/keyturn/keyturn/internal/strictjson"
)

// Details is a problem document. Type is the URL of the page that explains the
// problem, and Title is that page's heading.
type Details struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
	// Field names the member of the request that the problem is about.
	Field string `json:"field,omitempty"`
	// Challenge is what to send with the code of a second factor.
	Challenge string `json:"challenge,omitempty"`
	// Secret and URI are what an authenticator app is to be set up with.
	Secret string `json:"secret,omitempty"`
	URI    string `json:"otpauth_uri,omitempty"`
	// Options are those of a passkey (WebAuthn §5.4, §5.5).
	Options json.RawMessage `json:"public_key,omitempty"`
}

// Write answers with a problem document of kind k with the text detail.
func Write(w http.ResponseWriter, k Kind, detail string) {
	WriteField(w, k, "", detail)
}

// WriteField is like Write, with the name of the offending member of the
// request.
func WriteField(w http.ResponseWriter, k Kind, field, detail string) {
	k.write(w, Details{Detail: detail, Field: field})
}

func (k Kind) write(w http.ResponseWriter, d Details) {
	d.Type, d.Title, d.Status = k.URI(), k.Title, k.Status
	body, err := json.Marshal(d)
	if err != nil {
		body = []byte(`{}`)
	}
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(k.Status)
	// A write fails only if the client has gone.
	_, _ = w.Write(body)
}

// RetryAfter sets the Retry-After header (RFC 9110 §10.2.3) to d, rounded up to
// whole seconds and at least one.
func RetryAfter(w http.ResponseWriter, d time.Duration) {
	s := int64((d + time.Second - 1) / time.Second)
	w.Header().Set("Retry-After", strconv.FormatInt(max(s, 1), 10))
}

// Unavailable answers 503 with Retry-After: the store or the audit log cannot be
// reached now.
func Unavailable(w http.ResponseWriter) { Refuse(w, &refusal.Error{}) }

// ReadJSON decodes the body into v strictly: the content type must be JSON and
// the body exactly one object. Each member must be one of v's, spelled exactly
// so, and occur once. The members of v are texts; each must be there and not be
// empty, unless its tag says omitempty. A member that is null is not there.
func ReadJSON(r *http.Request, v any) *refusal.Error {
	media, _, err := mime.ParseMediaType(Field(r, "Content-Type"))
	if err != nil || media != "application/json" {
		return unreadable(refusal.WrongContentType, "Send the body as application/json.")
	}
	if Encoded(r) {
		return unreadable(refusal.WrongEncoding, "")
	}
	body, err := io.ReadAll(r.Body)
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return unreadable(refusal.TooLarge, "The body is larger than "+strconv.FormatInt(tooLarge.Limit, 10)+" bytes.")
	case err != nil:
		return BrokenOff()
	}
	if err := strictjson.UnmarshalKnown(body, v); err != nil {
		e := unreadable(refusal.Malformed, "The body is not the JSON object expected: "+describe(err))
		if typ, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			e.Field = typ.Field
		}
		return e
	}
	return missing(reflect.ValueOf(v).Elem())
}

// missing refuses a body without a member that is needed.
func missing(v reflect.Value) *refusal.Error {
	for i := range v.NumField() {
		name, optional, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		if optional == "" && v.Field(i).IsZero() {
			e := unreadable(refusal.Malformed, "The body is not the JSON object expected: the member "+strconv.Quote(name)+" is missing or empty.")
			e.Field = name
			return e
		}
	}
	return nil
}

// Field returns a header of a request. One that was sent several times is combined
// (RFC 9110 §5.3), so that a field that has one value is not valid then.
func Field(r *http.Request, name string) string { return strings.Join(r.Header.Values(name), ", ") }

// Encoded reports whether the body of a request has a content coding, such as
// compression. Keyturn decodes none, because the decoded size is not bounded.
func Encoded(r *http.Request) bool {
	for _, coding := range r.Header.Values("Content-Encoding") {
		if coding != "" && !strings.EqualFold(coding, "identity") {
			return true
		}
	}
	return false
}

// BrokenOff refuses a request whose body broke off, as where its client hung up.
func BrokenOff() *refusal.Error {
	return refusal.New(refusal.Malformed, audit.ReasonBodyUnreadable, "The body could not be read to its end.")
}

func unreadable(code refusal.Code, text string) *refusal.Error {
	return refusal.New(code, audit.ReasonMalformedBody, text)
}

// describe names the member at fault. It never repeats a value, which could be a
// password.
func describe(err error) string {
	var typ *json.UnmarshalTypeError
	var member *strictjson.MemberError
	switch {
	case errors.As(err, &member):
		return member.Error() + "."
	case errors.As(err, &typ) && typ.Field != "":
		return "the member " + strconv.Quote(typ.Field) + " is of the wrong type."
	case errors.Is(err, io.EOF):
		return "it is empty."
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "it ends too early."
	}
	return "it is not valid JSON."
}
