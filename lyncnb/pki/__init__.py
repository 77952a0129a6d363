"""The only package for cryptography and ASN.1: keys, requests, certificates, chains, packages."""
