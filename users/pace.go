package users

import (
	"context"
	"sync"
	"time"
)

// maxPaceClasses bounds the table of a pace. A class is a scheme with a cost,
// and a deployment imports from a handful of them.
const maxPaceClasses = 64

// pace makes refusals take equally long while accounts with imported or
// outdated hashes exist, whose verification costs more than the one argon2id
// computation that an unknown address costs. It learns what each class of hash
// costs at best in this process, and from then on no refusal, whatever its
// account, is answered before a quarter more than the slowest class's time has
// passed. Waiting takes no slot and no processor. Logins that succeed do not
// wait. What classes there are is read from the store at the start
// (LearnHashes); one that is imported while the server runs is known from its
// first refusal on, and that one answer may be told apart.
type pace struct {
	mu    sync.RWMutex
	least map[string]time.Duration
}

// learn notes that a refusal under class took so long. The least time counts:
// the others were lengthened by what else the machine did.
func (p *pace) learn(class string, took time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	least, known := p.least[class]
	if known && least <= took || !known && len(p.least) >= maxPaceClasses {
		return
	}
	if p.least == nil {
		p.least = map[string]time.Duration{}
	}
	p.least[class] = took
}

// floor returns how long a refusal takes at least.
func (p *pace) floor() time.Duration {
	p.mu.RLock()
	defer p.mu.RUnlock()
	var slowest time.Duration
	for _, took := range p.least {
		slowest = max(slowest, took)
	}
	return slowest + slowest/4
}

// hold waits until a refusal that began at begin may be answered, or until
// nobody waits for the answer any more.
func (p *pace) hold(ctx context.Context, begin time.Time) {
	wait := p.floor() - time.Since(begin)
	if wait <= 0 {
		return
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
