"""From a ``CertificatePlan`` to a request folder: the required changes, and writing them."""
