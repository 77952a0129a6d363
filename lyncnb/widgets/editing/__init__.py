"""Edit a plan without a notebook: a draft, edits, the resulting plan, and messages to a page."""
