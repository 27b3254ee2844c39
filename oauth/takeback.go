package oauth

import "context"

// takeBack undoes a refresh whose answer nobody got because its event could not be
// written, or nothing could be signed (A3). Otherwise an audit log that is away
// for longer than the retry window would log out everybody who refreshes
// meanwhile: the token that they still have would look like a spent one.
//
// A client that got the same successor by a retry of its own keeps it, because a
// token newer than the family is accepted. A family that has advanced or ended
// stays as it is.
func (f *Families) takeBack(ctx context.Context, r *refresh) error {
	if r.retried() {
		return nil
	}
	err := f.restore(ctx, r.before, r.token.generation, r.before.RotatedAt, func(now Family) bool { return stateOf(now) == stateOf(r.family) })
	if err != nil {
		f.unanswered.add(r.before, r.family)
	}
	return err
}
