"""The panels of the notebook: plan, export, follow. They hold no rule and no fact of their own."""
