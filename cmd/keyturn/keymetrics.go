package main

import (
	"time"

	"github.com/keyturn/keyturn/internal/config"
	"github.com/keyturn/keyturn/internal/server"
	"github.com/keyturn/keyturn/keys"
)

// keyMetrics adds the metrics about the key schedule, on which the alert rules in
// docs/alerts.yml are based.
func (s *services) keyMetrics(m *server.Metrics, cfg *config.Config) {
	m.Gauge("keyturn_key_active_age_seconds", "Time since the active key began to sign; -1 while none can.", nil, func() float64 {
		active := s.keeper.Status().Active
		if active.KID == "" {
			return -1
		}
		// A standby promoted in an emergency may sign before its time.
		return max(0, time.Since(active.ActivateAt).Seconds())
	})
	m.Gauge("keyturn_key_next_turn_seconds", "Time until the standby begins to sign; -1 while none is scheduled.", nil, func() float64 {
		active := s.keeper.Status().Active
		if active.KID == "" || active.RetireAt.IsZero() {
			return -1
		}
		return time.Until(active.RetireAt).Seconds()
	})
	m.Gauge("keyturn_key_view_age_seconds", "Time since this replica last read the keys from the store; -1 before the first time.", nil, func() float64 {
		age, ever := s.keeper.ViewAge()
		if !ever {
			return -1
		}
		return age.Seconds()
	})
	for _, g := range []struct {
		name, help string
		value      func(keys.Status) int
	}{
		{"keyturn_key_standbys", "Published keys that can sign next.", func(st keys.Status) int { return st.Standbys }},
		{"keyturn_key_published", "Keys in the JWKS.", func(st keys.Status) int { return st.Published }},
		{"keyturn_key_unusable", "Keys that are damaged or rest under a master key that is missing.", func(st keys.Status) int { return st.Unusable }},
	} {
		m.Gauge(g.name, g.help, nil, func() float64 { return float64(g.value(s.keeper.Status())) })
	}
	s.keyCounters(m)
	for name, value := range map[string]time.Duration{
		"key_rotation_interval": cfg.KeyRotationInterval, "key_publish_lead": cfg.KeyPublishLead, "key_poll_interval": cfg.KeyPollInterval,
		"clock_skew": cfg.ClockSkew, "jwks_max_age": cfg.JWKSMaxAge, "access_token_ttl": cfg.AccessTokenTTL,
	} {
		m.Gauge("keyturn_setting_seconds", "The value of a setting that is a duration.", map[string]string{"setting": name},
			func() float64 { return value.Seconds() })
	}
}

func (s *services) keyCounters(m *server.Metrics) {
	for _, c := range []struct {
		name, help, label, word string
		value                   func(keys.Counts) uint64
	}{
		{"keyturn_key_turns_total", "Turns of the signing key on this replica.", "kind", "planned", func(c keys.Counts) uint64 { return c.Turns }},
		{"keyturn_key_turns_total", "Turns of the signing key on this replica.", "kind", "emergency", func(c keys.Counts) uint64 { return c.Emergencies }},
		{"keyturn_key_failures_total", "Failed work with the signing keys.", "operation", "poll", func(c keys.Counts) uint64 { return c.PollFailures }},
		{"keyturn_key_failures_total", "Failed work with the signing keys.", "operation", "sign", func(c keys.Counts) uint64 { return c.SignFailures }},
	} {
		m.Counter(c.name, c.help, map[string]string{c.label: c.word}, func() float64 { return float64(c.value(s.keeper.Counts())) })
	}
}

// keyWarnings returns the codes of the warnings, each once.
func (s *services) keyWarnings() []string {
	var codes []string
	for _, w := range s.keeper.Status().Warnings {
		if n := len(codes); n == 0 || codes[n-1] != w.Code {
			codes = append(codes, w.Code)
		}
	}
	return codes
}
