"""Build the planner as one HTML file, which runs Python in the browser without a server."""
