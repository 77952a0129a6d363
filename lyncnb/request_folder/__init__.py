"""The request folder as it lies on disk; knows no plan."""
