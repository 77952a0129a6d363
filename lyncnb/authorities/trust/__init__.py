"""Find out which roots each server must trust, and why, from the plan and the CA chains."""
