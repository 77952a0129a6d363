"""Out to a certification authority, and back; where each request stands."""
