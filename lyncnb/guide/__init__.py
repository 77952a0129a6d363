"""The interview about a new deployment, and the first table and plan from its answers."""
