package config

import (
	"errors"
	"fmt"
	"runtime"

	"github.com/spf13/pflag"

	"github.com/keyturn/keyturn/internal/passwords"
)

// Load returns the settings that fs (parsed, with the flags of AddFlags; nil
// for none), environ (as of os.Environ) and the file that either names give.
// An empty variable or a null in the file is an empty value, not an absent one.
// All that is wrong is in the error, one line for each thing; no line holds a
// secret.
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

// loader collects the values of one Config and all that is wrong with them.
type loader struct {
	// given holds the text of each setting, as its last source has it.
	given    map[string]string
	config   *Config
	problems []error
	// failed names the settings that have no usable value.
	failed map[string]bool
}

// readLayers reads the sources, each over the ones before.
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

// put lays the texts of one source over those that are there.
func (l *loader) put(source Source, texts map[string]string) {
	for name, text := range texts {
		l.given[name], l.config.sources[name] = text, source
	}
}

// mostProblems bounds how many errors are shown; a file of nothing but unknown
// names would hide the first of them otherwise.
const mostProblems = 50

// verdict joins what was reported, nil if nothing was.
func (l *loader) verdict() error {
	if more := len(l.problems) - mostProblems; more > 0 {
		l.problems = append(l.problems[:mostProblems], fmt.Errorf("and %d more", more))
	}
	return errors.Join(l.problems...)
}

func (l *loader) report(err error) { l.problems = append(l.problems, err) }

// parse gives every field its value.
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
