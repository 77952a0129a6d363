"""Forecasts: when each certificate must be renewed, and which work cannot be done in time."""
