package main

import (
	"time"

	"github.com/keyturn/keyturn/internal/config"
)

// lifetime is a flag's duration, in the words of the settings.
type lifetime struct{ at *time.Duration }

// Set reads a duration such as 90s, 24h or 30d.
func (s lifetime) Set(text string) (err error) {
	*s.at, err = config.ParseDuration(text)
	return err
}

// String is how pflag shows the default.
func (s lifetime) String() string {
	if s.at == nil || *s.at == 0 {
		return ""
	}
	return s.at.String()
}

// Type names what Set takes, in the help.
func (lifetime) Type() string { return "duration" }
