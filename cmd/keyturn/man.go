package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

func (p *program) manCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "man DIR",
		Short: "Write the manual pages of all commands into a directory",
		Long: `Writes a manual page for every command, in section 1, into a directory that is
there. For packages, and for reading: man -l DIR/keyturn-serve.1`,
		Example: `  keyturn man /usr/local/share/man/man1`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if info, err := os.Stat(args[0]); err != nil || !info.IsDir() {
				return usageError{fmt.Errorf("%s is not a directory", args[0])}
			}
			root := cmd.Root()
			// Pages built twice are identical.
			root.DisableAutoGenTag = true
			at := time.Unix(0, 0).UTC()
			header := &doc.GenManHeader{Section: "1", Source: "Keyturn " + version(), Manual: "Keyturn", Date: &at}
			if err := doc.GenManTree(root, header, args[0]); err != nil {
				return err
			}
			made, err := filepath.Glob(filepath.Join(args[0], "keyturn*.1"))
			if err != nil {
				return err
			}
			return p.say(answer{"pages": len(made)}, "%d pages are in %s\n", len(made), args[0])
		},
	}
}
