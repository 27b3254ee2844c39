package main

import (
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/clients"
	"github.com/keyturn/keyturn/internal/config"
)

// choices returns the values that a shell can complete, by flag.
func choices() map[string][]string {
	stores := []string{"sqlite:", "mongodb://"}
	byFlag := map[string][]string{
		"output": {"text", "json"}, "grant": clients.Grants(), "outcome": {"success", "failure"}, "action": actions(),
		"store": stores, "from": stores, "to": stores,
	}
	for _, s := range config.Settings() {
		if words := enumerated(s.Accepts); words != nil {
			byFlag[s.Flag()] = words
		}
	}
	return byFlag
}

// actions returns the actions of the audit log.
func actions() []string {
	var words []string
	for _, term := range audit.Vocabulary() {
		words = append(words, string(term.Action))
	}
	return words
}

// enumeration matches a setting's Accepts if it is a list of words.
var enumeration = regexp.MustCompile(`^[A-Za-z0-9]+(, [A-Za-z0-9]+)+$`)

func enumerated(accepts string) []string {
	if !enumeration.MatchString(accepts) {
		return nil
	}
	return strings.Split(accepts, ", ")
}

// takesFiles reports whether a command's first argument is a file or a directory.
func takesFiles(cmd *cobra.Command) bool {
	words := strings.Fields(cmd.Use)
	return len(words) > 1 && (strings.HasPrefix(words[1], "FILE") || words[1] == "DIR")
}

// complete lets shells complete the values of flags of cmd and its subcommands,
// and files as arguments only if a command takes files.
func complete(cmd *cobra.Command) error {
	if cmd.ValidArgsFunction == nil && !takesFiles(cmd) {
		cmd.ValidArgsFunction = cobra.NoFileCompletions
	}
	for flag, words := range choices() {
		if cmd.Flags().Lookup(flag) == nil && cmd.PersistentFlags().Lookup(flag) == nil {
			continue
		}
		if err := cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp)); err != nil {
			return err
		}
	}
	for _, sub := range cmd.Commands() {
		if err := complete(sub); err != nil {
			return err
		}
	}
	return nil
}
