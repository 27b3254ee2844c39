package audittest

import (
	"fmt"
	"time"

	"github.com/keyturn/keyturn/internal/audit"
)

// The user agents of the days below.
const (
	Phone   = "ShopApp/4.2 (Android 16; Pixel 9)"
	Desktop = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
)

// QuietDay is a day of people who log in, mistype and work, and of an operator
// who opens an account in the morning.
func (s *Scribe) QuietDay() {
	s.t.Helper()
	s.Write("", "", audit.Event{Action: audit.ServerStarted, Outcome: audit.Success})
	s.Write("", "", audit.Event{Action: audit.KeyActivated, Outcome: audit.Success, KeyID: "k-2026-11"})
	begin := s.Now
	for hour := range 12 {
		s.Now = begin.Add(time.Duration(hour) * time.Hour)
		people := []int{1, 3, 6, 9, 8, 5, 6, 8, 7, 4, 2, 1}[hour]
		for i := range people {
			user := fmt.Sprintf("user%d@example.org", (hour*7+i*3)%20)
			ip := fmt.Sprintf("203.0.113.%d", 10+(hour*7+i*3)%20)
			if i%4 == 3 {
				s.Refuse(user, ip, Phone, audit.ReasonWrongPassword)
			}
			s.Login(user, ip, Phone)
			for g := range int64(5) {
				s.Refresh(user, ip, Phone, g+1)
			}
			s.Now = s.Now.Add(4 * time.Minute)
		}
		if hour == 3 {
			s.Write("", "", audit.Event{Action: audit.UserAdded, Outcome: audit.Success, UserID: "id-user20@example.org", UserEmail: "user20@example.org"})
		}
	}
	// On the way home: one change of networks is nothing.
	s.Refresh("user18@example.org", "203.0.113.28", Phone, 6)
	s.Refresh("user18@example.org", "192.0.2.180", Phone, 7)
}

// IncidentNight is a night on which everything happens, and which the server
// does not outlive. It ends the log.
func (s *Scribe) IncidentNight() {
	s.t.Helper()
	s.Now = Dawn.Add(16 * time.Hour)
	s.stuffing()
	s.guessing()
	s.theft()
	s.sharedSession()
	for range 22 {
		s.Write("198.51.100.70", "Go-http-client/2.0", audit.Event{Action: audit.TokenRefused, ClientID: "billing", Reason: audit.ReasonWrongClientSecret})
	}
	s.spraying()
	s.Write("", "", audit.Event{Action: audit.KeyCreated, Outcome: audit.Success, KeyID: "k-2026-12", Reason: audit.ReasonStandby})
	s.Write("", "", audit.Event{
		Action: audit.EventsLost, Count: 37, Detail: "from 2026-11-24T00:38:12.104000000Z to 2026-11-24T00:40:05.731000000Z: write /var/log/keyturn/audit.log: no space left on device",
	})
	s.Write("", "", audit.Event{Action: audit.ServerStopped, Outcome: audit.Success})
	s.Close()
	s.Now = Dawn.Add(21 * time.Hour)
	s.open()
	s.administration()
	s.Close()
}

// stuffing tries a list of stolen credentials from one address, until one fits.
func (s *Scribe) stuffing() {
	s.t.Helper()
	for i := range 60 {
		s.Refuse(fmt.Sprintf("user%d@example.org", i), "198.51.100.66", "python-requests/2.32", []audit.Reason{audit.ReasonUnknownUser, audit.ReasonWrongPassword}[i/20%2])
		if i%2 == 1 {
			s.Refuse(fmt.Sprintf("user%d@example.org", i), "198.51.100.66", "python-requests/2.32", audit.ReasonThrottled)
		}
		s.Now = s.Now.Add(40 * time.Second)
	}
	s.Login("user31@example.org", "198.51.100.66", "python-requests/2.32")
}

// guessing tries many passwords at one account, from many addresses.
func (s *Scribe) guessing() {
	s.t.Helper()
	for i := range 25 {
		s.Refuse("grace@example.org", fmt.Sprintf("192.0.2.%d", i+1), "curl/8.5.0", audit.ReasonWrongPassword)
	}
}

// theft uses a user's refresh token beside the user, and gets caught twice.
func (s *Scribe) theft() {
	s.t.Helper()
	s.Login("user3@example.org", "203.0.113.13", Phone)
	stolen := s.session("user3@example.org")
	s.Login("user3@example.org", "198.51.100.23", Desktop)
	for i := range 2 {
		s.Write("198.51.100.23", Desktop, audit.Event{
			Action: audit.TokenReuse, Reason: audit.ReasonReusedToken, Grant: "refresh_token", UserID: "id-user3@example.org", ClientID: "shop-app",
			SessionID: stolen, HasGeneration: true, Generation: int64(7 + i), Presented: 4,
			Previous: audit.Use{At: s.Now.Add(-9 * time.Minute), IP: "203.0.113.13", UserAgent: Phone},
		})
	}
	s.Write("198.51.100.24", Desktop, audit.Event{
		Action: audit.TokenUnproven, Reason: audit.ReasonNoProof, Grant: "refresh_token", UserID: "id-user7@example.org", ClientID: "bank-app",
		SessionID: s.session("user7@example.org"), HasGeneration: true, Generation: 5, Presented: 5,
		Previous: audit.Use{At: s.Now.Add(-3 * time.Minute), IP: "203.0.113.17", UserAgent: Phone},
	})
}

// sharedSession is one session that is refreshed now here, now there.
func (s *Scribe) sharedSession() {
	s.t.Helper()
	for g := range int64(6) {
		s.Refresh("user5@example.org", []string{"203.0.113.15", "2001:db8:77::5"}[g%2], Phone, 6+g)
		s.Now = s.Now.Add(3 * time.Minute)
	}
}

// spraying tries one password at many accounts, each once and from another
// address.
func (s *Scribe) spraying() {
	s.t.Helper()
	s.Now = Dawn.Add(18 * time.Hour)
	for i := range 40 {
		s.Refuse(fmt.Sprintf("user%d@example.org", i), fmt.Sprintf("2001:db8:%d::9", i), "okhttp/4.12", audit.ReasonWrongPassword)
		s.Now = s.Now.Add(time.Minute)
	}
}

// administration is what operators do at 3 o'clock in the night.
func (s *Scribe) administration() {
	s.t.Helper()
	s.Write("", "", audit.Event{Action: audit.KeyRevoked, Outcome: audit.Success, KeyID: "k-2026-11", Detail: "laptop of an operator was stolen"})
	s.Write("", "", audit.Event{Action: audit.UserDisabled, Outcome: audit.Success, UserID: "id-user31@example.org", UserEmail: "user31@example.org", Count: 1})
	s.Write("", "", audit.Event{Action: audit.ClientSecretTurned, Outcome: audit.Success, ClientID: "billing"})
	s.Write("", "", audit.Event{Action: audit.PasswordReset, Reason: audit.ReasonUnknownUser, UserID: "grace"})
	s.Write("", "", audit.Event{Action: audit.SessionsEnded, Outcome: audit.Success, UserID: "id-user3@example.org", Reason: audit.ReasonLoggedOutByOperator, Count: 2})
}
