"""Evaluate an issued certificate against its request, predecessor, CA and roots."""
