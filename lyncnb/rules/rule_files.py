"""``products/*.toml`` to ``Rules``: nothing but what the vocabulary knows gets in.

What a product asks of each role is data. This file refuses whatever does not fit its form and
says where: a typo must not become a name on a certificate.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Protocol

from ..base.certificate_fields import EXTENDED_KEY_USAGES
from ..base.toml_records import NotToml, TomlReader, named, parse_toml
from ..errors import Problem, RulesError
from .model import (
    ISSUERS,
    LAYOUTS,
    OUT_OF_SCOPE,
    PROFILES,
    REACHES,
    SEVERITIES,
    TEMPLATE,
    ZONES,
    CertificateRule,
    CheckRule,
    ConnectionRule,
    NameRule,
    PartyRule,
    RoleRule,
    Rules,
    SummaryCommand,
    known_flags,
    placeholders,
)
from .procedure import load_procedure, package_rules


def products() -> tuple[str, ...]:
    """Name the products whose rules the package holds, in alphabetical order."""
    folder = resources.files(__package__.rpartition(".")[0]) / "products"
    return tuple(sorted(f.name[:-5] for f in folder.iterdir() if f.name.endswith(".toml")))


def load_rules(product: str = "lync2013") -> Rules:
    """Read what one product version asks of each role.

    Parameters
    ----------
    product : str, optional
        One of ``products()``.

    Returns
    -------
    Rules
        Checked and immutable; the same object each time.

    Raises
    ------
    RulesError
        If there is no such product, or its file is wrong.
    """
    if product not in products():
        raise RulesError(
            f'there are no rules for a product "{product}"',
            hint=f"the products are {', '.join(products())}",
        )
    return _load(product)


@cache
def _load(product: str) -> Rules:
    file = resources.files(__package__.rpartition(".")[0]) / "products" / f"{product}.toml"
    return parse_rules(file.read_text(encoding="utf-8"), source=f"{product}.toml")


def parse_rules(text: str, *, source: str) -> Rules:
    """Read the text of a rule file.

    Parameters
    ----------
    text : str
        TOML, see the first lines of ``products/lync2013.toml``.
    source : str
        Name of the file, for messages.

    Returns
    -------
    Rules
        Checked: every reference resolves, every placeholder and flag is known.

    Raises
    ------
    RulesError
        With every mistake of the file, each with its place, e.g. ``certificate[3].source``
        (counted from 0, as TOML tools do).
    """
    try:
        document = parse_toml(text)
    except NotToml as error:
        raise RulesError(f"{source}: {error}", hint=error.hint) from None
    reader = TomlReader(source)
    rules = _rules(reader, document)
    if reader.problems:
        raise RulesError(f"{source} has mistakes", problems=tuple(reader.problems))
    return rules


_TABLES = (
    *("product", "title", "role", "name", "certificate", "check", "party", "connection"),
    *("summary", "pfx", "deploy"),
)


def _rules(reader: TomlReader, document: Mapping[str, object]) -> Rules:
    names = reader.records(NameRule, document.get("name", []), "name")
    certificates = reader.records(CertificateRule, document.get("certificate", []), "certificate")
    roles = reader.records(RoleRule, document.get("role", []), "role")
    checks = reader.records(CheckRule, document.get("check", []), "check")
    parties = reader.records(PartyRule, document.get("party", []), "party")
    connections = reader.records(ConnectionRule, document.get("connection", []), "connection")
    for records in (names, certificates, roles, parties, connections):
        reader.once(records, "id")
    if not reader.problems:  # what follows trusts that values have the right kind
        _check_names(reader, names)
        _check_certificates(reader, certificates, names, roles)
        _check_connections(reader, connections, parties, roles, names)
    check_checks(reader, checks)
    reader.known("", document, _TABLES)
    title, product = (
        reader.value(str, document.get(key, ""), key, required=True) for key in ("title", "product")
    )
    rules = Rules(
        product=product,
        title=title,
        roles=MappingProxyType({role.id: role for role in roles.values()}),
        names=MappingProxyType({name.id: name for name in names.values()}),
        certificates=tuple(certificates.values()),
        checks=MappingProxyType({check.code: check for check in checks.values()}),
        parties=MappingProxyType({party.id: party for party in parties.values()}),
        connections=tuple(connections.values()),
        settings=MappingProxyType(
            {key: document[key] for key in ("pfx", "deploy") if key in document}
        ),
        summary=_summary(reader, document.get("summary", {})),
    )
    _check_settings(reader, rules)
    return rules


@dataclass(frozen=True, slots=True, kw_only=True)
class _Summary:
    """The table ``[summary]``."""

    commands: tuple[SummaryCommand, ...] = named("command", default=())


def _summary(reader: TomlReader, table: object) -> tuple[SummaryCommand, ...]:
    summary = reader.record(_Summary, table, "summary")
    return summary.commands if summary else ()


def _check_settings(reader: TomlReader, rules: Rules) -> None:
    """Read the tables that other commands ask for later: a typing error there is told now."""
    for key, read in (("pfx", package_rules), ("deploy", load_procedure)):
        if key not in rules.settings:
            continue
        try:
            read(rules)
        except RulesError as error:
            told = Problem(message=error.message, file=reader.source, hint=error.hint)
            reader.problems.extend(error.problems or (told,))


class _Coded(Protocol):
    """What every kind of check says of itself."""

    @property
    def code(self) -> str:
        """Its code."""

    @property
    def severity(self) -> str:
        """Error, warning or notice."""


class _Dated(Protocol):
    """What holds for a time."""

    @property
    def effective(self) -> date | None:
        """The first day on which it holds; None: always did."""

    @property
    def until(self) -> date | None:
        """The first day on which it holds no more; None: without end."""


def check_checks(reader: TomlReader, checks: Mapping[str, CheckRule]) -> None:
    """Refuse checks that say what no check can say, by their place in the file."""
    check_codes(reader, checks)
    check_periods(reader, checks)
    for where, check in checks.items():
        reader.among(f"{where}.issuers", check.issuers, ISSUERS, "issuer")


def check_codes(reader: TomlReader, checks: Mapping[str, _Coded]) -> None:
    """Refuse codes that are there twice or misspelt, severities and periods that there are not."""
    reader.once(checks, "code")
    for where, check in checks.items():
        reader.among(f"{where}.severity", (check.severity,), SEVERITIES, "severity")
        if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", check.code):
            reader.problem(
                f"'{where}.code' is \"{check.code}\"", hint="write it as words-with-hyphens"
            )


def check_periods(reader: TomlReader, rules: Mapping[str, _Dated]) -> None:
    """Refuse rules that end before they begin, by their place in the file."""
    for where, rule in rules.items():
        if rule.effective and rule.until and rule.effective >= rule.until:
            reader.problem(f"'{where}.until' is not after 'effective'", "leave one of them out")


def _check_names(reader: TomlReader, names: Mapping[str, NameRule]) -> None:
    for where, name in names.items():
        match = TEMPLATE.fullmatch(name.template)
        if match is None:
            reader.problem(
                f"'{where}.template' is \"{name.template}\"",
                hint="lower case letters, digits, '-', '.', and at most one {placeholder}",
            )
        elif match[2]:
            reader.among(f"{where}.template", (match[2],), placeholders(), "placeholder")
        for condition in ("if_all", "if_any", "unless"):
            reader.among(f"{where}.{condition}", getattr(name, condition), known_flags(), "flag")


def _check_certificates(
    reader: TomlReader,
    certificates: Mapping[str, CertificateRule],
    names: Mapping[str, NameRule],
    roles: Mapping[str, RoleRule],
) -> None:
    name_ids = {name.id for name in names.values()}
    role_ids = {role.id for role in roles.values()}
    for where, rule in certificates.items():
        shared = rule.issue_per == "deployment"
        used = (rule.subject_name, *rule.subject_alt_name)
        ekus = (*rule.extended_key_usage, *sum(rule.extended_key_usage_if.values(), ()))
        for key, values, known, what in (
            ("subject_name", (rule.subject_name,), name_ids, "name"),
            ("subject_alt_name", rule.subject_alt_name, name_ids, "name"),
            ("role", () if shared else (rule.role,), role_ids, "role"),
            ("needed_by", rule.needed_by, role_ids, "role"),
            ("if_all", rule.if_all, known_flags(), "flag"),
            ("extended_key_usage_if", tuple(rule.extended_key_usage_if), known_flags(), "flag"),
            ("extended_key_usage", ekus, EXTENDED_KEY_USAGES, "key usage"),
            ("issuer", (rule.issuer,), ISSUERS, "issuer"),
            ("layout", (rule.layout,), ("", *LAYOUTS), "layout"),
            ("profiles", rule.profiles, PROFILES, "profile"),
            ("issue_per", (rule.issue_per,), OUT_OF_SCOPE, "value"),
        ):
            reader.among(f"{where}.{key}", values, known, what)
        _check_scope(reader, where, rule, [n for n in names.values() if n.id in used])


def _check_scope(
    reader: TomlReader, where: str, rule: CertificateRule, names: list[NameRule]
) -> None:
    """Refuse names that a certificate for many cannot have, e.g. the one server's."""
    for name in names:
        placeholder = name.parts[1]
        if placeholder.startswith(OUT_OF_SCOPE.get(rule.issue_per, ())):
            reader.problem(
                f"'{where}' is issued per {rule.issue_per} and cannot use the name "
                f'"{name.id}" with {{{placeholder}}}'
            )
    if (rule.issue_per == "deployment") != bool(rule.needed_by):
        reader.problem(f"'{where}.needed_by' goes with issue_per = \"deployment\" and only there")


def _check_connections(
    reader: TomlReader,
    connections: Mapping[str, ConnectionRule],
    parties: Mapping[str, PartyRule],
    roles: Mapping[str, RoleRule],
    names: Mapping[str, NameRule],
) -> None:
    role_ids = {role.id for role in roles.values()}
    party_ids = {party.id for party in parties.values()}
    name_ids = {name.id for name in names.values()}
    for where, rule in connections.items():
        reader.among(f"{where}.speakers", rule.speakers, role_ids | party_ids, "role or party")
        reader.among(f"{where}.listeners", rule.listeners, role_ids, "role")
        reader.among(f"{where}.names", rule.names, name_ids, "name")
        reader.among(f"{where}.reach", (rule.reach,), REACHES, "reach")
        reader.among(f"{where}.if_all", rule.if_all, known_flags(), "flag")
    for where, role in roles.items():
        reader.among(f"{where}.hosted_by", role.hosted_by, {r.id for r in roles.values()}, "role")
    zones = {where: role.zone for where, role in roles.items()}
    zones |= {where: party.zone for where, party in parties.items()}
    for where, zone in zones.items():
        reader.among(f"{where}.zone", (zone,), ZONES, "zone")
