package passwords

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
)

const (
	identityV2Rounds = 1000
	identityV2Salt   = 16
	identityV2Bytes  = 1 + identityV2Salt + 32
	identityV3Header = 13
)

// identityFunctions are the hash functions of ASP.NET Identity by number.
var identityFunctions = []string{"sha1", "sha256", "sha512"}

// isIdentity reports whether encoded is the base64 of an ASP.NET Identity hash.
// It has no prefix: the bytes are a 0 and 48 more, or a 1 and the number of a
// function.
func isIdentity(encoded string) bool {
	b, err := base64.StdEncoding.Strict().DecodeString(encoded)
	return err == nil && (len(b) == identityV2Bytes && b[0] == 0 || len(b) > identityV3Header && b[0] == 1 && b[1] == 0)
}

// parseIdentity parses versions 2 and 3 of ASP.NET Identity hashes.
func parseIdentity(encoded string) (scheme, error) {
	b, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil {
		return nil, errors.New("hash of ASP.NET Identity must be base64")
	}
	if b[0] == 0 {
		return pbkdf2Hash{function: "sha1", rounds: identityV2Rounds, salt: b[1 : 1+identityV2Salt], digest: b[1+identityV2Salt:]}, nil
	}
	function, rounds, size := binary.BigEndian.Uint32(b[1:]), binary.BigEndian.Uint32(b[5:]), binary.BigEndian.Uint32(b[9:])
	if function >= uint32(len(identityFunctions)) {
		return nil, fmt.Errorf("hash of ASP.NET Identity of the function %d: 0, 1 and 2 are accepted", function)
	}
	rest := b[identityV3Header:]
	if size < minSaltBytes || size > maxSaltBytes || int(size) > len(rest) {
		return nil, fmt.Errorf("hash of ASP.NET Identity: a salt of %d to %d bytes is accepted", minSaltBytes, maxSaltBytes)
	}
	h := pbkdf2Hash{function: identityFunctions[function], rounds: rounds, salt: rest[:size], digest: rest[size:]}
	if err := checkDigest(h.digest); err != nil {
		return nil, fmt.Errorf("hash of ASP.NET Identity: %w", err)
	}
	return h, nil
}
