"""Compare the certificates that are installed on servers with the plan."""
