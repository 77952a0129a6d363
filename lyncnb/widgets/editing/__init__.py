"""The plan editor without a notebook: a draft, its edits, its plan, and the page's messages."""
