package passwords

import "strings"

// labels are names that programs put before hashes which say themselves what they
// are: Django, Spring Security, Dovecot and OpenLDAP.
var labels = []string{
	"{bcrypt}", "{BLF-CRYPT}", "{CRYPT}", "{SHA256-CRYPT}", "{SHA512-CRYPT}", "{MD5-CRYPT}",
	"{ARGON2ID}", "{ARGON2I}", "{ARGON2}", "{argon2}", "{argon2@SpringSecurity_v5_8}",
}

// withoutLabel takes off a label, and the names that Django puts before the
// hashes that it has from other libraries.
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
