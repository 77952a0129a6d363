"""Determine the issuer of a certificate from the options, the table, and the rules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..rules.model import CertificateRule
from ..topology.model import Computer
from .options import PlanOptions


def find_requested_issuers(rule: CertificateRule, computers: Iterable[Computer]) -> frozenset[str]:
    """Return the issuer types that the table specifies for a certificate.

    Parameters
    ----------
    rule : CertificateRule
        The rule for the certificate.
    computers : iterable of Computer
        The servers that use the certificate.

    Returns
    -------
    frozenset of str
        ``internal`` or ``public``, or both if the cells for its servers or usages differ; empty if
        no cell specifies an issuer.
    """
    choices = [
        find_settings(rule, dict(computer.issuer)) for computer in computers if computer.issuer
    ]
    return frozenset().union(*choices)


def choose_issuer(
    rule: CertificateRule, computers: Iterable[Computer], options: PlanOptions
) -> str:
    """Return the issuer type. An option overrides the table, and the table overrides the rule.

    Returns
    -------
    str
        ``internal`` or ``public``. If the cells request both, the issuer is public, because all
        external clients would reject an internal certificate. A check reports this case.
    """
    for wishes in (find_settings(rule, options.issuer), find_requested_issuers(rule, computers)):
        if wishes:
            return "public" if "public" in wishes else "internal"
    return rule.issuer


def find_target_ca(rule: CertificateRule, issuer: str, options: PlanOptions) -> str:
    """Return the CA that the options specify for a certificate, or ""."""
    choices = {key.lower(): ca for key, ca in options.ca.items()}
    keys = (*rule.usages, rule.role, issuer, "")
    return next((choices[key.lower()] for key in keys if key.lower() in choices), "")


def find_settings(rule: CertificateRule, choices: Mapping[str, str]) -> set[str]:
    """Return the settings for a certificate's usages or role, or else the general settings.

    Letter case does not matter in usages and roles, as in the cmdlets.
    """
    by_key = {key.lower(): issuer for key, issuer in choices.items()}
    keys = (key.lower() for key in (*rule.usages, rule.role))
    special = {by_key[key] for key in keys if key in by_key}
    return special or ({by_key[""]} if "" in by_key else set())


def find_settings_by_usage(rule: CertificateRule, choices: Mapping[str, str]) -> set[str]:
    """Return the settings that apply to each usage of a certificate.

    If the usages have different settings, separate certificates would have different CAs. The
    result
    is empty if no setting applies to the certificate.
    """
    if not find_settings(rule, choices):
        return set()
    by_key = {key.lower(): issuer for key, issuer in choices.items()}
    common = by_key.get(rule.role.lower(), by_key.get("", rule.issuer))
    return {by_key.get(usage.lower(), common) for usage in rule.usages} or {common}
