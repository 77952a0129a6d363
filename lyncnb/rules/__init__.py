"""Read the rules of products and CAs as ``Rules``, and represent findings."""
