"""Submit requests to CAs, receive the issued certificates, and show the state of each request."""
