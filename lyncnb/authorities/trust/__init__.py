"""Which roots each server has to trust, and why: from the plan and the chains that came back."""
