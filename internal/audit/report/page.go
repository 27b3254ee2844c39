package report

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"io"
	"slices"
	"strings"
)

//go:embed page.css
var css string

//go:embed page.html
var html string

var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"shown": shown, "number": number, "time": clockTime,
}).Parse(html))

// view is the input of the template besides the report.
type view struct {
	*Report
	// Style is the style sheet, and StyleHash its hash for the page's policy,
	// which allows no other style or script.
	Style     template.CSS
	StyleHash string
	Charts    []chart
	Sections  []section
	Numbers   []figure
}

// section is a heading with a table.
type section struct {
	ID, Title string
	// About says how to read the section. Nothing says what an empty one means.
	About, Nothing string
	Table          table
}

// figure is one of the numbers at the top.
type figure struct {
	Number, Name, Class, Section string
}

// WriteHTML writes the report as one self-contained page, without scripts or
// requests. Strangers' input is always shown as text.
func (r *Report) WriteHTML(w io.Writer) error {
	sum := sha256.Sum256([]byte(css))
	return page.Execute(w, view{
		Report: r, Style: template.CSS(css), StyleHash: base64.StdEncoding.EncodeToString(sum[:]),
		Charts: r.charts(), Sections: r.sections(), Numbers: r.figures(),
	})
}

func (r *Report) figures() []figure {
	t := r.Totals
	alarm := func(n int64) string {
		if n > 0 {
			return "alarm"
		}
		return ""
	}
	return []figure{
		{number(t.Logins), "logins", "", "logins"},
		{number(t.Failed), "failed passwords", "", "sources"},
		{number(t.Throttled), "throttled", "", "sources"},
		{number(t.Refreshes), "refreshes", "", "tokens"},
		{number(t.Reuses), "reuse detections", alarm(t.Reuses), "reuse"},
		{number(r.Devices.Total), "new devices", "", "devices"},
		{number(r.Admin.Total), "operator actions", "", "administration"},
	}
}

func (r *Report) charts() []chart {
	logins := []series{
		{"ok", "Logins", func(c Counts) int64 { return c.Logins }},
		{"failed", "Failed passwords", func(c Counts) int64 { return c.Failed }},
		{"throttled", "Throttled attempts", func(c Counts) int64 { return c.Throttled }},
	}
	tokens := []series{
		{"ok", "Refreshes", func(c Counts) int64 { return c.Refreshes }},
		{"failed", "Other refusals", func(c Counts) int64 { return c.Refused }},
	}
	reuses := series{"reuse", "Reuse detections", func(c Counts) int64 { return c.Reuses }}
	return []chart{
		draw(chart{ID: "logins", Title: "Logins and failures", Summary: summary(r.Timeline, logins...), Legend: logins}, r.Timeline, nil),
		draw(chart{ID: "tokens", Title: "Refreshes, refusals and reuse", Summary: summary(r.Timeline, append(tokens[:2:2], reuses)...), Legend: tokens}, r.Timeline, &reuses),
	}
}

func (r *Report) sections() []section {
	return []section{
		{
			ID: "unproven", Title: "Bound tokens without their key", Nothing: "Each bound token came with a proof of its key.", Table: r.unprovenTable(),
			About: "A refresh token that is bound to a key (DPoP) came without a proof of it, or with another key's: whoever sent it has the token and not the key. Its session lives on.",
		}, {
			ID: "sources", Title: "Where passwords failed", Nothing: "No password failed.", Table: r.sourcesTable(),
			About: "By address. Throttled attempts were turned away without a look at the password. Logins after: from the same address, after its first failure; many accounts and then a login is how stuffing looks that found something.",
		}, {
			ID: "accounts", Title: "Accounts tried", Nothing: "No password failed.", Table: r.accountsTable(),
			About: "As the address was sent. Exists says yes where a refusal or a login showed that there is such an account.",
		}, {
			ID: "clients", Title: "Clients that did not prove themselves", Nothing: "Every client that asked proved who it is.", Table: r.clientsTable(),
			About: "A wrong secret or key, or a client that is not there.",
		}, {
			ID: "devices", Title: "New devices", Nothing: "Nobody logged in with a user agent that was new for them.", Table: r.devicesTable(),
			About: "Logins with a user agent that this log had not shown for the user before, who had logged in with another one. A user agent is what the client says it is; a network is the /24 or /48 of the address. What was before the first line is not known.",
		}, {
			ID: "keys", Title: "Signing keys", Nothing: "No key was made, turned or revoked.", Table: changesTable(r.Keys, cutNote(r.Keys)),
			About: "What became of the keys. Each server writes that it began to sign with a key.",
		}, {
			ID: "administration", Title: "Administrative actions", Nothing: "No operator changed anything.", Table: changesTable(r.Admin, adminNote(r.Admin)),
			About: "What operators did at the command line. Process is the machine and the log that the command wrote to; who sat there, that machine's own log knows.",
		}, {
			ID: "refusals", Title: "Refusals by reason", Nothing: "Nothing was refused.", Table: r.refusalsTable(),
			About: "Everything that ended in failure.",
		}, {
			ID: "servers", Title: "Servers", Nothing: "No server wrote to this log in this period.", Table: r.serversTable(),
			About: "Each process that served wrote one chain. One without an end runs still, was killed, or stopped after the period.",
		}, {
			ID: "losses", Title: "Lost events", Nothing: "No event was lost.", Table: r.lossesTable(),
			About: "What happened while the log could not be written to, beyond what could be kept meanwhile. The decisions stand, and no line tells of them.",
		}, {
			ID: "silences", Title: "Longest silences", Nothing: "There was a line every minute.", Table: r.silencesTable(),
			About: "Times without any line. Nothing is written while nothing happens; a chain that verifies has lost no line in them but what it says was lost.",
		},
	}
}

func adminNote(l List[Change]) string {
	if l.Total > int64(len(l.Rows)) {
		return "The latest of each action; " + number(l.Total-int64(len(l.Rows))) + " earlier ones are not shown."
	}
	return ""
}

// Title returns the title of the page.
func (v view) Title() string {
	if v.First.IsZero() {
		return "Audit report"
	}
	return "Audit report, " + clockTime(v.First)[:10] + " to " + clockTime(v.Last)[:10]
}

// Cut returns the notes of the check that the page shows; More counts the
// others.
func (v view) Cut() []string { return v.Integrity.Notes[:min(len(v.Integrity.Notes), maxNotes)] }

// More returns the number of notes that the page does not show.
func (v view) More() int { return len(v.Integrity.Notes) - len(v.Cut()) }

const maxNotes = 20

// Named returns the names of the files that the page shows.
func (v view) Named() string {
	names := slices.Clone(v.Files)
	more := ""
	if len(names) > maxNotes {
		more = " and " + number(int64(len(names)-maxNotes)) + " more"
		names = names[:maxNotes]
	}
	for i := range names {
		names[i] = shown(names[i])
	}
	return strings.Join(names, ", ") + more
}

// ReuseNote says how many reuse detections are not shown.
func (v view) ReuseNote() string { return cutNote(v.Reuses) }
