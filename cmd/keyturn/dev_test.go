package main

import (
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/keyturn/keyturn/internal/config"
)

func TestNextSteps(t *testing.T) {
	for given, want := range map[string][]string{
		"": {"keys rotate ", "audit tail keyturn-audit.log "},
		"KEYTURN_STORE=sqlite:/srv/it's/a.db KEYTURN_AUDIT_LOG=/var/log/a.log": {`keys rotate --store 'sqlite:/srv/it'\''s/a.db' `, "audit tail /var/log/a.log "},
		"KEYTURN_MASTER_KEY_FILE=keys KEYTURN_AUDIT_LOG=stdout":                {"keys rotate --master-key-file keys ", ""},
	} {
		fs := pflag.NewFlagSet("", pflag.ContinueOnError)
		config.AddFlags(fs)
		cfg, err := config.Load(fs, strings.Fields(given))
		if err != nil {
			t.Fatal(err)
		}
		column := -1
		steps := nextSteps("go run ./cmd/keyturn", "http://127.0.0.1:8080", cfg)
		for line := range strings.Lines(steps) {
			at := strings.Index(line, " # ")
			if column < 0 {
				column = at
			}
			if at != column || at < 0 {
				t.Errorf("the comment of %q is in column %d; want %d", line, at, column)
			}
		}
		if !strings.Contains(steps, want[0]) || !strings.Contains(steps, want[1]) || strings.Contains(steps, "audit tail") != (want[1] != "") {
			t.Errorf("with %q:\n%s", given, steps)
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
