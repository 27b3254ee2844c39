package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// authority is a certificate authority of the tests' own and a server's
// certificate by it, for loopback. The files are for programs that want some.
type authority struct {
	caFile, certFile, keyFile string
	roots                     *x509.CertPool
	certificate               tls.Certificate
}

// trust is the authority that every program of the tests trusts.
var trust authority

func newAuthority(dir string) (authority, error) {
	a := authority{
		caFile: filepath.Join(dir, "ca.pem"), certFile: filepath.Join(dir, "cert.pem"), keyFile: filepath.Join(dir, "key.pem"),
		roots: x509.NewCertPool(),
	}
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return a, err
	}
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Keyturn's tests"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(60 * 24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, &caKey.PublicKey, caKey)
	if err != nil {
		return a, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return a, err
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "localhost"},
		NotBefore: ca.NotBefore, NotAfter: ca.NotAfter, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:    []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, ca, &key.PublicKey, caKey)
	if err != nil {
		return a, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return a, err
	}
	for _, f := range []struct {
		path, kind string
		der        []byte
	}{{a.caFile, "CERTIFICATE", caDER}, {a.certFile, "CERTIFICATE", leafDER}, {a.keyFile, "PRIVATE KEY", keyDER}} {
		if err := os.WriteFile(f.path, pem.EncodeToMemory(&pem.Block{Type: f.kind, Bytes: f.der}), 0o600); err != nil {
			return a, err
		}
	}
	root, err := x509.ParseCertificate(caDER)
	if err != nil {
		return a, err
	}
	a.roots.AddCert(root)
	a.certificate = tls.Certificate{Certificate: [][]byte{leafDER}, PrivateKey: key}
	return a, nil
}

// environ makes programs in any language trust the authority.
func (a authority) environ() []string {
	return []string{
		"SSL_CERT_FILE=" + a.caFile, "NODE_EXTRA_CA_CERTS=" + a.caFile, "REQUESTS_CA_BUNDLE=" + a.caFile,
	}
}
