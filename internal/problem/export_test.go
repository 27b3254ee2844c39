package problem

// Kinds are all kinds, in the order of their statuses.
func Kinds() []Kind {
	return []Kind{
		MalformedBody, MalformedBearer, NoToken, BadProof, NeedsNonce, WrongCredentials, SessionOver, ResetTokenOver, BeyondToken, ClientNotReady, NotFound, WrongMethod,
		Taken, ChangedMeanwhile, BodyTooLarge, WrongContentType, UnacceptableValue, TooManyAttempts, Internal, Unfinished, TryAgain,
	}
}
