package verify

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/keyturn/keyturn/internal/audit/line"
	"github.com/keyturn/keyturn/internal/jws"
)

// checkpoint checks that the line seals the one before it and, with keys, its
// signature.
func (v *verifier) checkpoint(c *chainState, k line.Link, text []byte) error {
	at := v.place
	payload, verified, err := v.open(string(k.Checkpoint))
	if _, unknown := errors.AsType[unknownKey](err); unknown && (v.o.restored || v.known(c, k.Seq)) {
		v.lostKeys = append(v.lostKeys, lostKey{c, k.Seq, line.Time(text), at.bad("the checkpoint is not valid: %v", err)})
		err = nil
	}
	if err != nil {
		return at.bad("the checkpoint is not valid: %v", err)
	}
	var s line.Seal
	if err := json.Unmarshal(payload, &s); err != nil {
		return at.bad("the checkpoint does not hold what a checkpoint holds")
	}
	if !s.Covers(k) {
		since := "the beginning of the chain"
		if c.sealedAt.line > 0 {
			since = fmt.Sprintf("%s:%d", c.sealedAt.file, c.sealedAt.line)
		}
		return at.bad("the checkpoint was signed over other lines than these: lines of chain %s were changed since %s", c.id, since)
	}
	if verified {
		v.rep.Checkpoints++
		c.sealedAt, c.sealedSeq, c.vouched = at, s.Seq, k.Seq
		for _, other := range s.Seen {
			v.attest(attested{Seen: other, by: fmt.Sprintf("the checkpoint %s:%d", at.file, at.line), signed: true})
		}
	}
	return nil
}

// unknownKey is the error of a kid without a known key.
type unknownKey string

func (kid unknownKey) Error() string {
	return fmt.Sprintf("its key %q is unknown: it is a forger's, or the store was restored and nobody has said so (keyturn store restored)", string(kid))
}

// open returns the payload of a checkpoint's JWS. It reports whether the
// signature was verified, which requires keys.
func (v *verifier) open(compact string) ([]byte, bool, error) {
	signed, err := jws.Parse(compact)
	if err != nil {
		return nil, false, err
	}
	if signed.Header.Typ != line.CheckpointType {
		return nil, false, fmt.Errorf("its typ is not %s", line.CheckpointType)
	}
	if v.o.Keys == nil {
		return signed.Payload, false, nil
	}
	key, ok := v.o.Keys(signed.Header.Kid)
	if !ok {
		return signed.Payload, false, unknownKey(signed.Header.Kid)
	}
	if key.Algorithm != "" && key.Algorithm != signed.Header.Alg {
		return nil, false, fmt.Errorf("its algorithm %s is not the key's", signed.Header.Alg)
	}
	if !signed.SignedBy(key.Public().Key) {
		return nil, false, errors.New("its signature does not verify")
	}
	return signed.Payload, true, nil
}
