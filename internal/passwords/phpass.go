package passwords

import (
	"crypto/md5"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"hash"
	"strings"
)

const (
	minPhpassLog     = 7
	maxPhpassLog     = 20
	phpassSettingEnd = 12 // $P$, the cost and 8 characters of salt
)

// phpassHash is the portable hash of phpass: with MD5 of WordPress ($P$) and phpBB
// ($H$), with SHA-512 of Drupal 7 ($S$). U$S$ and U$P$ are Drupal's hashes over the
// MD5s of its version 6.
type phpassHash struct {
	overMD5 bool   // U
	setting string // with its cost and salt
	digest  string // encoded
}

// parsePhpass parses $P$B, 8 characters of salt and 22 of hash, and $S$D with 43 of
// hash.
func parsePhpass(encoded string) (scheme, error) {
	rest, overMD5 := strings.CutPrefix(encoded, "U")
	h := phpassHash{overMD5: overMD5}
	if len(rest) < phpassSettingEnd {
		return nil, fmt.Errorf("phpass hash must have a cost, a salt and a hash, as in $P$B, 8 characters and 22 more")
	}
	h.setting, h.digest = rest[:phpassSettingEnd], rest[phpassSettingEnd:]
	if strings.Trim(rest[3:], cryptAlphabet) != "" || len(h.digest) != h.digestLength() {
		return nil, fmt.Errorf("%s hash must have %d characters, ./0-9A-Za-z after the second $", h.name(), phpassSettingEnd+h.digestLength())
	}
	return h, nil
}

func (h phpassHash) isSHA512() bool { return h.setting[1] == 'S' }

func (h phpassHash) name() string {
	if h.isSHA512() {
		return "drupal"
	}
	return "phpass"
}

func (h phpassHash) digestLength() int {
	if h.isSHA512() {
		return 43
	}
	return 22
}

func (h phpassHash) log() int { return strings.IndexByte(cryptAlphabet, h.setting[3]) }

func (h phpassHash) digestOf(password string) string {
	if h.overMD5 {
		inner := md5.Sum([]byte(password))
		password = hex.EncodeToString(inner[:])
	}
	return orNone(h.rounds(1<<h.log(), password), len(password) <= maxCryptPassword)
}

func (h phpassHash) rounds(n uint64, password string) string {
	var c hash.Hash
	if c = md5.New(); h.isSHA512() {
		c = sha512.New()
	}
	looked := []byte(password[:min(len(password), maxCryptPassword)])
	c.Write([]byte(h.setting[4:]))
	c.Write(looked)
	digest := c.Sum(nil)
	for range n {
		c.Reset()
		c.Write(digest)
		c.Write(looked)
		digest = c.Sum(digest[:0])
	}
	return cryptEncode(digest, inOrder(len(digest)), h.digestLength())
}

// inOrder returns the byte order of phpass: the first byte of three is the least
// significant.
func inOrder(n int) [][3]int {
	var order [][3]int
	for i := 0; i < n; i += 3 {
		triple := [3]int{-1, -1, i}
		for j := 1; j < 3 && i+j < n; j++ {
			triple[2-j] = i + j
		}
		order = append(order, triple)
	}
	return order
}

func (h phpassHash) matches(password string) bool {
	return subtle.ConstantTimeCompare([]byte(h.digestOf(password)), []byte(h.digest)) == 1
}

func (h phpassHash) check() error {
	if h.log() < minPhpassLog || h.log() > maxPhpassLog {
		return fmt.Errorf("%s hash of 2^%d rounds: 2^%d to 2^%d are accepted", h.name(), h.log(), minPhpassLog, maxPhpassLog)
	}
	return nil
}

func (h phpassHash) kind() kind { return kind{h.name(), 1 << h.log()} }

func (phpassHash) memoryKiB() uint32 { return 0 }

func (h phpassHash) spend(rounds uint64, password string) { h.rounds(rounds, password) }

func (h phpassHash) blank() string {
	ident := "$P$"
	if h.isSHA512() {
		ident = "$S$"
	}
	return ident + h.setting[3:4] + strings.Repeat(".", 8+h.digestLength())
}

func (h phpassHash) ownDigest() string { return h.digest }

func (h phpassHash) weak() bool { return !h.isSHA512() }

func (h phpassHash) bare() string {
	setting := h.setting + strings.Repeat(".", h.digestLength())
	if h.overMD5 {
		return "U" + setting
	}
	return setting
}
