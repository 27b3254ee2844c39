package audit

// Field describes one field of an audit line.
type Field struct {
	// Name is the path of the field in the line's JSON, with dots.
	Name string
	// Of says which events have the field.
	Of Of
	// Meaning describes the content for people.
	Meaning string
}

// Of says which events have a field.
type Of string

// The kinds of fields. OfEvery fields are in every event. OfRequest fields are in
// every event of an HTTP request that has them. OfChange fields are in events of
// decisions that change a record of the store (see Standing). OfCommand fields are
// in the events of commands. OfNamed fields are in every event that names what
// they hold. OfShared fields are written if several processes write to one file.
// OfSome fields are listed by each Term.
const (
	OfEvery   Of = "every event"
	OfRequest Of = "every request"
	OfChange  Of = "some events of a change"
	OfCommand Of = "every command"
	OfNamed   Of = "every event that names one"
	OfShared  Of = "where another chain's line comes before"
	OfSome    Of = "some events"
)

// Fields returns every field of a line, in the order of the line.
func Fields() []Field {
	return []Field{
		{"keyturn.chain.id", OfEvery, "the chain: one process's lines in the log, a UUID of version 7"},
		{"keyturn.chain.seq", OfEvery, "the line's number in its chain, from 0 on"},
		{"keyturn.chain.prev", OfEvery, "the SHA-256 of the line before it in the chain, in hex; zeros for the first"},
		{"keyturn.chain.after", OfShared, "the SHA-256 of another chain's line right before it in the file"},
		{"keyturn.checkpoint", OfSome, "the signature over the chain's head, a compact JWS"},
		{"keyturn.client_id", OfSome, "the OAuth client that asked, or that an operator changed"},
		{"keyturn.session_id", OfSome, "the session: the family of refresh tokens that a login began, and the sid of its access tokens"},
		{"keyturn.jti", OfSome, "the access token issued or judged, by its jti"},
		{"keyturn.kid", OfSome, "the signing key"},
		{"keyturn.grant_type", OfSome, "the grant type asked for (RFC 6749)"},
		{"keyturn.scope", OfSome, "the scope granted, or that a client was registered with"},
		{"keyturn.generation", OfSome, "the generation of the session's live refresh token"},
		{"keyturn.presented_generation", OfSome, "the generation of the refresh token that was presented"},
		{"keyturn.previous.at", OfSome, "when the session was used before: the other side of a reuse"},
		{"keyturn.previous.ip", OfSome, "from which address that was"},
		{"keyturn.previous.user_agent", OfSome, "with what User-Agent that was"},
		{"keyturn.retold", OfChange, "true where the log may hold the event already, under the same event.id: who wrote it first died, or was not told that it was written"},
		{"keyturn.count", OfSome, "how many sessions were ended, changed or listed, or events lost"},
		{"keyturn.detail", OfSome, "more, for people: an operator's words, an error's text"},
		{"@timestamp", OfEvery, "when it was decided, in UTC with nanoseconds"},
		{"ecs.version", OfEvery, "the version of the Elastic Common Schema that the fields are of"},
		{"event.kind", OfEvery, "always event"},
		{"event.id", OfChange, "the decision, a UUID: what is told of it twice is one decision, and the last line of it counts"},
		{"event.action", OfEvery, "the type of the event, a heading of this page"},
		{"event.dataset", OfEvery, "always keyturn.audit"},
		{"event.category", OfEvery, "ECS categories, a list"},
		{"event.type", OfEvery, "ECS types, a list"},
		{"event.outcome", OfEvery, "success or failure"},
		{"event.reason", OfSome, "why it ended so; one of the reasons of its type"},
		{"user.id", OfSome, "the user concerned, by uid; of an operator's event the account that was changed"},
		{"user.name", OfNamed, "what the user logs in with: the same as user.email"},
		{"user.email", OfSome, "the user's address, or the one that was presented"},
		{"source.ip", OfRequest, "the caller's address, as the trusted proxies tell it"},
		{"source.address", OfRequest, "in the place of source.ip, an address that is no IP address"},
		{"user_agent.original", OfRequest, "the User-Agent header, up to 512 bytes"},
		{"process.pid", OfCommand, "the command's process"},
		{"process.command_line", OfCommand, "the command line, without what is secret in it"},
		{"process.user.name", OfCommand, "the account of the operating system that the command ran as"},
		{"process.real_user.name", OfCommand, "who had become that account with sudo"},
		{"http.request.id", OfRequest, "the request's id, also answered in X-Request-Id"},
		{"trace.id", OfRequest, "the trace-id of a traceparent header (W3C Trace Context)"},
		{"related.ip", OfNamed, "every address in the event, a list: both of a reuse"},
		{"related.user", OfNamed, "every user in the event, a list: uid, address, who ran a command"},
		{"related.hosts", OfEvery, "the machine, a list"},
		{"host.name", OfEvery, "the machine"},
		{"service.name", OfEvery, "always keyturn"},
		{"service.version", OfEvery, "the program's version"},
		{"service.node.name", OfEvery, "the machine and the file, or stream, that the chain is written to"},
	}
}
