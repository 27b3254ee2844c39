package store

import (
	"time"

	"github.com/keyturn/keyturn/keys"
	"github.com/keyturn/keyturn/oauth"
	"github.com/keyturn/keyturn/users"
)

// Records are records of several kinds, as they are stored.
type Records struct {
	Users    []users.User
	Clients  []oauth.Client
	Families []oauth.Family
	Keys     []keys.Record
	Denied   []DeniedToken
}

// Sizes says how many records of the kinds that can be many there are.
type Sizes struct {
	Users, Clients, Families, Denied int64
}

// DeniedToken is one entry of the denylist.
type DeniedToken struct {
	JTI      string
	ExpireAt time.Time
}
