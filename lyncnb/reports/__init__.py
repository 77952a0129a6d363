"""What people read of a plan: summary, comparison, pictures. Pure; it writes no file."""
