"""Edit a plan without a notebook, through a draft, edits, the resulting plan, and messages."""
