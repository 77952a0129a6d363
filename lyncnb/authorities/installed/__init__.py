"""Record what is installed on servers, which servers left, and what a CA revoked."""
