package keys

import (
	"context"
	"fmt"
	"maps"
)

// material holds the opened keys of the records. It is immutable.
type material struct {
	verifiers map[string]*verifier
	signers   map[string]*signer
	// unusable says why a key cannot be used here.
	unusable map[string]error
}

// open opens the keys of the records. It reuses what before has open already:
// the kid is the key's thumbprint, so the key is the same.
func (k *Keeper) open(ctx context.Context, records []Record, before *material) *material {
	m := &material{
		verifiers: make(map[string]*verifier),
		signers:   make(map[string]*signer),
		unusable:  make(map[string]error),
	}
	for _, r := range records {
		if err := m.add(ctx, r, before, k.vault); err != nil {
			m.unusable[r.KID] = err
			if before.unusable[r.KID] == nil {
				k.onError(fmt.Errorf("key %.64q cannot be used: %w", r.KID, err))
			}
		}
	}
	return m
}

func (m *material) add(ctx context.Context, r Record, before *material, vault Vault) error {
	v := before.verifiers[r.KID]
	if v == nil || v.alg != r.Alg {
		var err error
		if v, err = openPublic(r); err != nil {
			return err
		}
	}
	m.verifiers[r.KID] = v
	if len(r.Sealed) == 0 || r.revoked() {
		return nil
	}
	s := before.signers[r.KID]
	if s == nil || s.alg != r.Alg {
		var err error
		if s, err = openPrivate(ctx, r, vault); err != nil {
			return err
		}
	}
	m.signers[r.KID] = s
	return nil
}

// with returns a copy of the material with one more key.
func (m *material) with(v *verifier, s *signer) *material {
	next := &material{
		verifiers: maps.Clone(m.verifiers), signers: maps.Clone(m.signers), unusable: m.unusable,
	}
	next.verifiers[v.kid], next.signers[s.kid] = v, s
	return next
}
