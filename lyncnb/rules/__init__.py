"""The rules of a product and of CAs, from data to ``Rules``; findings."""
