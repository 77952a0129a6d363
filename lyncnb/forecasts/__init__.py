"""Forecast when certificates must be renewed, and which work cannot be done in time."""
