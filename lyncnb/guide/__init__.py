"""Ask questions about a new deployment, and create its first table and plan."""
