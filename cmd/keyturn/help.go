package main

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/keyturn/keyturn/internal/config"
)

// flagsTogether is the part of cobra's template that shows a command's flags in
// one list.
const flagsTogether = `{{.LocalFlags.FlagUsages | trimTrailingWhitespaces}}`

// groupFlags makes help show a command's own flags first, and then the
// settings, which most commands take, as a group.
func groupFlags(root *cobra.Command) {
	cobra.AddTemplateFunc("flagsOf", func(cmd *cobra.Command, settings bool) string {
		group := pflag.NewFlagSet("", pflag.ContinueOnError)
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if config.IsSetting(f) == settings {
				group.AddFlag(f)
			}
		})
		return strings.TrimRight(group.FlagUsages(), "\n")
	})
	root.SetUsageTemplate(strings.Replace(root.UsageTemplate(), flagsTogether,
		`{{flagsOf . false}}{{with flagsOf . true}}

Settings (also KEYTURN_* variables and names in a file):
{{.}}{{end}}`, 1))
}
