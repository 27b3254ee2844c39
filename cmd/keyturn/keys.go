package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/config"
	"github.com/keyturn/keyturn/keys"
	"github.com/keyturn/keyturn/users"
)

func (p *program) keysCommand() *cobra.Command {
	return group("keys", "See, turn and revoke the signing keys",
		p.keysListCommand(), p.keysRotateCommand(), p.keysRevokeCommand(), p.keysRewrapCommand(), p.keysNewMasterCommand())
}

// withKeeper is withDeployment for a command that manages signing keys, of which
// there must be some.
func (p *program) withKeeper(cmd *cobra.Command, c check, run func(d *deployment, k *keys.Keeper, args []string) error) {
	p.withDeployment(cmd, c, func(d *deployment, args []string) error {
		if begins, err := d.begins(); err != nil || begins {
			return cmp.Or(err, errors.New("the store holds no signing keys: the first start of a server makes them"))
		}
		masters, err := d.masters()
		if err != nil {
			return err
		}
		keeper, err := d.keeper(masters, d.audit, d.keyTrouble)
		if err != nil {
			return err
		}
		return run(d, keeper, args)
	})
}

func (p *program) keysListCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the signing keys, their states and times",
		Long: `Lists the signing keys by their ids (KID). A standby is published and will sign next; the active
key signs; a retired one stays published until its last token has expired; a
revoked one is out at once.`,
		Args: cobra.NoArgs,
	}
	p.withStore(cmd, func(d *deployment, _ []string) error {
		list, err := d.listKeys()
		if err != nil {
			return err
		}
		now := time.Now()
		rows := make([]keyRow, len(list))
		for i, info := range list {
			rows[i] = newKeyRow(info, now)
		}
		return p.print(rows, func(w io.Writer) {
			table(w, "KID\tALG\tSTATE\tCREATED\tSIGNS FROM\tRETIRES\tLEAVES JWKS", func(row func(...any)) {
				for _, i := range list {
					leaves := i.ExpireAt
					if i.State == keys.Revoked {
						leaves = i.RevokedAt
					}
					signs := when(i.ActivateAt, now)
					if !i.RetireAt.IsZero() && i.RetireAt.Before(i.ActivateAt) {
						signs = "never" // another took its turn
					}
					row(i.KID, i.Alg, i.State, when(i.CreatedAt, now), signs, when(i.RetireAt, now), when(leaves, now))
				}
			})
			for _, i := range list {
				if i.Problem != "" {
					fmt.Fprintf(w, "\n%s cannot be used: %s\n", i.KID, i.Problem)
				}
				if i.State == keys.Revoked {
					fmt.Fprintf(w, "\n%s was revoked %s: %q\n", i.KID, when(i.RevokedAt, now), i.RevokeReason)
				}
			}
		})
	})
	return cmd
}

// keyRow is a key as printed for scripts, with its times relative to now too.
type keyRow struct {
	keys.Info
	Relative relativeTimes `json:"relative"`
}

type relativeTimes struct {
	CreatedAt  string `json:"created_at"`
	ActivateAt string `json:"activate_at"`
	RetireAt   string `json:"retire_at,omitempty"`
	ExpireAt   string `json:"expire_at,omitempty"`
	RevokedAt  string `json:"revoked_at,omitempty"`
}

func newKeyRow(i keys.Info, now time.Time) keyRow {
	return keyRow{i, relativeTimes{
		CreatedAt: relative(i.CreatedAt, now), ActivateAt: relative(i.ActivateAt, now), RetireAt: relative(i.RetireAt, now),
		ExpireAt: relative(i.ExpireAt, now), RevokedAt: relative(i.RevokedAt, now),
	}}
}

// listKeys lists the keys and creates none in an empty store.
func (d *deployment) listKeys() ([]keys.Info, error) {
	records, err := d.store.Keys(d.ctx)
	if err != nil || len(records) == 0 {
		return []keys.Info{}, err
	}
	masters, err := d.masters()
	if err != nil {
		return nil, err
	}
	k, err := d.keeper(masters, nothingToRecord{}, d.keyTrouble)
	if err != nil {
		return nil, err
	}
	return k.List(d.ctx)
}

// nothingToRecord is the audit log of a command that decides nothing.
type nothingToRecord struct{}

// Record fails, because a call means that something was decided.
func (nothingToRecord) Record(context.Context, audit.Event) error {
	return errors.New("a command that only looks was about to decide something")
}

func (p *program) keysRotateCommand() *cobra.Command {
	var alg string
	cmd := &cobra.Command{
		Use:   "rotate",
		Short: "Turn the keys early: the standby signs as soon as it may, a new one is published",
		Long: `Makes the standby, the published key that is to sign next, sign as soon as it has
been published for key_publish_lead. Mostly it has, and signs at once; one that was
made lately signs when the rest of that time is over: the answer says when. Where
that is settled already, as after a turn or a revocation within the last
key_publish_lead, nothing changes and the exit code is 1. Running servers follow within
key_poll_interval. Nobody's verification fails: every resource server has the key
cached by then.`,
		Args: cobra.NoArgs,
	}
	p.withKeeper(cmd, func(cfg *config.Config, _ []string) error {
		if algs := cfg.KeyPolicy().Algs; alg != "" && !slices.Contains(algs, alg) {
			return usageError{fmt.Errorf("--alg %q: signing_algs has %s", alg, strings.Join(algs, ", "))}
		}
		return nil
	}, func(d *deployment, k *keys.Keeper, _ []string) error {
		d.warnIfAhead()
		r, err := k.Rotate(d.ctx, alg)
		if err != nil {
			return err
		}
		return p.say(answer{"kid": r.KID, "alg": r.Alg, "activate_at": r.ActivateAt}, "%s signs from %s\n", r.KID, when(r.ActivateAt, d.now()))
	})
	cmd.Flags().StringVar(&alg, "alg", "", "turn the keys of this algorithm of signing_algs (default: the first)")
	return cmd
}

func (p *program) keysRevokeCommand() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:   "revoke KID --reason TEXT",
		Short: "Take a leaked key out: its tokens die, and the standby, the next key, signs",
		Long: `Takes a key out of the JWKS for good. Within key_poll_interval every replica
refuses its tokens and signs with the standby. A resource server that verifies
alone goes on accepting the key until its cached copy is jwks_max_age old; one that
fetches only for a kid that it does not know, until the second turn: a key that is
made now signs after key_publish_lead, at the time that the answer says. Give this
command the settings of the servers.`,
		Args:        cobra.ExactArgs(1),
		Annotations: map[string]string{takesKID: "yes"},
	}
	p.withKeeper(cmd, func(*config.Config, []string) error {
		if reason == "" {
			return usageError{errors.New("--reason is needed: the audit log keeps why")}
		}
		return nil
	}, func(d *deployment, k *keys.Keeper, args []string) error {
		d.warnIfAhead()
		if err := k.Revoke(d.ctx, args[0], reason); errors.Is(err, keys.ErrNoKey) {
			return fmt.Errorf("no key %s; see keyturn keys list", args[0])
		} else if err != nil {
			return err
		}
		revoked := answer{"kid": args[0], "revoked": true}
		list, err := k.List(d.ctx)
		next, ok := secondTurn(list, args[0])
		if err != nil || !ok {
			return p.say(revoked, "%s is revoked\nsecond turn: none yet, since one was scheduled shortly before; servers schedule it within %s\n",
				args[0], d.cfg.KeyPolicy().AnswerPause())
		}
		lead := next.ActivateAt.Sub(next.CreatedAt).Round(time.Second)
		revoked["second_turn"] = answer{"kid": next.KID, "activate_at": next.ActivateAt, "lead": lead.String()}
		var assumed string
		if d.cfg.SourceOf("key_publish_lead") == config.FromDefault && lead == d.cfg.KeyPublishLead {
			assumed = ", the default, since key_publish_lead is not set here"
		}
		return p.say(revoked, "%s is revoked\nsecond turn: %s, which no cache holds, signs from %s (a lead of %s%s)\n",
			args[0], next.KID, when(next.ActivateAt, d.now()), lead, assumed)
	})
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the audit log (needed)")
	return cmd
}

// secondTurn returns the first key to sign of those that answer the revocation of kid.
func secondTurn(list []keys.Info, kid string) (next keys.Info, ok bool) {
	at := slices.IndexFunc(list, func(i keys.Info) bool { return i.KID == kid })
	for _, i := range list {
		if at >= 0 && i.State == keys.Standby && !i.Answers.Before(list[at].RevokedAt) && (!ok || i.ActivateAt.Before(next.ActivateAt)) {
			next, ok = i, true
		}
	}
	return next, ok
}

func (p *program) keysRewrapCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rewrap",
		Short: "Seal every private key, and the secrets of second factors, under the first master key",
		Long: `To turn the master key: put a new line (keyturn keys new-master) first into the
master key file, restart the servers, run this, and remove the old line once all
sessions that began under it have ended (refresh_ttl). Safe to interrupt and to
repeat.`,
		Args: cobra.NoArgs,
	}
	p.withKeeper(cmd, nil, func(d *deployment, k *keys.Keeper, _ []string) error {
		n, err := k.Rewrap(d.ctx, func(done, total int) { fmt.Fprintf(p.stderr, "%d of %d keys\n", done, total) })
		var s *users.Service
		if err == nil {
			s, err = d.users()
		}
		if err != nil {
			return err
		}
		accounts, err := s.RewrapFactors(d.ctx)
		if err != nil {
			return err
		}
		return p.say(answer{"rewrapped": n, "accounts": accounts}, "%s sealed anew, and the second factors of %s\n", counted(n, "key"), counted(accounts, "account"))
	})
	return cmd
}

func (p *program) keysNewMasterCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "new-master",
		Short:   "Print a new line for a master key file",
		Long:    `Prints a freshly made master key, as one line of a master key file. It is the secret that everything else rests on: send it to a file of mode 0600, never to a screen.`,
		Example: `  (umask 077; keyturn keys new-master > master-keys)`,
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			line, err := keys.NewMaster()
			if err != nil {
				return err
			}
			return p.say(answer{"master_key": line}, "%s\n", line)
		},
	}
}
