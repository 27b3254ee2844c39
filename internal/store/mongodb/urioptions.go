package mongodb

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// uriOption is an accepted option of a URI.
type uriOption struct {
	name    string
	accepts string // shown to a user who gave another value
	ok      func(value string) bool
	secret  bool // its value is never shown
}

// uriOptions are all accepted options. An option has only one accepted value if others
// would let the store acknowledge a write that can be lost, give up a write whose
// answer is lost, or read outdated data. That includes a direct connection, over which
// the driver reads whatever the member has become.
var uriOptions = []uriOption{
	text("appName"),
	oneOf("authMechanism", "SCRAM-SHA-256", "SCRAM-SHA-1", "MONGODB-X509", "MONGODB-AWS", "MONGODB-OIDC", "PLAIN"),
	secret("authMechanismProperties"),
	text("authSource"),
	{name: "compressors", accepts: "zstd, zlib and snappy, separated by commas", ok: compressors},
	number("connectTimeoutMS", 0, maxMillis),
	oneOf("directConnection", "false"),
	number("heartbeatFrequencyMS", 500, maxMillis),
	oneOf("journal", "true"),
	boolean("loadBalanced"),
	number("maxConnecting", 0, maxCount),
	number("maxIdleTimeMS", 0, maxMillis),
	number("maxPoolSize", 0, maxCount),
	number("minPoolSize", 0, maxCount),
	oneOf("readConcernLevel", "majority"),
	oneOf("readPreference", "primary"),
	text("replicaSet"),
	boolean("retryReads"),
	oneOf("retryWrites", "true"),
	oneOf("serverMonitoringMode", "auto", "stream", "poll"),
	number("serverSelectionTimeoutMS", 1, maxMillis),
	number("srvMaxHosts", 0, maxCount),
	text("srvServiceName"),
	boolean("ssl"),
	number("timeoutMS", 1, maxMillis),
	boolean("tls"),
	text("tlsCAFile"),
	text("tlsCertificateFile"),
	text("tlsCertificateKeyFile"),
	secret("tlsCertificateKeyFilePassword"),
	boolean("tlsDisableOCSPEndpointCheck"),
	boolean("tlsInsecure"),
	text("tlsPrivateKeyFile"),
	oneOf("w", "majority"),
	number("zlibCompressionLevel", -1, 9),
	number("zstdCompressionLevel", -1, 22),
}

const (
	maxMillis = 24 * 60 * 60 * 1000
	maxCount  = 100_000
)

func text(name string) uriOption {
	return uriOption{name: name, accepts: "a value", ok: func(value string) bool { return value != "" }}
}

func secret(name string) uriOption {
	o := text(name)
	o.secret = true
	return o
}

func boolean(name string) uriOption { return oneOf(name, "true", "false") }

// oneOf is an option with a few accepted values, in the driver's spelling.
func oneOf(name string, values ...string) uriOption {
	return uriOption{
		name:    name,
		accepts: strings.Join(values, " or "),
		ok:      func(value string) bool { return slices.Contains(values, value) },
	}
}

func number(name string, low, high int) uriOption {
	return uriOption{
		name:    name,
		accepts: fmt.Sprintf("a whole number from %d to %d", low, high),
		ok: func(value string) bool {
			n, err := strconv.Atoi(value)
			return err == nil && n >= low && n <= high
		},
	}
}

func compressors(value string) bool {
	for name := range strings.SplitSeq(value, ",") {
		if name != "zstd" && name != "zlib" && name != "snappy" {
			return false
		}
	}
	return true
}

// givenOptions are the options of one URI by their names in lower case.
type givenOptions map[string]string

func (g givenOptions) has(name string) bool {
	_, ok := g[strings.ToLower(name)]
	return ok
}

// secrets returns the values that are never shown.
func (g givenOptions) secrets() []string {
	var secrets []string
	for _, o := range uriOptions {
		if value := g[strings.ToLower(o.name)]; o.secret && value != "" {
			secrets = append(secrets, value)
		}
	}
	return secrets
}

// parseOptions parses the query of a URI. It refuses options that are unknown, unusable
// or repeated.
func parseOptions(query string) (givenOptions, error) {
	given := givenOptions{}
	for pair := range strings.FieldsFuncSeq(query, func(r rune) bool { return r == '&' || r == ';' }) {
		name, value, found := strings.Cut(pair, "=")
		if !found {
			return nil, errors.New("an option of the MongoDB URI has no value; options have the form name=value")
		}
		at := slices.IndexFunc(uriOptions, func(o uriOption) bool { return strings.EqualFold(o.name, name) })
		if at < 0 {
			return nil, fmt.Errorf("the MongoDB URI has an unknown option %q; accepted are %s", name, optionNames())
		}
		o := uriOptions[at]
		value, err := url.QueryUnescape(value)
		if err != nil || !o.ok(value) {
			return nil, o.refuse(value)
		}
		if given.has(o.name) {
			return nil, fmt.Errorf("the MongoDB URI has the option %s twice; give it once", o.name)
		}
		given[strings.ToLower(o.name)] = value
	}
	return given, nil
}

func (o uriOption) refuse(value string) error {
	if o.secret {
		return fmt.Errorf("the MongoDB URI has an unusable value for the option %s; accepted is %s", o.name, o.accepts)
	}
	return fmt.Errorf("the MongoDB URI has %q for the option %s; accepted is %s", value, o.name, o.accepts)
}

func optionNames() string {
	names := make([]string, len(uriOptions))
	for i, o := range uriOptions {
		names[i] = o.name
	}
	return strings.Join(names, ", ")
}
