package audit

// Action names a kind of decision, written as ECS event.action.
type Action string

// The event vocabulary. One decision writes exactly one event (A1).
const (
	TokenIssued        Action = "token-issued"         // authorization_code, password or client_credentials grant
	TokenRefreshed     Action = "token-refreshed"      // refresh_token grant
	TokenReuse         Action = "token-reuse"          // an old refresh token came back; its session was ended
	TokenUnproven      Action = "token-unproven"       // a bound refresh token came without its key; its session lives
	TokenRefused       Action = "token-refused"        // a token request was turned away
	TokenRevoked       Action = "token-revoked"        // RFC 7009
	TokenIntrospected  Action = "token-introspected"   // RFC 7662
	UserLoggedIn       Action = "user-logged-in"       // at the page
	UserLoggedOut      Action = "user-logged-out"      // at the page, and at the applications reached through it
	LogoutUndelivered  Action = "logout-undelivered"   // an application was not told of the end of a session
	CodeIssued         Action = "code-issued"          // the authorization endpoint
	RequestPushed      Action = "request-pushed"       // RFC 9126
	UserInfoRead       Action = "userinfo-read"        // OpenID Connect UserInfo
	UserSignedUp       Action = "user-signed-up"       // POST /auth/signup, or the page
	UserRead           Action = "user-read"            // GET /auth/me
	UserAdded          Action = "user-added"           // by an operator
	UserImported       Action = "user-imported"        // by an operator
	UserDisabled       Action = "user-disabled"        // by an operator
	UserEnabled        Action = "user-enabled"         // by an operator
	UserChanged        Action = "user-changed"         // address, names, roles or claims, by an operator; names, or the address by a letter, by the user
	UserDeleted        Action = "user-deleted"         // by an operator, by the user, or by the server after a grace
	UserClosed         Action = "user-closed"          // by the user, to be deleted
	UsersExported      Action = "users-exported"       // by an operator
	ConsentGiven       Action = "consent-given"        // by the user, to a client
	ConsentWithdrawn   Action = "consent-withdrawn"    // by the user or an operator; its sessions are ended
	ConsentsListed     Action = "consents-listed"      // GET /auth/grants, or the page
	PasswordChanged    Action = "password-changed"     // by the user
	PasswordReset      Action = "password-reset"       // by an operator
	ResetIssued        Action = "reset-issued"         // a one-time token, by an operator or for a letter
	ResetForced        Action = "reset-forced"         // likewise, and the password is void
	ResetRedeemed      Action = "reset-redeemed"       // a new password, by whoever has the token
	LetterAsked        Action = "letter-asked"         // POST /auth/forgot, or the page
	EmailVerified      Action = "email-verified"       // by the link of a letter
	LetterUndelivered  Action = "letter-undelivered"   // it was given up
	FactorEnrolled     Action = "factor-enrolled"      // by a first code
	FactorUsed         Action = "factor-used"          // a code was spent for a log-in, or a passkey signed for it
	FactorCloned       Action = "factor-cloned"        // a log-in by a copy of a passkey, or after one
	FactorRemoved      Action = "factor-removed"       // by the user or an operator
	RecoveryRenewed    Action = "recovery-renewed"     // new recovery codes
	SessionsListed     Action = "sessions-listed"      // GET /auth/sessions, or the page
	SessionEnded       Action = "session-ended"        // one session, by its user or an operator
	SessionsEnded      Action = "sessions-ended"       // several at once
	ClientAdded        Action = "client-added"         // by an operator
	ClientSecretTurned Action = "client-secret-turned" // by an operator
	ClientChanged      Action = "client-changed"       // by an operator: scopes, audience, keys, lifetimes
	ClientDisabled     Action = "client-disabled"      // by an operator
	KeyCreated         Action = "key-created"          // a new standby, or the first key
	KeyActivated       Action = "key-activated"        // this replica signs with the key from now on
	KeyRotated         Action = "key-rotated"          // an operator asked for a turn
	KeyRevoked         Action = "key-revoked"          // an operator took a key out
	KeyErased          Action = "key-erased"           // the private half is gone
	KeyArchived        Action = "key-archived"         // the public half left the JWKS
	KeyRewrapped       Action = "key-rewrapped"        // sealed anew under another key-encryption key
	StoreCopied        Action = "store-copied"         // by an operator
	StoreRestored      Action = "store-restored"       // by an operator
	RequestRefused     Action = "request-refused"      // no bearer token, or one that does not count; a panic
	ServerStarted      Action = "server-started"
	ServerStopped      Action = "server-stopped"
	EventsLost         Action = "audit-events-lost" // while the log could not be written to
	LogResumed         Action = "audit-log-resumed" // after events that could not be written were refused
	Checkpoint         Action = "audit-checkpoint"  // the chain's head, signed
)
