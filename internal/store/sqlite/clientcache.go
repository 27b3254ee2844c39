package sqlite

import (
	"github.com/keyturn/keyturn/internal/clients"
)

// maxCachedClients bounds the clients in a cache.
const maxCachedClients = 256

// clientCache keeps clients as the writing connection last read them, because
// there are few clients and every refresh needs one. It is valid until their
// table is written: by this connection, which clears the cache when it runs a
// clientWrite, or by another process, whose commits change the file's data
// version at the beginning of the next transaction. It is dropped with its
// connection, and so with a transaction that is undone after a fault.
type clientCache struct {
	version int64
	byID    map[string]clients.Client
}

var dataVersion = sql(`PRAGMA data_version`)

// refreshClients prepares the cache for a transaction.
func (c *conn) refreshClients() error {
	version, err := oneOrZero(c, dataVersion, func(r *row) int64 { return r.integer() })
	if err == nil && version != c.clients.version {
		c.clients = clientCache{version: version}
	}
	return err
}

// client returns a client, or the zero Client. It is for the writing connection,
// inside a transaction.
func (c *conn) client(id string) (clients.Client, error) {
	if cl, ok := c.clients.byID[id]; ok {
		return cl, nil
	}
	cl, err := oneOrZero(c, clientByID, scanClient, id)
	if err != nil || cl.ID == "" {
		return cl, err
	}
	if c.clients.byID == nil || len(c.clients.byID) >= maxCachedClients {
		c.clients.byID = make(map[string]clients.Client)
	}
	c.clients.byID[id] = cl
	return cl, nil
}
