package storetest

import (
	"context"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/clients"
	"github.com/keyturn/keyturn/internal/outbox"
	"github.com/keyturn/keyturn/internal/store"
	"github.com/keyturn/keyturn/keys"
	"github.com/keyturn/keyturn/oauth"
	"github.com/keyturn/keyturn/users"
)

// The methods of a store, each of which can go wrong. The compiler holds this
// list to being complete.

func (f *Faulty) CreateUser(ctx context.Context, u users.User) error {
	return f.write(ctx, "CreateUser", func() error { return f.inner.CreateUser(ctx, u) })
}

func (f *Faulty) UserByID(ctx context.Context, uid string) (users.User, error) {
	return inject(ctx, f, "UserByID", func() (users.User, error) { return f.inner.UserByID(ctx, uid) })
}

func (f *Faulty) UserByEmailKey(ctx context.Context, key string) (users.User, error) {
	return inject(ctx, f, "UserByEmailKey", func() (users.User, error) { return f.inner.UserByEmailKey(ctx, key) })
}

func (f *Faulty) ListUsers(ctx context.Context, after string, limit int) ([]users.User, error) {
	return inject(ctx, f, "ListUsers", func() ([]users.User, error) { return f.inner.ListUsers(ctx, after, limit) })
}

func (f *Faulty) UserByUsernameKey(ctx context.Context, key string) (users.User, error) {
	return inject(ctx, f, "UserByUsernameKey", func() (users.User, error) { return f.inner.UserByUsernameKey(ctx, key) })
}

func (f *Faulty) AnnounceHashKind(ctx context.Context, kind string, at time.Time) error {
	return f.write(ctx, "AnnounceHashKind", func() error { return f.inner.AnnounceHashKind(ctx, kind, at) })
}

func (f *Faulty) HashKinds(ctx context.Context) ([]string, error) {
	return inject(ctx, f, "HashKinds", func() ([]string, error) { return f.inner.HashKinds(ctx) })
}

func (f *Faulty) ForgetHashKind(ctx context.Context, kind string, before time.Time) error {
	return f.write(ctx, "ForgetHashKind", func() error { return f.inner.ForgetHashKind(ctx, kind, before) })
}

func (f *Faulty) HeldUser(ctx context.Context, uid string) (users.User, error) {
	return inject(ctx, f, "HeldUser", func() (users.User, error) { return f.inner.HeldUser(ctx, uid) })
}

func (f *Faulty) ReplaceUser(ctx context.Context, seen, next users.User) error {
	return f.write(ctx, "ReplaceUser", func() error { return f.inner.ReplaceUser(ctx, seen, next) })
}

func (f *Faulty) RemoveUser(ctx context.Context, seen users.User) error {
	return f.write(ctx, "RemoveUser", func() error { return f.inner.RemoveUser(ctx, seen) })
}

func (f *Faulty) PendingUsers(ctx context.Context, limit int) ([]users.User, error) {
	return inject(ctx, f, "PendingUsers", func() ([]users.User, error) { return f.inner.PendingUsers(ctx, limit) })
}

func (f *Faulty) RehashPassword(ctx context.Context, uid, from, to string) error {
	return f.write(ctx, "RehashPassword", func() error { return f.inner.RehashPassword(ctx, uid, from, to) })
}

func (f *Faulty) Settle(ctx context.Context, uid string, epoch int64) error {
	return f.write(ctx, "Settle", func() error { return f.inner.Settle(ctx, uid, epoch) })
}

func (f *Faulty) UsersToDelete(ctx context.Context, at time.Time, limit int) ([]users.User, error) {
	return inject(ctx, f, "UsersToDelete", func() ([]users.User, error) { return f.inner.UsersToDelete(ctx, at, limit) })
}

func (f *Faulty) Unsettled(ctx context.Context, limit int) ([]users.User, error) {
	return inject(ctx, f, "Unsettled", func() ([]users.User, error) { return f.inner.Unsettled(ctx, limit) })
}

func (f *Faulty) AddCount(ctx context.Context, key string, n int64, expireAt time.Time) (int64, error) {
	return inject(ctx, f, "AddCount", func() (int64, error) { return f.inner.AddCount(ctx, key, n, expireAt) })
}

func (f *Faulty) Counts(ctx context.Context, keys []string) ([]int64, error) {
	return inject(ctx, f, "Counts", func() ([]int64, error) { return f.inner.Counts(ctx, keys) })
}

func (f *Faulty) ResetCounts(ctx context.Context, keys []string) error {
	return f.write(ctx, "ResetCounts", func() error { return f.inner.ResetCounts(ctx, keys) })
}

func (f *Faulty) CreateClient(ctx context.Context, c clients.Client) error {
	return f.write(ctx, "CreateClient", func() error { return f.inner.CreateClient(ctx, c) })
}

func (f *Faulty) ClientByID(ctx context.Context, id string) (clients.Client, error) {
	return inject(ctx, f, "ClientByID", func() (clients.Client, error) { return f.inner.ClientByID(ctx, id) })
}

func (f *Faulty) ListClients(ctx context.Context, after string, limit int) ([]clients.Client, error) {
	return inject(ctx, f, "ListClients", func() ([]clients.Client, error) { return f.inner.ListClients(ctx, after, limit) })
}

func (f *Faulty) HeldClient(ctx context.Context, id string) (clients.Client, error) {
	return inject(ctx, f, "HeldClient", func() (clients.Client, error) { return f.inner.HeldClient(ctx, id) })
}

func (f *Faulty) ReplaceClient(ctx context.Context, seen, next clients.Client) error {
	return f.write(ctx, "ReplaceClient", func() error { return f.inner.ReplaceClient(ctx, seen, next) })
}

func (f *Faulty) RemoveClient(ctx context.Context, seen clients.Client) error {
	return f.write(ctx, "RemoveClient", func() error { return f.inner.RemoveClient(ctx, seen) })
}

func (f *Faulty) PendingClients(ctx context.Context, limit int) ([]clients.Client, error) {
	return inject(ctx, f, "PendingClients", func() ([]clients.Client, error) { return f.inner.PendingClients(ctx, limit) })
}

func (f *Faulty) HeldFamily(ctx context.Context, id string) (oauth.Family, error) {
	return inject(ctx, f, "HeldFamily", func() (oauth.Family, error) { return f.inner.HeldFamily(ctx, id) })
}

func (f *Faulty) HoldFamily(ctx context.Context, seen, next oauth.Family) error {
	return f.write(ctx, "HoldFamily", func() error { return f.inner.HoldFamily(ctx, seen, next) })
}

func (f *Faulty) RemoveFamily(ctx context.Context, seen oauth.Family) error {
	return f.write(ctx, "RemoveFamily", func() error { return f.inner.RemoveFamily(ctx, seen) })
}

func (f *Faulty) PendingFamilies(ctx context.Context, limit int) ([]oauth.Family, error) {
	return inject(ctx, f, "PendingFamilies", func() ([]oauth.Family, error) { return f.inner.PendingFamilies(ctx, limit) })
}

func (f *Faulty) CreateFamily(ctx context.Context, fam oauth.Family) error {
	return f.write(ctx, "CreateFamily", func() error { return f.inner.CreateFamily(ctx, fam) })
}

func (f *Faulty) FamilyByID(ctx context.Context, id string) (oauth.Family, error) {
	return inject(ctx, f, "FamilyByID", func() (oauth.Family, error) { return f.inner.FamilyByID(ctx, id) })
}

func (f *Faulty) RotateFamily(ctx context.Context, familyID, clientID string, decide oauth.Decide) (oauth.Family, error) {
	return inject(ctx, f, "RotateFamily", func() (oauth.Family, error) { return f.inner.RotateFamily(ctx, familyID, clientID, decide) })
}

func (f *Faulty) RevokeFamily(ctx context.Context, id string, at time.Time, reason string) (bool, error) {
	return inject(ctx, f, "RevokeFamily", func() (bool, error) { return f.inner.RevokeFamily(ctx, id, at, reason) })
}

func (f *Faulty) RevokeFamiliesOfUser(ctx context.Context, uid, except string, at time.Time, reason string) (int, error) {
	return inject(ctx, f, "RevokeFamiliesOfUser", func() (int, error) { return f.inner.RevokeFamiliesOfUser(ctx, uid, except, at, reason) })
}

func (f *Faulty) RevokeFamiliesOfClient(ctx context.Context, clientID string, at time.Time, reason string) (int, error) {
	return inject(ctx, f, "RevokeFamiliesOfClient", func() (int, error) { return f.inner.RevokeFamiliesOfClient(ctx, clientID, at, reason) })
}

func (f *Faulty) RevokeFamiliesAmong(ctx context.Context, a oauth.Among, at time.Time, reason string) (int, error) {
	return inject(ctx, f, "RevokeFamiliesAmong", func() (int, error) { return f.inner.RevokeFamiliesAmong(ctx, a, at, reason) })
}

func (f *Faulty) SetFamilyClaims(ctx context.Context, uid, claims string) (int, error) {
	return inject(ctx, f, "SetFamilyClaims", func() (int, error) { return f.inner.SetFamilyClaims(ctx, uid, claims) })
}

func (f *Faulty) SetFamilyEmail(ctx context.Context, uid, email string) (int, error) {
	return inject(ctx, f, "SetFamilyEmail", func() (int, error) { return f.inner.SetFamilyEmail(ctx, uid, email) })
}

func (f *Faulty) UntoldFamilies(ctx context.Context, limit int) ([]oauth.Family, error) {
	return inject(ctx, f, "UntoldFamilies", func() ([]oauth.Family, error) { return f.inner.UntoldFamilies(ctx, limit) })
}

func (f *Faulty) ToldFamily(ctx context.Context, id string) (bool, error) {
	return inject(ctx, f, "ToldFamily", func() (bool, error) { return f.inner.ToldFamily(ctx, id) })
}

func (f *Faulty) AddMessage(ctx context.Context, m outbox.Message, most int) error {
	return f.write(ctx, "AddMessage", func() error { return f.inner.AddMessage(ctx, m, most) })
}

func (f *Faulty) DueDestinations(ctx context.Context, due outbox.Due, limit int) ([]string, error) {
	return inject(ctx, f, "DueDestinations", func() ([]string, error) { return f.inner.DueDestinations(ctx, due, limit) })
}

func (f *Faulty) DueMessages(ctx context.Context, to string, due outbox.Due, limit int) ([]outbox.Message, error) {
	return inject(ctx, f, "DueMessages", func() ([]outbox.Message, error) { return f.inner.DueMessages(ctx, to, due, limit) })
}

func (f *Faulty) ReplaceMessage(ctx context.Context, seen, next outbox.Message) error {
	return f.write(ctx, "ReplaceMessage", func() error { return f.inner.ReplaceMessage(ctx, seen, next) })
}

func (f *Faulty) RemoveMessage(ctx context.Context, seen outbox.Message) error {
	return f.write(ctx, "RemoveMessage", func() error { return f.inner.RemoveMessage(ctx, seen) })
}

func (f *Faulty) Messages(ctx context.Context, after string, limit int) ([]outbox.Message, error) {
	return inject(ctx, f, "Messages", func() ([]outbox.Message, error) { return f.inner.Messages(ctx, after, limit) })
}

func (f *Faulty) FamiliesOfUser(ctx context.Context, uid string, now time.Time, limit int) ([]oauth.Family, error) {
	return inject(ctx, f, "FamiliesOfUser", func() ([]oauth.Family, error) { return f.inner.FamiliesOfUser(ctx, uid, now, limit) })
}

func (f *Faulty) DenyToken(ctx context.Context, d oauth.DeniedToken) error {
	return f.write(ctx, "DenyToken", func() error { return f.inner.DenyToken(ctx, d) })
}

func (f *Faulty) HeldDenied(ctx context.Context, jti string) (oauth.DeniedToken, error) {
	return inject(ctx, f, "HeldDenied", func() (oauth.DeniedToken, error) { return f.inner.HeldDenied(ctx, jti) })
}

func (f *Faulty) HoldDenied(ctx context.Context, seen, next oauth.DeniedToken) error {
	return f.write(ctx, "HoldDenied", func() error { return f.inner.HoldDenied(ctx, seen, next) })
}

func (f *Faulty) PendingDenied(ctx context.Context, limit int) ([]oauth.DeniedToken, error) {
	return inject(ctx, f, "PendingDenied", func() ([]oauth.DeniedToken, error) { return f.inner.PendingDenied(ctx, limit) })
}

func (f *Faulty) TokenDenied(ctx context.Context, jti string) (bool, error) {
	return inject(ctx, f, "TokenDenied", func() (bool, error) { return f.inner.TokenDenied(ctx, jti) })
}

func (f *Faulty) Keys(ctx context.Context) ([]keys.Record, error) {
	return inject(ctx, f, "Keys", func() ([]keys.Record, error) { return f.inner.Keys(ctx) })
}

func (f *Faulty) ArchivedKeys(ctx context.Context) ([]keys.Record, error) {
	return inject(ctx, f, "ArchivedKeys", func() ([]keys.Record, error) { return f.inner.ArchivedKeys(ctx) })
}

func (f *Faulty) CreateKey(ctx context.Context, r keys.Record) error {
	return f.write(ctx, "CreateKey", func() error { return f.inner.CreateKey(ctx, r) })
}

func (f *Faulty) UpdateKey(ctx context.Context, r keys.Record) error {
	return f.write(ctx, "UpdateKey", func() error { return f.inner.UpdateKey(ctx, r) })
}

func (f *Faulty) SetSteadyTime(ctx context.Context, t time.Time) error {
	return f.write(ctx, "SetSteadyTime", func() error { return f.inner.SetSteadyTime(ctx, t) })
}

func (f *Faulty) SteadyTime(ctx context.Context) (time.Time, error) {
	return inject(ctx, f, "SteadyTime", func() (time.Time, error) { return f.inner.SteadyTime(ctx) })
}

func (f *Faulty) SetPlace(ctx context.Context, p audit.Place) error {
	return f.write(ctx, "SetPlace", func() error { return f.inner.SetPlace(ctx, p) })
}

func (f *Faulty) Places(ctx context.Context) ([]audit.Place, error) {
	return inject(ctx, f, "Places", func() ([]audit.Place, error) { return f.inner.Places(ctx) })
}

func (f *Faulty) SetAnchor(ctx context.Context, a audit.Anchor) error {
	return f.write(ctx, "SetAnchor", func() error { return f.inner.SetAnchor(ctx, a) })
}

func (f *Faulty) Anchors(ctx context.Context) ([]audit.Anchor, error) {
	return inject(ctx, f, "Anchors", func() ([]audit.Anchor, error) { return f.inner.Anchors(ctx) })
}

func (f *Faulty) Ping(ctx context.Context) error {
	return f.write(ctx, "Ping", func() error { return f.inner.Ping(ctx) })
}

func (f *Faulty) Sweep(ctx context.Context, now time.Time, limit int) (int, error) {
	return inject(ctx, f, "Sweep", func() (int, error) { return f.inner.Sweep(ctx, now, limit) })
}

func (f *Faulty) AllFamilies(ctx context.Context, after string, limit int) ([]oauth.Family, error) {
	return inject(ctx, f, "AllFamilies", func() ([]oauth.Family, error) { return f.inner.AllFamilies(ctx, after, limit) })
}

func (f *Faulty) DeniedTokens(ctx context.Context, after string, limit int) ([]oauth.DeniedToken, error) {
	return inject(ctx, f, "DeniedTokens", func() ([]oauth.DeniedToken, error) { return f.inner.DeniedTokens(ctx, after, limit) })
}

func (f *Faulty) Put(ctx context.Context, r store.Records) error {
	return f.write(ctx, "Put", func() error { return f.inner.Put(ctx, r) })
}

func (f *Faulty) Sizes(ctx context.Context) (store.Sizes, error) {
	return inject(ctx, f, "Sizes", func() (store.Sizes, error) { return f.inner.Sizes(ctx) })
}

func (f *Faulty) Check(ctx context.Context) ([]string, error) {
	return inject(ctx, f, "Check", func() ([]string, error) { return f.inner.Check(ctx) })
}
