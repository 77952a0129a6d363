"""The request folder on disk; this package does not use plans."""
