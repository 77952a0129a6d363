"""Decide which changes a ``CertificatePlan`` requires in a request folder, and make them."""
