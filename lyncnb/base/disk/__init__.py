"""Files and folders, written whole and kept from others; archives; locks."""
