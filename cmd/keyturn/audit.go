package main

import (
	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn/internal/audit"
)

func (p *program) auditCommand() *cobra.Command {
	return group("audit", "Verify and read the audit log",
		p.auditVerifyCommand(), p.auditTailCommand(), p.auditReportCommand(), p.auditKeysCommand(), p.auditHeadsCommand())
}

func (p *program) auditKeysCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "Print the public halves of all keys that ever signed",
		Long: `Prints the public halves of all signing keys, retired, archived and revoked ones
included, as a JWK set. Keep it where the servers cannot write: with it, logs of
any age verify without the store.`,
		Example: `  keyturn audit keys > keyturn-keys.json
  keyturn audit verify --keys keyturn-keys.json keyturn-audit.log`,
		Args: cobra.NoArgs,
	}
	p.withStore(cmd, func(d *deployment, _ []string) error {
		set, err := publicKeys(d.ctx, d.store)
		if err != nil {
			return err
		}
		return p.printJSON(set)
	})
	return cmd
}

func (p *program) auditHeadsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "heads",
		Short: "Print the head of every chain, the hash of its last line, to keep elsewhere",
		Long: `Prints the number and the hash of the last line of every chain, as the store holds
them; a chain is what one process wrote, each line with the hash of the one before.
Kept where the servers cannot write and given to audit verify --heads, they show
whether log and store were both set back or rewritten since.`,
		Example: `  keyturn audit heads > heads-2026-11.json
  keyturn audit verify --heads heads-2026-11.json keyturn-audit.log`,
		Args: cobra.NoArgs,
	}
	p.withStore(cmd, func(d *deployment, _ []string) error {
		heads, err := d.store.Anchors(d.ctx)
		if err != nil {
			return err
		}
		if heads == nil {
			heads = []audit.Anchor{}
		}
		return p.printJSON(heads)
	})
	return cmd
}
