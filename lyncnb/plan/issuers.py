"""Who issues a certificate: what options, table and rules ask, and how that is settled."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..rules.model import CertificateRule
from ..topology.model import Computer
from .options import PlanOptions


def issuers_asked(rule: CertificateRule, computers: Iterable[Computer]) -> frozenset[str]:
    """Collect what the table's cells ask as issuer of one certificate.

    Parameters
    ----------
    rule : CertificateRule
        The certificate.
    computers : iterable of Computer
        The servers it is for.

    Returns
    -------
    frozenset of str
        Of ``internal`` and ``public``: none if no cell says anything; both if servers that share
        the certificate disagree, or cells for usages that it combines.
    """
    said = [asked(rule, dict(computer.issuer)) for computer in computers if computer.issuer]
    return frozenset().union(*said)


def settle_issuer(
    rule: CertificateRule, computers: Iterable[Computer], options: PlanOptions
) -> str:
    """Settle who issues: an option beats the cells, a cell beats the rule.

    Returns
    -------
    str
        ``internal`` or ``public``. Where both are asked it is public: such a certificate serves
        both ends, an internal one fails for everybody outside. The checks tell of it.
    """
    for wishes in (asked(rule, options.issuer), issuers_asked(rule, computers)):
        if wishes:
            return "public" if "public" in wishes else "internal"
    return rule.issuer


def target_ca(rule: CertificateRule, issuer: str, options: PlanOptions) -> str:
    """Find the name of the CA that is to issue: by usage, role, issuer, or for all; else ""."""
    choices = {key.lower(): ca for key, ca in options.ca.items()}
    keys = (*rule.usages, rule.role, issuer, "")
    return next((choices[key.lower()] for key in keys if key.lower() in choices), "")


def asked(rule: CertificateRule, choices: Mapping[str, str]) -> set[str]:
    """Collect the choices for a certificate: for its usages or role, else the general one.

    Usages and roles match without regard to case, as the cmdlets take them.
    """
    by_key = {key.lower(): issuer for key, issuer in choices.items()}
    keys = (key.lower() for key in (*rule.usages, rule.role))
    special = {by_key[key] for key in keys if key in by_key}
    return special or ({by_key[""]} if "" in by_key else set())


def wishes_by_usage(rule: CertificateRule, choices: Mapping[str, str]) -> set[str]:
    """Collect what the choices come to for each usage of a certificate, one by one.

    More than one means that the usages would go to different CAs if they were not combined.
    Nothing if the choices say nothing about this certificate.
    """
    if not asked(rule, choices):
        return set()
    by_key = {key.lower(): issuer for key, issuer in choices.items()}
    common = by_key.get(rule.role.lower(), by_key.get("", rule.issuer))
    return {by_key.get(usage.lower(), common) for usage in rule.usages} or {common}
