"""Process notebook files and the user's workspace, and extend Jupyter Server."""
