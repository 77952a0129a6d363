"""What a planner knows, asked question by question, and the first table and plan made of it."""
