"""Files that came back from a CA: read, taken for what they are, matched to requests."""
