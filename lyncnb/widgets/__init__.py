"""The notebook panels that plan, write and follow requests. They contain no rules."""
