"""Notebook files, the planner's workspace, and the server extension."""
