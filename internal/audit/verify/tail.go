package verify

import (
	"strconv"
	"strings"
	"unicode"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/audit/line"
)

const (
	red         = "\x1b[31m"
	green       = "\x1b[32m"
	faint       = "\x1b[2m"
	bold        = "\x1b[1m"
	plainColour = "\x1b[0m"
)

// shownTime is the time layout for people.
const shownTime = "2006-01-02T15:04:05.000Z"

// Format renders a line of the log for people, without a newline: the time in
// UTC, the action, the outcome with its reason, and the event's other content.
// All but plain characters are quoted, so that strangers' input cannot control
// the terminal. With colour, refusals are red.
func Format(text []byte, colour bool) string {
	f, err := line.ParseEntry(text)
	if err != nil {
		return "not an audit event: " + strconv.QuoteToASCII(string(text[:min(len(text), 200)]))
	}
	p := printer{colour: colour}
	p.word(faint, f.Time.UTC().Format(shownTime))
	p.word(bold, bare(string(f.Event.Action)))
	tint := green
	if f.Event.Outcome != audit.Success {
		tint = red
	}
	p.word(tint, bare(string(f.Event.Outcome)))
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

func (p *printer) fields(f *line.Entry) {
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
	if u := &k.Previous; !u.At.IsZero() {
		p.field("previous_at", u.At.UTC().Format(shownTime))
		p.field("previous_ip", u.IP)
		p.field("previous_agent", u.UserAgent)
	}
	if k.Count != 0 {
		p.field("count", strconv.Itoa(k.Count))
	}
	p.field("detail", k.Detail)
	p.field("request", f.HTTP.Request.ID)
	p.field("agent", f.UserAgent.Original)
}

// bare returns s unchanged if it is one plain word, otherwise quoted.
func bare(s string) string {
	for _, r := range s {
		if r == '"' || r == '\\' || r == '=' || r == unicode.ReplacementChar || !unicode.IsGraphic(r) || unicode.IsSpace(r) {
			return strconv.Quote(s)
		}
	}
	return s
}
