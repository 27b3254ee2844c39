package main

import "context"

// jwksScenario fetches the public keys, as resource servers do (RFC 7517).
func jwksScenario() scenario {
	sessions := func(t *target, n int) []session {
		return fixedSessions(t.get(jwksPath), `"keys"`, n)
	}
	return scenario{
		name: "jwks",
		open: func(_ context.Context, t *target, _ credentials, n int) ([]session, error) {
			return sessions(t, n), nil
		},
		floor: func(ctx context.Context, b *bench) (floorOrder, error) {
			c := &conn{target: b.target}
			defer c.close()
			body, err := fetch(ctx, c, "GET "+jwksPath, b.target.get(jwksPath))
			if err != nil {
				return floorOrder{}, err
			}
			return floorOrder{Kind: floorBytes, Bytes: append([]byte(nil), body...)}, nil
		},
		replay: func(t *target, _ credentials, _ floorReady, n int) []session {
			return sessions(t, n)
		},
	}
}
