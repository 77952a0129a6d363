"""``products/*.toml`` to ``Rules``: nothing but what the vocabulary knows gets in.

What a product asks of each role is data. This file refuses whatever does not fit its form and
says where: a typo must not become a name on a certificate.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import MISSING, fields
from difflib import get_close_matches
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Any

from ..errors import Problem, RulesError
from .model import (
    EXTENDED_KEY_USAGES,
    FLAGS,
    ISSUERS,
    LAYOUTS,
    OUT_OF_SCOPE,
    PLACEHOLDERS,
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
)


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
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RulesError(
            f"{source} is not TOML: {error}", hint="texts stand in quotes, tables in brackets"
        ) from error
    reader = _Reader(document, source)
    rules = reader.rules()
    if reader.problems:
        raise RulesError(f"{source} has mistakes", problems=tuple(reader.problems))
    return rules


class _Reader:
    """Turns one document into rules and keeps every mistake it meets."""

    def __init__(self, document: dict[str, Any], source: str):
        self.document = document
        self.source = source
        self.problems: list[Problem] = []

    def problem(self, message: str, *, hint: str = "") -> None:
        self.problems.append(Problem(message=message, file=self.source, hint=hint))

    def rules(self) -> Rules:
        names = self.entries("name", NameRule, "id")
        certificates = self.entries("certificate", CertificateRule, "id")
        roles = self.entries("role", RoleRule, "id")
        checks = self.entries("check", CheckRule, "code")
        parties = self.entries("party", PartyRule, "id")
        connections = self.entries("connection", ConnectionRule, "id")
        if not self.problems:  # what follows trusts that values have the right kind
            self.check_names(names)
            self.check_certificates(certificates, names, roles)
            self.check_checks(checks)
            self.check_connections(connections, parties, roles, names)
        taken = {
            *("product", "title", "name", "certificate", "role", "check"),
            *("party", "connection"),
        }
        others = self.document.keys() - taken
        for key in sorted(others):  # the tables of other files; only what looks like a slip is told
            if close := get_close_matches(key, taken, n=1, cutoff=0.75):
                self.problem(f"Unknown key in '{key}'", hint=f"did you mean {close[0]}?")
        return Rules(
            product=self.text("product"),
            title=self.text("title"),
            roles=MappingProxyType({role.id: role for role in roles.values()}),
            names=MappingProxyType({name.id: name for name in names.values()}),
            certificates=tuple(certificates.values()),
            checks=MappingProxyType({check.code: check for check in checks.values()}),
            parties=MappingProxyType({party.id: party for party in parties.values()}),
            connections=tuple(connections.values()),
            settings=MappingProxyType(
                {key: value for key, value in self.document.items() if key in others}
            ),
        )

    def text(self, key: str) -> str:
        value = self.document.get(key, "")
        if not isinstance(value, str) or not value:
            self.problem(f"Missing required value in '{key}'")
        return str(value)

    def entries(self, table: str, kind: type, key: str) -> dict[str, Any]:
        """Give the entries of one array of tables by their place, e.g. ``certificate[3]``."""
        found: dict[str, Any] = {}
        seen: dict[str, str] = {}
        for index, entry in enumerate(self.document.get(table, ())):
            where = f"{table}[{index}]"
            value = self.entry(where, kind, entry)
            if value is None:
                continue
            found[where] = value
            identity = getattr(value, key)
            if identity in seen:
                self.problem(f"'{where}.{key}' repeats \"{identity}\" of '{seen[identity]}'")
            seen[identity] = where
        return found

    def entry(self, where: str, kind: type, entry: object) -> Any:
        if not isinstance(entry, dict):
            self.problem(f"'{where}' is not a table")
            return None
        known = {item.name: item for item in fields(kind)}
        before = len(self.problems)
        for key in sorted(entry.keys() - known.keys()):
            self.problem(f"Unknown key in '{where}.{key}'", hint=f"the keys are {', '.join(known)}")
        values = {}
        for name, item in known.items():
            required = item.default is MISSING and item.default_factory is MISSING
            if name in entry:
                values[name] = self.value(f"{where}.{name}", str(item.type), entry[name], required)
            elif required:
                self.problem(f"Missing required value in '{where}.{name}'")
        return kind(**values) if len(self.problems) == before else None

    def value(self, where: str, kind: str, value: object, required: bool) -> Any:
        """Check one value against the annotation of its field."""
        if kind == "str":
            if isinstance(value, str) and (value.strip() or not required):
                return value
            if value == "":
                self.problem(f"Missing required value in '{where}'")
                return None
        elif kind in ("tuple[str, ...]", "frozenset[str]"):
            if isinstance(value, list) and all(isinstance(item, str) for item in value):
                return tuple(value) if kind.startswith("tuple") else frozenset(value)
        elif kind.startswith("Mapping"):
            if isinstance(value, dict):
                return MappingProxyType(
                    {
                        key: self.value(f"{where}.{key}", "tuple[str, ...]", item, True)
                        for key, item in value.items()
                    }
                )
        elif (kind, type(value)) in (("bool", bool), ("int", int)):
            return value
        words = {"str": "text", "bool": "true or false", "int": "a whole number"}
        self.problem(f"'{where}' must be {words.get(kind, 'a list of texts')}, not {value!r}")
        return None

    def among(self, where: str, values: tuple[str, ...], known: Any, what: str) -> None:
        for value in values:
            if value not in known:
                self.problem(
                    f"Unknown {what} \"{value}\" in '{where}'", hint=f"known: {', '.join(known)}"
                )

    def check_names(self, names: dict[str, NameRule]) -> None:
        for where, name in names.items():
            match = TEMPLATE.fullmatch(name.template)
            if match is None:
                self.problem(
                    f"'{where}.template' is \"{name.template}\"",
                    hint="lower case letters, digits, '-', '.', and at most one {placeholder}",
                )
            elif match[2]:
                self.among(f"{where}.template", (match[2],), PLACEHOLDERS, "placeholder")
            for condition in ("if_all", "if_any", "unless"):
                self.among(f"{where}.{condition}", getattr(name, condition), FLAGS, "flag")

    def check_certificates(
        self,
        certificates: dict[str, CertificateRule],
        names: dict[str, NameRule],
        roles: dict[str, RoleRule],
    ) -> None:
        name_ids = {name.id for name in names.values()}
        role_ids = {role.id for role in roles.values()}
        for where, rule in certificates.items():
            shared = rule.issue_per == "deployment"
            used = (rule.subject_name, *rule.subject_alt_name)
            self.among(f"{where}.subject_name", (rule.subject_name,), name_ids, "name")
            self.among(f"{where}.subject_alt_name", rule.subject_alt_name, name_ids, "name")
            self.among(f"{where}.role", () if shared else (rule.role,), role_ids, "role")
            self.among(f"{where}.needed_by", rule.needed_by, role_ids, "role")
            self.among(f"{where}.if_all", rule.if_all, FLAGS, "flag")
            self.among(
                f"{where}.extended_key_usage_if", tuple(rule.extended_key_usage_if), FLAGS, "flag"
            )
            ekus = (*rule.extended_key_usage, *sum(rule.extended_key_usage_if.values(), ()))
            self.among(f"{where}.extended_key_usage", ekus, EXTENDED_KEY_USAGES, "key usage")
            self.among(f"{where}.issuer", (rule.issuer,), ISSUERS, "issuer")
            self.among(f"{where}.layout", (rule.layout,), ("", *LAYOUTS), "layout")
            self.among(f"{where}.profiles", rule.profiles, PROFILES, "profile")
            self.among(f"{where}.issue_per", (rule.issue_per,), tuple(OUT_OF_SCOPE), "value")
            self.check_scope(where, rule, [n for n in names.values() if n.id in used])

    def check_scope(self, where: str, rule: CertificateRule, names: list[NameRule]) -> None:
        """Refuse names that a certificate for many cannot have, e.g. the one server's."""
        for name in names:
            placeholder = name.parts[1]
            if placeholder.startswith(OUT_OF_SCOPE.get(rule.issue_per, ())):
                self.problem(
                    f"'{where}' is issued per {rule.issue_per} and cannot use the name "
                    f'"{name.id}" with {{{placeholder}}}'
                )
        if (rule.issue_per == "deployment") != bool(rule.needed_by):
            self.problem(f"'{where}.needed_by' goes with issue_per = \"deployment\" and only there")

    def check_connections(
        self,
        connections: dict[str, ConnectionRule],
        parties: dict[str, PartyRule],
        roles: dict[str, RoleRule],
        names: dict[str, NameRule],
    ) -> None:
        role_ids = {role.id for role in roles.values()}
        party_ids = {party.id for party in parties.values()}
        name_ids = {name.id for name in names.values()}
        for where, rule in connections.items():
            self.among(f"{where}.speakers", rule.speakers, role_ids | party_ids, "role or party")
            self.among(f"{where}.listeners", rule.listeners, role_ids, "role")
            self.among(f"{where}.names", rule.names, name_ids, "name")
            self.among(f"{where}.reach", (rule.reach,), REACHES, "reach")
            self.among(f"{where}.if_all", rule.if_all, FLAGS, "flag")
        zones = {where: role.zone for where, role in roles.items()}
        zones |= {where: party.zone for where, party in parties.items()}
        for where, zone in zones.items():
            self.among(f"{where}.zone", (zone,), ZONES, "zone")

    def check_checks(self, checks: dict[str, CheckRule]) -> None:
        for where, check in checks.items():
            self.among(f"{where}.severity", (check.severity,), SEVERITIES, "severity")
            self.among(f"{where}.issuers", check.issuers, ISSUERS, "issuer")
            if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", check.code):
                self.problem(
                    f"'{where}.code' is \"{check.code}\"", hint="write it as words-with-hyphens"
                )
