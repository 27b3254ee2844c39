package users

import (
	"context"
	"testing"

	"github.com/keyturn/keyturn/internal/passwords"
)

// twice does every write of an account again and tells of the second, as a store
// does whose answer was lost on the way and that was asked once more.
type twice struct{ *memory }

func (s twice) CreateUser(ctx context.Context, u User) error {
	_ = s.memory.CreateUser(ctx, u)
	return s.memory.CreateUser(ctx, u)
}

func (s twice) ReplaceUser(ctx context.Context, seen, next User) error {
	_ = s.memory.ReplaceUser(ctx, seen, next)
	return s.memory.ReplaceUser(ctx, seen, next)
}

// TestF9_AWriteThatIsDoneTwiceIsOneDecision: the second is refused for what the
// first has done, and the decision goes on.
func TestF9_AWriteThatIsDoneTwiceIsOneDecision(t *testing.T) {
	mem, clk := newMemory(), newClock()
	hasher, err := passwords.NewHasher(cheap, 4)
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewService(Service{Store: twice{mem}, Hasher: hasher, Sessions: mem, Audit: mem, Now: clk.now})
	if err != nil {
		t.Fatal(err)
	}
	u, err := s.Add(t.Context(), NewUser{Email: "ada@example.com", Password: goodPassword})
	if err != nil {
		t.Fatalf("adding an account: %v", err)
	}
	if err := s.ResetPassword(t.Context(), u.UID, otherPassword); err != nil {
		t.Errorf("changing its password: %v", err)
	}
	if _, err := s.Authenticate(t.Context(), "ada@example.com", otherPassword); err != nil {
		t.Errorf("logging in with the new password: %v", err)
	}
	if len(mem.events) != 2 {
		t.Errorf("%d events, want one for each decision: %+v", len(mem.events), mem.events)
	}
}
