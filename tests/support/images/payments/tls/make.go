// SPDX-License-Identifier: Apache-2.0

//go:build ignore

// Makes the certificates of the payments images, in the working directory: `go run make.go`. They guard nothing.
package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log"
	"math/big"
	"os"
	"time"
)

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func write(name, kind string, data []byte) {
	check(os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: data}), 0o644))
}

func main() {
	certificate := func(serial int64, name string) *x509.Certificate {
		return &x509.Certificate{
			SerialNumber:          big.NewInt(serial),
			Subject:               pkix.Name{CommonName: name, Organization: []string{"Example Company"}},
			NotBefore:             time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC),
			NotAfter:              time.Date(2119, 12, 31, 0, 0, 0, 0, time.UTC),
			BasicConstraintsValid: true,
		}
	}
	root := certificate(1, "Example Company Root")
	root.IsCA = true
	root.KeyUsage = x509.KeyUsageCertSign
	rootKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(err)
	data, err := x509.CreateCertificate(rand.Reader, root, root, &rootKey.PublicKey, rootKey)
	check(err)
	write("company.crt", "CERTIFICATE", data)

	server := certificate(2, "payments.internal")
	server.DNSNames = []string{"payments.internal"}
	server.KeyUsage = x509.KeyUsageDigitalSignature
	server.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	serverKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(err)
	data, err = x509.CreateCertificate(rand.Reader, server, root, &serverKey.PublicKey, rootKey)
	check(err)
	write("server.crt", "CERTIFICATE", data)
	data, err = x509.MarshalECPrivateKey(serverKey)
	check(err)
	write("server.key", "EC PRIVATE KEY", data)
}
