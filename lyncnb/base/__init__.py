"""Provide modules that are independent of certificates: names, values, tables and files."""
