"""Check whether client software restricts its trust in the root of an issued certificate.

The roots, the client software and the dates are data (``cas/roots.toml``).
"""

from __future__ import annotations

from collections.abc import Iterator

from ...pki.certificates import Certificate
from ...pki.chain import Path
from ...rules.ca_rules import RootRule, load_ca_rules
from ...rules.returned_rules import Difference

_NAMES = ("CN", "OU")


def find_root_restrictions(certificate: Certificate, path: Path) -> Iterator[Difference]:
    """Yield the restrictions that client software applies to certificates from a root.

    Parameters
    ----------
    certificate : Certificate
        The end-entity certificate.
    path : Path
        The certification path. If the root is missing, the name of the last issuer is used.

    Yields
    ------
    tuple of str
        The code and the message of each rule that applies to the root.
    """
    last = (certificate, *path.issuers)[-1]
    fields = last.subject if path.is_complete else last.issuer
    names = {value.casefold() for name, value in fields if name in _NAMES}
    for rule in load_ca_rules().roots:
        for root in rule.roots:
            message = _describe_effect(certificate, rule) if root.casefold() in names else ""
            if message:
                yield (
                    rule.code,
                    (f'the certificate\'s chain ends in "{root}"{message} ({rule.source})'),
                )


def _describe_effect(certificate: Certificate, rule: RootRule) -> str:
    """Describe the effect that a restriction of a root has on a certificate.

    Return "" if there is no effect.
    """
    begins, ends = certificate.not_before.date(), certificate.not_after.date()
    if rule.effective is None:
        return f". On {rule.source.date}, this root was not in any trust store that lyncnb checks"
    if rule.code == "root-not-trusted" and begins >= rule.effective:
        return (
            f". Certificates from this root that are valid from {rule.effective} or later are "
            f"not trusted by {rule.clients}; this certificate is valid from {begins}"
        )
    if rule.code == "root-leaves-store" and ends >= rule.effective:
        return (
            f". {rule.clients} will remove this root about {rule.effective}, but this certificate "
            f"is valid until {ends}"
        )
    return ""
