"""Read the files that a CA returned, and match the certificates to requests."""
