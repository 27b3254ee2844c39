package audit

// Reason says why a decision ended as it did, written as ECS event.reason. Its
// zero value says nothing. There are no other reasons than those of this file:
// no other package can make one.
type Reason struct{ word, meaning string }

// String returns the word that stands in the log, empty for the zero Reason.
func (r Reason) String() string { return r.word }

// Meaning says, for people, what the word stands for.
func (r Reason) Meaning() string { return r.meaning }

// Why a request could not be read.
var (
	ReasonContentType        = Reason{"content_type", "the body is not sent as form-encoded UTF-8"}
	ReasonContentEncoding    = Reason{"content_encoding", "the body is sent compressed or otherwise encoded"}
	ReasonParameterInURL     = Reason{"parameter_in_url", "a parameter is in the URL, where logs keep it"}
	ReasonBodyTooLarge       = Reason{"body_too_large", "the body is larger than the endpoint takes"}
	ReasonBodyUnreadable     = Reason{"body_unreadable", "the body broke off"}
	ReasonMalformedForm      = Reason{"malformed_form", "the body is not properly form-encoded"}
	ReasonMalformedBody      = Reason{"malformed_body", "the body is not the JSON that is due, or too large"}
	ReasonRepeatedParameter  = Reason{"repeated_parameter", "a parameter is given more than once"}
	ReasonMalformedParameter = Reason{"malformed_parameter", "a parameter is not valid text"}
	ReasonMalformedBearer    = Reason{"malformed_bearer", "an access token was sent in no form that is allowed, or in two ways at once"}
	ReasonNoToken            = Reason{"no_token", "no token was sent"}
	ReasonNoRefreshToken     = Reason{"no_refresh_token", "the parameter refresh_token is missing"}
	ReasonNoUsername         = Reason{"no_username", "the parameter username, or the e-mail address, is missing"}
	ReasonNoPassword         = Reason{"no_password", "the password is missing"}
	ReasonNoCode             = Reason{"no_code", "the parameter code is missing"}
	ReasonForeignForm        = Reason{"foreign_form", "the form was not sent from the page: its token is missing or another's, or another site sent it"}
	ReasonNoGrantType        = Reason{"no_grant_type", "the parameter grant_type is missing"}
)

// Why a client was not believed, or may not do what it asked for.
var (
	ReasonNoClient              = Reason{"no_client", "the client did not say who it is"}
	ReasonMalformedClientID     = Reason{"malformed_client_id", "no client can have such an id"}
	ReasonMalformedBasic        = Reason{"malformed_basic", "the Authorization header is no HTTP Basic"}
	ReasonRepeatedAuthorization = Reason{"repeated_authorization", "the Authorization header is given more than once"}
	ReasonTwoClientMethods      = Reason{"two_client_methods", "the client authenticated in two ways at once"}
	ReasonTwoClients            = Reason{"two_clients", "the request names two clients"}
	ReasonUnknownClient         = Reason{"unknown_client", "no such client is registered"}
	ReasonDisabledClient        = Reason{"disabled_client", "the client is disabled"}
	ReasonWrongClientSecret     = Reason{"wrong_client_secret", "the client's secret is missing or wrong"}
	ReasonSecretOfPublicClient  = Reason{"secret_of_public_client", "a public client, which has none, sent a secret or an assertion"}
	ReasonPublicClient          = Reason{"public_client", "a public client asked for what only a confidential one may"}
	ReasonNoAssertion           = Reason{"no_assertion", "the client has keys, and sent no assertion made with them"}
	ReasonClientWithoutKeys     = Reason{"client_without_keys", "an assertion came from a client that has no keys"}
	ReasonAssertionType         = Reason{"assertion_type", "the client_assertion_type is another than jwt-bearer"}
	ReasonMalformedAssertion    = Reason{"malformed_assertion", "the client assertion is no JWT of the form that is due"}
	ReasonWrongAssertionKey     = Reason{"wrong_assertion_key", "the client assertion was not signed with a key of the client"}
	ReasonKeysUnavailable       = Reason{"client_keys_unavailable", "the client's key set could not be fetched or used"}
	ReasonAssertionAudience     = Reason{"assertion_audience", "the client assertion was made for somebody else, or for others too"}
	ReasonAssertionJTI          = Reason{"assertion_jti", "the client assertion has no usable jti"}
	ReasonAssertionLifetime     = Reason{"assertion_lifetime", "the client assertion has no exp, or one too far ahead"}
	ReasonAssertionExpired      = Reason{"assertion_expired", "the client assertion has expired"}
	ReasonAssertionEarly        = Reason{"assertion_early", "the client assertion is not valid yet"}
	ReasonAssertionReplayed     = Reason{"assertion_replayed", "the client assertion was used before"}
	ReasonUnsupportedGrantType  = Reason{"unsupported_grant_type", "there is no such grant type here"}
	ReasonPasswordGrantOff      = Reason{"password_grant_off", "the password grant is switched off in the settings"}
	ReasonGrantNotAllowed       = Reason{"grant_not_allowed", "the client is not registered for the grant type"}
	ReasonMalformedScope        = Reason{"malformed_scope", "the scope asked for is malformed"}
	ReasonScopeNotAllowed       = Reason{"scope_not_allowed", "the client, or the session, may not have the scope asked for"}
	ReasonResourceNotAllowed    = Reason{"resource_not_allowed", "the client may not have tokens for the resource asked for"}
	ReasonRedirectURI           = Reason{"redirect_uri", "the redirect URI is missing, or another than the client is registered with or the code was made for"}
	ReasonRequestURI            = Reason{"request_uri", "the request_uri is none that the client was given, was used before, or has expired"}
	ReasonNotPushed             = Reason{"not_pushed", "the client is registered to push its authorization requests, and did not"}
	ReasonResponseType          = Reason{"response_type", "the authorization request is for something else than a code"}
	ReasonChallenge             = Reason{"code_challenge", "the authorization request has no PKCE challenge, or none by S256"}
	ReasonVerifier              = Reason{"code_verifier", "the verifier is missing, or not that of the code's challenge: somebody else may have asked for the code"}
	ReasonNoConsent             = Reason{"consent_required", "the user does not let the client have what it asks for, and it wants no page shown; or the consent was withdrawn"}
	ReasonConsentRefused        = Reason{"consent_refused", "the user does not want the client to have what it asks for"}
	ReasonAudienceWithdrawn     = Reason{"audience_withdrawn", "the client may have no more tokens for what the session was for"}
)

// Why a user was turned away.
var (
	ReasonUnknownUser    = Reason{"unknown_user", "there is no such account"}
	ReasonWrongPassword  = Reason{"wrong_password", "the password is wrong"}
	ReasonDisabledUser   = Reason{"disabled_user", "the password is right, and the account is disabled"}
	ReasonPepperMissing  = Reason{"pepper_missing", "the account's hash needs the pepper that the server is not given (pepper_file), so that no password opens it"}
	ReasonAccountChanged = Reason{"account_changed", "the account changed while the login was under way, or sessions are ended because it did"}
	ReasonThrottled      = Reason{"throttled", "there were too many failed attempts; the password was not looked at"}
	ReasonBusy           = Reason{"busy", "too many passwords are being hashed at once; nothing was decided"}
	ReasonUnknownConsent = Reason{"unknown_consent", "the user lets no such client have anything"}
	ReasonLoginRequired  = Reason{"login_required", "nobody is logged in in the browser; a client that asks for a code wants no page shown"}
	ReasonFactorDue      = Reason{"factor_due", "the password is right, and the account has a second factor: a code of it is due, or cannot be asked for by this grant"}
	ReasonEnrolmentDue   = Reason{"enrolment_due", "the password is right, and the account has to have a second factor, which it has not; one was offered"}
	ReasonWrongCode      = Reason{"wrong_code", "the code of the second factor is wrong"}
	ReasonUsedCode       = Reason{"used_code", "the code of the second factor was used before, or one after it: somebody else may have seen it"}
	ReasonWrongPasskey   = Reason{"wrong_passkey", "the passkey is none of the account's, did not make sure of its user where it had to, or what it made does not hold; or it came alone, and an operator made the password void"}
	ReasonForeignOrigin  = Reason{"foreign_origin", "a page of another origin asked for the passkey"}
	ReasonClonedPasskey  = Reason{"cloned_passkey", "the counter of the passkey did not grow, so that there is a copy of it"}
	ReasonBadChallenge   = Reason{"bad_challenge", "the log-in that the code was sent for was not begun here, was finished before, or took too long"}
	ReasonStaleLogin     = Reason{"stale_login", "the user logged in too long ago for what goes with a fresh log-in alone"}
	ReasonUnknownFactor  = Reason{"unknown_factor", "the account has no such second factor, or none at all"}
	ReasonInvalidFactor  = Reason{"invalid_factor", "the second factor has no usable name or kind, or is one too many"}
	ReasonBadResetToken  = Reason{"bad_reset_token", "the one-time token, or the link of a letter, is not valid, was used or replaced, or has expired"}
)

// Why an account could not be made or changed.
var (
	ReasonPasswordRefused          = Reason{"password_refused", "the new password does not meet the policy"}
	ReasonEmailTaken               = Reason{"email_taken", "another account has the e-mail address"}
	ReasonUsernameTaken            = Reason{"username_taken", "another account has the username"}
	ReasonInvalidEmail             = Reason{"invalid_email", "the e-mail address cannot be used"}
	ReasonInvalidUsername          = Reason{"invalid_username", "the username cannot be used"}
	ReasonInvalidFirstName         = Reason{"invalid_first_name", "the first name cannot be used"}
	ReasonInvalidLastName          = Reason{"invalid_last_name", "the last name cannot be used"}
	ReasonInvalidPasswordHash      = Reason{"invalid_password_hash", "the password hash to be imported cannot be used"}
	ReasonInvalidUID               = Reason{"invalid_uid", "the id to be imported cannot be used"}
	ReasonInvalidRoles             = Reason{"invalid_roles", "the roles cannot be used"}
	ReasonInvalidClaims            = Reason{"invalid_claims", "the claims cannot be used"}
	ReasonInvalidCreatedAt         = Reason{"invalid_created_at", "the time of creation to be imported cannot be used"}
	ReasonInvalidPasswordChangedAt = Reason{"invalid_password_changed_at", "the time of the password's change to be imported cannot be used"}
)

// Why a token does not count.
var (
	ReasonMalformedToken  = Reason{"malformed_token", "it is no refresh token"}
	ReasonForgedToken     = Reason{"forged_token", "it has the form of a refresh token and was not made here"}
	ReasonSpentToken      = Reason{"spent_token", "the refresh token has been exchanged for its successor"}
	ReasonReusedToken     = Reason{"reused_token", "a refresh token that was spent before came back: two parties hold it"}
	ReasonBadCode         = Reason{"bad_code", "it is no authorization code, or not one made here"}
	ReasonExpiredCode     = Reason{"expired_code", "the authorization code has expired"}
	ReasonReusedCode      = Reason{"reused_code", "an authorization code that was exchanged before came back: two parties hold it"}
	ReasonForeignAudience = Reason{"foreign_audience", "the token was made for another audience"}
	ReasonForeignClient   = Reason{"foreign_client", "the token was issued to another client"}
	ReasonUnauthenticated = Reason{"unauthenticated", "the session's client authenticated when it began, and does not at /auth/refresh: the token endpoint refreshes it"}
	ReasonBadToken        = Reason{"bad_token", "it is no access token, or not signed by a key in force"}
	ReasonForeignIssuer   = Reason{"foreign_issuer", "the access token names another issuer"}
	ReasonExpiredToken    = Reason{"expired_token", "the access token has expired"}
	ReasonFutureToken     = Reason{"future_token", "the access token was issued by a clock that was ahead, and is not valid yet"}
	ReasonRevokedToken    = Reason{"revoked_token", "the access token was revoked"}
	ReasonUnknownSession  = Reason{"unknown_session", "there is no such session, or no longer"}
	ReasonEndedSession    = Reason{"ended_session", "the session was ended before"}
	ReasonExpiredSession  = Reason{"expired_session", "the session has expired"}
	ReasonScopeNotGranted = Reason{"scope_not_granted", "the access token lacks the scope that the endpoint asks for"}
)

// Why a DPoP proof does not count, or what it was sent with.
var (
	ReasonNoProof         = Reason{"no_proof", "the client, or the token, is bound to a key, and no proof of the key was sent"}
	ReasonRepeatedProof   = Reason{"repeated_proof", "there is more than one DPoP header"}
	ReasonMalformedProof  = Reason{"malformed_proof", "the DPoP proof is no JWT of the form that is due, or too large"}
	ReasonProofKey        = Reason{"proof_key", "the DPoP proof has no public key of a kind that is taken, or another algorithm"}
	ReasonProofSignature  = Reason{"proof_signature", "the DPoP proof was not signed with the key in it"}
	ReasonProofTarget     = Reason{"proof_target", "the DPoP proof was made for another method or URL"}
	ReasonProofToken      = Reason{"proof_token", "the DPoP proof was made for another access token, or for none"}
	ReasonProofTime       = Reason{"proof_time", "the DPoP proof was made too long ago, or in the future"}
	ReasonNoProofNonce    = Reason{"no_proof_nonce", "the DPoP proof has no nonce, which the settings ask for; the caller was given one"}
	ReasonProofNonce      = Reason{"proof_nonce", "the nonce of the DPoP proof was not made here, or is too old; the caller was given another"}
	ReasonProofReplayed   = Reason{"proof_replayed", "the DPoP proof was used before"}
	ReasonForeignProofKey = Reason{"foreign_proof_key", "the DPoP proof was made with another key than the token is bound to"}
	ReasonUnboundToken    = Reason{"unbound_token", "an access token that is bound to no key was sent with the scheme DPoP"}
)

// Why a decision that stands was made.
var (
	ReasonRetry               = Reason{"retry", "the token just spent came again, within the retry window, and got the same successor"}
	ReasonLogout              = Reason{"logout", "the user logged out"}
	ReasonEndedByUser         = Reason{"ended_by_user", "the user ended it"}
	ReasonGraceOver           = Reason{"grace_over", "its user closed it, and the time to give it back is over"}
	ReasonLoggedOutByOperator = Reason{"logged_out_by_operator", "an operator ended it"}
	ReasonClientDisabled      = Reason{"client_disabled", "the client was disabled"}
	ReasonUserDisabled        = Reason{"user_disabled", "the account was disabled"}
	ReasonFirstKey            = Reason{"first_key", "no key could sign"}
	ReasonStandby             = Reason{"standby", "there was no standby key"}
)

// Why an operator was turned away.
var (
	ReasonClientExists        = Reason{"client_exists", "a client has the id already"}
	ReasonInvalidRegistration = Reason{"invalid_registration", "a client cannot be registered like this"}
	ReasonClientHasNoSecret   = Reason{"client_has_no_secret", "the client is public, or authenticates with its keys"}
	ReasonConflict            = Reason{"conflict", "what was to be changed was changed meanwhile by another, or its caller was told that it came to nothing"}
	ReasonAlreadyScheduled    = Reason{"already_scheduled", "no key can sign sooner than it will"}
	ReasonNoReason            = Reason{"no_reason", "no reason was given, or too long a one"}
	ReasonNoSuchKey           = Reason{"no_such_key", "there is no such key"}
	ReasonAlreadyRevoked      = Reason{"already_revoked", "the key was revoked before"}
)

// Why the server could not do what it had decided, or could not decide.
var (
	ReasonStore            = Reason{"store", "the store failed; the caller was answered 503"}
	ReasonStoreError       = Reason{"store_error", "the store failed under a command about keys"}
	ReasonUnavailable      = Reason{"unavailable", "the store failed under a decision about an account; the detail has the error"}
	ReasonFailed           = Reason{"failed", "the store failed under an operator's command"}
	ReasonClockUnconfirmed = Reason{"clock_unconfirmed", "the clock jumped, and either it alone or elapsed time alone says that the session expired; the caller was answered 503"}
	ReasonSigning          = Reason{"signing", "there was no fresh key to sign with; the caller was answered 503"}
	ReasonCannotOpen       = Reason{"cannot_open", "the private half could not be opened under any key-encryption key"}
	ReasonUndelivered      = Reason{"undelivered", "the application, or the mail server, did not take it; the detail has its last answer"}
	ReasonHungUp           = Reason{"hung_up", "the caller hung up before it was decided; nothing has changed"}
	ReasonPanic            = Reason{"panic", "a handler failed inside; the operational log has the stack"}
)
