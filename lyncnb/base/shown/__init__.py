"""Tables, pages, and pictures for any content."""
