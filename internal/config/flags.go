package config

import (
	"errors"
	"strings"

	"github.com/spf13/pflag"
)

// ConfigFlag is the flag that names the YAML file.
const ConfigFlag = "config"

// AddFlags adds --config and a flag for every setting to fs. Names have dashes;
// NormalizeFlag, which AddFlags installs in fs, accepts underscores too. Load
// checks the values, so that all errors are found together.
func AddFlags(fs *pflag.FlagSet) {
	fs.SetNormalizeFunc(NormalizeFlag)
	fs.Var(new(configFlag), ConfigFlag, "YAML `file` with settings, which variables and flags override ["+ConfigEnv+"]")
	for _, s := range table {
		if !s.EnvironmentOnly {
			fs.Var(&flagValue{setting: s}, s.Flag(), s.Help+" ["+s.Env()+"]")
		}
	}
}

// IsSetting reports whether AddFlags added the flag.
func IsSetting(f *pflag.Flag) bool {
	_, ours := f.Value.(*flagValue)
	return ours || f.Name == ConfigFlag
}

// NormalizeFlag makes --signing_alg mean --signing-alg. A flag set that is
// merged from several, as a command's is with its parent's, needs it as well.
func NormalizeFlag(_ *pflag.FlagSet, name string) pflag.NormalizedName {
	return pflag.NormalizedName(strings.ReplaceAll(name, "_", "-"))
}

// configFlag is the path of the one file.
type configFlag struct {
	path  string
	given bool
}

// String implements pflag.Value.
func (v *configFlag) String() string { return v.path }

// Set implements pflag.Value. It refuses a second file, which would silently take the
// place of the first.
func (v *configFlag) Set(path string) error {
	if v.given {
		return errors.New("it is given twice: put the settings of both files into one")
	}
	v.path, v.given = path, true
	return nil
}

// Type implements pflag.Value.
func (v *configFlag) Type() string { return "string" }

// flagValue keeps the text of a flag as given. A repeated list flag appends; of
// any other flag the last value counts.
type flagValue struct {
	setting Setting
	given   []string
}

// String implements pflag.Value.
func (v *flagValue) String() string {
	if v.given == nil {
		return v.setting.Default
	}
	return strings.Join(v.given, ",")
}

// Set implements pflag.Value.
func (v *flagValue) Set(text string) error {
	if !v.setting.kind.list {
		v.given = nil
	}
	v.given = append(v.given, text)
	return nil
}

// Type implements pflag.Value; help shows it as the name of the argument.
func (v *flagValue) Type() string { return v.setting.Type }

// fromFlags returns the settings given as flags.
func fromFlags(fs *pflag.FlagSet) map[string]string {
	texts := make(map[string]string)
	fs.Visit(func(f *pflag.Flag) {
		if v, ours := f.Value.(*flagValue); ours {
			texts[v.setting.Name] = v.String()
		}
	})
	return texts
}

// configPath returns the path of the YAML file from the flag or else the
// variable, or "" if there is none.
func configPath(fs *pflag.FlagSet, environ []string) string {
	if fs != nil {
		if f := fs.Lookup(ConfigFlag); f != nil && f.Changed {
			return f.Value.String()
		}
	}
	return lookupEnv(environ, ConfigEnv)
}
