package main

import (
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn/docs"
)

// errorPages names, for commands and all below them, the page that explains what can
// go wrong.
var errorPages = map[string]string{
	"keyturn":             "operating.md",
	"keyturn audit":       "auditing.md#tamper-evidence",
	"keyturn clients":     "clients.md#register-a-client",
	"keyturn config":      settingsPage,
	"keyturn doctor":      "operating.md#looking-from-outside",
	"keyturn healthcheck": "operating.md#health-and-metrics",
	"keyturn keys":        "operating.md#signing-keys",
	"keyturn serve":       "operating.md#when-it-does-not-start",
	"keyturn store":       "operating.md#backup-and-restore",
	"keyturn users":       "operating.md#users",
}

// settingsPage explains every setting; errors of settings lead there.
const settingsPage = "settings.md"

// pageFor is where the error of a command is explained.
func pageFor(cmd *cobra.Command, err error) string {
	var usage usageError
	if errors.As(err, &usage) && strings.Contains(err.Error(), " is refused") {
		return docs.URL(settingsPage)
	}
	for ; cmd != nil; cmd = cmd.Parent() {
		if page, ok := errorPages[cmd.CommandPath()]; ok {
			return docs.URL(page)
		}
	}
	return docs.URL("operating.md")
}
