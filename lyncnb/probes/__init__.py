"""Probe the planned servers for their certificates, and compare them with the plan."""
