"""``CertificatePlan`` -> ``Findings``. Pure."""
