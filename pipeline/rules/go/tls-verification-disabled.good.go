// Connections whose certificates are checked.
package shop

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
)

func Client(pool *x509.CertPool) *http.Client {
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, InsecureSkipVerify: false}}}
}

func Configured(insecure bool) *tls.Config {
	return &tls.Config{InsecureSkipVerify: insecure}
}

// Pinned checks the connection itself.
func Pinned(check func(tls.ConnectionState) error) *tls.Config {
	return &tls.Config{InsecureSkipVerify: true, VerifyConnection: check}
}

func PinnedLater(check func(tls.ConnectionState) error) *tls.Config {
	config := &tls.Config{}
	config.InsecureSkipVerify = true
	config.VerifyConnection = check
	return config
}
