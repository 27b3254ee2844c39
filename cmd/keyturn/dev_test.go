package main

import (
	"strings"
	"testing"
)

func TestNextSteps(t *testing.T) {
	column := -1
	for line := range strings.Lines(nextSteps("go run ./cmd/keyturn", "http://127.0.0.1:8080")) {
		at := strings.Index(line, " # ")
		if column < 0 {
			column = at
		}
		if at != column || at < 0 {
			t.Errorf("the comment of %q is in column %d; want %d", line, at, column)
		}
	}
}

func TestBuiltByGoRun(t *testing.T) {
	for executable, want := range map[string]bool{
		"/tmp/go-build1942500578/b001/exe/keyturn":                                                                true,
		"/home/ada/.cache/go-build/08/08535815bfc06b895baf938fc5cae2be81ecda01e451782a5ba29d89d72d769b-d/keyturn": true,
		"/cache/08/08535815bfc06b895baf938fc5cae2be81ecda01e451782a5ba29d89d72d769b-d/keyturn":                    true,
		"/usr/local/bin/keyturn":       false,
		"/home/ada/go/bin/keyturn":     false,
		"/home/ada/my-go-builds/first": false,
	} {
		if got := builtByGoRun(executable); got != want {
			t.Errorf("%s: %t; want %t", executable, got, want)
		}
	}
}
