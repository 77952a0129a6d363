"""Hand requests to a certification authority, receive certificates, and show the status of each."""
