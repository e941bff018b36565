// Connections that prove nothing.
package shop

import (
	"crypto/tls"
	"net/http"
)

var shared = &tls.Config{InsecureSkipVerify: true} // expect: go.tls-verification-disabled

func Client(address string) *http.Client {
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{
			MinVersion:         tls.VersionTLS12,
			InsecureSkipVerify: true, // expect: go.tls-verification-disabled
		},
	}
	return &http.Client{Transport: transport}
}

func Dial(address string) (*tls.Conn, error) {
	return tls.Dial("tcp", address, &tls.Config{ServerName: "db", InsecureSkipVerify: true}) // expect: go.tls-verification-disabled
}

func Loose(address string) (*tls.Conn, error) {
	config := &tls.Config{}
	config.InsecureSkipVerify = true // expect: go.tls-verification-disabled
	return tls.Dial("tcp", address, config)
}

func Default() {
	http.DefaultTransport.(*http.Transport).TLSClientConfig.InsecureSkipVerify = true // expect: go.tls-verification-disabled
}
