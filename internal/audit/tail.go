package audit

import (
	"encoding/json"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// lineFields is what people look at in a line.
type lineFields struct {
	Keyturn struct {
		Client     string `json:"client_id"`
		Session    string `json:"session_id"`
		Token      string `json:"jti"`
		Key        string `json:"kid"`
		Grant      string `json:"grant_type"`
		Scope      string `json:"scope"`
		Generation *int64 `json:"generation"`
		Presented  *int64 `json:"presented_generation"`
		Count      int    `json:"count"`
		Detail     string `json:"detail"`
	} `json:"keyturn"`
	Time  time.Time `json:"@timestamp"`
	Event struct {
		Action  string `json:"action"`
		Outcome string `json:"outcome"`
		Reason  string `json:"reason"`
	} `json:"event"`
	User struct {
		ID    string `json:"id"`
		Email string `json:"email"`
	} `json:"user"`
	Source struct {
		IP      string `json:"ip"`
		Address string `json:"address"`
	} `json:"source"`
	UserAgent struct {
		Original string `json:"original"`
	} `json:"user_agent"`
	HTTP struct {
		Request struct {
			ID string `json:"id"`
		} `json:"request"`
	} `json:"http"`
}

const (
	red         = "\x1b[31m"
	green       = "\x1b[32m"
	faint       = "\x1b[2m"
	bold        = "\x1b[1m"
	plainColour = "\x1b[0m"
)

// Format renders a line of the log for people, on one line without a newline:
// the time in UTC, the action, the outcome with its reason, and what else the
// event carries. What a stranger put into the event cannot steer the terminal:
// anything but plain characters comes out quoted. With colour, refusals are red.
func Format(line []byte, colour bool) string {
	var f lineFields
	if err := json.Unmarshal(line, &f); err != nil || f.Event.Action == "" {
		return "not an audit event: " + strconv.QuoteToASCII(string(line[:min(len(line), 200)]))
	}
	p := printer{colour: colour}
	p.word(faint, f.Time.UTC().Format("2006-01-02T15:04:05.000Z"))
	p.word(bold, bare(f.Event.Action))
	tint := green
	if f.Event.Outcome != string(Success) {
		tint = red
	}
	p.word(tint, bare(f.Event.Outcome))
	if f.Event.Reason != "" {
		p.word(tint, bare(f.Event.Reason))
	}
	p.fields(&f)
	return p.b.String()
}

type printer struct {
	b      strings.Builder
	colour bool
}

func (p *printer) word(tint, s string) {
	if p.b.Len() > 0 {
		p.b.WriteByte(' ')
	}
	if p.colour {
		s = tint + s + plainColour
	}
	p.b.WriteString(s)
}

func (p *printer) field(key, value string) {
	if value == "" {
		return
	}
	p.b.WriteByte(' ')
	if p.colour {
		p.b.WriteString(faint + key + "=" + plainColour)
	} else {
		p.b.WriteString(key + "=")
	}
	p.b.WriteString(bare(value))
}

func (p *printer) fields(f *lineFields) {
	k := &f.Keyturn
	p.field("email", f.User.Email)
	p.field("user", f.User.ID)
	p.field("client", k.Client)
	p.field("ip", f.Source.IP)
	p.field("address", f.Source.Address)
	p.field("grant", k.Grant)
	p.field("scope", k.Scope)
	p.field("session", k.Session)
	p.field("jti", k.Token)
	p.field("kid", k.Key)
	if k.Generation != nil {
		p.field("generation", strconv.FormatInt(*k.Generation, 10))
	}
	if k.Presented != nil {
		p.field("presented", strconv.FormatInt(*k.Presented, 10))
	}
	if k.Count != 0 {
		p.field("count", strconv.Itoa(k.Count))
	}
	p.field("detail", k.Detail)
	p.field("request", f.HTTP.Request.ID)
	p.field("agent", f.UserAgent.Original)
}

// bare returns s as it is if it is one plain word, otherwise quoted.
func bare(s string) string {
	for _, r := range s {
		if r == '"' || r == '\\' || r == '=' || r == unicode.ReplacementChar || !unicode.IsGraphic(r) || unicode.IsSpace(r) {
			return strconv.Quote(s)
		}
	}
	return s
}

// Filter picks lines; a zero field lets everything through.
type Filter struct {
	// User is a uid or an e-mail address, in any case of letters.
	User string
	// Client is a client_id, Action an event.action.
	Client string
	Action string
	// IP is an address, or a network such as 192.0.2.0/24.
	IP string
	// Since is the earliest time.
	Since time.Time
}

// Match reports whether the line passes. What is no audit event passes only a
// Filter that asks for nothing, so that damage to the log does not go unseen
// for who reads all of it.
func (f Filter) Match(line []byte) bool {
	if f == (Filter{}) {
		return true
	}
	var l lineFields
	if json.Unmarshal(line, &l) != nil {
		return false
	}
	switch {
	case f.User != "" && f.User != l.User.ID && !strings.EqualFold(f.User, l.User.Email):
		return false
	case f.Client != "" && f.Client != l.Keyturn.Client:
		return false
	case f.Action != "" && f.Action != l.Event.Action:
		return false
	case f.IP != "" && !matchIP(f.IP, l.Source.IP):
		return false
	}
	return !l.Time.Before(f.Since)
}

func matchIP(want, got string) bool {
	ip, err := netip.ParseAddr(got)
	if err != nil {
		return false
	}
	ip = ip.Unmap()
	if network, err := netip.ParsePrefix(want); err == nil {
		return network.Contains(ip)
	}
	addr, err := netip.ParseAddr(want)
	return err == nil && addr.Unmap() == ip
}
