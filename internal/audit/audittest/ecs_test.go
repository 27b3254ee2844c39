package audittest

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	auditlog "github.com/keyturn/keyturn/internal/audit/log"
)

// ecsTable reads a table of testdata/ecs, a row of three words each.
func ecsTable(t *testing.T, name string) (rows [][]string) {
	t.Helper()
	for _, l := range ReadLines(t, "testdata/ecs/"+name) {
		row := strings.Split(l, "\t")
		if len(row) != 3 {
			t.Fatalf("%s: %q", name, l)
		}
		rows = append(rows, row)
	}
	return rows
}

// ecsHolds says whether a value can stand in a field of that ECS type.
func ecsHolds(typ string, value any) bool {
	s, isString := value.(string)
	switch typ {
	case "keyword", "wildcard", "match_only_text":
		return isString
	case "ip":
		_, err := netip.ParseAddr(s)
		return err == nil
	case "date":
		_, err := time.Parse(time.RFC3339Nano, s)
		return err == nil
	case "long":
		n, ok := value.(float64)
		return ok && n == float64(int64(n))
	}
	return false
}

// TestA1_EveryEventIsOfTheElasticCommonSchema writes an event of every action, with
// every field that any can have, and holds it against the published schema.
func TestA1_EveryEventIsOfTheElasticCommonSchema(t *testing.T) {
	type field struct {
		typ  string
		list bool
	}
	fields := map[string]field{}
	for _, row := range ecsTable(t, "fields.tsv") {
		fields[row[0]] = field{row[1], row[2] == "array"}
	}
	values, expected := map[string][]string{}, map[string][]string{}
	for _, row := range ecsTable(t, "values.tsv") {
		values[row[0]] = append(values[row[0]], row[1])
		if row[0] == "event.category" {
			expected[row[1]] = strings.Fields(row[2])
		}
	}
	version, err := os.ReadFile("testdata/ecs/version")
	if err != nil {
		t.Fatal(err)
	}
	for _, term := range audit.Vocabulary() {
		for _, ip := range []string{"192.0.2.7", "no address"} {
			line := fullLine(t, term.Action, ip)
			got, err := Flatten(line)
			if err != nil {
				t.Fatal(err)
			}
			for name, value := range got {
				if strings.HasPrefix(name, "keyturn.") {
					continue // ECS leaves what it has no name for to such an object
				}
				f, known := fields[name]
				list, isList := value.([]any)
				if !known || isList != f.list {
					t.Errorf("%s: %s is no field of ECS, or a list where it has none: %v", term.Action, name, value)
					continue
				}
				if !isList {
					list = []any{value}
				}
				for _, v := range list {
					if !ecsHolds(f.typ, v) {
						t.Errorf("%s: %s is a %s and cannot hold %v", term.Action, name, f.typ, v)
					}
					if allowed, fixed := values[name]; fixed && !slices.Contains(allowed, v.(string)) {
						t.Errorf("%s: %s cannot be %v", term.Action, name, v)
					}
				}
			}
			if got["ecs.version"] != strings.TrimSpace(string(version)) {
				t.Errorf("ecs.version is %v", got["ecs.version"])
			}
			for _, of := range []string{"event.kind", "event.dataset", "host.name", "user.name", "related.user", "related.ip", "related.hosts"} {
				if got[of] == nil {
					t.Errorf("%s: has no %s", term.Action, of)
				}
			}
		}
		for _, c := range term.Category {
			if !slices.ContainsFunc(term.Type, func(typ string) bool { return slices.Contains(expected[c], typ) }) {
				t.Errorf("%s: no type of %v is expected in the category %s", term.Action, term.Type, c)
			}
		}
		for _, typ := range term.Type {
			if !slices.ContainsFunc(term.Category, func(c string) bool { return slices.Contains(expected[c], typ) }) {
				t.Errorf("%s: the type %s is expected in none of the categories %v", term.Action, typ, term.Category)
			}
		}
	}
}

// fullLine is a line of the action with every field that there is.
func fullLine(t *testing.T, action audit.Action, ip string) []byte {
	t.Helper()
	var out bytes.Buffer
	log, err := auditlog.Open(auditlog.Options{Writer: &out, Node: "host", Version: "1"})
	if err != nil {
		t.Fatal(err)
	}
	e, r := Full, FullRequest
	e.Action, e.ID, e.Retold, r.IP = action, "i-1", true, ip
	r.Operator = audit.Operator{User: "keyturn", Real: "ada", Command: "keyturn users list", PID: 7}
	if err := log.Record(audit.WithRequest(t.Context(), r), e); err != nil {
		t.Fatal(err)
	}
	Close(t, log)
	line := bytes.TrimSpace(out.Bytes())
	if !json.Valid(line) {
		t.Fatalf("not JSON: %s", line)
	}
	return line
}
