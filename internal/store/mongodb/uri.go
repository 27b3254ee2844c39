package mongodb

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readconcern"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"
)

// Defaults for what the URI does not say.
const (
	defaultDatabase               = "keyturn"
	defaultPort                   = "27017"
	defaultAppName                = "keyturn"
	defaultServerSelectionTimeout = 5 * time.Second
	defaultConnectTimeout         = 5 * time.Second
	defaultTimeout                = 10 * time.Second
)

// target is the destination of a URI.
type target struct {
	database string
	options  *options.ClientOptions
	secrets  []string // never shown in errors
}

// CheckURI returns an error if Open would refuse a connection string. It looks up no
// name, and its error contains none of the string's secrets.
func CheckURI(uri string) error {
	if !strings.HasPrefix(uri, srvScheme) {
		_, err := parseURI(uri)
		return err
	}
	_, _, err := readURI(uri) // the driver would ask the name server
	return err
}

// Identity returns a name for the database of a connection string, independent of
// credentials, options, and the order and spelling of hosts.
func Identity(uri string) (string, error) {
	p, err := splitURI(uri)
	if err != nil {
		return "", err
	}
	if p.database == "" {
		p.database = defaultDatabase
	}
	hosts := strings.Split(strings.ToLower(p.hosts), ",")
	for i, host := range hosts {
		hosts[i] = strings.TrimSuffix(strings.TrimSuffix(host, ":"+defaultPort), ".")
	}
	slices.Sort(hosts)
	return "mongodb:" + strings.Join(slices.Compact(hosts), ",") + "/" + p.database, nil
}

// WithDatabase returns a connection string that Open takes for the same, and that
// names the database.
func WithDatabase(uri string) string {
	p, err := splitURI(uri)
	if err != nil || p.database != "" {
		return uri
	}
	base, _, _ := strings.Cut(uri, "?")
	base = strings.TrimSuffix(base, "/") + "/" + defaultDatabase
	var options []string
	if p.query != "" {
		options = append(options, p.query)
	}
	// Without a database the user is looked up in admin.
	if said := strings.ToLower(p.query); strings.Contains(base, "@") && !strings.Contains(said, "authsource=") && !strings.Contains(said, "authmechanism=") {
		options = append(options, "authSource=admin")
	}
	if len(options) == 0 {
		return base
	}
	return base + "?" + strings.Join(options, "&")
}

// parseURI parses a connection string. For mongodb+srv it asks the name server.
func parseURI(uri string) (target, error) {
	t, given, err := readURI(uri)
	if err != nil {
		return target{}, err
	}
	t.options = options.Client().ApplyURI(uri)
	if err := t.options.Validate(); err != nil {
		return target{}, t.redact(fmt.Errorf("unusable MongoDB URI: %w", err))
	}
	t.fillIn(given)
	return t, nil
}

// readURI checks every part that could contain credentials, because the driver's
// errors would quote it.
func readURI(uri string) (target, givenOptions, error) {
	parts, err := splitURI(uri)
	if err != nil {
		return target{}, nil, err
	}
	given, err := parseOptions(parts.query)
	if err != nil {
		return target{}, nil, err
	}
	t := target{database: parts.database, secrets: append(parts.secrets(), given.secrets()...)}
	if t.database == "" {
		t.database = defaultDatabase
	}
	return t, given, nil
}

// fillIn sets the options that the store requires, and the defaults.
func (t *target) fillIn(given givenOptions) {
	journal := true
	t.options.
		SetWriteConcern(&writeconcern.WriteConcern{W: "majority", Journal: &journal}).
		SetReadConcern(readconcern.Majority()).
		SetReadPreference(readpref.Primary())
	if !given.has("appName") {
		t.options.SetAppName(defaultAppName)
	}
	if !given.has("serverSelectionTimeoutMS") {
		t.options.SetServerSelectionTimeout(defaultServerSelectionTimeout)
	}
	if !given.has("connectTimeoutMS") {
		t.options.SetConnectTimeout(defaultConnectTimeout)
	}
	if !given.has("timeoutMS") {
		t.options.SetTimeout(defaultTimeout)
	}
}

// redact returns err without the secrets of the URI in its text.
func (t target) redact(err error) error {
	text := err.Error()
	clean := text
	for _, secret := range t.secrets {
		clean = strings.ReplaceAll(clean, secret, "(hidden)")
	}
	if clean == text {
		return err
	}
	return errors.New(clean)
}

// uriParts are the parts of a connection string,
// scheme://username:password@hosts/database?query.
type uriParts struct {
	password string // as written
	hosts    string
	database string
	query    string
}

// secrets returns the password as written and decoded.
func (p uriParts) secrets() []string {
	if p.password == "" {
		return nil
	}
	secrets := []string{p.password}
	if meant, err := url.PathUnescape(p.password); err == nil && meant != p.password {
		secrets = append(secrets, meant)
	}
	return secrets
}

const (
	plainScheme = "mongodb://"
	srvScheme   = "mongodb+srv://"
)

const uriForm = "mongodb://[username:password@]host[:port][,host…]/[database][?option=value&…]"

func splitURI(uri string) (uriParts, error) {
	rest, plain := strings.CutPrefix(uri, plainScheme)
	if !plain {
		var srv bool
		if rest, srv = strings.CutPrefix(uri, srvScheme); !srv {
			return uriParts{}, errors.New("a MongoDB URI has the form " + uriForm + ", or the same with mongodb+srv://")
		}
	}
	var p uriParts
	// Cut at the last @, not the first: the text before it may be a password with an @
	// that should have been encoded, and must not be taken for a host.
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		var err error
		if p.password, err = splitUserInfo(rest[:at]); err != nil {
			return uriParts{}, err
		}
		rest = rest[at+1:]
	}
	rest, p.query, _ = strings.Cut(rest, "?")
	p.hosts, p.database, _ = strings.Cut(rest, "/")
	if err := checkHosts(p.hosts); err != nil {
		return uriParts{}, err
	}
	if !plain && strings.ContainsAny(p.hosts, ",:") {
		return uriParts{}, errors.New("mongodb+srv takes one host name and no port")
	}
	database, err := url.QueryUnescape(p.database)
	if err != nil || !usableDatabase(database) {
		return uriParts{}, errors.New("the database name in the path of the MongoDB URI is unusable; " +
			"it has at most 63 bytes and none of the characters / \\ . \" $ * < > : | ? and space")
	}
	if slices.Contains(serversOwn, strings.ToLower(database)) {
		return uriParts{}, fmt.Errorf("the database %s of the MongoDB URI is the server's own; name another, "+
			"and add authSource=%[1]s if the user is kept there", database)
	}
	p.database = database
	return p, nil
}

// serversOwn are the server's own databases: one is not replicated, and none can be
// sharded.
var serversOwn = []string{"admin", "config", "local"}

// splitUserInfo returns the password in "username:password". Its errors quote nothing.
func splitUserInfo(info string) (password string, err error) {
	username, password, _ := strings.Cut(info, ":")
	if strings.ContainsAny(username, "/?#[]@") || strings.ContainsAny(password, ":/?#[]@") {
		return "", errors.New("in the username, the password and the options of a MongoDB URI " +
			"the characters : / ? # [ ] @ must be percent-encoded")
	}
	for _, part := range []string{username, password} {
		if _, err := url.PathUnescape(part); err != nil {
			return "", errors.New("in the username and the password of a MongoDB URI " +
				"a % must be followed by two hexadecimal digits; write %25 for the character itself")
		}
	}
	return password, nil
}

// checkHosts checks the form of the hosts. Its errors quote nothing, because if a host
// was forgotten, the credentials are in its place.
func checkHosts(hosts string) error {
	for host := range strings.SplitSeq(hosts, ",") {
		if host == "" {
			return errors.New("a host is missing in the MongoDB URI; it has the form " + uriForm)
		}
		if strings.HasSuffix(strings.ToLower(host), ".sock") {
			continue
		}
		name, port, err := net.SplitHostPort(host)
		if err != nil {
			name, port, err = net.SplitHostPort(host + ":" + defaultPort)
		}
		if err != nil || name == "" {
			return errors.New("a host in the MongoDB URI is unusable; write host, host:port or [ipv6]:port")
		}
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
			return errors.New("a port in the MongoDB URI is unusable; it is a number from 1 to 65535")
		}
	}
	return nil
}

func usableDatabase(name string) bool {
	return len(name) <= 63 && !strings.ContainsAny(name, "/\\. \"$*<>:|?\x00")
}
