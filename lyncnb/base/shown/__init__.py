"""Write tables, pages, and pictures that do not depend on certificates."""
