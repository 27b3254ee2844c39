package audit

import (
	"slices"
	"strings"
)

// What several terms have in common.
var (
	silent = []Reason{{}}             // needs no explanation
	undone = []Reason{ReasonConflict} // told, and came to nothing

	unread = []Reason{
		ReasonContentType, ReasonContentEncoding, ReasonParameterInURL, ReasonBodyTooLarge, ReasonBodyUnreadable, ReasonMalformedForm,
		ReasonRepeatedParameter, ReasonMalformedParameter,
	}
	unproven = []Reason{
		ReasonNoClient, ReasonMalformedClientID, ReasonMalformedBasic, ReasonRepeatedAuthorization, ReasonTwoClientMethods,
		ReasonTwoClients, ReasonUnknownClient, ReasonDisabledClient, ReasonWrongClientSecret, ReasonSecretOfPublicClient,
		ReasonNoAssertion, ReasonClientWithoutKeys, ReasonAssertionType, ReasonMalformedAssertion, ReasonWrongAssertionKey,
		ReasonKeysUnavailable, ReasonAssertionAudience, ReasonAssertionJTI, ReasonAssertionLifetime, ReasonAssertionExpired,
		ReasonAssertionEarly, ReasonAssertionReplayed, ReasonStore, ReasonHungUp,
	}
	ungranted = []Reason{
		ReasonNoGrantType, ReasonUnsupportedGrantType, ReasonPasswordGrantOff, ReasonGrantNotAllowed, ReasonPublicClient,
		ReasonMalformedScope, ReasonScopeNotAllowed, ReasonResourceNotAllowed, ReasonSigning, ReasonMalformedBody,
	}
	notLoggedIn = []Reason{
		ReasonFactorDue, ReasonEnrolmentDue, ReasonWrongCode, ReasonUsedCode, ReasonWrongPasskey, ReasonForeignOrigin, ReasonBadChallenge,
		ReasonNoUsername, ReasonNoPassword, ReasonUnknownUser, ReasonWrongPassword, ReasonPepperMissing, ReasonDisabledUser, ReasonAccountChanged,
		ReasonThrottled, ReasonBusy,
	}
	notRefreshed = []Reason{
		ReasonClockUnconfirmed, ReasonForeignClient, ReasonUnauthenticated,
		ReasonNoRefreshToken, ReasonMalformedToken, ReasonForgedToken, ReasonUnknownSession, ReasonEndedSession,
		ReasonExpiredSession, ReasonAudienceWithdrawn,
	}
	badProof = []Reason{
		ReasonRepeatedProof, ReasonMalformedProof, ReasonProofKey, ReasonProofSignature, ReasonProofTarget, ReasonProofTime,
		ReasonNoProofNonce, ReasonProofNonce, ReasonProofReplayed,
	}
	notExchanged  = []Reason{ReasonNoCode, ReasonBadCode, ReasonExpiredCode, ReasonRedirectURI, ReasonVerifier, ReasonForeignProofKey, ReasonNoConsent, ReasonConflict}
	notAuthorized = []Reason{ReasonConsentRefused,
		ReasonNoClient, ReasonMalformedClientID, ReasonUnknownClient, ReasonDisabledClient, ReasonLoginRequired, ReasonNoConsent, ReasonNotPushed, ReasonStore, ReasonHungUp,
	}
	badAuthorization = []Reason{
		ReasonRequestURI, ReasonRedirectURI, ReasonResponseType, ReasonChallenge, ReasonGrantNotAllowed,
		ReasonMalformedScope, ReasonScopeNotAllowed, ReasonResourceNotAllowed,
	}
	unverified = []Reason{ReasonBadToken, ReasonForeignIssuer, ReasonExpiredToken}
	notLive    = []Reason{ReasonRevokedToken, ReasonUnknownSession, ReasonEndedSession, ReasonUnknownClient, ReasonDisabledClient}

	badProfile = []Reason{
		ReasonInvalidEmail, ReasonInvalidUsername, ReasonInvalidFirstName, ReasonInvalidLastName, ReasonEmailTaken,
		ReasonUsernameTaken,
	}
	badAccount   = slices.Concat(badProfile, []Reason{ReasonPasswordRefused, ReasonBusy, ReasonConflict, ReasonUnavailable})
	badClaims    = []Reason{ReasonInvalidRoles, ReasonInvalidClaims}
	badAtImport  = []Reason{ReasonInvalidFactor, ReasonInvalidPasswordHash, ReasonInvalidUID, ReasonInvalidCreatedAt, ReasonInvalidPasswordChangedAt}
	noAccount    = []Reason{ReasonUnknownUser, ReasonConflict, ReasonUnavailable}
	notReplaced  = []Reason{ReasonPasswordRefused, ReasonBusy, ReasonConflict, ReasonUnavailable}
	notFactor    = []Reason{ReasonUnknownUser, ReasonConflict, ReasonUnavailable, ReasonHungUp, ReasonStaleLogin}
	atPage       = []Reason{ReasonForeignForm, ReasonLoginRequired}
	noClient     = []Reason{ReasonUnknownClient, ReasonConflict, ReasonFailed}
	accountAfter = words("user.id user.email keyturn.count keyturn.detail")
)

// vocabulary is the one table of all actions.
var vocabulary = []Term{
	{
		Action: TokenIssued, Category: words("authentication session"), Type: words("start"), Stands: WithEvent,
		When: "a user logged in, or a client got a token for itself", Success: silent, Failure: undone,
		Fields: words("user.id user.email keyturn.client_id keyturn.session_id keyturn.jti keyturn.kid keyturn.grant_type keyturn.scope"),
	}, {
		Action: TokenRefreshed, Category: words("authentication session"), Type: words("info"), Stands: WithEvent,
		When:    "a refresh token was exchanged for new tokens",
		Success: []Reason{{}, ReasonRetry},
		Fields: words("user.id keyturn.client_id keyturn.session_id keyturn.jti keyturn.kid keyturn.grant_type keyturn.scope " +
			"keyturn.generation keyturn.presented_generation"),
	}, {
		Action: TokenReuse, Category: words("authentication session intrusion_detection"), Type: words("end denied"), Stands: AtOnce,
		When:    "a refresh token or an authorization code came from who must not have it, and its session was ended",
		Failure: []Reason{ReasonReusedToken, ReasonReusedCode, ReasonForeignClient, ReasonConflict, ReasonStore},
		Fields: words("user.id keyturn.client_id keyturn.session_id keyturn.grant_type keyturn.generation keyturn.presented_generation " +
			"keyturn.previous.at keyturn.previous.ip keyturn.previous.user_agent keyturn.detail"),
	}, {
		Action: TokenUnproven, Category: words("authentication session intrusion_detection"), Type: words("info denied"),
		When:    "a refresh token that is bound to a key came without a proof of that key: it may be stolen, and its session lives on",
		Failure: []Reason{ReasonNoProof, ReasonForeignProofKey},
		Fields: words("user.id keyturn.client_id keyturn.session_id keyturn.grant_type keyturn.generation keyturn.presented_generation " +
			"keyturn.previous.at keyturn.previous.ip keyturn.previous.user_agent keyturn.detail"),
	}, {
		Action: TokenRefused, Category: words("authentication api"), Type: words("info denied"),
		When:    "a token request was turned away",
		Failure: slices.Concat(unread, unproven, ungranted, badProof, []Reason{ReasonNoProof}, notLoggedIn, notRefreshed, notExchanged),
		Fields: words("user.id user.email keyturn.client_id keyturn.session_id keyturn.grant_type keyturn.generation " +
			"keyturn.presented_generation keyturn.detail"),
	}, {
		Action: TokenRevoked, Category: words("authentication session"), Type: words("end"), Stands: AtOnce,
		When: "a client gave up a token; with a reason, there was nothing to revoke",
		Success: slices.Concat(silent, unverified, []Reason{ReasonMalformedToken, ReasonForgedToken, ReasonUnknownSession,
			ReasonEndedSession, ReasonRevokedToken}),
		Failure: slices.Concat(unread, unproven, []Reason{ReasonNoToken, ReasonForeignClient, ReasonConflict}),
		Fields:  words("user.id keyturn.client_id keyturn.session_id keyturn.jti keyturn.detail"),
	}, {
		Action: TokenIntrospected, Category: words("api"), Type: words("access"),
		When: "a resource server asked whether a token is alive; with a reason, it was told that it is not",
		Success: slices.Concat(silent, unverified, notLive, []Reason{ReasonFutureToken, ReasonMalformedToken, ReasonForgedToken,
			ReasonForeignAudience, ReasonForeignClient, ReasonExpiredSession, ReasonSpentToken}),
		Failure: slices.Concat(unread, unproven, []Reason{ReasonPublicClient, ReasonNoToken}),
		Fields:  words("user.id keyturn.client_id keyturn.session_id keyturn.jti keyturn.detail"),
	}, {
		Action: UserLoggedIn, Category: words("authentication session"), Type: words("start"), Stands: WithEvent,
		When:    "a user logged in at the page, or tried to",
		Success: silent,
		Failure: slices.Concat(unread, notLoggedIn, undone, []Reason{ReasonForeignForm, ReasonStore, ReasonHungUp}),
		Fields:  words("user.id user.email keyturn.session_id"),
	}, {
		Action: UserLoggedOut, Category: words("authentication session"), Type: words("end"), Stands: AtOnce,
		When:    "a user logged out at the page, by themselves or sent by an application, and so many sessions that were begun through that log-in were ended with it",
		Success: []Reason{ReasonLogout},
		Failure: slices.Concat(unread, []Reason{ReasonForeignForm, ReasonConflict, ReasonStore, ReasonHungUp, ReasonMalformedClientID, ReasonUnknownClient, ReasonDisabledClient, ReasonTwoClients, ReasonRedirectURI}),
		Fields:  words("user.id keyturn.client_id keyturn.session_id keyturn.count keyturn.detail"),
	}, {
		Action: LogoutUndelivered, Category: words("session"), Type: words("info"),
		When:    "an application was not told of the end of a session: its backchannel_logout_uri did not take the word within a day, or wants none (410)",
		Failure: []Reason{ReasonUndelivered},
		Fields:  words("user.id keyturn.client_id keyturn.session_id keyturn.detail"),
	}, {
		Action: CodeIssued, Category: words("authentication api"), Type: words("info access"),
		When:    "the authorization endpoint answered an application: with a code for its user, who had logged in, or with an error; to show the page is no decision",
		Success: silent, Failure: slices.Concat(unread, notAuthorized, badAuthorization),
		Fields: words("user.id user.email keyturn.client_id keyturn.session_id keyturn.scope"),
	}, {
		Action: RequestPushed, Category: words("authentication api"), Type: words("info"),
		When:    "a client pushed an authorization request, which its user's browser is to come with",
		Success: silent, Failure: slices.Concat(unread, unproven, badAuthorization, badProof, []Reason{ReasonForeignProofKey}),
		Fields: words("keyturn.client_id keyturn.scope keyturn.detail"),
	}, {
		Action: UserInfoRead, Category: words("api iam"), Type: words("access user info"),
		When:    "a token's bearer read the claims about its user",
		Success: silent, Failure: []Reason{ReasonStore, ReasonHungUp},
		Fields: words("user.id keyturn.client_id keyturn.session_id keyturn.jti"),
	}, {
		Action: UserSignedUp, Category: words("iam"), Type: words("user creation"), Stands: WithEvent,
		When:    "somebody opened an account, where there is mail by the link of a letter",
		Success: silent, Failure: slices.Concat([]Reason{ReasonMalformedBody, ReasonThrottled, ReasonHungUp, ReasonForeignForm, ReasonBadResetToken, ReasonWrongPassword}, unread, badAccount),
		Fields: words("user.id user.email keyturn.detail"),
	}, {
		Action: UserRead, Category: words("api iam"), Type: words("access user info"),
		When:    "a user read the own account; the detail says if it was all that is kept",
		Success: silent, Failure: []Reason{ReasonStore, ReasonHungUp},
		Fields: words("user.id keyturn.client_id keyturn.session_id keyturn.detail"),
	}, {
		Action: UserAdded, Category: words("iam"), Type: words("admin user creation"), Stands: WithEvent,
		When:    "an operator opened an account",
		Success: silent, Failure: slices.Concat(badAccount, badClaims),
		Fields: words("user.id user.email keyturn.detail"),
	}, {
		Action: UserImported, Category: words("iam"), Type: words("admin user creation"), Stands: WithEvent,
		When:    "an operator brought an account in from elsewhere",
		Success: silent, Failure: slices.Concat(badAccount, badClaims, badAtImport),
		Fields: words("user.id user.email keyturn.detail"),
	}, {
		Action: UserDisabled, Category: words("iam"), Type: words("admin user change"), Stands: AtOnce,
		When:    "an operator disabled an account, and its sessions were ended",
		Success: silent, Failure: noAccount,
		Fields: accountAfter,
	}, {
		Action: UserEnabled, Category: words("iam"), Type: words("admin user change"), Stands: WithEvent,
		When:    "an operator enabled an account again",
		Success: silent, Failure: noAccount,
		Fields: words("user.id user.email keyturn.detail"),
	}, {
		Action: UserChanged, Category: words("iam"), Type: words("user change"), Stands: WithEvent,
		When:    "an operator changed an account's address, names, roles or claims, or whether it needs a second factor; or a user the own names, or the address by the link of a letter",
		Success: silent, Failure: slices.Concat(noAccount, badProfile, badClaims, unread, atPage, []Reason{ReasonMalformedBody, ReasonHungUp, ReasonBadResetToken}),
		Fields: words("user.id user.email keyturn.session_id keyturn.count keyturn.detail"),
	}, {
		Action: UserDeleted, Category: words("iam"), Type: words("user deletion"), Stands: WithEvent,
		When:    "an operator, the user, or the server after a grace deleted an account, and its sessions were ended",
		Success: []Reason{{}, ReasonEndedByUser, ReasonGraceOver}, Failure: slices.Concat(noAccount, []Reason{ReasonHungUp}),
		Fields: accountAfter,
	}, {
		Action: UserClosed, Category: words("iam"), Type: words("user change"), Stands: WithEvent,
		When:    "a user asked for the own account to be deleted: it is disabled, and its sessions were ended; the detail says when it is deleted",
		Success: silent, Failure: slices.Concat(noAccount, unread, atPage, []Reason{ReasonStaleLogin, ReasonHungUp}),
		Fields: words("user.id user.email keyturn.session_id keyturn.count keyturn.detail"),
	}, {
		Action: UsersExported, Category: words("iam database"), Type: words("admin access"),
		When: "an operator had all accounts written out, password hashes included", Success: silent,
		Fields: words("keyturn.detail"),
	}, {
		Action: ConsentGiven, Category: words("iam"), Type: words("user change"), Stands: WithEvent,
		When:    "a user let a client have a scope",
		Success: silent, Failure: slices.Concat([]Reason{ReasonForeignForm, ReasonLoginRequired, ReasonHungUp}, unread, noAccount),
		Fields: words("user.id user.email keyturn.client_id keyturn.session_id keyturn.scope keyturn.detail"),
	}, {
		Action: ConsentWithdrawn, Category: words("iam session"), Type: words("user change end"), Stands: AtOnce,
		When:    "what a client might have of a user was withdrawn, by the user or an operator, and the sessions of the user with it were ended",
		Success: []Reason{ReasonEndedByUser, ReasonLoggedOutByOperator},
		Failure: slices.Concat([]Reason{ReasonUnknownConsent, ReasonForeignForm, ReasonLoginRequired, ReasonHungUp}, unread, noAccount),
		Fields:  words("user.id user.email keyturn.client_id keyturn.session_id keyturn.count keyturn.detail"),
	}, {
		Action: ConsentsListed, Category: words("api iam"), Type: words("access user info"),
		When:    "a user listed what clients may have",
		Success: silent, Failure: []Reason{ReasonStore, ReasonHungUp},
		Fields: words("user.id keyturn.client_id keyturn.session_id keyturn.count"),
	}, {
		Action: PasswordChanged, Category: words("iam"), Type: words("user change"), Stands: WithEvent,
		When:    "a user changed the own password, and the other sessions were ended",
		Success: silent,
		Failure: slices.Concat([]Reason{ReasonMalformedBody, ReasonUnknownUser, ReasonWrongPassword, ReasonPepperMissing, ReasonDisabledUser,
			ReasonThrottled, ReasonHungUp, ReasonForeignForm, ReasonLoginRequired, ReasonStaleLogin}, unread, notReplaced),
		Fields: words("user.id user.email keyturn.session_id keyturn.count keyturn.detail"),
	}, {
		Action: PasswordReset, Category: words("iam"), Type: words("admin user change"), Stands: WithEvent,
		When:    "an operator set an account's password, and its sessions were ended",
		Success: silent, Failure: slices.Concat([]Reason{ReasonUnknownUser}, notReplaced),
		Fields: accountAfter,
	}, {
		Action: ResetIssued, Category: words("iam"), Type: words("admin user change"), Stands: WithEvent,
		When:    "a one-time token for a new password was made, by an operator or for a letter that is about to be sent; without an account no letter is",
		Success: silent, Failure: slices.Concat(noAccount, []Reason{ReasonDisabledUser}),
		Fields: words("user.id user.email keyturn.detail"),
	}, {
		Action: ResetForced, Category: words("iam"), Type: words("admin user change"), Stands: WithEvent,
		When:    "an operator made a one-time token without which nothing opens the account: its password was made void, and its sessions were ended",
		Success: silent, Failure: slices.Concat(noAccount, []Reason{ReasonBusy}),
		Fields: accountAfter,
	}, {
		Action: ResetRedeemed, Category: words("iam"), Type: words("user change"), Stands: WithEvent,
		When:    "somebody set a new password with a one-time token, and the account's sessions were ended",
		Success: silent, Failure: slices.Concat([]Reason{ReasonMalformedBody, ReasonBadResetToken, ReasonHungUp, ReasonForeignForm}, unread, notReplaced),
		Fields: accountAfter,
	}, {
		Action: LetterAsked, Category: words("iam"), Type: words("info"), Stands: WithEvent,
		When:    "somebody asked for a letter, whose kind the detail names, to an address that may have an account or not; for change, a user asked to have that address, and the former one is told",
		Success: silent, Failure: slices.Concat([]Reason{ReasonMalformedBody, ReasonInvalidEmail, ReasonThrottled, ReasonStaleLogin, ReasonDisabledUser}, noAccount, unread, atPage),
		Fields: words("user.id user.email keyturn.session_id keyturn.detail"),
	}, {
		Action: EmailVerified, Category: words("iam"), Type: words("user change"), Stands: WithEvent,
		When:    "the address of an account was confirmed by the link of a letter; an account that is made by one has a confirmed address from the beginning",
		Success: silent, Failure: slices.Concat([]Reason{ReasonBadResetToken}, noAccount),
		Fields: words("user.id user.email keyturn.detail"),
	}, {
		Action: LetterUndelivered, Category: words("iam"), Type: words("info"),
		When:    "a letter could not be sent: it was refused for good, or by nobody taken within a day or before what it says was over",
		Failure: []Reason{ReasonUndelivered},
		Fields:  words("user.email keyturn.detail"),
	}, {
		Action: FactorEnrolled, Category: words("iam"), Type: words("user change"), Stands: WithEvent,
		When:    "a user confirmed a second factor by a code, or made a passkey, and no log-in goes without one from then on",
		Success: silent, Failure: slices.Concat(notFactor, unread, atPage, []Reason{ReasonMalformedBody, ReasonWrongCode, ReasonWrongPasskey, ReasonForeignOrigin, ReasonBadChallenge, ReasonAccountChanged, ReasonInvalidFactor}),
		Fields: words("user.id user.email keyturn.session_id keyturn.detail"),
	}, {
		Action: FactorUsed, Category: words("authentication"), Type: words("info"), Stands: WithEvent,
		When:    "a code of a second factor, or a recovery code, was spent for a log-in, or a passkey signed for it",
		Success: silent, Failure: undone,
		Fields: words("user.id user.email keyturn.detail"),
	}, {
		Action: FactorCloned, Category: words("authentication intrusion_detection"), Type: words("info denied"),
		When:    "a log-in was refused because its passkey has a copy, which may have been used before it: remove that passkey",
		Failure: []Reason{ReasonClonedPasskey},
		Fields:  words("user.id user.email keyturn.client_id keyturn.grant_type keyturn.detail"),
	}, {
		Action: FactorRemoved, Category: words("iam"), Type: words("user change"), Stands: WithEvent,
		When:    "a user, or an operator, removed a second factor",
		Success: silent, Failure: slices.Concat(notFactor, unread, atPage, []Reason{ReasonUnknownFactor}),
		Fields: words("user.id user.email keyturn.session_id keyturn.detail"),
	}, {
		Action: RecoveryRenewed, Category: words("iam"), Type: words("user change"), Stands: WithEvent,
		When:    "a user got new recovery codes, and the former ones ended",
		Success: silent, Failure: slices.Concat(notFactor, []Reason{ReasonUnknownFactor}),
		Fields: words("user.id user.email keyturn.session_id keyturn.detail"),
	}, {
		Action: SessionsListed, Category: words("api session"), Type: words("access info"),
		When:    "a user listed the own sessions",
		Success: silent, Failure: []Reason{ReasonStore, ReasonHungUp},
		Fields: words("user.id keyturn.client_id keyturn.session_id keyturn.count"),
	}, {
		Action: SessionEnded, Category: words("session"), Type: words("end"), Stands: AtOnce,
		When:    "a user or an operator ended one session",
		Success: []Reason{ReasonLogout, ReasonEndedByUser, ReasonLoggedOutByOperator},
		Failure: slices.Concat([]Reason{ReasonUnknownSession, ReasonHungUp, ReasonStore, ReasonForeignForm, ReasonLoginRequired}, unread, noAccount),
		Fields:  words("user.id user.email keyturn.client_id keyturn.session_id keyturn.count keyturn.detail"),
	}, {
		Action: SessionsEnded, Category: words("session"), Type: words("end"), Stands: AtOnce,
		When: "several sessions were ended at once, or the server finished what an interrupted command had left",
		Success: []Reason{ReasonEndedByUser, ReasonLoggedOutByOperator, ReasonClientDisabled, ReasonUserDisabled,
			ReasonAccountChanged},
		Failure: slices.Concat([]Reason{ReasonUnknownSession, ReasonHungUp, ReasonUnknownClient, ReasonFailed}, noAccount),
		Fields:  words("user.id user.email keyturn.client_id keyturn.session_id keyturn.count keyturn.detail"),
	}, {
		Action: ClientAdded, Category: words("iam configuration"), Type: words("admin creation"), Stands: WithEvent,
		When:    "an operator registered a client",
		Success: silent, Failure: []Reason{ReasonInvalidRegistration, ReasonClientExists, ReasonConflict, ReasonFailed},
		Fields: words("keyturn.client_id keyturn.scope keyturn.detail"),
	}, {
		Action: ClientSecretTurned, Category: words("iam configuration"), Type: words("admin change"), Stands: WithEvent,
		When:    "an operator gave a client a new secret",
		Success: silent, Failure: slices.Concat(noClient, []Reason{ReasonClientHasNoSecret}),
		Fields: words("keyturn.client_id"),
	}, {
		Action: ClientChanged, Category: words("iam configuration"), Type: words("admin change"), Stands: WithEvent,
		When:    "an operator changed what a client may do, or its keys",
		Success: silent, Failure: slices.Concat(noClient, []Reason{ReasonInvalidRegistration}),
		Fields: words("keyturn.client_id keyturn.scope keyturn.detail"),
	}, {
		Action: ClientDisabled, Category: words("iam configuration"), Type: words("admin change"), Stands: AtOnce,
		When:    "an operator disabled a client, and its sessions were ended",
		Success: silent, Failure: noClient,
		Fields: words("keyturn.client_id keyturn.count"),
	}, {
		Action: KeyCreated, Category: words("configuration"), Type: words("creation"), Stands: AtOnce,
		When:    "a signing key was made and published",
		Success: []Reason{ReasonFirstKey, ReasonStandby}, Failure: undone,
		Fields: words("keyturn.kid keyturn.detail"),
	}, {
		Action: KeyActivated, Category: words("configuration"), Type: words("change"),
		When: "this replica began to sign with the key; the detail says if an emergency made it", Success: silent,
		Fields: words("keyturn.kid keyturn.detail"),
	}, {
		Action: KeyRotated, Category: words("iam configuration"), Type: words("admin change"), Stands: WithEvent,
		When:    "an operator asked for a turn of the keys; the detail says when the key signs",
		Success: silent, Failure: []Reason{ReasonAlreadyScheduled, ReasonConflict, ReasonStoreError},
		Fields: words("keyturn.kid keyturn.detail"),
	}, {
		Action: KeyRevoked, Category: words("iam configuration"), Type: words("admin change"), Stands: AtOnce,
		When:    "an operator took a signing key out; the detail is the reason given",
		Success: silent, Failure: []Reason{ReasonNoReason, ReasonNoSuchKey, ReasonAlreadyRevoked, ReasonConflict, ReasonStoreError},
		Fields: words("keyturn.kid keyturn.detail"),
	}, {
		Action: KeyErased, Category: words("configuration"), Type: words("deletion"), Stands: AtOnce,
		When: "the private half of a signing key was erased", Success: silent, Failure: undone,
		Fields: words("keyturn.kid"),
	}, {
		Action: KeyArchived, Category: words("configuration"), Type: words("change"), Stands: WithEvent,
		When: "the public half of a signing key left the published set", Success: silent, Failure: undone,
		Fields: words("keyturn.kid"),
	}, {
		Action: KeyRewrapped, Category: words("iam configuration"), Type: words("admin change"), Stands: AtOnce,
		When:    "a signing key, or the second factors of an account, were sealed anew under another key-encryption key",
		Success: silent, Failure: []Reason{ReasonCannotOpen, ReasonStoreError},
		Fields: words("keyturn.kid user.id user.email keyturn.detail"),
	}, {
		Action: StoreCopied, Category: words("iam database configuration"), Type: words("admin change"), Stands: WithEvent,
		When:    "an operator copies one store into another, or makes a backup",
		Success: silent, Failure: []Reason{ReasonFailed},
		Fields: words("keyturn.detail"),
	}, {
		Action: StoreRestored, Category: words("iam database configuration"), Type: words("admin change"), Stands: WithEvent,
		When:    "an operator put a backup in the store's place, and it took the heads of so many chains over from the log, which was ahead of it; the detail says how old the backup is",
		Success: silent, Failure: []Reason{ReasonFailed},
		Fields: words("keyturn.count keyturn.detail"),
	}, {
		Action: RequestRefused, Category: words("api"), Type: words("denied"),
		When:    "a request came without an access token that counts, or without the proof that it is bound to, or failed inside the server",
		Failure: slices.Concat([]Reason{ReasonMalformedBearer, ReasonNoToken}, unverified, notLive, badProof, []Reason{ReasonNoProof, ReasonFutureToken, ReasonProofToken, ReasonForeignProofKey, ReasonUnboundToken, ReasonForeignAudience, ReasonForeignClient, ReasonScopeNotGranted, ReasonStore, ReasonHungUp, ReasonPanic}),
		Fields:  words("user.id keyturn.client_id keyturn.session_id keyturn.jti"),
	}, {
		Action: ServerStarted, Category: words("process"), Type: words("start"),
		When: "a server began to serve", Success: silent,
	}, {
		Action: ServerStopped, Category: words("process"), Type: words("end"),
		When:    "a server stopped; the detail of a failure says why",
		Success: silent, Failure: silent,
		Fields: words("keyturn.detail"),
	}, {
		Action: EventsLost, Category: words("configuration"), Type: words("info"),
		When:    "the log took events again, of which some were lost meanwhile: how many, from when to when, and why",
		Failure: silent,
		Fields:  words("keyturn.count keyturn.detail"),
	}, {
		Action: LogResumed, Category: words("configuration"), Type: words("info"),
		When: "the log could not be written to, and takes events again, while no decision came to try it: how many were refused, and why", Success: silent,
		Fields: words("keyturn.count keyturn.detail"),
	}, {
		Action: Checkpoint, Category: words("configuration"), Type: words("info"),
		When: "the head of this chain was signed", Success: silent,
		Fields: words("keyturn.kid keyturn.checkpoint"),
	},
}

func words(s string) []string { return strings.Fields(s) }
