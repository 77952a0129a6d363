"""Read and write a request folder on disk. This package does not create plans."""
