"""The years ahead: when each certificate comes back, and what cannot work."""
