"""The issuer of a certificate: the requests of options, table and rules, and the decision."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..rules.model import CertificateRule
from ..topology.model import Computer
from .options import PlanOptions


def issuers_asked(rule: CertificateRule, computers: Iterable[Computer]) -> frozenset[str]:
    """Collect the issuers that the table's cells request for one certificate.

    Parameters
    ----------
    rule : CertificateRule
        The certificate.
    computers : iterable of Computer
        The servers it is for.

    Returns
    -------
    frozenset of str
        ``internal``, ``public``, or both if the cells of its servers or usages disagree; empty if
        no cell requests an issuer.
    """
    choices = [asked(rule, dict(computer.issuer)) for computer in computers if computer.issuer]
    return frozenset().union(*choices)


def settle_issuer(
    rule: CertificateRule, computers: Iterable[Computer], options: PlanOptions
) -> str:
    """Decide the issuer: an option overrides the cells, a cell overrides the rule.

    Returns
    -------
    str
        ``internal`` or ``public``. If the cells request both it is public, because an internal
        certificate fails for all external clients. The checks report it.
    """
    for wishes in (asked(rule, options.issuer), issuers_asked(rule, computers)):
        if wishes:
            return "public" if "public" in wishes else "internal"
    return rule.issuer


def target_ca(rule: CertificateRule, issuer: str, options: PlanOptions) -> str:
    """Return the CA's name: by usage, role, issuer, or for all; else ""."""
    choices = {key.lower(): ca for key, ca in options.ca.items()}
    keys = (*rule.usages, rule.role, issuer, "")
    return next((choices[key.lower()] for key in keys if key.lower() in choices), "")


def asked(rule: CertificateRule, choices: Mapping[str, str]) -> set[str]:
    """Collect the settings for a certificate: for its usages or role, else the general one.

    Usages and roles match in any letter case, as in the cmdlets.
    """
    by_key = {key.lower(): issuer for key, issuer in choices.items()}
    keys = (key.lower() for key in (*rule.usages, rule.role))
    special = {by_key[key] for key in keys if key in by_key}
    return special or ({by_key[""]} if "" in by_key else set())


def settings_by_usage(rule: CertificateRule, choices: Mapping[str, str]) -> set[str]:
    """Collect the settings that apply to each single usage of a certificate.

    More than one setting means that the usages would have different CAs in separate certificates.
    Empty if no setting applies to this certificate.
    """
    if not asked(rule, choices):
        return set()
    by_key = {key.lower(): issuer for key, issuer in choices.items()}
    common = by_key.get(rule.role.lower(), by_key.get("", rule.issuer))
    return {by_key.get(usage.lower(), common) for usage in rule.usages} or {common}
