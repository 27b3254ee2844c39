// Package mongodb is the store for more than one machine, MongoDB 6.0 or later
// as a replica set or a sharded cluster, which is one idea because all that the
// domain asks for is kept by the same kind of write.
//
// Every state change is one write of one document with its condition in the
// filter; there are no transactions. Writes are acknowledged by a majority and
// its journals (F5) and retried by the driver, for as long as the call may take,
// where the server can tell a retry from a second write. Reads go to the primary
// and see what a majority has. A primary that was deposed without noticing
// answers with what has been; so whatever decides something, and is not followed
// by a write that such a primary cannot do, is read linearizably: sessions,
// clients, accounts, the denylist and the signing keys.
//
// Other products speak MongoDB's protocol; Engine knows them and what does not
// hold on them. FerretDB 1, on which the tests run, carries out an update as a
// read and then a write, so that of two conditional updates at once both may
// report success and one may be lost. What still holds there is F2; F6 and the
// counters do not hold under concurrency. It is for tests and for trying Keyturn
// out.
package mongodb

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/event"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readconcern"

	"github.com/keyturn/keyturn/internal/store"
	"github.com/keyturn/keyturn/oauth"
)

// Store keeps everything in one database. Safe for concurrent use, by any
// number of processes.
type Store struct {
	client *mongo.Client

	users     *mongo.Collection
	clients   *mongo.Collection
	families  *mongo.Collection
	keys      *mongo.Collection
	denied    *mongo.Collection
	counters  *mongo.Collection
	hashKinds *mongo.Collection
	anchors   *mongo.Collection
	places    *mongo.Collection
	steady    *mongo.Collection

	// latest are the collections read for answers that decide something and that
	// no write after them proves: no write acknowledged before can be missing.
	latest      struct{ users, families, clients, keys, denied *mongo.Collection }
	clientReads *jointReads[oauth.Client] // of latest.clients

	engine Engine
	log    func(wrong bool, line string)
	// stopBuilding ends the making of indexes that Open left for later, and
	// built then has how it ended; both are nil if there was nothing to do.
	stopBuilding context.CancelFunc
	built        chan error
}

var _ store.Store = (*Store)(nil)

// closeTimeout is how long Close waits for what is under way.
const closeTimeout = 2 * time.Second

// Open opens the store in the database that the path of uri names ("keyturn" if
// it names none) and makes the indexes that are missing, see Indexes. Any number of
// replicas may open one empty database at the same time.
//
// uri is a MongoDB connection string. Unless it says otherwise, an operation
// whose context has no deadline gets 10 seconds, and 5 seconds go by before a
// server that is away is an error. What would weaken the store (w, journal,
// readConcernLevel, readPreference) can be given only with the value that
// Keyturn uses anyway. A URI, an option or a value that is not accepted is an
// error that says what would be; no error has a password in it.
//
// A server below MongoDB 6.0 is refused, and so is a mongod that is in no
// replica set: it can lose what it acknowledged and knows no retryable writes.
// So is, unless o accepts the risk, another product that is known to break what
// Keyturn promises. ctx bounds the opening only.
func Open(ctx context.Context, uri string, o Options) (*Store, error) {
	target, err := parseURI(uri)
	if err != nil {
		return nil, err
	}
	client, err := mongo.Connect(target.options.SetMonitor(o.Monitor))
	if err != nil {
		return nil, target.redact(err)
	}
	s := newStore(client, target.database)
	s.log = o.Log
	if err := s.prepare(ctx, target.options.Hosts, o); err != nil {
		return nil, errors.Join(target.redact(err), s.Close())
	}
	return s, nil
}

func newStore(client *mongo.Client, database string) *Store {
	db := client.Database(database)
	s := &Store{
		client:    client,
		users:     db.Collection("users"),
		clients:   db.Collection("clients"),
		families:  db.Collection("families"),
		keys:      db.Collection("keys"),
		denied:    db.Collection("denied_tokens"),
		counters:  db.Collection("counters"),
		hashKinds: db.Collection("hash_kinds"),
		steady:    db.Collection("steady_time"),
		anchors:   db.Collection("audit_anchors"),
		places:    db.Collection("audit_places"),
	}
	for at, c := range map[**mongo.Collection]*mongo.Collection{
		&s.latest.users: s.users, &s.latest.families: s.families, &s.latest.clients: s.clients, &s.latest.keys: s.keys, &s.latest.denied: s.denied,
	} {
		*at = db.Collection(c.Name(), options.Collection().SetReadConcern(readconcern.Linearizable()))
	}
	s.clientReads = newJointReads(func(ctx context.Context, id string) (oauth.Client, error) {
		filter := bson.M{"_id": id, "unborn": absent}
		return one[clientRecord](s.latest.clients.FindOne(ctx, filter), "reading a client", oauth.ErrNoClient)
	})
	return s
}

// Options are what a deployment decides beside the URI.
type Options struct {
	// AcceptRisk lets in engines that are known to break promises.
	AcceptRisk bool
	// Indexes says which of the indexes that are missing are made.
	Indexes Indexes
	// Log is told in one line of what takes long, or is wrong; nobody is if it is
	// nil.
	Log func(wrong bool, line string)
	// Monitor is told of every command; nobody is if it is nil.
	Monitor *event.CommandMonitor
}

// prepare makes sure that the server will do and that the indexes exist.
func (s *Store) prepare(ctx context.Context, hosts []string, o Options) error {
	var err error
	if s.engine, err = askEngine(ctx, s.client.Database("admin"), hosts); err != nil {
		return err
	}
	if err := s.engine.check(o.AcceptRisk); err != nil {
		return err
	}
	return s.makeIndexes(ctx, o.Indexes)
}

// Engine returns what the store stands on.
func (s *Store) Engine() Engine { return s.engine }

// Ping does a write that finds nothing to change: it fails where a write would,
// be it for want of a primary, of a majority or of permission.
func (s *Store) Ping(ctx context.Context) error {
	const never = 0 // the ids of counters are strings
	_, err := s.counters.DeleteOne(ctx, bson.M{"_id": never})
	return failed("ping", err)
}

// Close waits for what is under way, for 2 seconds at most, and disconnects.
func (s *Store) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	if s.stopBuilding != nil {
		s.stopBuilding()
	}
	err := s.client.Disconnect(ctx)
	if errors.Is(err, mongo.ErrClientDisconnected) {
		return nil // closed before
	}
	return failed("closing", err)
}

// failed says what the store was doing when err came up; nil stays nil.
func failed(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("mongodb: %s: %w", doing, err)
}
