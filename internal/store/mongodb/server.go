package mongodb

import (
	"context"
	"fmt"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
)

// oldestMajor is the first major version of MongoDB that will do.
const oldestMajor = 6

// server is what a server says of itself.
type server struct {
	setName      string // the replica set it is in
	mongos       bool   // a router of a sharded cluster
	version      string
	versionArray []int
	ferretDB     bool
}

// checkServer refuses a server that cannot keep the store's promises.
func checkServer(ctx context.Context, admin *mongo.Database) error {
	srv, err := askServer(ctx, admin)
	if err != nil {
		return err
	}
	return srv.check()
}

func askServer(ctx context.Context, admin *mongo.Database) (server, error) {
	var hello struct {
		SetName string `bson:"setName"`
		Msg     string `bson:"msg"`
	}
	if err := admin.RunCommand(ctx, bson.M{"hello": 1}).Decode(&hello); err != nil {
		return server{}, failed("asking the server for its role", err)
	}
	raw, err := admin.RunCommand(ctx, bson.M{"buildInfo": 1}).Raw()
	if err != nil {
		return server{}, failed("asking the server for its version", err)
	}
	var build struct {
		Version      string `bson:"version"`
		VersionArray []int  `bson:"versionArray"`
	}
	if err := bson.Unmarshal(raw, &build); err != nil {
		return server{}, failed("reading the server's version", err)
	}
	srv := server{
		setName: hello.SetName, mongos: hello.Msg == "isdbgrid",
		version: build.Version, versionArray: build.VersionArray,
	}
	fields, err := raw.Elements()
	if err != nil {
		return server{}, failed("reading the server's version", err)
	}
	for _, f := range fields {
		// ferretdbVersion in FerretDB 1, a document ferretdb in FerretDB 2.
		srv.ferretDB = srv.ferretDB || strings.HasPrefix(f.Key(), "ferretdb")
	}
	return srv, nil
}

// check returns why the server will not do, or nil.
func (s server) check() error {
	if s.ferretDB {
		return nil
	}
	if len(s.versionArray) == 0 || s.versionArray[0] < oldestMajor {
		return fmt.Errorf("the server is MongoDB %q; Keyturn needs %d.0 or later", s.version, oldestMajor)
	}
	if s.setName == "" && !s.mongos {
		return fmt.Errorf("the server is a standalone mongod; Keyturn needs a replica set " +
			"(one member will do: mongod --replSet NAME, then rs.initiate()) or a sharded cluster")
	}
	return nil
}
