package oauth

import (
	"encoding/json"
	"strconv"
)

// The claims of an access token and the answer that bears it are encoded by hand:
// every token request does both, and encoding/json takes several times as long.
// They come out as encoding/json has the same structs, to the byte.

// claimsRoom is for the claims of most tokens, in bytes.
const claimsRoom = 512

// appendClaims appends c as a JSON object.
func appendClaims(b []byte, c *claims) []byte {
	b = appendString(append(b, `{"iss":`...), c.Issuer)
	b = appendString(append(b, `,"sub":`...), c.Subject)
	b = appendAudience(append(b, `,"aud":`...), c.Audience)
	b = strconv.AppendInt(append(b, `,"exp":`...), c.Expiry, 10)
	b = strconv.AppendInt(append(b, `,"iat":`...), c.IssuedAt, 10)
	b = appendString(append(b, `,"jti":`...), c.ID)
	b = appendString(append(b, `,"client_id":`...), c.ClientID)
	b = appendMember(b, `,"scope":`, c.Scope)
	if c.AuthTime != 0 {
		b = strconv.AppendInt(append(b, `,"auth_time":`...), c.AuthTime, 10)
	}
	b = appendMember(b, `,"sid":`, c.Session)
	b = appendMember(b, `,"email":`, c.Email)
	return append(b, '}')
}

// appendAudience appends a as a JSON value.
func appendAudience(b []byte, a audience) []byte {
	if len(a) == 1 {
		return appendString(b, a[0])
	}
	b = append(b, '[')
	for i, s := range a {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, s)
	}
	return append(b, ']')
}

// answerRoom is for what stands around the tokens and the scope of an answer, in
// bytes.
const answerRoom = 128

// appendTo appends a as a JSON object.
func (a *tokenAnswer) appendTo(b []byte) []byte {
	b = appendString(append(b, `{"access_token":`...), a.AccessToken)
	b = appendString(append(b, `,"token_type":`...), a.TokenType)
	b = strconv.AppendInt(append(b, `,"expires_in":`...), a.ExpiresIn, 10)
	b = appendMember(b, `,"refresh_token":`, a.RefreshToken)
	b = appendMember(b, `,"scope":`, a.Scope)
	return append(b, '}')
}

// appendMember appends a member with its name, which is written key, unless it is
// empty.
func appendMember(b []byte, key, value string) []byte {
	if value == "" {
		return b
	}
	return appendString(append(b, key...), value)
}

// appendString appends s as a JSON string.
func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= 0x7f || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			text, _ := json.Marshal(s) // a string can always be encoded
			return append(b, text...)
		}
	}
	return append(append(append(b, '"'), s...), '"')
}
