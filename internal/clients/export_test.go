package clients

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/netip"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// What the tests in package clients_test need of the inside.

// TrustingKeys is a Keys that trusts the certificates of a test.
func TrustingKeys(allowed []netip.Prefix, roots *x509.CertPool, now func() time.Time) *Keys {
	k := NewKeys(allowed, now)
	k.client.Transport.(*http.Transport).TLSClientConfig = &tls.Config{RootCAs: roots}
	return k
}

// Keys returns the kids that the client's set has when kid is looked for.
func (k *Keys) Keys(ctx context.Context, c Client, kid string) ([]string, error) {
	keys, err := k.of(ctx, c, func(key jose.JSONWebKey) bool { return key.KeyID == kid })
	var kids []string
	for _, key := range keys {
		kids = append(kids, key.KeyID)
	}
	return kids, err
}
