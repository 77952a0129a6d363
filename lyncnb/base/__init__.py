"""Modules that do not depend on certificates: names, values, tables, files, and processes."""
