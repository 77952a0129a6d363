"""Write tables, pages, and pictures of any content."""
