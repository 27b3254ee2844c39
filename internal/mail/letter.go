// Package mail writes letters to people: in their language, sealed in the outbox until
// they are sent, and by whatever carries them.
package mail

import (
	"context"
	"maps"
	"slices"
	"time"
)

// Kind says what a letter is about. Its messages are KIND_subject, KIND_text,
// KIND_after and, if it has a link, KIND_button.
type Kind string

// The kinds. Those of the first group have a link, to a page that takes its token.
const (
	Reset   Kind = "reset"   // to set a new password
	SignUp  Kind = "signup"  // to make the account that somebody signed up for
	Taken   Kind = "taken"   // the same, where there is one with the address
	Confirm Kind = "confirm" // to confirm the address of an account
	Change  Kind = "change"  // to the new address that an account is to have

	Changed  Kind = "changed"  // to the former address
	Password Kind = "password" // the password was changed
	Forced   Kind = "forced"   // an operator made the password void: who has no token can do nothing
	Factor   Kind = "factor"   // a second factor or a passkey was added or removed, or recovery codes renewed
	Closed   Kind = "closed"   // the account was closed by its user
	Device   Kind = "device"   // a log-in from a device or a place that is new
	Reuse    Kind = "reuse"    // a session was ended because two parties used it
)

// linked are the pages, below the issuer, that links lead to.
var linked = map[Kind]string{
	Reset: "/account/reset", SignUp: "/account/confirm", Taken: "/account/login", Confirm: "/account/confirm", Change: "/account/confirm",
}

func kinds() []Kind {
	return append(slices.Sorted(maps.Keys(linked)), Changed, Password, Forced, Factor, Closed, Device, Reuse)
}

// facts are what a letter can tell beside its text, in this order; each has the message
// fact_NAME. A change is one of changes, each of which has the message change_NAME.
var (
	facts   = []string{"email", "change", "time", "client", "device", "address"}
	changes = []string{"totp_added", "totp_removed", "passkey_added", "passkey_removed", "recovery_renewed"}
)

// Letter is one letter to one person, before it is put into words.
type Letter struct {
	// ID names it, so that it is written once.
	ID   string
	Kind Kind
	// To is the address.
	To string
	// Language is its tag, or what a browser prefers (Accept-Language); if there is none,
	// it is that of the settings.
	Language string
	// Token goes with the link of its button.
	Token string
	// Values are what it tells, by the names of facts. What a stranger may choose is
	// better left out: it would be sent in our name.
	Values map[string]string
	// Data is for Post.Prepare, and no part of the letter.
	Data []byte
	// Asked is what the letter owes before it may be sent, for Post.Prepare, and for
	// Post.GiveUp, and no part of the letter.
	Asked []byte
	// Until is when what it says is over: it is not sent then.
	Until time.Time
}

// Message is a letter in words, as it is sent.
type Message struct {
	// ID is the same at each try, so that a mailbox that got it twice can tell.
	ID       string `json:"id"`
	Kind     Kind   `json:"kind"`
	Language string `json:"language"`
	From     string `json:"from,omitempty"`
	To       string `json:"to"`
	Subject  string `json:"subject"`
	Text     string `json:"text"`
	HTML     string `json:"html"`
}

// Carrier takes messages. An error of Send wraps outbox.ErrFinal if it refused this one
// for good; one that does not answer, defers, or does not let us in may take it later.
type Carrier interface {
	Send(ctx context.Context, m Message) error
}
