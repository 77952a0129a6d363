"""Write the table of a plan's certificates in every file format."""
