"""A table of servers to a ``Topology``: the planner's input as validated values."""
