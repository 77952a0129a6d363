"""Table of servers -> ``Topology``: what a planner writes down, as checked values."""
