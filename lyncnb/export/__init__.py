"""Decide which changes a plan requires in a request folder, and make them."""
