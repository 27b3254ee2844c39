package audit

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"testing"
)

// declared reads what a file declares of a type: the names' values, as written.
func declared(t *testing.T, file, typ string, value func(ast.Expr) ast.Expr) []string {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var values []string
	ast.Inspect(parsed, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		literal, ok := value(spec.Values[0]).(*ast.BasicLit)
		if !ok {
			t.Fatalf("%s is no %s", spec.Names[0].Name, typ)
		}
		s, err := strconv.Unquote(literal.Value)
		if err != nil {
			t.Fatal(err)
		}
		values = append(values, s)
		return true
	})
	return values
}

func TestA1_EveryActionIsInTheVocabulary(t *testing.T) {
	actions := declared(t, "action.go", "Action", func(e ast.Expr) ast.Expr { return e })
	if len(actions) < 30 {
		t.Fatalf("found only %d actions", len(actions))
	}
	var listed []string
	for _, term := range Vocabulary() {
		listed = append(listed, string(term.Action))
	}
	if !slices.Equal(actions, listed) {
		t.Errorf("declared %v\nlisted   %v", actions, listed)
	}
}

// TestA1_EveryReasonIsInTheVocabulary looks for reasons that no event can have,
// and for two that are written alike.
func TestA1_EveryReasonIsInTheVocabulary(t *testing.T) {
	reasons := declared(t, "reason.go", "Reason", func(e ast.Expr) ast.Expr { return e.(*ast.CompositeLit).Elts[0] })
	if len(reasons) < 80 {
		t.Fatalf("found only %d reasons", len(reasons))
	}
	used := map[string]Reason{"": {}}
	for _, term := range Vocabulary() {
		for _, list := range [][]Reason{term.Success, term.Failure} {
			for i, r := range list {
				if slices.Contains(list[:i], r) {
					t.Errorf("%s: %q twice", term.Action, r)
				}
				if same, ok := used[r.word]; ok && same != r {
					t.Errorf("%q is declared twice", r)
				}
				used[r.word] = r
			}
		}
	}
	for _, word := range reasons {
		if r, ok := used[word]; !ok || r.meaning == "" {
			t.Errorf("no event has the reason %q, or nobody says what it means", word)
		}
	}
	if len(used) != len(reasons)+1 {
		t.Errorf("%d reasons are declared, %d used", len(reasons), len(used)-1)
	}
}

// TestA1_EveryFieldIsInTheVocabulary holds the fields of the longest line against
// the list, and the list against the terms.
func TestA1_EveryFieldIsInTheVocabulary(t *testing.T) {
	known := map[string]Of{}
	for _, f := range Fields() {
		if f.Meaning == "" || known[f.Name] != "" {
			t.Errorf("%s: without a meaning, or twice", f.Name)
		}
		known[f.Name] = f.Of
	}
	used := map[string]bool{"event.reason": true}
	for _, term := range Vocabulary() {
		for i, name := range term.Fields {
			if known[name] != OfSome || slices.Contains(term.Fields[:i], name) {
				t.Errorf("%s: the field %s is of %q, or named twice", term.Action, name, known[name])
			}
			used[name] = true
		}
	}
	for name, of := range known {
		if of == OfSome && !used[name] {
			t.Errorf("no event has the field %s", name)
		}
	}
}

func TestA1_NoTermIsIncomplete(t *testing.T) {
	for _, term := range Vocabulary() {
		if len(term.Category) == 0 || len(term.Type) == 0 || term.When == "" || len(term.Success)+len(term.Failure) == 0 {
			t.Errorf("%s: incomplete", term.Action)
		}
	}
}

func TestVocabularyIsACopy(t *testing.T) {
	v := Vocabulary()
	v[0].Category[0], v[0].Fields[0], v[0].When = "changed", "changed", "changed"
	if got := Vocabulary()[0]; got.Category[0] == "changed" || got.Fields[0] == "changed" || got.When == "changed" {
		t.Error("the caller's change is seen by others")
	}
}
