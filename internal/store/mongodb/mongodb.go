// Package mongodb is the store for more than one machine, MongoDB 6.0 or later as a
// replica set or a sharded cluster, which is one idea because the same kind of
// write keeps all data of the domain.
//
// Every state change is one write of one document with its condition in the filter;
// there are no transactions. Writes are acknowledged by a majority and its journals
// (F5). The driver retries them while the call may take, where the server can tell
// a retry from a second write. Reads go to the primary and see what a majority has.
// A primary that was deposed without noticing returns outdated data. So data for a
// decision that is not followed by a write, which such a primary cannot do, is read
// linearizably: sessions, clients, accounts, the denylist and the signing keys, one of
// them or a list.
//
// Other products speak MongoDB's protocol; Engine knows them and which promises
// they break. FerretDB 1, on which the tests run, does an update as a read and then
// a write, so that of two concurrent conditional updates both may report success
// and one may be lost. F2 still holds there; F6 and the counters do not hold under
// concurrency. It is for tests and for trying Keyturn.
package mongodb

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/event"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readconcern"

	"github.com/keyturn/keyturn/internal/clients"
	"github.com/keyturn/keyturn/internal/store"
)

// Store keeps everything in one database. It is safe for concurrent use, by any
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
	messages  *mongo.Collection

	// latest are the collections for data that decides something and that no later
	// write confirms: reads see every write acknowledged before.
	latest      struct{ users, families, clients, keys, denied, anchors *mongo.Collection }
	clientReads *jointReads[clients.Client] // of latest.clients

	engine Engine
	log    func(wrong bool, line string)
	// stopBuilding stops the creation of indexes in the background, and built
	// receives its result. Both are nil if there was nothing to create.
	stopBuilding context.CancelFunc
	// indexesWrong says that somebody has to mend an index, indexesFailed that one
	// could not be made yet.
	indexesWrong  bool
	indexesFailed atomic.Bool
	// retryAfter is firstRetry.
	retryAfter time.Duration
	built      chan error
}

var _ store.Store = (*Store)(nil)

// closeTimeout bounds how long Close waits for operations in progress.
const closeTimeout = 2 * time.Second

// Open opens the store in the database in the path of uri ("keyturn" by default)
// and creates missing indexes, see Indexes. Any number of replicas may open one
// empty database at the same time.
//
// uri is a MongoDB connection string. By default an operation whose context has no
// deadline gets 10 seconds, and an unreachable server becomes an error after 5
// seconds. Options that would weaken the store (w, journal, readConcernLevel,
// readPreference) are accepted only with the value that Keyturn uses anyway. For a
// URI, an option or a value that is not accepted, the error says what would be; no
// error contains a password.
//
// Open refuses a server below MongoDB 6.0, and a mongod outside a replica set,
// which can lose acknowledged writes and has no retryable writes. Unless o accepts
// the risk, it also refuses another product that is known to break Keyturn's
// promises. ctx bounds only the opening.
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
		client:     client,
		retryAfter: firstRetry,
		users:      db.Collection("users"),
		clients:    db.Collection("clients"),
		families:   db.Collection("families"),
		keys:       db.Collection("keys"),
		denied:     db.Collection("denied_tokens"),
		counters:   db.Collection("counters"),
		hashKinds:  db.Collection("hash_kinds"),
		steady:     db.Collection("steady_time"),
		messages:   db.Collection("messages"),
		anchors:    db.Collection("audit_anchors"),
		places:     db.Collection("audit_places"),
	}
	for at, c := range map[**mongo.Collection]*mongo.Collection{
		&s.latest.users: s.users, &s.latest.families: s.families, &s.latest.clients: s.clients, &s.latest.keys: s.keys, &s.latest.denied: s.denied,
		&s.latest.anchors: s.anchors,
	} {
		*at = db.Collection(c.Name(), options.Collection().SetReadConcern(readconcern.Linearizable()))
	}
	s.clientReads = newJointReads(func(ctx context.Context, id string) (clients.Client, error) {
		filter := bson.M{"_id": id, "unborn": absent}
		return one[clientRecord](s.latest.clients.FindOne(ctx, filter), "reading a client", clients.ErrNotFound)
	})
	return s
}

// collections lists all collections of the store.
func (s *Store) collections() []*mongo.Collection {
	return []*mongo.Collection{s.users, s.clients, s.families, s.keys, s.denied, s.counters, s.hashKinds, s.steady, s.messages, s.anchors, s.places}
}

// Options are the settings of a deployment besides the URI.
type Options struct {
	// AcceptRisk accepts engines that are known to break promises.
	AcceptRisk bool
	// Indexes says which missing indexes are created.
	Indexes Indexes
	// Log, if not nil, is called with one line about something that takes long or
	// is wrong.
	Log func(wrong bool, line string)
	// Monitor, if not nil, receives every command.
	Monitor *event.CommandMonitor
}

// prepare checks the server and creates the indexes.
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

// Engine returns the database engine of the store.
func (s *Store) Engine() Engine { return s.engine }

// Ping does a write that matches nothing. It fails if a write would, for lack of a
// primary, of a majority or of permission.
func (s *Store) Ping(ctx context.Context) error {
	const never = 0 // the ids of counters are strings
	_, err := s.counters.DeleteOne(ctx, bson.M{"_id": never})
	return failed("ping", err)
}

// Close waits at most 2 seconds for operations in progress and disconnects.
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

// failed adds to err what the store was doing; nil stays nil.
func failed(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("mongodb: %s: %w", doing, err)
}
