package users

import (
	"errors"
	"slices"
	"strings"
	"unicode/utf8"
)

// asciiPrefix begins a label of a domain that stands for one in Unicode (RFC 5890).
const asciiPrefix = "xn--"

// unicodeDomain returns an address, of which fold made this key, with the labels of its
// domain in Unicode that are in their xn-- form. A label that has no form in Unicode, or
// one that an address may not have, stays as it is.
func unicodeDomain(key string) string {
	local, domain, _ := strings.Cut(key, "@")
	if !strings.Contains(domain, asciiPrefix) {
		return key
	}
	labels := strings.Split(domain, ".")
	for i, label := range labels {
		encoded, ok := strings.CutPrefix(label, asciiPrefix)
		if !ok {
			continue
		}
		decoded, err := decodePunycode(encoded)
		folded := fold(decoded)
		if err == nil && isDomainLabel(decoded) && isDomainLabel(folded) && !strings.HasPrefix(folded, asciiPrefix) {
			labels[i] = folded
		}
	}
	converted := local + "@" + strings.Join(labels, ".")
	if checkEmail(converted) != nil {
		return key
	}
	return converted
}

// The parameters of Punycode (RFC 3492 §5).
const (
	punycodeBase  = 36
	punycodeTMin  = 1
	punycodeTMax  = 26
	punycodeSkew  = 38
	punycodeDamp  = 700
	punycodeBias  = 72
	punycodeFirst = 0x80
)

var errPunycode = errors.New("not Punycode")

// decodePunycode decodes a label without its prefix, in lower case (RFC 3492 §6.2).
func decodePunycode(text string) (string, error) {
	if len(text) > maxLabelBytes || strings.ContainsFunc(text, func(r rune) bool { return r >= utf8.RuneSelf }) {
		return "", errPunycode
	}
	var out []rune
	if at := strings.LastIndexByte(text, '-'); at > 0 {
		out, text = []rune(text[:at]), text[at+1:]
	}
	n, i, bias := punycodeFirst, 0, punycodeBias
	for at := 0; at < len(text); i++ {
		before, weight := i, 1
		for k := punycodeBase; ; k += punycodeBase {
			if at == len(text) {
				return "", errPunycode
			}
			digit := strings.IndexByte("abcdefghijklmnopqrstuvwxyz0123456789", text[at])
			at++
			// Neither grows past what 32 bits hold.
			if digit < 0 || weight > utf8.MaxRune*maxLabelBytes {
				return "", errPunycode
			}
			i += digit * weight
			threshold := min(max(k-bias, punycodeTMin), punycodeTMax)
			if digit < threshold {
				break
			}
			weight *= punycodeBase - threshold
		}
		bias = adaptPunycode(i-before, len(out)+1, before == 0)
		n, i = n+i/(len(out)+1), i%(len(out)+1)
		if !utf8.ValidRune(rune(min(n, utf8.MaxRune+1))) {
			return "", errPunycode
		}
		out = slices.Insert(out, i, rune(n))
	}
	return string(out), nil
}

// adaptPunycode is the adaptation of the bias (RFC 3492 §6.1).
func adaptPunycode(delta, points int, first bool) int {
	if delta /= 2; first {
		delta /= punycodeDamp / 2
	}
	delta += delta / points
	k := 0
	for ; delta > (punycodeBase-punycodeTMin)*punycodeTMax/2; k += punycodeBase {
		delta /= punycodeBase - punycodeTMin
	}
	return k + (punycodeBase-punycodeTMin+1)*delta/(delta+punycodeSkew)
}
