"""Submit requests to CAs, receive the certificates, and show the status of each certificate."""
