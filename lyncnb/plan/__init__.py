"""Derive a ``CertificatePlan`` from ``Topology``, ``Rules`` and ``PlanOptions``. Pure."""
