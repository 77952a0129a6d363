"""Check a ``CertificatePlan`` and return ``Findings``. No files are read or written."""
