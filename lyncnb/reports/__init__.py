"""Create the documents about a plan (summary, comparison, pictures) without writing files."""
