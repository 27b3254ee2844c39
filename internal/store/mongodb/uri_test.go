package mongodb

import (
	"errors"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"
)

func TestParseURI(t *testing.T) {
	got, err := parseURI("mongodb://ada:l%40velace@a.example,b.example:27018/auth%5Fdb?replicaSet=rs0&retryReads=false")
	if err != nil {
		t.Fatal(err)
	}
	o := got.options
	if got.database != "auth_db" || *o.ReplicaSet != "rs0" || *o.RetryReads || len(o.Hosts) != 2 ||
		o.Auth.Username != "ada" || o.Auth.Password != "l@velace" || o.Auth.AuthSource != "auth_db" {
		t.Errorf("parsed as %q, %+v", got.database, o)
	}
	if *o.AppName != "keyturn" || *o.ServerSelectionTimeout != 5*time.Second ||
		*o.ConnectTimeout != 5*time.Second || *o.Timeout != 10*time.Second {
		t.Errorf("defaults: %q, %v, %v, %v", *o.AppName, *o.ServerSelectionTimeout, *o.ConnectTimeout, *o.Timeout)
	}

	got, err = parseURI("mongodb://[::1]:27017,h/?APPNAME=other&serverselectiontimeoutms=1000&connectTimeoutMS=2000" +
		"&timeoutMS=3000&w=majority&journal=true&readConcernLevel=majority&readPreference=primary")
	if err != nil {
		t.Fatal(err)
	}
	o = got.options
	if got.database != "keyturn" || *o.AppName != "other" || *o.ServerSelectionTimeout != time.Second ||
		*o.ConnectTimeout != 2*time.Second || *o.Timeout != 3*time.Second {
		t.Errorf("what the URI says: %q, %q, %v, %v, %v", got.database,
			*o.AppName, *o.ServerSelectionTimeout, *o.ConnectTimeout, *o.Timeout)
	}
}

// TestWithDatabase: what is shown for a URI without a database is taken for the same,
// the user's database included.
func TestWithDatabase(t *testing.T) {
	for uri, want := range map[string]string{
		"mongodb://h":                          "mongodb://h/keyturn",
		"mongodb://h1,h2:1/?replicaSet=r":      "mongodb://h1,h2:1/keyturn?replicaSet=r",
		"mongodb://u:p@h/?authSource=users":    "mongodb://u:p@h/keyturn?authSource=users",
		"mongodb://u:p@h/?tls=true":            "mongodb://u:p@h/keyturn?tls=true&authSource=admin",
		"mongodb://u:p@h/login?replicaSet=r":   "mongodb://u:p@h/login?replicaSet=r",
		"mongodb://u:p@h/?authMechanism=PLAIN": "mongodb://u:p@h/keyturn?authMechanism=PLAIN",
	} {
		got := WithDatabase(uri)
		if got != want {
			t.Errorf("%s is shown as %s; want %s", uri, got, want)
		}
		before, err := parseURI(uri)
		after, errAfter := parseURI(got)
		if err != nil || errAfter != nil || before.database != after.database ||
			before.options.Auth != nil && before.options.Auth.AuthMechanism == "" && before.options.Auth.AuthSource != after.options.Auth.AuthSource {
			t.Errorf("%s and %s differ: %v, %v", uri, got, err, errAfter)
		}
	}
}

// TestF5_WritesAreAcknowledgedByAMajority holds whatever a URI says.
func TestF5_WritesAreAcknowledgedByAMajority(t *testing.T) {
	for _, uri := range []string{"mongodb://h", "mongodb://h/db?w=majority", "mongodb://h/db?retryWrites=true"} {
		got, err := parseURI(uri)
		if err != nil {
			t.Fatal(err)
		}
		durable(t, got.options)
	}
	for _, weak := range []string{
		"w=1", "w=0", "w=2", "w=tag", "journal=false", "retryWrites=false",
		"readConcernLevel=local", "readConcernLevel=available", "readPreference=secondaryPreferred",
	} {
		if _, err := parseURI("mongodb://h/db?" + weak); err == nil {
			t.Errorf("%s was accepted", weak)
		}
	}
}

func durable(t *testing.T, o *options.ClientOptions) {
	t.Helper()
	if o.WriteConcern.W != "majority" || o.WriteConcern.Journal == nil || !*o.WriteConcern.Journal {
		t.Errorf("write concern is %+v; want majority, journaled", o.WriteConcern)
	}
	if o.ReadConcern.Level != "majority" || o.ReadPreference.Mode() != readpref.PrimaryMode {
		t.Errorf("reads are %+v from %v; want majority from the primary", o.ReadConcern, o.ReadPreference)
	}
}

// TestK7_URIErrors holds the errors to saying what is accepted and to keeping
// every part of the password, however it was written, to themselves.
func TestK7_URIErrors(t *testing.T) {
	for uri, want := range map[string]string{
		"":                                              "mongodb://[username:password@]host",
		"postgres://u:hunter2@h/db":                     "mongodb://[username:password@]host",
		"mongodb://u:hunter2@":                          "a host is missing",
		"mongodb://u:hunter2@/db":                       "a host is missing",
		"mongodb://u:hunter2@h,,i/db":                   "a host is missing",
		"mongodb://u:hunter2@h:0/db":                    "from 1 to 65535",
		"mongodb://u:hunter2@h:99999/db":                "from 1 to 65535",
		"mongodb://u:hunter2@:27017/db":                 "write host",
		"mongodb://u:hunter2@h/admin":                   "authSource=admin",
		"mongodb://u:hunter2@h/Local":                   "the server's own",
		"mongodb://u:hunter2@a:b:c/db":                  "[ipv6]:port",
		"mongodb://u:hunter2/db":                        "from 1 to 65535",
		"mongodb://u:hunter2@@h/db":                     "percent-encoded",
		"mongodb://u:@hunter2@h/db":                     "percent-encoded",
		"mongodb://u:hun/ter2@h/db":                     "percent-encoded",
		"mongodb://u:hunter2?a=b@h/db":                  "percent-encoded",
		"mongodb://u:hunter2#x@h/db":                    "percent-encoded",
		"mongodb://u:hunter2:x@h/db":                    "percent-encoded",
		"mongodb://u:hunter2%zz@h/db":                   "write %25",
		"mongodb://u:hunter2@h/d b":                     "at most 63 bytes",
		"mongodb://u:hunter2@h/db/more":                 "at most 63 bytes",
		"mongodb://u:hunter2@h/d%":                      "at most 63 bytes",
		"mongodb://u:hunter2@h/db?pool=3":               "appName, authMechanism",
		"mongodb://u:hunter2@h/db?w":                    "name=value",
		"mongodb://u:hunter2@h/db?w=1":                  "accepted is majority",
		"mongodb://u:hunter2@h/?directConnection=true":  "accepted is false",
		"mongodb://u:hunter2@h/db?tls=yes":              "accepted is true or false",
		"mongodb://u:hunter2@h/db?timeoutMS=1s":         "a whole number from 1",
		"mongodb://u:hunter2@h/db?appName=%zz":          "option appName",
		"mongodb://u:hunter2@h/db?w=majority;W=x":       "accepted is majority",
		"mongodb://u:hunter2@h/?tls=true&tls=true":      "option tls twice",
		"mongodb://u:hunter2@h/?compressors=lzma":       "zstd, zlib and snappy",
		"mongodb://u:hunter2@h/?srvMaxHosts=2":          "srvMaxHosts on non-SRV",
		"mongodb://u:hunter2@h,i/?loadBalanced=true":    "multiple hosts",
		"mongodb://:hunter2@h/":                         "username required",
		"mongodb://h/?tlsCAFile=/no/such/file.pem":      "no such file",
		"mongodb://h/?authMechanismProperties=hunter2%": "option authMechanismProperties",
		"mongodb://h/?tlsCertificateKeyFilePassword=":   "option tlsCertificateKeyFilePassword",
	} {
		_, err := parseURI(uri)
		if err == nil {
			t.Errorf("%q was accepted", uri)
			continue
		}
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error is %q; want %q in it", uri, err, want)
		}
		if strings.Contains(err.Error(), "hun") || strings.Contains(err.Error(), "ter2") {
			t.Errorf("%q: the password is in the error %q", uri, err)
		}
	}
}

func TestRedact(t *testing.T) {
	parsed, err := parseURI("mongodb://u:hunter%322@h/?authMechanism=PLAIN")
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"said hunter%322", "said hunter22"} {
		if got := parsed.redact(errors.New(text)).Error(); got != "said (hidden)" {
			t.Errorf("%q became %q", text, got)
		}
	}
	harmless := errors.New("no such host")
	if parsed.redact(harmless) != harmless {
		t.Error("an error without a secret was replaced")
	}
}

func FuzzParseURI(f *testing.F) {
	f.Add("mongodb://ada:secret@h:1/db?w=majority&appName=x")
	f.Add("mongodb://h,[::1]:27017,%2Ftmp%2Fm.sock/%64b?tls=true;replicaSet=rs")
	f.Add("mongodb://u:p%40q@h/?authMechanism=SCRAM-SHA-1&authSource=admin")
	f.Add("mongodb://@h/")
	f.Fuzz(func(t *testing.T, uri string) {
		if strings.Contains(uri, "srv") || strings.Contains(strings.ToLower(uri), "file") {
			return // these ask the network and the disk
		}
		got, err := parseURI(uri)
		if err != nil {
			if parts, split := splitURI(uri); split == nil {
				concealed(t, parts.password, err)
			}
			return
		}
		durable(t, got.options)
		if !usableDatabase(got.database) || got.database == "" {
			t.Errorf("%q names the database %q", uri, got.database)
		}
	})
}

// concealed fails the test if a password long enough to be told from other
// text is in err.
func concealed(t *testing.T, password string, err error) {
	t.Helper()
	for _, p := range (uriParts{password: password}).secrets() {
		if len(p) > 8 && strings.Contains(err.Error(), p) {
			t.Errorf("the password %q is in the error %q", p, err)
		}
	}
}

// TestCheckURI holds a mongodb+srv string to all but what the name server says.
func TestCheckURI(t *testing.T) {
	for uri, want := range map[string]string{
		"mongodb://h/db": "", "mongodb+srv://no.such.name.invalid/db?srvMaxHosts=2": "",
		"mongodb://h/a$b": "database name", "mongodb+srv://h/a$b": "database name",
		"mongodb+srv://h/?w=1": "accepted is majority", "mongodb+srv://h:27017/": "no port", "mongodb+srv://h,i/": "one host",
		"mongodb://h:99999/": "from 1 to 65535", "mongodb+srv://u:p/q@h/": "percent-encoded",
	} {
		if err := CheckURI(uri); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %q in it", uri, err, want)
		}
	}
}
