"""Decide and make the changes in a request folder that a ``CertificatePlan`` requires."""
