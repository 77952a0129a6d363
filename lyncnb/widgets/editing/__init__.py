"""The plan editor without a notebook: a draft, its edits, its plan, and what its page is told."""
