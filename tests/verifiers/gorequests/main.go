// Gorequests reads file names from standard input and says of each certification request whether
// Go's crypto/x509 parses it and its signature verifies: "name, ok or error, common name, names".
package main

import (
	"bufio"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"strings"
)

func main() {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		name := lines.Text()
		request, err := verified(name)
		if err != nil {
			fmt.Printf("%s\t%q\t\t\n", name, err.Error())
			continue
		}
		names := strings.Join(request.DNSNames, ",")
		fmt.Printf("%s\tok\t%s\t%s\n", name, request.Subject.CommonName, names)
	}
}

func verified(name string) (*x509.CertificateRequest, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, fmt.Errorf("no PEM")
	}
	request, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, err
	}
	return request, request.CheckSignature()
}
