package config

import (
	"regexp"
	"strings"
)

const (
	envPrefix = "KEYTURN_"
	// ConfigEnv names the YAML file if the flag --config does not.
	ConfigEnv = envPrefix + "CONFIG"
	// testPrefix is reserved for tests of the program.
	testPrefix = envPrefix + "TEST_"
)

// serviceLink matches the variables that Kubernetes adds to every pod for a
// service named keyturn or keyturn-…; they are not misspelt settings.
var serviceLink = regexp.MustCompile(`^KEYTURN_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$`)

// serviceAddress matches the value of KEYTURN_PORT, the only such variable
// whose name could be a setting's.
var serviceAddress = regexp.MustCompile(`^(tcp|udp|sctp)://`)

// fromEnviron returns the settings among the variables of environ ("K=V"; the
// last one of a name counts). It passes errors about other KEYTURN_* names to
// stray.
func fromEnviron(environ []string, stray func(error)) map[string]string {
	names, known := make(map[string]string), []string(nil)
	for _, s := range table {
		names[s.Env()] = s.Name
		known = append(known, s.Name)
	}
	texts := make(map[string]string)
	for _, pair := range environ {
		variable, value, _ := strings.Cut(pair, "=")
		if name, found := names[variable]; found {
			texts[name] = value
		} else if strings.HasPrefix(variable, envPrefix) && !foreign(variable, value) {
			stray(&unknownName{name: variable, prefix: envPrefix, source: FromEnvironment, among: known})
		}
	}
	return texts
}

// foreign reports whether a variable with the prefix is not meant as a setting.
func foreign(variable, value string) bool {
	return variable == ConfigEnv || strings.HasPrefix(variable, testPrefix) ||
		serviceLink.MatchString(variable) ||
		strings.HasSuffix(variable, "_PORT") && serviceAddress.MatchString(value)
}

// lookupEnv returns the last value of a variable in environ.
func lookupEnv(environ []string, variable string) string {
	found := ""
	for _, pair := range environ {
		if value, ok := strings.CutPrefix(pair, variable+"="); ok {
			found = value
		}
	}
	return found
}
