"""Compare installed certificates with the plan."""
