"""Show notebook panels that plan, write and follow requests. The panels contain no rules."""
