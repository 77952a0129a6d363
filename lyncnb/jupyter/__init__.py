"""Notebooks as files, a planner's workspace, and the server extension."""
