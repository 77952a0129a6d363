"""Create a ``CertificatePlan`` from a ``Topology``, ``Rules``, and ``PlanOptions``."""
