package audit

import "strings"

// Term describes one action of the vocabulary: how it is classed in the Elastic
// Common Schema and when it is written.
type Term struct {
	Action Action `json:"action"`
	// Category and Type are the allowed values of ECS event.category and
	// event.type that the action falls under.
	Category []string `json:"category"`
	Type     []string `json:"type"`
	// When says, for people, what happened when the event is written.
	When string `json:"when"`
}

// vocabulary is the one table of all actions.
var vocabulary = []Term{
	term(TokenIssued, "authentication session", "start", "a user logged in, or a client got a token for itself"),
	term(TokenRefreshed, "authentication session", "info", "a refresh token was exchanged for new tokens"),
	term(TokenReuse, "authentication session intrusion_detection", "end denied", "a spent refresh token came back, and its session was ended"),
	term(TokenRefused, "authentication", "info denied", "a token request was turned away"),
	term(TokenRevoked, "authentication session", "end", "a client gave up a token"),
	term(TokenIntrospected, "api", "access", "a resource server asked whether a token is alive"),
	term(UserInfoRead, "api iam", "access user info", "a token's bearer read the claims about its user"),
	term(UserSignedUp, "iam", "user creation", "somebody opened an account"),
	term(UserRead, "api iam", "access user info", "a user read the own account"),
	term(UserAdded, "iam", "admin user creation", "an operator opened an account"),
	term(UserImported, "iam", "admin user creation", "an operator brought accounts in from elsewhere"),
	term(UserDisabled, "iam", "admin user change", "an operator disabled an account"),
	term(UserEnabled, "iam", "admin user change", "an operator enabled an account again"),
	term(UserChanged, "iam", "admin user change", "an operator changed what tokens say of a user"),
	term(UserDeleted, "iam", "admin user deletion", "an operator deleted an account"),
	term(UsersExported, "iam", "admin access", "an operator had all accounts written out, password hashes included"),
	term(PasswordChanged, "iam", "user change", "a user changed the own password"),
	term(PasswordReset, "iam", "admin user change", "an operator set an account's password"),
	term(ResetIssued, "iam", "admin user change", "an operator made a one-time token for a new password"),
	term(ResetRedeemed, "iam", "user change", "somebody set a new password with a one-time token"),
	term(SessionsListed, "api session", "access info", "a user listed the own sessions"),
	term(SessionEnded, "session", "end", "a user or an operator ended one session"),
	term(SessionsEnded, "session", "end", "several sessions were ended at once"),
	term(ClientAdded, "iam configuration", "admin creation", "an operator registered a client"),
	term(ClientSecretTurned, "iam configuration", "admin change", "an operator gave a client a new secret"),
	term(ClientChanged, "iam configuration", "admin change", "an operator changed what a client may do, or its keys"),
	term(ClientDisabled, "iam configuration", "admin change", "an operator disabled a client"),
	term(KeyCreated, "configuration", "creation", "a signing key was made and published"),
	term(KeyActivated, "configuration", "change", "this replica began to sign with the key"),
	term(KeyRotated, "configuration", "admin change", "an operator asked for a turn of the keys"),
	term(KeyRevoked, "configuration", "admin change", "an operator took a signing key out"),
	term(KeyErased, "configuration", "deletion", "the private half of a signing key was erased"),
	term(KeyArchived, "configuration", "change", "the public half of a signing key left the published set"),
	term(KeyRewrapped, "configuration", "admin change", "a signing key was sealed anew under another key-encryption key"),
	term(StoreCopied, "database configuration", "admin change", "an operator copied one store into another"),
	term(RequestRefused, "api", "denied", "a request came without a bearer token that counts, or failed inside the server"),
	term(ServerStarted, "process", "start", "a server began to serve"),
	term(ServerStopped, "process", "end", "a server stopped"),
	term(Checkpoint, "configuration", "info", "the head of this chain was signed"),
}

// Vocabulary returns every action that a log can hold, in the order of their
// declaration. The caller may keep and change the result.
func Vocabulary() []Term {
	terms := make([]Term, len(vocabulary))
	for i, t := range vocabulary {
		t.Category = append([]string(nil), t.Category...)
		t.Type = append([]string(nil), t.Type...)
		terms[i] = t
	}
	return terms
}

func term(a Action, category, typ, when string) Term {
	return Term{Action: a, Category: strings.Fields(category), Type: strings.Fields(typ), When: when}
}

// eventHeads holds, for each action, the start of the event object up to the
// outcome's opening quote, so that the hot path copies it in one piece.
var eventHeads = func() map[Action]string {
	heads := make(map[Action]string, len(vocabulary))
	for _, t := range vocabulary {
		heads[t.Action] = eventHead(t)
	}
	return heads
}()

// eventHead renders what eventHeads holds. An action outside the vocabulary is
// still written, without a category: better classed badly than not recorded.
func eventHead(t Term) string {
	b := append([]byte(nil), `,"event":{"kind":"event","action":`...)
	b = appendString(b, string(t.Action), maxWord)
	b = append(b, `,"category":`...)
	b = appendList(b, t.Category)
	b = append(b, `,"type":`...)
	b = appendList(b, t.Type)
	return string(append(b, `,"outcome":"`...))
}

func appendList(b []byte, words []string) []byte {
	b = append(b, '[')
	for i, w := range words {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, w, maxWord)
	}
	return append(b, ']')
}
