"""What knows no certificate: names, values, tables, files, worker processes."""
