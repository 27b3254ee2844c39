package audit

import (
	"context"
	"time"
)

// afterwards is how long one thing may take that is done for a request whose
// time is over. The server's write timeout leaves room for several of them.
const afterwards = time.Second

// Outlast returns a context for what has to be done though the caller hung up
// or its deadline passed: writing the event of a decision, and taking a
// decision back. It carries the values of ctx and, where ctx has a deadline,
// ends a second after that or, if it is past, after now, so that a disk or a
// store that hangs keeps nobody waiting. The cancel function must be called.
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
