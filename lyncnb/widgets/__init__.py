"""Provide the notebook panels in which the user plans, writes and follows requests."""
