package line

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
)

// Entry holds the fields of a line that people and reports read. Its strings
// come from strangers: escape them before showing them.
type Entry struct {
	Keyturn struct {
		Chain struct {
			ID string `json:"id"`
		} `json:"chain"`
		Client     string `json:"client_id"`
		Session    string `json:"session_id"`
		Token      string `json:"jti"`
		Key        string `json:"kid"`
		Grant      string `json:"grant_type"`
		Scope      string `json:"scope"`
		Generation *int64 `json:"generation"`
		Presented  *int64 `json:"presented_generation"`
		// Previous is as in Event.Previous.
		Previous struct {
			At        time.Time `json:"at"`
			IP        string    `json:"ip"`
			UserAgent string    `json:"user_agent"`
		} `json:"previous"`
		Count  int    `json:"count"`
		Detail string `json:"detail"`
	} `json:"keyturn"`
	Time  time.Time `json:"@timestamp"`
	Event struct {
		Action  audit.Action  `json:"action"`
		Outcome audit.Outcome `json:"outcome"`
		Reason  string        `json:"reason"`
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
	Service struct {
		Node struct {
			Name string `json:"name"`
		} `json:"node"`
	} `json:"service"`
}

var errNoEvent = errors.New("not an audit event")

// ParseEntry parses a line of the log. It does not check the chain, so it
// accepts a forged line of the same form. It fails if text is not JSON, or has
// no action or no time.
func ParseEntry(text []byte) (Entry, error) {
	var e Entry
	if err := json.Unmarshal(text, &e); err != nil {
		return Entry{}, err
	}
	if e.Event.Action == "" || e.Time.IsZero() {
		return Entry{}, errNoEvent
	}
	return e, nil
}

// From returns the address of the request, or the text in its place. It is
// empty if there was no request.
func (e *Entry) From() string {
	if e.Source.IP != "" {
		return e.Source.IP
	}
	return e.Source.Address
}
