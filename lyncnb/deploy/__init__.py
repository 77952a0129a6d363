"""Packages, and the changed procedure for each server."""
