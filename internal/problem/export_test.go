package problem

// Kinds are all kinds, in the order of their statuses.
func Kinds() []Kind {
	return []Kind{
		MalformedBody, MalformedBearer, LoginTooOld, NoToken, BadProof, NeedsNonce, WrongCredentials, FactorNeeded, EnrolmentNeeded, WrongCode, LoginOver, SessionOver, ResetTokenOver, BeyondToken, ClientNotReady, NotFound, WrongMethod,
		Taken, ChangedMeanwhile, BodyTooLarge, WrongContentType, UnacceptableValue, TooManyAttempts, Internal, Unfinished, TryAgain,
	}
}
