"""Edit a plan without a notebook: a draft, its edits, the resulting plan, and the messages."""
