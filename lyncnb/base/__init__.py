"""Provide modules that know nothing about certificates: names, values, tables and files."""
