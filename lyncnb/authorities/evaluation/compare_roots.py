"""Check whether client software restricts its trust in the root of an issued certificate.

The roots, the client software and the dates are data (``cas/roots.toml``).
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from datetime import date

from ...pki.certificates import Certificate
from ...pki.chain import Path
from ...rules.ca_rules import RootRule, load_ca_rules
from ...rules.returned_rules import Difference

_NAMES = ("CN", "OU")


def find_root_restrictions(
    certificate: Certificate, path: Path, *, on: date
) -> Iterator[Difference]:
    """Yield the restrictions that client software applies to certificates from a root.

    Parameters
    ----------
    certificate : Certificate
        The end-entity certificate.
    path : Path
        The certification path. A CA certificate with the key of a known root can end the path,
        and the root with the fewest restrictions counts, because clients do not need another one.
        Without such a key, the name of the root counts. If the root is missing, this is the name
        of the last issuer.
    on : date
        The evaluation date.

    Yields
    ------
    tuple of str
        The code and the message of each rule that applies to the root.
    """
    last = (certificate, *path.issuers)[-1]
    fields = last.subject if path.is_complete else last.issuer
    names = {value.casefold() for name, value in fields if name in _NAMES}
    known = load_ca_rules().root_names
    by_key = [{known[ca.spki_sha256].casefold()} for ca in path.issuers if ca.spki_sha256 in known]
    ends = [list(_find_restrictions(certificate, root, on)) for root in by_key or [names]]
    # The codes sort by their weight: none, root-leaves-store, root-not-trusted.
    yield from min(ends, key=lambda found: max((code for code, _ in found), default=""))


def _find_restrictions(
    certificate: Certificate, names: Container[str], on: date
) -> Iterator[Difference]:
    for rule in load_ca_rules().roots:
        for root in rule.roots:
            if root.casefold() in names:
                for code, effect in _list_effects(certificate, rule, on):
                    yield code, f'the certificate\'s chain ends in "{root}"{effect} ({rule.source})'


def _list_effects(certificate: Certificate, rule: RootRule, on: date) -> Iterator[tuple[str, str]]:
    """Yield the code and the description of the effect of a rule, if it has an effect."""
    begins, ends = certificate.not_before.date(), certificate.not_after.date()
    if rule.effective is None:
        yield (
            rule.code,
            f". On {rule.source.date}, this root was not in any trust store that lyncnb checks",
        )
    elif rule.code == "root-not-trusted" and begins >= rule.effective:
        yield (
            rule.code,
            (
                f". Certificates from this root that are valid from {rule.effective} or later are "
                f"not trusted by {rule.clients}; this certificate is valid from {begins}"
            ),
        )
    elif rule.code == "root-leaves-store" and rule.effective <= on:
        yield "root-not-trusted", f". {rule.clients} removed this root on {rule.effective}"
    elif rule.code == "root-leaves-store" and ends >= rule.effective:
        yield (
            rule.code,
            (
                f". {rule.clients} will remove this root about {rule.effective}, but this "
                f"certificate is valid until {ends}"
            ),
        )
