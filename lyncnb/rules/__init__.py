"""What a product asks of each role, and what its CAs ask, as data -> ``Rules``; findings."""
