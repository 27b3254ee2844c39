package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/keyturn/keyturn/internal/clients"
	"github.com/keyturn/keyturn/internal/config"
	"github.com/keyturn/keyturn/internal/listing"
	"github.com/keyturn/keyturn/users"
)

// clientRow is a client as commands print it.
type clientRow struct {
	ClientID       string          `json:"client_id"`
	Name           string          `json:"client_name,omitempty"`
	ClientSecret   string          `json:"client_secret,omitempty"`
	Public         bool            `json:"public"`
	AuthMethod     string          `json:"auth_method"`
	JWKS           json.RawMessage `json:"jwks,omitempty"`
	JWKSURI        string          `json:"jwks_uri,omitempty"`
	Grants         []string        `json:"grants"`
	RedirectURIs   []string        `json:"redirect_uris,omitempty"`
	PostLogout     []string        `json:"post_logout_redirect_uris,omitempty"`
	Backchannel    string          `json:"backchannel_logout_uri,omitempty"`
	Scope          string          `json:"scope"`
	DefaultScope   string          `json:"default_scope,omitempty"`
	Audience       []string        `json:"audience"`
	Introspects    []string        `json:"introspects,omitempty"`
	AtEndpoint     bool            `json:"token_endpoint_audience,omitempty"`
	DPoPBound      bool            `json:"dpop_bound_access_tokens,omitempty"`
	ThirdParty     bool            `json:"third_party,omitempty"`
	RequiresPAR    bool            `json:"require_pushed_authorization_requests,omitempty"`
	RequireFactor  bool            `json:"require_second_factor,omitempty"`
	PasswordAlone  bool            `json:"password_alone,omitempty"`
	Claims         []string        `json:"claims,omitempty"`
	SigningAlg     string          `json:"signing_alg,omitempty"`
	AccessTTL      string          `json:"access_token_ttl,omitempty"`
	RefreshIdleTTL string          `json:"refresh_idle_ttl,omitempty"`
	RefreshTTL     string          `json:"refresh_ttl,omitempty"`
	RetryWindow    string          `json:"retry_window,omitempty"`
	Disabled       bool            `json:"disabled"`
	CreatedAt      time.Time       `json:"created_at"`
}

func clientRowOf(c clients.Client, secret string) clientRow {
	return clientRow{
		ClientID: c.ID, Name: c.Name, ClientSecret: secret, Public: c.Public, AuthMethod: c.AuthMethod(), JWKS: json.RawMessage(c.JWKS), JWKSURI: c.JWKSURI,
		Grants: orEmpty(c.Grants), RedirectURIs: c.RedirectURIs, PostLogout: c.PostLogoutRedirectURIs, Backchannel: c.BackchannelLogoutURI, Scope: strings.Join(c.Scope, " "), DefaultScope: strings.Join(c.DefaultScope, " "),
		Audience: orEmpty(c.Audience), Introspects: c.Introspects, AtEndpoint: c.TokenEndpointAudience, DPoPBound: c.DPoPBound, ThirdParty: c.ThirdParty, RequiresPAR: c.RequiresPAR, RequireFactor: c.RequireFactor, PasswordAlone: c.PasswordAlone, Claims: c.Claims, SigningAlg: c.SigningAlg,
		AccessTTL: ttl(c.AccessTTL), RefreshIdleTTL: ttl(c.RefreshIdleTTL), RefreshTTL: ttl(c.RefreshTTL), RetryWindow: c.RetryWindow.String(),
		Disabled: c.Disabled, CreatedAt: c.CreatedAt,
	}
}

func orEmpty(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}

func ttl(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return d.String()
}

func (p *program) clientsCommand() *cobra.Command {
	return group("clients", "Register and manage client applications",
		p.clientsAddCommand(), p.clientsListCommand(), p.clientsUpdateCommand(), p.clientsRotateSecretCommand(), p.clientsDisableCommand(), p.clientsLogoutCommand())
}

func (d *deployment) clients() *clients.Registry {
	return &clients.Registry{Store: d.store, Audit: d.audit, AccessTTL: d.cfg.AccessTokenTTL, RefreshIdleTTL: d.cfg.RefreshIdleTTL, Now: d.now, IsUser: d.isUser}
}

// isUser reports whether an account has the id, in any case.
func (d *deployment) isUser(ctx context.Context, id string) (bool, error) {
	for u, err := range listing.All(ctx, d.store.ListUsers, func(u users.User) string { return u.UID }) {
		if err != nil || strings.EqualFold(u.UID, id) {
			return err == nil, err
		}
	}
	return false, nil
}

// holders returns the Holder of a users.Service. It reads all ids once, when it is first
// asked, for an import with many.
func (d *deployment) holders() func(id string) (string, error) {
	read := sync.OnceValues(func() (map[string]string, error) {
		held := map[string]string{}
		for u, err := range listing.All(d.ctx, d.store.ListUsers, func(u users.User) string { return u.UID }) {
			if err != nil {
				return nil, err
			}
			held[strings.ToLower(u.UID)] = "another account"
		}
		for c, err := range listing.All(d.ctx, d.store.ListClients, func(c clients.Client) string { return c.ID }) {
			if err != nil {
				return nil, err
			}
			held[strings.ToLower(c.ID)] = "a client"
		}
		return held, nil
	})
	return func(id string) (string, error) {
		held, err := read()
		return held[strings.ToLower(id)], err
	}
}

func (p *program) clientsAddCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "add ID",
		Short: "Register a client; a confidential one's secret is shown once",
		Long: `Registers a client application. A confidential client (the default) gets a
generated secret, which is printed now and never again; with --jwks-file or
--jwks-uri it has none and authenticates by assertions that it signs with its
own key (private_key_jwt, RFC 7523), which RFC 9700 §2.5 recommends. A public
client (--public) has neither: apps that users install, and pages in a browser.

The grant "authorization_code" logs users in at the page of this server, in their
browser; --redirect-uri says where they are sent back to.

The grant "password" is given to a client only by name: the client sees the
user's password (RFC 9700 §2.4 advises against it); give it to first-party apps
alone.`,
		Example: `  keyturn clients add shop --grant password --grant refresh_token --scope "openid email" --audience https://api.example.com
  keyturn clients add wiki --grant authorization_code --grant refresh_token --redirect-uri https://wiki.example.com/callback --scope "openid email profile"
  keyturn clients add reports --grant client_credentials --audience https://api.example.com --jwks-file reports.jwks.json`,
		Args: cobra.ExactArgs(1),
	}
	flags := newClientFlags(cmd)
	cmd.Flags().BoolVar(&flags.client.Public, "public", false, "the client has no secret")
	p.preparesDeployment(cmd, func(cfg *config.Config, args []string) error {
		if strings.HasPrefix(args[0], "-") {
			return usageError{errDashedID}
		}
		flags.client.ID = args[0]
		if err := flags.read(p, cfg); err != nil {
			return err
		}
		if err := mayBeFirstParty(cfg.FirstPartyClient, flags.client); err != nil {
			return err
		}
		return asUsage((&deployment{cfg: cfg}).clients().Check(flags.client))
	}, func(d *deployment, args []string) error {
		made, secret, err := d.clients().Add(d.ctx, flags.client)
		if errors.Is(err, clients.ErrExists) {
			return fmt.Errorf("client %s exists already", args[0])
		}
		if err != nil {
			return err
		}
		return p.print(clientRowOf(made, secret), func(w io.Writer) {
			fmt.Fprintf(w, "client_id:     %s\n", made.ID)
			if secret != "" {
				fmt.Fprintf(w, "client_secret: %s\n\nThe secret is not shown again; keep it now.\n", secret)
			}
		})
	})
	return cmd
}

func (p *program) clientsUpdateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "update ID",
		Short: "Change what a client may do, or its keys",
		Long: `Changes what the flags given say; everything else stays. Sessions that live go
on with what the client may still have: a scope that is taken away is gone from
the next refresh on.

--jwks-file and --jwks-uri replace the client's keys. To turn keys without a
break, publish the new key beside the old one first. A client that had a secret
loses it.`,
		Example: `  keyturn clients update shop --scope "openid email orders:read" --default-scope "openid email"
  keyturn clients update reports --jwks-file reports.jwks.json`,
		Args: cobra.ExactArgs(1),
	}
	flags := newClientFlags(cmd)
	p.withDeployment(cmd, func(cfg *config.Config, args []string) error {
		if err := flags.read(p, cfg); err != nil {
			return err
		}
		if err := mayBeFirstParty(cfg.FirstPartyClient, clients.Client{ID: args[0], ThirdParty: flags.client.ThirdParty}); err != nil {
			return err
		}
		return asUsage((&deployment{cfg: cfg}).clients().CheckValues(flags.client))
	}, func(d *deployment, args []string) error {
		made, err := d.clients().Update(d.ctx, args[0], flags.apply)
		if err != nil {
			return fmt.Errorf("client %s: %w", args[0], err)
		}
		return p.say(clientRowOf(made, ""), "client %s is changed\n", made.ID)
	})
	return cmd
}

func (p *program) clientsListCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "list", Short: "List the clients", Args: cobra.NoArgs}
	p.withStore(cmd, func(d *deployment, _ []string) error {
		rows, err := listAll(d.ctx, d.store.ListClients, func(c clients.Client) string { return c.ID },
			func(c clients.Client) clientRow { return clientRowOf(c, "") })
		if err != nil {
			return err
		}
		return p.print(rows, func(w io.Writer) {
			table(w, "CLIENT_ID\tKIND\tGRANTS\tSCOPE\tAUDIENCE\tSTATE", func(row func(...any)) {
				for _, c := range rows {
					kind, state := "confidential", "enabled"
					if c.Public {
						kind = "public"
					}
					if c.Disabled {
						state = "disabled"
					}
					row(c.ClientID, kind, strings.Join(c.Grants, " "), c.Scope, strings.Join(c.Audience, " "), state)
				}
			})
		})
	})
	return cmd
}

func (p *program) clientsRotateSecretCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "rotate-secret ID", Short: "Give a client a new secret; the old one is void at once", Args: cobra.ExactArgs(1)}
	p.withDeployment(cmd, nil, func(d *deployment, args []string) error {
		secret, err := d.clients().RotateSecret(d.ctx, args[0])
		if err != nil {
			return fmt.Errorf("client %s: %w", args[0], err)
		}
		return p.say(answer{"client_id": args[0], "client_secret": secret}, "client_id:     %s\nclient_secret: %s\n\nThe secret is not shown again; keep it now.\n", args[0], secret)
	})
	return cmd
}

func (p *program) clientsDisableCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "disable ID", Short: "Refuse a client everything and end its sessions", Args: cobra.ExactArgs(1)}
	p.withDeployment(cmd, nil, func(d *deployment, args []string) error {
		ended, err := d.clients().Disable(d.ctx, args[0])
		if err != nil {
			return fmt.Errorf("client %s: %w", args[0], err)
		}
		return p.say(answer{"client_id": args[0], "disabled": true, "sessions_ended": ended}, "client %s is disabled; %s ended\n", args[0], counted(ended, "session"))
	})
	return cmd
}
