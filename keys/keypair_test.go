package keys

import (
	"context"
	"crypto"
	"strings"
	"testing"
)

// dashedVault makes keys whose kids begin with a dash, until it has made enough.
type dashedVault struct {
	Vault
	dashes, destroyed int
}

func (v *dashedVault) Make(ctx context.Context, alg string) (crypto.Signer, []byte, error) {
	for {
		private, sealed, err := v.Vault.Make(ctx, alg)
		if err != nil {
			return nil, nil, err
		}
		kid, err := thumbprint(private.Public())
		if err != nil {
			return nil, nil, err
		}
		if dashed := strings.HasPrefix(kid, "-"); dashed == (v.dashes > 0) {
			if dashed {
				v.dashes--
			}
			return private, sealed, nil
		}
	}
}

func (v *dashedVault) Destroy(context.Context, []byte) error {
	v.destroyed++
	return nil
}

func TestNoKIDBeginsWithADash(t *testing.T) {
	v := &dashedVault{Vault: testMasters(t, 1).Vault(), dashes: 2}
	r, _, _, err := newRecord(t.Context(), EdDSA, v)
	if err != nil || strings.HasPrefix(r.KID, "-") || v.destroyed != 2 {
		t.Errorf("kid %s, %d keys destroyed, %v", r.KID, v.destroyed, err)
	}
	v.dashes = 1 << 10
	if r, _, _, err := newRecord(t.Context(), EdDSA, v); err == nil {
		t.Errorf("a vault that makes dashes alone gave %s", r.KID)
	}
}
