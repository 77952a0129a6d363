"""Provide the notebook panels for planning, for writing requests, and for tracking requests."""
