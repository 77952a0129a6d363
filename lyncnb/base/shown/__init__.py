"""Write tables, pages and pictures, independently of certificates."""
