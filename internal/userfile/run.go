package userfile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/keyturn/keyturn/internal/refusal"
	"github.com/keyturn/keyturn/users"
)

// importWorkers is how many accounts are written at once, because a store
// commits concurrent writes together.
const importWorkers = 32

// Report is the result of an import.
type Report struct {
	// Imported counts accounts that were created, or would have been in a dry
	// run. Present counts those whose address has an account already, or whose
	// username has if they have no address; that account was left alone.
	Imported, Present int
	// Refused are the lines that could not be imported, in their order.
	Refused []*LineError
	// Dropped counts the Imported accounts that lost each thing.
	Dropped map[string]int
}

// importRun is an import in progress.
type importRun struct {
	service *users.Service
	dry     bool
	// first is where each address, username and uid occurred first.
	first map[string]Place

	mu     sync.Mutex
	report Report
	err    error
}

// Import creates in s every account that lines yields. It reports and skips a
// line that cannot be imported, or whose address, username or uid is on an
// earlier line. An account whose address is taken is left as it is, so that an
// import can be repeated.
//
// A dry run reads and checks everything and writes no account and no event. The
// error is from a failing store or audit log, or from ctx; the report has what
// was done until then.
func Import(ctx context.Context, s *users.Service, lines iter.Seq2[Line, error], dry bool) (Report, error) {
	run := &importRun{service: s, dry: dry, first: map[string]Place{}, report: Report{Dropped: map[string]int{}}}
	work := make(chan Line)
	var workers sync.WaitGroup
	for range importWorkers {
		workers.Go(func() {
			for line := range work {
				run.note(line, run.take(ctx, line.Account))
			}
		})
	}
	for line, err := range lines {
		if run.failed(ctx) {
			break
		}
		if err == nil {
			dropAddressAsUsername(&line)
			err = run.check(line)
		} else if bad, ok := errors.AsType[*LineError](err); ok {
			line.Place, err = bad.Place, bad.Err
		}
		if err != nil {
			run.refuse(line.Place, err)
			continue
		}
		work <- line
	}
	close(work)
	workers.Wait()
	slices.SortFunc(run.report.Refused, func(a, b *LineError) int { return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.User, b.User)) })
	return run.report, run.err
}

// usernamesDropped is the reported name of usernames that were addresses.
const usernamesDropped = "usernames that are addresses"

// dropAddressAsUsername removes a username that is an address, because it might
// be another person's.
func dropAddressAsUsername(line *Line) {
	if strings.Contains(line.Account.Username, "@") {
		line.Account.Username = ""
		line.Dropped = append(line.Dropped, usernamesDropped)
	}
}

// check checks a line by itself and against those before it.
func (run *importRun) check(line Line) error {
	u, err := run.service.CheckImport(line.Account)
	if err != nil {
		return err
	}
	names := []struct{ field, key string }{{"email", u.EmailKey}, {"username", u.UsernameKey}, {"uid", strings.ToLower(line.Account.UID)}}
	for _, name := range names {
		if at := run.first[name.field+" "+name.key]; at.Line > 0 && name.key != "" {
			return &refusal.Error{Code: refusal.Unacceptable, Field: name.field, Text: fmt.Sprintf("stands on %s already", at)}
		}
	}
	for _, name := range names {
		run.first[name.field+" "+name.key] = line.Place
	}
	return nil
}

// take imports one account, or checks whether it could. It waits for a hasher
// that is busy with the import itself.
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

// note counts the result of importing a line.
func (run *importRun) note(line Line, err error) {
	present := errors.Is(err, users.ErrEmailTaken) || line.Account.Email == "" && errors.Is(err, users.ErrUsernameTaken)
	if refusal.Is(err, refusal.Unacceptable) || errors.Is(err, users.ErrUsernameTaken) && !present {
		run.refuse(line.Place, err)
		return
	}
	run.mu.Lock()
	defer run.mu.Unlock()
	switch {
	case err == nil:
		run.report.Imported++
		for _, what := range line.Dropped {
			run.report.Dropped[what]++
		}
	case present:
		run.report.Present++
	case run.err == nil:
		run.err = fmt.Errorf("%s: %w", line.Place, err)
	}
}

func (run *importRun) refuse(at Place, err error) {
	run.mu.Lock()
	defer run.mu.Unlock()
	run.report.Refused = append(run.report.Refused, &LineError{at, err})
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
