"""Certificates that stand on servers, compared with the plan."""
