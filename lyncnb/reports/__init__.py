"""Create the documents about a plan: summary, comparison, and pictures. It writes no file."""
