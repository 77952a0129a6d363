"""``Topology`` + ``Rules`` + ``PlanOptions`` -> ``CertificatePlan``. Pure."""
