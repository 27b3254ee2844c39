package pages

import (
	"encoding/json"
	"html/template"
	"net/url"
	"strconv"
	"strings"

	"github.com/keyturn/keyturn/internal/factors"
	"github.com/keyturn/keyturn/oauth"
	"github.com/keyturn/keyturn/users"
)

// view is what a template is shown of.
type view struct {
	language
	pages *Pages
	// Page is the name of the template, Token that of the forms (see forms.go).
	Page, Token string
	// Request is the authorization request to go on with, a query; ClientID who
	// makes it, and Name the name to log in with.
	Request, ClientID, Name string
	// Back is the page below /account that a log-in leads back to, or empty.
	Back string
	// FirstName and LastName are as they were sent; Remember says that the browser is
	// to stay logged in.
	FirstName, LastName string
	Remember            bool
	// Wrong is the message about what went wrong, by its key, and Field what it is
	// about. Detail says more, in English and for who develops, and RequestID names
	// the event.
	Wrong, Field, Detail, RequestID string
	// LinkToken is that of a letter's link; ChangesAddress says that it is to give an
	// account another address.
	LinkToken      string
	ChangesAddress bool
	// Challenge is that of a log-in whose second factor is due. Secret and URI are what an
	// authenticator app is set up with, and Options those by which the browser uses or
	// makes a passkey.
	Challenge, Secret, URI string
	Options                json.RawMessage
	// Factors are the user's, Codes new recovery codes, and Next leads on from them.
	Factors factors.Set
	Codes   []string
	Next    string
	// User is who is logged in, Note a message by its key.
	User, Note string
	// Sessions are those of the user.
	Sessions []session
	// Asked is what the client asks the user UID for, ThirdParty whether it is somebody
	// else's; Consents are what clients may have.
	Asked      []string
	ThirdParty bool
	UID        string
	Consents   []users.Consent
	// Answer is what the browser is to post to a client.
	Answer *oauth.Answer
}

// Client is the name of who makes the request.
func (v view) Client() string { return v.NameOf(v.ClientID) }

// NameOf is what people know a client by.
func (v view) NameOf(client string) string { return v.pages.OAuth.ClientName(v.ctx, client) }

// Base is the path of the issuer.
func (v view) Base() string { return v.pages.base }

// Brand is how the deployment presents itself.
func (v view) Brand() Brand { return v.pages.Brand }

// Version changes with the style and the logo.
func (v view) Version() string { return v.pages.version }

// SignUp says whether people may make themselves an account.
func (v view) SignUp() bool { return v.pages.Options.SignUp }

// Mail says whether letters can be sent.
func (v view) Mail() bool { return v.pages.Users.Post != nil }

// CanRemember says whether a browser can stay logged in.
func (v view) CanRemember() bool { return v.pages.RememberTTL > 0 }

// Least is how many characters a password has at least.
func (v view) Least() string { return strconv.Itoa(v.pages.Users.Policy.Least()) }

// Title is the title of the page.
func (v view) Title() string {
	title := v.Say(v.Page + "_title")
	if v.ClientID != "" {
		title = strings.ReplaceAll(title, "%s", v.Client())
	}
	if v.Wrong != "" && v.Page != "error" {
		title = v.Say("error_prefix") + title
	}
	return title + " – " + v.Brand().Name
}

// Path is the address of a page below /account, in the language of this one if that
// was chosen.
func (v view) Path(page string) string {
	path := v.pages.base + AccountPath
	if page != "" {
		path += "/" + page
	}
	return path + v.query(url.Values{})
}

// WithRequest is Path with the authorization request to go on with.
func (v view) WithRequest(page string) string {
	if v.Request == "" {
		return v.Path(page)
	}
	return v.pages.base + AccountPath + "/" + page + v.query(url.Values{"request": {v.Request}})
}

func (v view) query(q url.Values) string {
	if v.chosen {
		q.Set("ui_locales", v.Lang)
	}
	if len(q) == 0 {
		return ""
	}
	return "?" + q.Encode()
}

// choice is a language to choose.
type choice struct {
	Lang, Name, Dir, Path string
	Current               bool
}

// Choices lists the languages, each with the address of this page in it.
func (v view) Choices() (list []choice) {
	for _, l := range v.pages.languages.All {
		other := v
		other.language = language{l, true, v.ctx}
		c := choice{Lang: l.Lang, Name: l.Say("language"), Dir: l.Say("dir"), Current: l.Lang == v.Lang}
		request, err := url.ParseQuery(v.Request)
		switch {
		case v.Page == "recovery" || v.Page == "enrol" && v.User != "":
			c.Path = other.Path("factors")
		case (v.Page == "login" || v.Page == "consent" || v.Page == "code" || v.Page == "enrol") && v.Request != "" && err == nil:
			request.Set("ui_locales", l.Lang)
			c.Path = v.pages.base + AuthorizePath + "?" + request.Encode()
		case v.Page == "account" || v.Page == "error":
			c.Path = other.Path("")
		case v.Back != "":
			c.Path = other.Path(v.Back)
		case v.Page == "code" || v.Page == "enrol":
			c.Path = other.Path("login")
		case v.Page == "sent":
			c.Path = other.WithRequest("forgot")
		case v.LinkToken != "":
			c.Path = v.pages.base + AccountPath + "/" + v.Page + other.query(url.Values{"token": {v.LinkToken}})
		default:
			c.Path = other.WithRequest(v.Page)
		}
		list = append(list, c)
	}
	return list
}

// Question are the Options as text.
func (v view) Question() string { return string(v.Options) }

// Action is where the answer is posted to: a redirect URI that a client is
// registered with, of whatever scheme.
func (v view) Action() template.URL { return template.URL(v.Answer.RedirectURI) }
