package sqlite

import (
	"fmt"
	"testing"
	"time"
)

// TestF7_RevocationsTakeAsManyStepsAsNeeded ends more families than one
// transaction does, and exactly as many as two do.
func TestF7_RevocationsTakeAsManyStepsAsNeeded(t *testing.T) {
	for _, n := range []int{2 * revokeStep, 2*revokeStep + 3} {
		s := fresh(t)
		_, err := change(t.Context(), s, func(c *conn) (int, error) {
			for i := range n {
				if _, err := c.exec(insertFamily, familyValues(family(fmt.Sprint("family-", i)))...); err != nil {
					return 0, err
				}
			}
			return n, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		ended, err := s.RevokeFamiliesOfUser(t.Context(), family("").UserID, "family-0", began, "password_changed")
		if err != nil {
			t.Fatal(err)
		}
		expect(t, "ended for the user", ended, n-1)
		ended, err = s.RevokeFamiliesOfClient(t.Context(), "web", began, "client_disabled")
		if err != nil {
			t.Fatal(err)
		}
		expect(t, "ended for the client", ended, 1)
		live, err := s.FamiliesOfUser(t.Context(), family("").UserID, began.Add(time.Second), n)
		if err != nil {
			t.Fatal(err)
		}
		expect(t, "left", len(live), 0)
	}
}
