"""Create the documents about a plan: summary, comparison, and pictures. No files are written."""
