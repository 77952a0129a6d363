// A stand-in for certreq under Wine: it answers as a CA would whose answers lie in a folder.
//
// CERTREQ_ANSWERS holds ID.txt, what it prints for request ID, and ID.cer once that is issued.
// Every call is a line of CERTREQ_LOG, its arguments split by "|".
package main

import (
	"os"
	"strings"
)

func main() {
	log, _ := os.OpenFile(os.Getenv("CERTREQ_LOG"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	log.WriteString(strings.Join(os.Args[1:], "|") + "\n")
	log.Close()
	files := os.Args[len(os.Args)-2:] // the last two: where certificate and chain go
	id := strings.TrimSuffix(files[0][strings.LastIndexAny(files[0], `\/`)+1:], ".cer")
	answers := os.Getenv("CERTREQ_ANSWERS") + "/" + id
	text, _ := os.ReadFile(answers + ".txt")
	os.Stdout.Write(text)
	certificate, err := os.ReadFile(answers + ".cer")
	if err != nil {
		os.Exit(1)
	}
	for _, file := range files {
		os.WriteFile(file, certificate, 0o644)
	}
}
