"""Ask the planned servers for the certificates that they show, and compare these with the plan."""
