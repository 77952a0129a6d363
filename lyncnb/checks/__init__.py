"""Check a ``CertificatePlan`` and return ``Findings``, without reading or writing files."""
