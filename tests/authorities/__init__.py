"""Certification authorities for the tests: one in this process, and real ones on loopback."""
