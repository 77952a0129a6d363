"""The version of lyncnb."""

#: The version is the same as in pyproject.toml, and a test compares the two. Reading the version
#: from the installed package takes twice as long as all other work for the help page, and Python
#: finds no such package in an embedded installation.
VERSION = "0.3.0"
