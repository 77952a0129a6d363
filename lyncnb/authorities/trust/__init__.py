"""Find the roots that each server must trust, and the reasons, from the plan and the chains."""
