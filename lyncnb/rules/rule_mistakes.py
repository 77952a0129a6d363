"""Find mistakes in rules, such as unknown names, roles, flags, or placeholders.

All readers of rules use these functions: for products, CAs, and issued certificates. Each mistake
is reported with its place in the file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from ..base.certificate_fields import EXTENDED_KEY_USAGES
from ..base.records import RecordReader, describe_value
from .model import (
    ISSUERS,
    LAYOUTS,
    OUT_OF_SCOPE,
    PORT_CHOICES,
    PROFILES,
    REACHES,
    SEVERITIES,
    TEMPLATE,
    ZONES,
    CertificateRule,
    CheckRule,
    CheckTerms,
    ConnectionRule,
    DestinationRule,
    NameRule,
    PartyRule,
    PeriodRule,
    PortRule,
    RoleRule,
    TrustRule,
    UnseenRule,
    list_flags,
    list_placeholders,
)


def check_checks(reader: RecordReader, checks: Mapping[str, CheckRule]) -> None:
    """Report mistakes in checks, with the location in the file."""
    check_codes(reader, checks)
    check_periods(reader, checks)
    for location, check in checks.items():
        reader.report_unknown_values(f"{location}.issuers", check.issuers, ISSUERS, "issuer")


def check_codes(reader: RecordReader, checks: Mapping[str, CheckTerms]) -> None:
    """Report duplicate or invalid codes, and unknown severities."""
    reader.report_duplicates(checks, "code")
    for location, check in checks.items():
        reader.report_unknown_values(
            f"{location}.severity", (check.severity,), SEVERITIES, "severity"
        )
        if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", check.code):
            reader.problem(
                f"'{location}.code' is \"{check.code}\"",
                hint="use lowercase letters and digits, with hyphens between words",
            )


def check_periods(reader: RecordReader, rules: Mapping[str, PeriodRule]) -> None:
    """Report rules whose end date is not after their start date."""
    for location, rule in rules.items():
        if rule.effective and rule.until and rule.effective >= rule.until:
            reader.problem(
                f"'{location}.until' must be later than 'effective'",
                "correct or remove one of the dates",
            )


def check_names(reader: RecordReader, names: Mapping[str, NameRule]) -> None:
    """Report unknown placeholders in templates and unknown flags in conditions."""
    known, flags = list_placeholders(), list_flags()
    for location, name in names.items():
        match = TEMPLATE.fullmatch(name.template)
        if match is None:
            reader.problem(
                f"'{location}.template' is \"{name.template}\"",
                hint="use lowercase letters, digits, '-', '.', and at most one {placeholder}",
            )
        elif match[2]:
            reader.report_unknown_values(f"{location}.template", (match[2],), known, "placeholder")
        for condition in ("if_all", "if_any", "unless"):
            reader.report_unknown_values(
                f"{location}.{condition}", getattr(name, condition), flags, "flag"
            )


# Product names, roles, and usages become parts of file names and scripts, so they must not contain
# a path.
PRODUCT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9]*")


def check_words(
    reader: RecordReader,
    product: str,
    roles: Mapping[str, RoleRule],
    certificates: Mapping[str, CertificateRule],
) -> None:
    """Report a product name, role, or usage that is not a single word."""
    if product and not PRODUCT_NAME.fullmatch(product):
        reader.problem(
            f"'product' is {describe_value(product)}", "use only letters, digits, '-' and '_'"
        )
    words = {f"{location}.id": role.id for location, role in roles.items()}
    for location, rule in certificates.items():
        words[f"{location}.role"] = rule.role
        words |= {f"{location}.usages[{n}]": usage for n, usage in enumerate(rule.usages)}
    for location, word in words.items():
        if not _WORD.fullmatch(word):
            reader.problem(
                f"'{location}' is {describe_value(word)}",
                "use one word that contains only letters and digits",
            )


def list_ids(document: Mapping[str, object], kind: str) -> list[str]:
    """Return the IDs of all records in an array, including invalid records."""
    records = document.get(kind, [])
    ids = (
        [record.get("id") for record in records if isinstance(record, Mapping)]
        if isinstance(records, list)
        else []
    )
    return sorted(record for record in ids if isinstance(record, str))


def check_certificates(
    reader: RecordReader,
    certificates: Mapping[str, CertificateRule],
    names: Mapping[str, NameRule],
    known_ids: Mapping[str, list[str]],
) -> None:
    """Report certificates with unknown names, roles, flags, or usages."""
    name_ids, role_ids, flags = known_ids["name"], known_ids["role"], list_flags()
    for location, rule in certificates.items():
        shared = rule.issue_per == "deployment"
        used = (rule.subject_name, *rule.subject_alt_name)
        ekus = (*rule.extended_key_usage, *sum(rule.extended_key_usage_if.values(), ()))
        for key, values, words, kind in (
            ("subject_name", (rule.subject_name,), name_ids, "name"),
            ("subject_alt_name", rule.subject_alt_name, name_ids, "name"),
            ("role", () if shared else (rule.role,), role_ids, "role"),
            ("needed_by", rule.needed_by, role_ids, "role"),
            ("if_all", rule.if_all, flags, "flag"),
            ("unless", rule.unless, flags, "flag"),
            ("extended_key_usage_if", tuple(rule.extended_key_usage_if), flags, "flag"),
            ("extended_key_usage", ekus, EXTENDED_KEY_USAGES, "key usage"),
            ("issuer", (rule.issuer,), ISSUERS, "issuer"),
            ("layout", (rule.layout,), ("", *LAYOUTS), "layout"),
            ("profiles", rule.profiles, PROFILES, "profile"),
            ("issue_per", (rule.issue_per,), OUT_OF_SCOPE, "value"),
            ("per_pool_if", rule.per_pool_if, flags, "flag"),
        ):
            reader.report_unknown_values(f"{location}.{key}", values, words, kind)
        _check_scope(reader, location, rule, [n for n in names.values() if n.id in used])


def _check_scope(
    reader: RecordReader, location: str, rule: CertificateRule, names: list[NameRule]
) -> None:
    """Report names that a shared certificate cannot have, such as the name of a single server."""
    for name in names:
        placeholder = name.parts[1]
        if placeholder.startswith(OUT_OF_SCOPE.get(rule.issue_per, ())):
            reader.problem(
                f"'{location}' is issued per {rule.issue_per}, so it cannot use the name "
                f'"{name.id}" with {{{placeholder}}}'
            )
    if rule.per_pool_if and rule.issue_per != "computer":
        reader.problem(f"'{location}.per_pool_if' is allowed only with issue_per = \"computer\"")
    if (rule.issue_per == "deployment") != bool(rule.needed_by):
        reader.problem(f"'{location}.needed_by' is allowed only with issue_per = \"deployment\"")


def check_connections(
    reader: RecordReader,
    connections: Mapping[str, ConnectionRule],
    known_ids: Mapping[str, list[str]],
) -> None:
    """Report connections with unknown roles, parties, or names."""
    roles, speakers, flags = known_ids["role"], known_ids["role"] + known_ids["party"], list_flags()
    for location, rule in connections.items():
        reader.report_unknown_values(
            f"{location}.speakers", rule.speakers, speakers, "role or party"
        )
        reader.report_unknown_values(f"{location}.listeners", rule.listeners, roles, "role")
        reader.report_unknown_values(f"{location}.names", rule.names, known_ids["name"], "name")
        reader.report_unknown_values(f"{location}.reach", (rule.reach,), REACHES, "reach")
        reader.report_unknown_values(f"{location}.if_all", rule.if_all, flags, "flag")


def check_trust_rules(
    reader: RecordReader, trust_rules: Mapping[str, TrustRule], known_ids: Mapping[str, list[str]]
) -> None:
    """Report trust rules with unknown references, or with both connections and roles."""
    for location, rule in trust_rules.items():
        reader.report_unknown_values(
            f"{location}.connections", rule.connections, known_ids["connection"], "connection"
        )
        reader.report_unknown_values(f"{location}.roles", rule.roles, known_ids["role"], "role")
        if bool(rule.connections) == bool(rule.roles):
            reader.problem(
                f"'{location}' must have either connections or roles",
                "keep only one of the two keys",
            )
        for key in ("speaker_eku", "listener_eku"):
            reader.report_unknown_values(
                f"{location}.{key}", getattr(rule, key), EXTENDED_KEY_USAGES, "usage"
            )


def check_ports(
    reader: RecordReader,
    ports: Mapping[str, PortRule],
    unseen_rules: Mapping[str, UnseenRule],
    known_ids: Mapping[str, list[str]],
) -> None:
    """Report rules for ports with unknown roles, names, flags or zones.

    Rules for certificates that no port presents are checked in the same way.
    """
    for location, rule in ports.items():
        reader.report_unknown_values(f"{location}.roles", rule.roles, known_ids["role"], "role")
        for key, names in (("names", rule.names), ("anchors", rule.anchors)):
            reader.report_unknown_values(f"{location}.{key}", names, known_ids["name"], "name")
        reader.report_unknown_values(f"{location}.zone", (rule.zone,), ZONES, "zone")
        reader.report_unknown_values(
            f"{location}.also", (rule.also,), ("", *PORT_CHOICES), "choice"
        )
        reader.report_unknown_values(f"{location}.if_all", rule.if_all, list_flags(), "flag")
    for location, absent in unseen_rules.items():
        reader.report_unknown_values(f"{location}.roles", absent.roles, known_ids["role"], "role")


def check_destinations(reader: RecordReader, destinations: Mapping[str, DestinationRule]) -> None:
    """Report destinations with an unknown side, or that share a name with an unknown one."""
    known = [rule.id for rule in destinations.values()]
    for location, rule in destinations.items():
        reader.report_unknown_values(f"{location}.sides", sorted(rule.sides), ZONES, "side")
        shares = sorted(rule.shares)
        reader.report_unknown_values(f"{location}.shares", shares, known, "destination")


def check_roles(
    reader: RecordReader,
    roles: Mapping[str, RoleRule],
    parties: Mapping[str, PartyRule],
    known_ids: Mapping[str, list[str]],
) -> None:
    """Report roles with an unknown zone, or with an unknown role in hosted_by."""
    for location, role in roles.items():
        reader.report_unknown_values(
            f"{location}.hosted_by", role.hosted_by, known_ids["role"], "role"
        )
    zones = {location: role.zone for location, role in roles.items()}
    zones |= {location: party.zone for location, party in parties.items()}
    for location, zone in zones.items():
        reader.report_unknown_values(f"{location}.zone", (zone,), ZONES, "zone")
