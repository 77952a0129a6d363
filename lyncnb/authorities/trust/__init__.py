"""Determine which root certificates each server must trust, and why."""
