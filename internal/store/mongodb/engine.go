package mongodb

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
)

// oldestMajor is the oldest supported major version of MongoDB.
const oldestMajor = 6

// Engine describes the server behind a URI. Several products speak MongoDB's
// protocol and make different guarantees.
type Engine struct {
	// Product is the name of the product, Version the version that it reports.
	Product string `json:"product"`
	Version string `json:"version"`
	// Topology is "replica set NAME", "sharded cluster" or "single server".
	Topology string `json:"topology"`
	// Breaks says which of Keyturn's promises do not hold on the product; empty if
	// none is known. Untried means that Keyturn was never run on it.
	Breaks  string `json:"breaks,omitempty"`
	Untried bool   `json:"untried,omitempty"`
	// NoRetries means that the server announces no sessions. Without them the
	// driver does not repeat a write whose answer was lost.
	NoRetries bool `json:"no_retryable_writes,omitempty"`

	major int
}

// String describes the engine in one line.
func (e Engine) String() string {
	line := fmt.Sprintf("%s %s, %s: ", e.Product, e.Version, e.Topology)
	switch {
	case e.Breaks != "":
		line += e.Breaks
	case e.Untried:
		line += "nothing is known that it breaks; Keyturn was never tested on it"
	default:
		line += "nothing is known that it breaks"
	}
	if e.NoRetries {
		line += "; it announces no sessions (logicalSessionTimeoutMinutes), so there are no retryable writes: a write whose answer is lost is not sent again by the driver, and its request may fail"
	}
	return line
}

const (
	mongoDB    = "MongoDB"
	ferretDB1  = "FerretDB 1"
	ferretDB2  = "FerretDB 2"
	documentDB = "DocumentDB (Microsoft)"
	cosmosDB   = "Azure Cosmos DB (request units)"
	amazonDB   = "Amazon DocumentDB"
)

// breaks says, by product, which promises do not hold. docs/operating.md has the
// table for people.
var breaks = map[string]string{
	ferretDB1: "of two conditional updates at once both can succeed and one be lost, so revocation may lose to a refresh, " +
		"and counters count too little; it is for tests and trials",
	cosmosDB: "reads are as consistent as the account is set to be, not as they are asked for, so what was revoked may count on",
	amazonDB: "it knows neither linearizable reads nor the numbers by which a repeated write is known, " +
		"so what was revoked may count on after a failover, and a write may be done twice",
}

// askEngine asks the server for its role and version. hosts are the hosts in the
// URI.
func askEngine(ctx context.Context, admin *mongo.Database, hosts []string) (Engine, error) {
	hello, err := admin.RunCommand(ctx, bson.M{"hello": 1}).Raw()
	if err != nil {
		return Engine{}, failed("asking the server for its role", err)
	}
	build, err := admin.RunCommand(ctx, bson.M{"buildInfo": 1}).Raw()
	if err != nil {
		return Engine{}, failed("asking the server for its version", err)
	}
	return engineOf(hello, build, hosts...)
}

// introduction is the part of a server's answers to hello and buildInfo that
// Keyturn reads.
type introduction struct {
	SetName string   `bson:"setName"`
	Msg     string   `bson:"msg"`
	Me      string   `bson:"me"`
	Hosts   []string `bson:"hosts"`
	// SessionMinutes is a number if the server has sessions.
	SessionMinutes bson.RawValue `bson:"logicalSessionTimeoutMinutes"`

	Internal struct {
		DocumentDB bson.RawValue `bson:"documentdb_versions"`
		Cosmos     bson.RawValue `bson:"cosmos_versions"`
	} `bson:"internal"`
}

type buildInfo struct {
	Version      string `bson:"version"`
	VersionArray []int  `bson:"versionArray"`
	FerretDB1    string `bson:"ferretdbVersion"`
	FerretDB     *struct {
		Version string `bson:"version"`
	} `bson:"ferretdb"`
}

// ofFerretDB returns FerretDB's own version. Version is the MongoDB version that
// it follows.
func (b buildInfo) ofFerretDB() string {
	if b.FerretDB != nil {
		return b.FerretDB.Version
	}
	return b.FerretDB1
}

func engineOf(hello, build bson.Raw, hosts ...string) (Engine, error) {
	var role introduction
	var version buildInfo
	if err := errors.Join(bson.Unmarshal(hello, &role), bson.Unmarshal(build, &version)); err != nil {
		return Engine{}, failed("reading what the server says of itself", err)
	}
	role.Hosts = append(role.Hosts, hosts...)
	e := Engine{Product: product(role, version), Version: version.Version, Topology: "single server"}
	if len(version.VersionArray) > 0 {
		e.major = version.VersionArray[0]
	}
	e.Breaks, e.Untried = breaks[e.Product], e.Product == mongoDB || e.Product == cosmosDB || e.Product == amazonDB
	_, sessions := role.SessionMinutes.AsInt64OK()
	e.NoRetries = !sessions
	switch {
	case role.Msg == "isdbgrid" && e.Product == mongoDB:
		e.Topology = "sharded cluster"
	case role.SetName != "":
		e.Topology = "replica set " + role.SetName
	}
	e.Version = cmp.Or(version.ofFerretDB(), e.Version)
	return e, nil
}

// product identifies the product. It knows cloud products by their host names, as
// MongoDB's own drivers do, because not all of them report their name.
func product(role introduction, version buildInfo) string {
	at := func(fits func(host string) bool) bool {
		return slices.ContainsFunc(append(role.Hosts, role.Me), func(host string) bool {
			host, _, _ = strings.Cut(strings.ToLower(host), ":")
			return fits("." + strings.TrimSuffix(host, ".") + ".")
		})
	}
	has := func(name string) func(string) bool {
		return func(host string) bool { return strings.Contains(host, name) }
	}
	switch {
	case version.FerretDB1 != "", strings.HasPrefix(version.ofFerretDB(), "v1."):
		return ferretDB1
	case version.FerretDB != nil:
		return ferretDB2
	case !role.Internal.DocumentDB.IsZero(), !role.Internal.Cosmos.IsZero(), at(has(".mongocluster.cosmos.azure.")):
		return documentDB
	case at(has(".cosmos.azure.")), at(has(".documents.azure.")):
		return cosmosDB
	case at(isAmazonDB):
		return amazonDB
	}
	return mongoDB
}

// isAmazonDB knows the hosts of all partitions: that of China has the region after the
// service.
func isAmazonDB(host string) bool {
	return (strings.Contains(host, ".docdb.") || strings.Contains(host, ".docdb-elastic.")) &&
		(strings.HasSuffix(host, ".amazonaws.com.") || strings.HasSuffix(host, ".amazonaws.com.cn."))
}

// check returns an error if Keyturn cannot use the engine.
func (e Engine) check(acceptRisk bool) error {
	switch {
	case e.Breaks != "" && !acceptRisk:
		return fmt.Errorf("the server is %s %s: %s. Use MongoDB, or accept that with mongodb_engine_risk: accept", e.Product, e.Version, e.Breaks)
	case e.Product != mongoDB:
		return nil
	case e.major < oldestMajor:
		return fmt.Errorf("the server is MongoDB %q; Keyturn needs %d.0 or later", e.Version, oldestMajor)
	case e.Topology == "single server":
		return fmt.Errorf("the server is a standalone mongod; Keyturn needs a replica set " +
			"(one member will do: mongod --replSet NAME, then rs.initiate()) or a sharded cluster")
	}
	return nil
}
