package main

import (
	"time"

	"github.com/keyturn/keyturn/internal/config"
)

// lifetime is a flag for a duration, in the format of the settings.
type lifetime struct{ at *time.Duration }

// Set parses a duration such as 90s, 24h or 30d.
func (s lifetime) Set(text string) (err error) {
	*s.at, err = config.ParseDuration(text)
	return err
}

// String returns the default, for pflag.
func (s lifetime) String() string {
	if s.at == nil || *s.at == 0 {
		return ""
	}
	return s.at.String()
}

// Type returns the name of the value in the help.
func (lifetime) Type() string { return "duration" }
