"""Write tables, pages and pictures. The functions know nothing about certificates."""
