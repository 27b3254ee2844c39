package keys

import "time"

// Info is what people are shown of a key.
type Info struct {
	KID   string `json:"kid"`
	Alg   string `json:"alg"`
	State State  `json:"state"`
	Seq   int64  `json:"seq"`
	// Ring names the algorithm whose ring beside the main one the key belongs
	// to, by whose count Seq goes; empty for the main ring.
	Ring string `json:"ring,omitempty"`
	// Times are UTC with milliseconds. RetireAt and ExpireAt are zero while
	// no successor is scheduled, RevokedAt unless the key was revoked.
	CreatedAt    time.Time `json:"created_at"`
	ActivateAt   time.Time `json:"activate_at"`
	RetireAt     time.Time `json:"retire_at,omitzero"`
	ExpireAt     time.Time `json:"expire_at,omitzero"`
	RevokedAt    time.Time `json:"revoked_at,omitzero"`
	RevokeReason string    `json:"revoke_reason,omitempty"`
	// MasterID names the master secret that the private half is sealed
	// under (or what else it rests in); empty once that half is erased.
	MasterID string `json:"master_id,omitempty"`
	// Problem says why the key cannot be used here; empty if it can.
	Problem string `json:"problem,omitempty"`
}

func newInfo(k keyView, vault Vault) Info {
	info := Info{
		KID: k.KID, Alg: k.Alg, State: k.State, Seq: k.Seq % ringSpan,
		CreatedAt: k.CreatedAt.UTC(), ActivateAt: k.ActivateAt.UTC(),
		RetireAt: k.RetireAt.UTC(), ExpireAt: k.ExpireAt.UTC(),
		RevokedAt: k.RevokedAt.UTC(), RevokeReason: k.RevokeReason,
	}
	if k.Beside() {
		info.Ring = k.Alg
	}
	if len(k.Sealed) > 0 {
		info.MasterID, _ = vault.SealedUnder(k.Sealed)
	}
	return info
}
