package sqlite

import (
	"context"

	"github.com/keyturn/keyturn/internal/store"
)

// A record replaces every other record that it conflicts with, so that two
// accounts may have swapped their addresses.
var (
	putUser    = sql(`INSERT OR REPLACE` + afterInsert(insertUser))
	putClient  = clientWrite(`INSERT OR REPLACE` + afterInsert(insertClient))
	putFamily  = sql(`INSERT OR REPLACE` + afterInsert(insertFamily))
	putKey     = sql(`INSERT OR REPLACE` + afterInsert(insertKey))
	putMessage = sql(`INSERT OR REPLACE` + afterInsert(insertMessage))
	putDenied  = sql(`INSERT OR REPLACE INTO denied (` + deniedColumns + `) VALUES (?,?,?,?)`)

	countUsers    = sql(`SELECT count(*) FROM users`)
	countClients  = sql(`SELECT count(*) FROM clients`)
	countFamilies = sql(`SELECT count(*) FROM families`)
	countDenied   = sql(`SELECT count(*) FROM denied`)

	checkIntegrity = sql(`PRAGMA integrity_check(20)`)
)

func afterInsert(s *statement) string { return s.text[len(`INSERT`):] }

// Put implements store.Store, in one transaction.
func (s *Store) Put(ctx context.Context, r store.Records) error {
	return s.transact(ctx, func(c *conn) (int, error) { return 0, put(c, r) })
}

func put(c *conn, r store.Records) error {
	for _, u := range r.Users {
		if _, err := writeUser(c, putUser, u); err != nil {
			return err
		}
	}
	for _, cl := range r.Clients {
		if _, err := writeClient(c, putClient, cl); err != nil {
			return err
		}
	}
	for _, f := range r.Families {
		if _, err := c.exec(putFamily, familyValues(f)...); err != nil {
			return err
		}
	}
	for _, k := range r.Keys {
		if _, err := writeKey(c, putKey, k); err != nil {
			return err
		}
	}
	for _, m := range r.Messages {
		if _, err := c.exec(putMessage, messageValues(m)...); err != nil {
			return err
		}
	}
	for _, d := range r.Denied {
		if _, err := c.exec(putDenied, d.JTI, millis(d.ExpireAt), d.SlotID, d.Slot); err != nil {
			return err
		}
	}
	return nil
}

// Sizes implements store.Store.
func (s *Store) Sizes(ctx context.Context) (store.Sizes, error) {
	return read(ctx, s, sizesOf)
}

func sizesOf(c *conn) (sizes store.Sizes, err error) {
	for statement, n := range map[*statement]*int64{
		countUsers: &sizes.Users, countClients: &sizes.Clients, countFamilies: &sizes.Families, countDenied: &sizes.Denied,
	} {
		if *n, err = scalar(c, statement); err != nil {
			return store.Sizes{}, err
		}
	}
	return sizes, nil
}

// Check implements store.Store. It reads every page of the file and compares
// every index with its table.
func (s *Store) Check(ctx context.Context) ([]string, error) {
	return read(ctx, s, damages)
}

func damages(c *conn) ([]string, error) {
	found, err := list(c, checkIntegrity, (*row).text)
	if err != nil || len(found) == 1 && found[0] == "ok" {
		return nil, err
	}
	for i := range found {
		found[i] = "the file is damaged: " + found[i]
	}
	return found, nil
}
