"""The request folder on disk; this package knows no plan."""
