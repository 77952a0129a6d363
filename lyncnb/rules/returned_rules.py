"""Rules for issued certificates: ``returned_rules.toml`` and CA rules, to findings."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files as package_files
from types import MappingProxyType
from typing import Protocol

from ..base.records import RecordReader
from ..base.toml_text import NotToml, parse_toml
from ..errors import RulesError
from .ca_rules import ca_rules, ca_rules_digest
from .findings import Finding, finding_of
from .model import CheckRule, Rules
from .rule_mistakes import check_checks

Difference = tuple[str, str]  # code, message


class Planned(Protocol):
    """The values of a planned certificate that the checks use."""

    @property
    def id(self) -> str:
        """Its id, the subject of findings."""

    @property
    def role(self) -> str:
        """Its server role."""

    @property
    def usages(self) -> tuple[str, ...]:
        """Its usages, in the spelling of the product's cmdlets."""

    @property
    def issuer(self) -> str:
        """``internal`` or ``public``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnedRules:
    """Rules for issued certificates: ``returned_rules.toml``."""

    checks: Mapping[str, CheckRule]
    never_accepted: frozenset[str] = frozenset()
    accepted_for_a_ca: frozenset[str] = frozenset()
    curves_to_enable: frozenset[str] = frozenset()


_LISTS = ("never_accepted", "accepted_for_a_ca", "curves_to_enable")


@cache
def returned_rules() -> ReturnedRules:
    """Read ``returned_rules.toml``; the same object each time.

    Raises
    ------
    RulesError
        With every mistake of the file, each with its place.
    """
    path = package_files(__package__) / "returned_rules.toml"
    return parse_returned_rules(path.read_text(encoding="utf-8"))


def parse_returned_rules(text: str) -> ReturnedRules:
    """Read the text of ``returned_rules.toml``.

    Raises
    ------
    RulesError
        With every mistake, e.g. of ``check[3].source``.
    """
    name = "returned_rules.toml"
    try:
        document = parse_toml(text)
    except NotToml as error:
        raise RulesError(f"{name}: {error}", hint=error.hint) from None
    reader = RecordReader(name)
    reader.known("", document, ("check", *_LISTS))
    checks = reader.records(CheckRule, document.get("check", []), "check")
    check_checks(reader, checks)
    lists = {
        name: reader.value(tuple[str, ...], document.get(name, []), name) or () for name in _LISTS
    }
    codes = [check.code for check in (*checks.values(), *ca_rules().returned_checks())]
    for name in ("never_accepted", "accepted_for_a_ca"):
        reader.among(name, lists[name], codes, "check")
    if reader.problems:
        raise RulesError(f"{name} has mistakes", problems=tuple(reader.problems))
    return ReturnedRules(
        checks={check.code: check for check in checks.values()},
        **{name: frozenset(values) for name, values in lists.items()},
    )


@cache
def returned_checks() -> Mapping[str, CheckRule]:
    """Return the checks of issued certificates by code, including those of CA rules."""
    ours = returned_rules().checks
    return MappingProxyType(
        {**ours, **{check.code: check for check in ca_rules().returned_checks()}}
    )


def every_check(rules: Rules) -> Mapping[str, CheckRule]:
    """Return all checks of plans (by product and CA rules) and of issued certificates.

    Parameters
    ----------
    rules : Rules
        The rules of the product.

    Returns
    -------
    mapping of str to CheckRule
        By code; checks of CA rules for any date.
    """
    shared = {**returned_checks(), **ca_rules().checks_by_code()}
    if rules.words:
        shared = {code: rules.own(check) for code, check in shared.items()}
    return MappingProxyType({**shared, **rules.checks})


def may_be_accepted(code: str) -> bool:
    """Return whether a planner may accept an error with a reason, because it is about policy.

    Nobody can accept a wrong signature, key, name or date.
    """
    return code in returned_checks() and code not in returned_rules().never_accepted


@cache
def rules_identity() -> str:
    """Return the identity of the rules: the first digits of their SHA-256."""
    path = package_files(__package__) / "returned_rules.toml"
    digest = hashlib.sha256(path.read_bytes() + ca_rules_digest().encode())
    return f"returned_rules {digest.hexdigest()[:16]}"


def finding(code: str, about: str, message: str) -> Finding:
    """Create a finding for a code of ``rules/returned_rules.toml``.

    Parameters
    ----------
    code : str
        A code of the file.
    about : str
        Id of a request, or name of an issued certificate's file.
    message : str
        The message, with the value.
    """
    return finding_of(returned_checks()[code], about, message)


def findings(entry: Planned, differences: Iterable[Difference]) -> tuple[Finding, ...]:
    """Create the findings of one planned certificate, without checks that do not apply to it.

    Parameters
    ----------
    entry : Planned
        The planned certificate.
    differences : iterable of (code, message)
        What was found.
    """
    kept = []
    for code, message in differences:
        rule = returned_checks()[code]
        if rule.issuers and entry.issuer not in rule.issuers:
            continue
        if rule.roles and entry.role not in rule.roles:
            continue
        if rule.usages and not set(rule.usages) & set(entry.usages):
            continue
        if set(rule.not_for) & {entry.role, *entry.usages}:
            continue
        kept.append(finding(code, entry.id, message))
    return tuple(dict.fromkeys(kept))
