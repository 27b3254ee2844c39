package config

import (
	"errors"
	"fmt"
	"runtime"

	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/pflag"
)

// Load returns the settings that fs (parsed, with the flags of AddFlags; nil
// for none), environ (as of os.Environ) and the file that either names give.
// An empty variable or a null in the file is an empty value, not an absent one.
// All that is wrong is in the error, one line for each thing; no line holds a
// secret.
func Load(fs *pflag.FlagSet, environ []string) (*Config, error) {
	l := &loader{merged: koanf.New("."), config: &Config{sources: make(map[string]Source)}}
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
	merged   *koanf.Koanf
	config   *Config
	problems []error
	// failed names the settings that have no usable value.
	failed map[string]bool
}

// readLayers merges the sources, each over the ones before.
func (l *loader) readLayers(fs *pflag.FlagSet, environ []string) {
	l.read(FromDefault, confmap.Provider(defaults(), "."), nil)
	if path := configPath(fs, environ); path != "" {
		l.config.file = path
		if provider, err := fromFile(path); err != nil {
			l.report(err)
		} else {
			l.read(FromFile, provider, &settingsYAML{path: path, stray: l.report})
		}
	}
	l.read(FromEnvironment, fromEnviron(environ, l.report), nil)
	if fs != nil {
		l.read(FromFlag, fromFlags(fs), nil)
	}
}

// read merges one source over what is there and remembers what came from it.
func (l *loader) read(source Source, provider koanf.Provider, parser koanf.Parser) {
	layer := koanf.New(".")
	if err := layer.Load(provider, parser); err != nil {
		l.report(l.readError(source, err))
		return
	}
	for _, name := range layer.Keys() {
		l.config.sources[name] = source
	}
	if err := l.merged.Merge(layer); err != nil {
		l.report(fmt.Errorf("merge the %s: %w", source, err))
	}
}

// readError leaves a refusal as it is; anything else is a file that went away
// or may not be read.
func (l *loader) readError(source Source, err error) error {
	var refused *refusal
	if errors.As(err, &refused) {
		return refused
	}
	if source == FromFile {
		return refuseFile(l.config.file, "it cannot be read")
	}
	return fmt.Errorf("read the %s: %w", source, err)
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
		given := l.merged.String(s.Name)
		if err := s.kind.set(l.config, given); err != nil {
			l.failed[s.Name] = true
			l.report(&refusal{name: s.Name, value: quoted(given), source: l.config.sources[s.Name],
				reason: err.Error(), accepted: s.Accepts})
		}
	}
	if l.config.HashConcurrency == 0 {
		l.config.HashConcurrency = min(runtime.GOMAXPROCS(0), mostHashes)
	}
}
