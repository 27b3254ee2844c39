package main

import "context"

// clientCredentialsScenario asks for tokens of the client's own (RFC 6749 §4.4).
func clientCredentialsScenario() scenario {
	sessions := func(t *target, c credentials, n int) []session {
		return fixedSessions(clientCredentialsRequest(t, c), `"access_token"`, n)
	}
	return scenario{
		name:        "client_credentials",
		needsClient: true,
		needsSecret: true,
		open: func(_ context.Context, t *target, c credentials, n int) ([]session, error) {
			return sessions(t, c, n), nil
		},
		floor: func(context.Context, *bench) (floorOrder, error) {
			return floorOrder{Kind: floorSign}, nil
		},
		replay: func(t *target, c credentials, _ floorReady, n int) []session {
			return sessions(t, c, n)
		},
	}
}

func clientCredentialsRequest(t *target, c credentials) []byte {
	return t.post(tokenPath, c.authorization()).append(nil, c.form("grant_type", "client_credentials"))
}
