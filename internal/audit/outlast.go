package audit

import (
	"context"
	"time"
)

// afterwards bounds one action for a request whose deadline has passed. The
// server's write timeout leaves room for several of them.
const afterwards = time.Second

// Outlast returns a context for work that must be done even if the caller hung
// up or its deadline passed: writing the event of a decision, or undoing a
// decision. It has the values of ctx. If ctx has a deadline, the new one is a
// second after that or after now, whichever is earlier, so that a hanging disk
// or store delays nobody. The cancel function must be called.
func Outlast(ctx context.Context) (context.Context, context.CancelFunc) {
	free := context.WithoutCancel(ctx)
	deadline, bounded := ctx.Deadline()
	if !bounded {
		return free, func() {}
	}
	if now := time.Now(); deadline.Before(now) {
		deadline = now
	}
	return context.WithDeadline(free, deadline.Add(afterwards))
}
