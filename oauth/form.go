package oauth

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/problem"
	"github.com/keyturn/keyturn/internal/refusal"
)

// form holds the parameters of one request to an OAuth endpoint, each at most
// once but for resource (RFC 6749 §3.2, RFC 8707 §2).
type form struct{ values url.Values }

// get returns the parameter, or "" where it is absent or empty, which RFC 6749
// §3.2 has us treat alike.
func (f form) get(name string) string { return f.values.Get(name) }

func (f form) all(name string) []string { return f.values[name] }

// parameters are the names that Keyturn gives a meaning to.
var parameters = map[string]bool{
	"grant_type": true, "code": true, "redirect_uri": true, "code_verifier": true, "username": true, "password": true, "scope": true, "refresh_token": true,
	"client_id": true, "client_secret": true, "client_assertion": true, "client_assertion_type": true, "resource": true, "token": true, "token_type_hint": true,
}

// readForm reads the body of r as RFC 6749 §3.2 has it, strictly. Parameters
// in the URL are refused: they end up in logs (RFC 6749 §2.3.1).
func readForm(r *http.Request) (form, *refusal.Error) {
	if e := checkFormType(problem.Field(r, "Content-Type")); e != nil {
		return form{}, e
	}
	if problem.Encoded(r) {
		return form{}, refusal.New(refusal.WrongEncoding, audit.ReasonContentEncoding, "")
	}
	if inURL(r.URL) {
		return form{}, refusal.New(refusal.Malformed, audit.ReasonParameterInURL, "Send the parameters in the body, not in the URL.")
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return form{}, refusal.New(refusal.TooLarge, audit.ReasonBodyTooLarge, "")
		}
		return form{}, problem.BrokenOff()
	}
	return parseForm(string(body))
}

const formType = "application/x-www-form-urlencoded"

func checkFormType(contentType string) *refusal.Error {
	if contentType == formType {
		return nil
	}
	media, params, err := mime.ParseMediaType(contentType)
	if err != nil || media != formType {
		return refusal.New(refusal.Malformed, audit.ReasonContentType, "Send the parameters as "+formType+".")
	}
	if cs := params["charset"]; cs != "" && !strings.EqualFold(cs, "utf-8") {
		return refusal.New(refusal.Malformed, audit.ReasonContentType, "Send the parameters in UTF-8.")
	}
	return nil
}

func inURL(u *url.URL) bool {
	if u.RawQuery == "" {
		return false
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return true
	}
	for name := range query {
		if parameters[name] {
			return true
		}
	}
	return false
}

func parseForm(body string) (form, *refusal.Error) {
	values, err := url.ParseQuery(body)
	if err != nil {
		return form{}, refusal.New(refusal.Malformed, audit.ReasonMalformedForm, "The body is not properly form-encoded.")
	}
	for name, list := range values {
		if len(list) > 1 && name != "resource" {
			description := "A parameter is given more than once."
			if parameters[name] {
				description = "The parameter " + name + " is given more than once."
			}
			return form{}, refusal.New(refusal.Malformed, audit.ReasonRepeatedParameter, description)
		}
		for _, v := range list {
			if parameters[name] && (!utf8.ValidString(v) || strings.ContainsRune(v, 0)) {
				return form{}, refusal.New(refusal.Malformed, audit.ReasonMalformedParameter, "The parameter "+name+" is not valid text.")
			}
		}
	}
	return form{values}, nil
}

// ReadForm reads the body of a form, each parameter once but for resource.
func ReadForm(r *http.Request) (url.Values, *refusal.Error) {
	f, e := readForm(r)
	return f.values, e
}
