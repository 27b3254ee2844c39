package report

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/keyturn/keyturn/internal/audit"
	"github.com/keyturn/keyturn/internal/audit/audittest"
	"github.com/keyturn/keyturn/internal/audit/verify"
)

// hostile is what strangers send to whoever reads logs in a browser.
var hostile = []string{
	`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `'><svg/onload=alert(1)>`, `</style><script>alert(1)</script>`,
	`</title><script src=//evil.example/x.js></script>`, `javascript:alert(1)`, `{{.Findings}}`, `</table></section><h2>The log is as it was written</h2>`,
	`<a href="https://evil.example/">log in again</a>`, `<!--`, `]]>`, "a\u202egnp.exe", "\x1b[2J\x00", "&lt;b&gt;", strings.Repeat("W", 2000),
}

// TestHostileValuesStandAsText puts them wherever a stranger's text can stand.
func TestHostileValuesStandAsText(t *testing.T) {
	s := audittest.NewScribe(t)
	s.QuietDay()
	plain := shape(t, pageOf(t, reportOf(t, s)))
	for _, evil := range hostile {
		for range 30 {
			s.Refuse(evil, evil, evil, audit.ReasonWrongPassword)
		}
		s.Login(evil, "192.0.2.1", audittest.Phone)
		s.Login(evil, "198.51.100.1", evil)
		s.Write(evil, evil, audit.Event{
			Action: audit.TokenReuse, Reason: audit.ReasonReusedToken, UserID: evil, UserEmail: evil, ClientID: evil, SessionID: evil, HasGeneration: true,
			Previous: audit.Use{At: s.Now, IP: evil, UserAgent: evil},
		})
		s.Write(evil, evil, audit.Event{
			Action: audit.TokenUnproven, Reason: audit.ReasonNoProof, UserID: evil, UserEmail: evil, ClientID: evil, SessionID: evil, HasGeneration: true,
			Previous: audit.Use{At: s.Now, IP: evil, UserAgent: evil},
		})
		s.Write(evil, evil, audit.Event{Action: audit.TokenRefused, ClientID: evil, Reason: audit.ReasonWrongClientSecret})
		s.Write("", "", audit.Event{Action: audit.EventsLost, Count: 1, Detail: evil})
		s.Write("", "", audit.Event{Action: audit.KeyRevoked, Reason: audit.ReasonNoSuchKey, KeyID: evil, Detail: evil})
	}
	s.Close()
	r := reportOf(t, s)
	r.Files = hostile
	r.Integrity.Notes = hostile
	for _, bad := range []*verify.BadLine{nil, {File: hostile[0], Line: 1, Reason: hostile[1]}} {
		r.Integrity.Bad = bad
		r.Conclude()
		page := pageOf(t, r)
		got := shape(t, page)
		for element := range got {
			if plain[element] == 0 && element != "article" && element != "li" && element != "h4" && element != "dl" && element != "dt" && element != "dd" && element != "h3" {
				t.Errorf("there is a <%s>", element)
			}
		}
		if got["script"]+got["img"]+got["iframe"] > 0 || got["style"] != 1 || got["svg"] != 2 {
			t.Errorf("elements: %v", got)
		}
		for _, r := range page {
			if unicode.IsControl(r) && r != '\n' || unicode.Is(unicode.Cf, r) {
				t.Errorf("%U stands in the page", r)
			}
		}
		if strings.Contains(page, strings.Repeat("W", maxShown+1)) {
			t.Error("a long value stands whole")
		}
		if !strings.Contains(page, "&lt;script&gt;alert(1)&lt;/script&gt;") || !strings.Contains(page, `a\u202egnp.exe`) {
			t.Error("a value is lost")
		}
	}
}

// shape counts the elements of a page as a strict reader finds them: every
// value that broke out would change it.
func shape(t *testing.T, page string) map[string]int {
	t.Helper()
	elements := map[string]int{}
	d := xml.NewDecoder(strings.NewReader(page))
	d.Strict = false
	d.AutoClose, d.Entity = xml.HTMLAutoClose, xml.HTMLEntity
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return elements
		}
		if err != nil {
			t.Fatal(err)
		}
		if start, ok := token.(xml.StartElement); ok {
			elements[start.Name.Local]++
			for _, a := range start.Attr {
				if strings.HasPrefix(strings.ToLower(a.Name.Local), "on") || a.Name.Local == "src" || a.Name.Local == "style" ||
					a.Name.Local == "href" && !strings.HasPrefix(a.Value, "#") {
					t.Errorf("<%s %s=%q>", start.Name.Local, a.Name.Local, a.Value)
				}
			}
		}
	}
}

// TestPageIsSelfContained allows the page its own style sheet, and nothing else.
func TestPageIsSelfContained(t *testing.T) {
	s := audittest.NewScribe(t)
	s.QuietDay()
	s.IncidentNight()
	page := pageOf(t, reportOf(t, s))
	for _, pattern := range []string{`(?i)https?://`, `(?i)<script`, `(?i)<link`, `(?i)@import`, `(?i)url\(`, `(?i)\ssrc=`, `(?i)\sstyle=`} {
		if found := regexp.MustCompile(pattern).FindString(page); found != "" {
			t.Errorf("the page has %q", found)
		}
	}
	style := regexp.MustCompile(`(?s)<style>(.*)</style>`).FindStringSubmatch(page)
	policy := regexp.MustCompile(`Content-Security-Policy" content="([^"]*)"`).FindStringSubmatch(page)
	if style == nil || policy == nil {
		t.Fatal("no style or no policy")
	}
	sum := sha256.Sum256([]byte(style[1]))
	want := "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'"
	if got := strings.NewReplacer("&#39;", "'", "&#43;", "+").Replace(policy[1]); got != want {
		t.Errorf("the policy is %s\nwant          %s", got, want)
	}
	ids := map[string]bool{}
	for _, m := range regexp.MustCompile(`\sid="([^"]*)"`).FindAllStringSubmatch(page, -1) {
		if ids[m[1]] {
			t.Errorf("two sections are #%s", m[1])
		}
		ids[m[1]] = true
	}
	for _, m := range regexp.MustCompile(`href="#([^"]*)"`).FindAllStringSubmatch(page, -1) {
		if !ids[m[1]] {
			t.Errorf("a link leads to #%s, which is not there", m[1])
		}
	}
}

// TestPageSaysWhetherTheLogIsWhole has the four answers.
func TestPageSaysWhetherTheLogIsWhole(t *testing.T) {
	for want, i := range map[string]Integrity{
		"The log was not checked":                                       {},
		"The chains fit together, but nothing else vouches":             {Checked: true},
		"<h2>The log is as it was written</h2>":                         {Checked: true, Report: verify.Report{Checkpoints: 1}},
		"<h2>The log is not as it was written</h2>\n<p>a.log, line 3: ": {Checked: true, Bad: &verify.BadLine{File: "a.log", Line: 3, Reason: "x"}},
	} {
		r := NewBuilder(audittest.Dawn, audittest.Dawn).Report()
		r.Integrity = i
		r.Conclude()
		if page := pageOf(t, r); !strings.Contains(page, want) {
			t.Errorf("no %q", want)
		}
	}
}

// TestALongListScrollsByItself: on a telephone's screen a list takes a part of the
// page, however many rows it has.
func TestALongListScrollsByItself(t *testing.T) {
	day := audittest.NewScribe(t)
	day.QuietDay()
	day.IncidentNight()
	page := pageOf(t, reportOf(t, day))
	boxes := strings.Count(page, `<div class="wide" tabindex="0">`)
	if tables := strings.Count(page, "<table"); boxes != tables+1 || tables == 0 {
		t.Errorf("%d boxes that scroll, for %d tables and the reuses", boxes, tables)
	}
	if !strings.Contains(page, ".wide { max-height: 19rem; overflow-y: auto; }") {
		t.Error("nothing bounds them")
	}
}

// TestWhatLedToALoginComesFirst has one source fail often for nothing, and one less
// often that then logs in.
func TestWhatLedToALoginComesFirst(t *testing.T) {
	s := audittest.NewScribe(t)
	for range 90 {
		s.Refuse("ada@example.org", "192.0.2.1", "curl/8", audit.ReasonWrongPassword)
	}
	for range 30 {
		s.Refuse("grace@example.org", "203.0.113.1", "curl/8", audit.ReasonWrongPassword)
	}
	s.Login("grace@example.org", "203.0.113.1", "curl/8")
	s.Close()
	r := reportOfFiles(t, s.Path)
	if r.Sources.Rows[0].IP != "203.0.113.1" || r.Accounts.Rows[0].Name != "grace@example.org" {
		t.Errorf("%+v\n%+v", r.Sources.Rows, r.Accounts.Rows)
	}
}
