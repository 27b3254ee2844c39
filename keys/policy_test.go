package keys

import (
	"strings"
	"testing"
	"time"
)

func TestPolicyValidate(t *testing.T) {
	if err := testPolicy().Validate(); err != nil {
		t.Fatalf("a good policy: %v", err)
	}
	for name, c := range map[string]struct {
		change func(*Policy)
		begins string
		says   string
	}{
		"unknown alg":       {func(p *Policy) { p.Algs = []string{"HS256"} }, "signing_algs: ", "ES256, RS256, PS256, EdDSA"},
		"no interval":       {func(p *Policy) { p.Interval = 0 }, "key_rotation_interval: ", "1ms"},
		"negative lead":     {func(p *Policy) { p.Lead = -1 }, "key_publish_lead: ", "1ms"},
		"no poll":           {func(p *Policy) { p.Poll = 0 }, "key_poll_interval: ", "1ms"},
		"no skew":           {func(p *Policy) { p.Skew = 0 }, "clock_skew: ", "1ms"},
		"no max age":        {func(p *Policy) { p.MaxAge = 0 }, "jwks_max_age: ", "1ms"},
		"no ttl":            {func(p *Policy) { p.TokenTTL = 0 }, "access_token_ttl: ", "1ms"},
		"overflow":          {func(p *Policy) { p.MaxAge = 1<<63 - 1 }, "jwks_max_age: ", "87600h"},
		"lead too short":    {func(p *Policy) { p.Lead = 5*time.Minute + 19*time.Second }, "key_publish_lead: ", "at least 5m20s"},
		"interval too fast": {func(p *Policy) { p.Interval = p.Lead - 1 }, "key_rotation_interval: ", "at least key_publish_lead, 10m0s"},
		"poll too slow":     {func(p *Policy) { p.Poll = p.Lead + 1 }, "key_publish_lead: ", "key_poll_interval 10m0"},
	} {
		p := testPolicy()
		c.change(&p)
		err := p.Validate()
		if err == nil || !strings.HasPrefix(err.Error(), c.begins) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
