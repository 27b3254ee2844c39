package problem_test

import (
	"encoding/json"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/keyturn/keyturn/internal/problem"
)

// TestEveryProblemHasItsPage holds the kinds against the headings of
// docs/problems.md, both ways, and against what is written for them.
func TestEveryProblemHasItsPage(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "problems.md"))
	if err != nil {
		t.Fatal(err)
	}
	headings := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^## (.+)$`).FindAllStringSubmatch(string(page), -1) {
		headings[m[1]] = true
	}
	status := 0
	for _, k := range problem.Kinds() {
		if !headings[k.Title] {
			t.Errorf("docs/problems.md has no heading %q", k.Title)
		}
		delete(headings, k.Title)
		if anchor := strings.ReplaceAll(strings.ToLower(k.Title), " ", "-"); k.Anchor != anchor {
			t.Errorf("%q has the anchor %q; where the page is published it is %q", k.Title, k.Anchor, anchor)
		}
		if k.Status < status {
			t.Errorf("%q stands before a kind with a smaller status", k.Title)
		}
		status = k.Status

		rec := httptest.NewRecorder()
		problem.Write(rec, k, "what to fix")
		var got problem.Details
		if err := json.Unmarshal(rec.Body.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		want := problem.Details{Type: k.URI(), Title: k.Title, Status: k.Status, Detail: "what to fix"}
		if !reflect.DeepEqual(got, want) || rec.Code != k.Status || !strings.HasSuffix(got.Type, "/docs/problems.md#"+k.Anchor) {
			t.Errorf("%q is written as %d %s", k.Title, rec.Code, rec.Body)
		}
	}
	for left := range headings {
		t.Errorf("docs/problems.md explains %q, which is no problem", left)
	}
}
