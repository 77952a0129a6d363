"""Write the table of the certificates in a plan in every format."""
