package store

import (
	"github.com/keyturn/keyturn/internal/clients"
	"github.com/keyturn/keyturn/internal/outbox"
	"github.com/keyturn/keyturn/keys"
	"github.com/keyturn/keyturn/oauth"
	"github.com/keyturn/keyturn/users"
)

// Records are records of several kinds, as they are stored.
type Records struct {
	Users    []users.User
	Clients  []clients.Client
	Families []oauth.Family
	Keys     []keys.Record
	Denied   []oauth.DeniedToken
	Messages []outbox.Message
}

// Sizes are the numbers of records of the kinds that can be many.
type Sizes struct {
	Users, Clients, Families, Denied int64
}
