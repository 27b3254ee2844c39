package report

import (
	"cmp"
	"net/netip"

	"github.com/keyturn/keyturn/internal/audit/line"
)

// maxHabits bounds the user agents, and the networks, that are remembered of one
// user.
const maxHabits = 32

// devices finds logins with a user agent that the user has not used before.
type devices struct {
	found     latest[Device]
	users     map[string]*habits
	unwatched int64
}

type habits struct {
	agents, networks distinct
	email            string // the latest
}

func (d *devices) login(e *line.Entry) {
	user := cmp.Or(e.User.ID, account(e))
	h := d.users[user]
	first := h == nil
	if first {
		if len(d.users) == maxUsers {
			d.unwatched++
			return
		}
		h = &habits{}
		d.users[user] = h
	}
	h.email = e.User.Email
	newAgent := h.agents.add(e.UserAgent.Original, maxHabits)
	newNetwork := h.networks.add(networkOf(e.From()), maxHabits)
	if first || !newAgent {
		return
	}
	d.found.add(Device{
		At: e.Time, User: cmp.Or(e.User.Email, e.User.ID), Client: e.Keyturn.Client, IP: e.From(),
		Agent: e.UserAgent.Original, Elsewhere: newNetwork,
	})
}

// networkOf returns the /24 or /48 of an address, because changes within it mean
// little.
func networkOf(from string) string {
	ip, err := netip.ParseAddr(from)
	if err != nil {
		return from
	}
	ip = ip.Unmap()
	bits := 48
	if ip.Is4() {
		bits = 24
	}
	return netip.PrefixFrom(ip.WithZone(""), bits).Masked().String()
}
