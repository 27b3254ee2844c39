package audit

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"testing"
)

// declaredActions reads the Action constants out of the source.
func declaredActions(t *testing.T) []Action {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "action.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var actions []Action
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if typ, ok := spec.Type.(*ast.Ident); !ok || typ.Name != "Action" {
			t.Fatalf("%s is no Action", spec.Names[0].Name)
		}
		s, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		actions = append(actions, Action(s))
		return true
	})
	return actions
}

func TestA1_EveryActionIsInTheVocabulary(t *testing.T) {
	declared := declaredActions(t)
	if len(declared) < 30 {
		t.Fatalf("found only %d actions", len(declared))
	}
	var listed []Action
	for _, term := range Vocabulary() {
		listed = append(listed, term.Action)
	}
	if !slices.Equal(declared, listed) {
		t.Errorf("declared %v\nlisted   %v", declared, listed)
	}
}

// The values that ECS 8.17 allows in event.category, with the types expected in
// each.
var ecsTypes = map[string][]string{
	"api":                 {"access", "admin", "allowed", "change", "creation", "deletion", "denied", "end", "info", "start", "user"},
	"authentication":      {"start", "end", "info"},
	"configuration":       {"access", "change", "creation", "deletion", "info"},
	"database":            {"access", "change", "info", "error"},
	"iam":                 {"admin", "change", "creation", "deletion", "group", "info", "user"},
	"intrusion_detection": {"allowed", "denied", "info"},
	"process":             {"access", "change", "end", "info", "start"},
	"session":             {"start", "end", "info"},
}

func TestA1_CategoriesAndTypesAreThoseOfECS(t *testing.T) {
	all := []string{"access", "admin", "allowed", "change", "creation", "deletion", "denied", "end", "error", "group", "info", "start", "user"}
	for _, term := range Vocabulary() {
		if len(term.Category) == 0 || len(term.Type) == 0 || term.When == "" {
			t.Errorf("%s: incomplete", term.Action)
		}
		for _, c := range term.Category {
			types, ok := ecsTypes[c]
			if !ok {
				t.Errorf("%s: %q is no category", term.Action, c)
			}
			if !slices.ContainsFunc(term.Type, func(s string) bool { return slices.Contains(types, s) }) {
				t.Errorf("%s: no type of %v is expected in category %s", term.Action, term.Type, c)
			}
		}
		for _, typ := range term.Type {
			if !slices.Contains(all, typ) {
				t.Errorf("%s: %q is no type", term.Action, typ)
			}
		}
	}
}

func TestVocabularyIsACopy(t *testing.T) {
	v := Vocabulary()
	v[0].Category[0], v[0].When = "changed", "changed"
	if got := Vocabulary()[0]; got.Category[0] == "changed" || got.When == "changed" {
		t.Error("the caller's change is seen by others")
	}
}
