"""Read a table of servers, and convert it to a validated ``Topology``."""
