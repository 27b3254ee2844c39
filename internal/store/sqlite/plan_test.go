package sqlite

import (
	"database/sql/driver"
	"slices"
	"strings"
	"testing"
)

// TestQueryPlans holds every statement to finding its rows by an index. The
// exceptions read what they return and nothing else: all anchors (one for each
// chain), the places of the logs, the kinds of password hashes, the one
// steady time, the destinations of messages, which each were searched for, an index that holds the unsettled
// accounts only, the names of the counters asked for, which are put in order,
// and the counts for progress bars.
func TestQueryPlans(t *testing.T) {
	s := fresh(t)
	allowed := []string{
		"SCAN wanted VIRTUAL TABLE INDEX 1:",
		"SCAN json_each VIRTUAL TABLE INDEX 1:",
		"SCAN users USING INDEX users_unsettled",
		"SCAN hash_kinds",
		"SCAN steady_time",
		"SCAN found",
	}
	args := make([]driver.Value, 33)
	checked := 0
	for _, statement := range statements {
		verb, _, _ := strings.Cut(statement.text, " ")
		if !slices.Contains([]string{"SELECT", "INSERT", "UPDATE", "DELETE", "WITH"}, verb) ||
			statement == anchorsByAge || statement == placesByAge || strings.HasPrefix(statement.text, "SELECT count(*) FROM ") {
			continue
		}
		checked++
		plan := explain(t, s, statement.text, args)
		t.Logf("%s\n does: %q", statement.text, plan)
		for _, step := range plan {
			if strings.HasPrefix(step, "SCAN ") && !slices.Contains(allowed, step) ||
				strings.Contains(step, "TEMP B-TREE") && statement != readCounts {
				t.Errorf("%s\n does: %s", statement.text, step)
			}
		}
	}
	if checked < 30 {
		t.Errorf("only %d statements were checked", checked)
	}
	for statement, want := range map[*statement]string{
		familyByID:   "SEARCH families USING PRIMARY KEY (id=?)",
		rotateFamily: "SEARCH families USING PRIMARY KEY (id=?)",
		clientByID:   "SEARCH clients USING PRIMARY KEY (id=?)",
		tokenDenied:  "SEARCH denied USING PRIMARY KEY (jti=?)",
		userByEmail:  "SEARCH users USING PRIMARY KEY (email_key=?)",
		keysBySeq:    "SEARCH keys USING INDEX keys_archived (archived=?)",
	} {
		if plan := explain(t, s, statement.text, args); len(plan) != 1 || !sameSearch(plan[0], want) {
			t.Errorf("%s\n does: %q\n want: %q", statement.text, plan, want)
		}
	}
}

// sameSearch compares a plan's step, not minding which index it names.
func sameSearch(got, want string) bool {
	_, condition, _ := strings.Cut(want, "(")
	table, _, _ := strings.Cut(want, " USING")
	return strings.HasPrefix(got, table+" USING") && strings.HasSuffix(got, "("+condition)
}

// explain returns the steps of a statement's query plan.
func explain(t *testing.T, s *Store, text string, args []driver.Value) []string {
	t.Helper()
	steps, err := read(t.Context(), s, func(c *conn) ([]string, error) {
		rows, err := c.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+text, number(args))
		if err != nil {
			return nil, err
		}
		defer rows.Close()
		var steps []string
		values := make([]driver.Value, len(rows.Columns()))
		for rows.Next(values) == nil {
			steps = append(steps, values[len(values)-1].(string))
		}
		return steps, nil
	})
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return steps
}
