"""Read and write a request folder on disk, without creating plans."""
