package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/clients"
	"github.com/keyturn/keyturn/internal/config"
	"github.com/keyturn/keyturn/internal/decision"
	"github.com/keyturn/keyturn/internal/devices"
	"github.com/keyturn/keyturn/internal/dpop"
	"github.com/keyturn/keyturn/internal/firstparty"
	"github.com/keyturn/keyturn/internal/mail"
	"github.com/keyturn/keyturn/internal/outbox"
	"github.com/keyturn/keyturn/internal/pages"
	"github.com/keyturn/keyturn/internal/passwords"
	"github.com/keyturn/keyturn/internal/throttle"
	"github.com/keyturn/keyturn/keys"
	"github.com/keyturn/keyturn/oauth"
	"github.com/keyturn/keyturn/users"
	"github.com/keyturn/keyturn/wellknown"
)

// services are the domain's parts, put together for one deployment.
type services struct {
	keeper   *keys.Keeper
	ring     *keys.Ring
	users    *users.Service
	families *oauth.Families
	oauth    *oauth.Service
	pages    *pages.Pages
	outbox   *outbox.Box
	endings  *oauth.Backchannel
	jwks     *wellknown.JWKS
	metadata *wellknown.Metadata
}

func (d *deployment) services(issuer string) (*services, error) {
	masters, err := d.masters()
	if err != nil {
		return nil, err
	}
	s := &services{}
	if s.keeper, err = d.keeper(masters, d.audit, d.keyTrouble); err != nil {
		return nil, err
	}
	s.ring = s.keeper.Ring()
	settings := d.oauthSettings(issuer)
	s.families = oauth.NewFamilies(d.store, masters, settings, wallClock, d.clock.Now)
	d.serves = true
	if s.users, err = d.users(); err != nil {
		return nil, err
	}
	s.users.Sealer, s.users.Links = masters.Sealer(users.SealFactors), masters.Sealer(users.SealLinks)
	s.outbox = &outbox.Box{Store: d.store, Now: d.clock.Now, OnError: d.outboxTrouble, OnDown: d.outboxDown}
	if s.users.Post, err = d.newPost(issuer, masters, s.outbox); err != nil {
		return nil, usageError{err}
	}
	s.users.Mailless = s.users.Post == nil
	d.post = s.users.Post
	s.oauth = oauth.NewService(oauth.Options{
		Store: d.store, Families: s.families, ClientKeys: clients.NewKeys(d.cfg.ClientJWKSNetworks, wallClock), Proofs: dpop.NewChecker(masters, d.cfg.DPoPNonce, d.cfg.ClockSkew, wallClock), Users: s.users, Ring: s.ring, Audit: d.audit, Settings: settings,
		OnError: d.requestLog, Now: wallClock,
	})
	s.endings = &oauth.Backchannel{
		Store: d.store, Clients: d.store, Box: s.outbox, Sender: clients.NewLogoutSender(d.cfg.ClientJWKSNetworks), Ring: s.ring, Audit: d.audit, Issuer: issuer, Now: wallClock,
	}
	s.outbox.Kinds = map[string]outbox.Kind{oauth.LogoutKind: s.endings.Kind()}
	if post := s.users.Post; post != nil {
		post.Prepare, post.GiveUp = s.users.PrepareLetter, s.users.GiveUpLetter
		s.outbox.Kinds[mail.LetterKind] = post.Kind()
	}
	if s.pages, err = d.pages(issuer, s); err != nil {
		return nil, err
	}
	s.jwks = wellknown.NewJWKS(s.ring)
	s.metadata, err = wellknown.NewMetadata(d.metadataConfig(issuer, s))
	return s, err
}

// metadataConfig returns what the metadata advertise: the grants in force, and what
// the userinfo endpoint answers.
func (d *deployment) metadataConfig(issuer string, s *services) wellknown.Config {
	return wellknown.Config{
		Issuer: issuer, Grants: d.oauthSettings(issuer).Grants(), Scopes: []string{"openid", "email", "profile", oauth.ScopeOffline}, Claims: oauth.IDTokenClaims(),
		ResponseModes: oauth.ResponseModes(), Prompts: oauth.Prompts(), Classes: []string{oauth.MultiFactor}, Locales: s.pages.Languages(),
		ClientAuth: []string{"client_secret_basic", "client_secret_post", "private_key_jwt"}, ClientAuthAlgs: clients.AssertionAlgs(), ProofAlgs: dpop.Algs(), Published: d.published(s.ring),
	}
}

// published is the ring's set, with the algorithms of the keys to come among its
// algorithms: a resource server that takes the algorithms from the metadata learns
// of another one before the first token has it.
func (d *deployment) published(ring *keys.Ring) func() keys.PublishedSet {
	return func() keys.PublishedSet {
		set := ring.Published()
		if len(set.Algs) > 0 {
			set.Algs = append(slices.Clone(set.Algs), d.cfg.KeyPolicy().Algs...)
			slices.Sort(set.Algs)
			set.Algs = slices.Compact(set.Algs)
		}
		return set
	}
}

func (d *deployment) oauthSettings(issuer string) oauth.Settings {
	return oauth.Settings{
		Issuer: issuer, Name: d.cfg.PageName, TokenEndpoint: wellknown.TokenEndpoint(issuer), ClockSkew: d.cfg.ClockSkew, AccessTTL: d.cfg.AccessTokenTTL, RefreshIdleTTL: d.cfg.RefreshIdleTTL, RefreshTTL: d.cfg.RefreshTTL,
		BrowserTTL: d.cfg.BrowserSessionTTL, RememberTTL: d.cfg.BrowserRememberTTL, RetryWindow: d.cfg.RetryWindow, PasswordGrant: d.cfg.PasswordGrant, RequireFactor: d.cfg.RequireSecondFactor, FirstPartyClient: d.cfg.FirstPartyClient,
	}
}

func (d *deployment) keeper(masters *keys.Masters, rec audit.Recorder, onError func(error)) (*keys.Keeper, error) {
	if d.clock == nil {
		if err := d.steadily(d.ctx, nil); err != nil {
			return nil, err
		}
	}
	k, err := keys.NewKeeper(keys.Options{
		Store: d.store, Vault: masters.Vault(), Policy: d.cfg.KeyPolicy(), Audit: rec, Now: d.now,
		Elapsed: elapsedSince(time.Now()), Confirmed: d.past,
		OnError: onError,
	})
	if err != nil {
		return nil, fmt.Errorf("signing keys: %w", err)
	}
	return k, nil
}

func (d *deployment) keyTrouble(err error) { d.log.Error().Err(err).Msg("signing keys") }

// users puts the accounts together. It needs no master key: commands that manage
// accounts make no tokens. With one they can open and keep the secrets of second factors.
func (d *deployment) users() (*users.Service, error) {
	hasher, err := passwords.NewHasher(d.cfg.PasswordParams(), d.cfg.HashConcurrency)
	if err != nil {
		return nil, err
	}
	pepper, err := d.pepper()
	if err != nil {
		return nil, usageError{err}
	}
	hasher.SetPepper(pepper)
	service := users.Service{
		Store: d.store, Hasher: hasher, Policy: passwordPolicy(d.cfg),
		Sessions: oauth.SessionEnder{Store: d.store, Audit: d.audit, Now: d.now}, Holder: d.holders(), Audit: d.audit, Now: d.now, Confirmed: d.confirmed,
		DeletionGrace: d.cfg.AccountDeletionGrace,
		Post:          d.letterBox(), Notices: d.notices(), Devices: &devices.Memory{Counters: d.store, Now: wallClock},
	}
	service.Letters = throttle.New(d.store, wallClock)
	if d.cfg.LoginThrottle {
		service.Throttle = throttle.New(d.store, d.now)
	}
	if masters, err := d.givenMasters(); err == nil {
		service.Sealer = masters.Sealer(users.SealFactors)
	}
	return users.NewService(service)
}

func passwordPolicy(cfg *config.Config) users.Policy {
	return users.Policy{MinLength: cfg.PasswordMinLength}
}

// firstParty returns the handlers of the /auth routes, or nil if the settings name no
// app that could use them.
func (s *services) firstParty(d *deployment) *firstparty.Handlers {
	if d.cfg.FirstPartyClient == "" {
		return nil
	}
	return &firstparty.Handlers{OAuth: s.oauth, Users: s.users, Recorder: decision.Recorder{Audit: d.audit, OnError: d.requestLog}}
}
