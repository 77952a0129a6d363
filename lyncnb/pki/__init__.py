"""Process keys, requests, certificates, chains, and packages with the library cryptography."""
