"""Probe the planned servers for their certificates, and compare these with the plan."""
