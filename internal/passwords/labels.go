package passwords

import "strings"

// labels are prefixes that Django, Spring Security, Dovecot and OpenLDAP put
// before hashes that identify themselves.
var labels = []string{
	"{bcrypt}", "{BLF-CRYPT}", "{CRYPT}", "{SHA256-CRYPT}", "{SHA512-CRYPT}", "{MD5-CRYPT}",
	"{ARGON2ID}", "{ARGON2I}", "{ARGON2}", "{argon2}", "{argon2@SpringSecurity_v5_8}",
}

// withoutLabel removes a label, and the prefixes that Django puts before hashes
// of other libraries.
func withoutLabel(encoded string) string {
	for _, label := range labels {
		if len(encoded) > len(label) && strings.EqualFold(encoded[:len(label)], label) && encoded[len(label)] == '$' {
			return encoded[len(label):]
		}
	}
	if rest, ok := strings.CutPrefix(encoded, "argon2$"); ok {
		return "$" + rest
	}
	if rest, ok := strings.CutPrefix(encoded, "bcrypt$"); ok {
		return rest
	}
	return encoded
}
