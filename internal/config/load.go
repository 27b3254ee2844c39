package config

import (
	"errors"
	"fmt"
	"runtime"

	"github.com/spf13/pflag"

	"github.com/keyturn/keyturn/internal/passwords"
)

// Load returns the settings from fs (parsed, with the flags of AddFlags; nil
// for none), from environ (as of os.Environ) and from the file that either
// names. An empty variable is an empty value, not a missing one, and a null in
// the file is an error. The error lists everything wrong, one line for each fault, and
// contains no secret.
func Load(fs *pflag.FlagSet, environ []string) (*Config, error) {
	l := &loader{given: make(map[string]string), config: &Config{sources: make(map[string]Source)}}
	l.readLayers(fs, environ)
	l.parse()
	l.contradict()
	if err := l.verdict(); err != nil {
		return nil, err
	}
	l.config.deriveIssuer()
	return l.config, nil
}

// loader collects the values of one Config and their faults.
type loader struct {
	// given holds the text of each setting from its last source.
	given    map[string]string
	config   *Config
	problems []error
	// failed names the settings without a usable value.
	failed map[string]bool
}

// readLayers reads the sources; each overrides the ones before.
func (l *loader) readLayers(fs *pflag.FlagSet, environ []string) {
	l.put(FromDefault, defaults())
	if path := configPath(fs, environ); path != "" {
		l.put(FromFile, fromFile(path, l.report))
	}
	l.put(FromEnvironment, fromEnviron(environ, l.report))
	if fs != nil {
		l.put(FromFlag, fromFlags(fs))
	}
}

// put overrides the texts of settings with those of one source.
func (l *loader) put(source Source, texts map[string]string) {
	for name, text := range texts {
		l.given[name], l.config.sources[name] = text, source
	}
}

// mostProblems bounds the number of errors shown, so that a file full of
// unknown names does not hide the first ones.
const mostProblems = 50

// verdict joins the reported errors; it returns nil if there are none.
func (l *loader) verdict() error {
	if more := len(l.problems) - mostProblems; more > 0 {
		l.problems = append(l.problems[:mostProblems], fmt.Errorf("and %d more", more))
	}
	return errors.Join(l.problems...)
}

func (l *loader) report(err error) { l.problems = append(l.problems, err) }

// parse sets every field of the Config.
func (l *loader) parse() {
	l.failed = make(map[string]bool)
	for _, s := range table {
		given := l.given[s.Name]
		if err := s.kind.set(l.config, given); err != nil {
			l.failed[s.Name] = true
			shown := quoted(given)
			if s.EnvironmentOnly {
				shown = masked
			}
			l.report(&refusal{name: s.Name, value: shown, source: l.config.sources[s.Name],
				reason: err.Error(), accepted: s.Accepts})
		}
	}
	if l.config.HashConcurrency == 0 {
		l.config.HashConcurrency = min(runtime.GOMAXPROCS(0), passwords.MaxConcurrency)
	}
}
