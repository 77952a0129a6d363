"""Notebook files, the user's workspace, and the server extension."""
