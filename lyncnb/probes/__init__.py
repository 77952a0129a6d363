"""Ask the planned servers for their certificates, and compare the certificates with the plan."""
