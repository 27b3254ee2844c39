package keys

import "time"

// Info describes a key for people.
type Info struct {
	KID   string `json:"kid"`
	Alg   string `json:"alg"`
	State State  `json:"state"`
	Seq   int64  `json:"seq"`
	// Ring is the algorithm of the key's ring, within which Seq counts. It is
	// empty for the main ring.
	Ring string `json:"ring,omitempty"`
	// Times are UTC with milliseconds. RetireAt and ExpireAt are zero while no
	// successor is scheduled. RevokedAt is zero unless the key was revoked.
	CreatedAt    time.Time `json:"created_at"`
	ActivateAt   time.Time `json:"activate_at"`
	RetireAt     time.Time `json:"retire_at,omitzero"`
	ExpireAt     time.Time `json:"expire_at,omitzero"`
	RevokedAt    time.Time `json:"revoked_at,omitzero"`
	RevokeReason string    `json:"revoke_reason,omitempty"`
	// Answers is the time of the last revocation before the key was made, whose second
	// turn the first such key is.
	Answers time.Time `json:"answers,omitzero"`
	// MasterID names the master secret (or other means) that seals the private
	// half. It is empty once that half is erased.
	MasterID string `json:"master_id,omitempty"`
	// Problem says why this replica cannot use the key. It is empty if it can.
	Problem string `json:"problem,omitempty"`
}

func newInfo(k keyView, vault Vault) Info {
	info := Info{
		KID: k.KID, Alg: k.Alg, State: k.State, Seq: k.Seq % ringSpan,
		CreatedAt: k.CreatedAt.UTC(), ActivateAt: k.ActivateAt.UTC(),
		RetireAt: k.RetireAt.UTC(), ExpireAt: k.ExpireAt.UTC(),
		RevokedAt: k.RevokedAt.UTC(), RevokeReason: k.RevokeReason, Answers: k.Answers.UTC(),
	}
	if k.Beside() {
		info.Ring = k.Alg
	}
	if len(k.Sealed) > 0 {
		info.MasterID, _ = vault.SealedUnder(k.Sealed)
	}
	return info
}
