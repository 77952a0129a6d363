"""Ask questions about a new deployment, and create the first table and plan from the answers."""
