"""Evaluate an issued certificate against its request, its predecessor, its CA and the roots."""
