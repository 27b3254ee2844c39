package oauth

import (
	"context"
	"errors"
)

// takeBack undoes a refresh whose answer nobody got because its event could not
// be written, or nothing could be signed (A3). Else an audit log that is away
// for longer than the retry window would log out everybody who refreshes
// meanwhile: the token that they still hold would look like a spent one.
//
// Whoever got the same successor by a retry of their own keeps it: a token newer
// than the family is let on. A family that has moved on, or ended, stays as it is.
func (f *Families) takeBack(ctx context.Context, r refreshed) error {
	if r.retry() {
		return nil
	}
	_, err := f.store.RotateFamily(ctx, r.family.ID, r.family.ClientID, func(now Family, _ Client) (*Rotation, error) {
		if now.Generation != r.family.Generation || !now.RotatedAt.Equal(r.family.RotatedAt) || !now.RevokedAt.IsZero() {
			return nil, nil
		}
		b := r.before
		return &Rotation{
			Presented: b.Generation - 1, MasterID: b.MasterID, At: b.RotatedAt,
			IdleExpiresAt: b.IdleExpiresAt, PurgeAt: b.PurgeAt, IP: b.LastIP, UserAgent: b.LastUserAgent,
		}, nil
	})
	if errors.Is(err, ErrNoFamily) {
		return nil
	}
	return err
}
