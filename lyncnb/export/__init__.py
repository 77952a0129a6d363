"""``CertificatePlan`` -> request folder: what a plan asks of it, and carrying it out."""
