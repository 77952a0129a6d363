"""The planner as one HTML file: Python in the browser, without installation, server or network."""
