package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn/internal/config"
)

func (p *program) configCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Print the settings in force and where each came from",
		Long: `Prints every setting as it is in force, secrets masked, and where it came from:
default, file, environment or flag. A setting that is unknown or unusable is named,
with what would be accepted, and so is one whose file or directory serve could not
use: run this where the server runs, as its user. Nothing is made or changed.`,
		Args: cobra.NoArgs,
	}
	p.withSettings(cmd, func(_ context.Context, cfg *config.Config, _ []string) error {
		d := &deployment{ctx: cmd.Context(), cfg: cfg, log: p.logger(cfg)}
		err := d.checkToServe()
		if err == nil {
			err = d.checkFileOfStore()
		}
		if err != nil {
			return err
		}
		values := cfg.Effective()
		return p.print(values, func(w io.Writer) {
			table(w, "SETTING\tVALUE\tFROM", func(row func(...any)) {
				for _, v := range values {
					row(v.Name, fmt.Sprintf("%q", v.Value), v.Source)
				}
			})
		})
	})
	return cmd
}
