package userfile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/keyturn/keyturn/internal/refusal"
	"github.com/keyturn/keyturn/users"
)

// importWorkers is how many accounts are written at once: a store commits what
// comes together in one go.
const importWorkers = 32

// Report says how an import went. Its zero value is an empty one.
type Report struct {
	// Imported accounts were made, or would have been in a dry run; Present
	// ones have an account with their address already, which was left alone.
	Imported, Present int
	// Refused are the lines that could not be taken, in their order.
	Refused []*LineError
}

// importRun is one import under way.
type importRun struct {
	service *users.Service
	dry     bool
	// first is where each address, username and uid was met first.
	first map[string]int

	mu     sync.Mutex
	report Report
	err    error
}

// Import makes in s every account that lines yields and returns how that went.
// A line that cannot be taken is reported and passed over, and so is one whose
// address, username or uid stands on an earlier line. An account whose address
// is taken is left as it is: an import can be repeated.
//
// A dry run reads and checks everything and writes nothing: no account, and no
// event. The error is that of a store or an audit log that fails, or ctx's;
// what was done until then is in the report.
func Import(ctx context.Context, s *users.Service, lines iter.Seq2[Line, error], dry bool) (Report, error) {
	run := &importRun{service: s, dry: dry, first: map[string]int{}}
	work := make(chan Line)
	var workers sync.WaitGroup
	for range importWorkers {
		workers.Go(func() {
			for line := range work {
				run.note(line.Number, run.take(ctx, line.User))
			}
		})
	}
	for line, err := range lines {
		if run.failed(ctx) {
			break
		}
		var bad *LineError
		if err == nil {
			err = run.check(line)
		} else if errors.As(err, &bad) {
			line.Number, err = bad.Line, bad.Err
		}
		if err != nil {
			run.refuse(line.Number, err)
			continue
		}
		work <- line
	}
	close(work)
	workers.Wait()
	slices.SortFunc(run.report.Refused, func(a, b *LineError) int { return cmp.Compare(a.Line, b.Line) })
	return run.report, run.err
}

// check judges a line by itself and against those before it.
func (run *importRun) check(line Line) error {
	u, err := run.service.CheckImport(line.User)
	if err != nil {
		return err
	}
	names := []struct{ field, key string }{{"email", u.EmailKey}, {"username", u.UsernameKey}, {"uid", line.User.UID}}
	for _, name := range names {
		if at := run.first[name.field+" "+name.key]; at > 0 && name.key != "" {
			return &refusal.Error{Code: refusal.Unacceptable, Field: name.field, Text: fmt.Sprintf("stands on line %d already", at)}
		}
	}
	for _, name := range names {
		run.first[name.field+" "+name.key] = line.Number
	}
	return nil
}

// take imports one account, or looks whether it could be. A hasher that is busy
// with the import itself is waited for.
func (run *importRun) take(ctx context.Context, n users.ImportUser) error {
	if run.dry {
		return run.service.CouldImport(ctx, n)
	}
	for {
		_, err := run.service.Import(ctx, n)
		if !refusal.Is(err, refusal.Busy) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(refusal.Of(err).RetryAfter):
		}
	}
}

// note counts how the import of a line ended.
func (run *importRun) note(line int, err error) {
	if refusal.Is(err, refusal.Unacceptable) || errors.Is(err, users.ErrUsernameTaken) {
		run.refuse(line, err)
		return
	}
	run.mu.Lock()
	defer run.mu.Unlock()
	switch {
	case err == nil:
		run.report.Imported++
	case errors.Is(err, users.ErrEmailTaken):
		run.report.Present++
	case run.err == nil:
		run.err = fmt.Errorf("line %d: %w", line, err)
	}
}

func (run *importRun) refuse(line int, err error) {
	run.mu.Lock()
	defer run.mu.Unlock()
	run.report.Refused = append(run.report.Refused, &LineError{Line: line, Err: err})
}

// failed reports whether the import has to end.
func (run *importRun) failed(ctx context.Context) bool {
	run.mu.Lock()
	defer run.mu.Unlock()
	if run.err == nil {
		run.err = ctx.Err()
	}
	return run.err != nil
}
