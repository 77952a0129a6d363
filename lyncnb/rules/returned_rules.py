"""Read the rules for issued certificates, and create findings from rules."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files as package_files
from types import MappingProxyType

from ..base.planned_entry import PlannedEntry
from ..base.records import RecordReader
from ..base.toml_text import NotToml, parse_toml
from ..errors import RulesError
from .ca_rules import compute_ca_rules_digest, load_ca_rules
from .findings import Finding, create_finding
from .model import CheckRule, Rules
from .rule_mistakes import check_checks

Difference = tuple[str, str]  # Each pair contains the code of a finding and a message.


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnedRules:
    """The rules for issued certificates, from ``returned_rules.toml``."""

    checks: Mapping[str, CheckRule]
    never_accepted: frozenset[str] = frozenset()
    accepted_for_a_ca: frozenset[str] = frozenset()
    curves_to_enable: frozenset[str] = frozenset()


_LISTS = ("never_accepted", "accepted_for_a_ca", "curves_to_enable")


@cache
def load_returned_rules() -> ReturnedRules:
    """Read ``returned_rules.toml``. The result is cached.

    Raises
    ------
    RulesError
        If the file has mistakes. The error lists each mistake with its place.
    """
    path = package_files(__package__) / "returned_rules.toml"
    return parse_returned_rules(path.read_text(encoding="utf-8"))


def parse_returned_rules(text: str) -> ReturnedRules:
    """Parse the text of ``returned_rules.toml``.

    Raises
    ------
    RulesError
        If the text has mistakes. The error lists each one with its place, for example
        ``check[3].source``.
    """
    name = "returned_rules.toml"
    try:
        document = parse_toml(text)
    except NotToml as error:
        raise RulesError(f"{name}: {error}", hint=error.hint) from None
    reader = RecordReader(name)
    reader.reject_unknown_keys("", document, ("check", *_LISTS))
    checks = reader.records(CheckRule, document.get("check", []), "check")
    check_checks(reader, checks)
    lists = {
        name: reader.value(tuple[str, ...], document.get(name, []), name) or () for name in _LISTS
    }
    codes = [check.code for check in (*checks.values(), *load_ca_rules().list_returned_checks())]
    for name in ("never_accepted", "accepted_for_a_ca"):
        reader.report_unknown_values(name, lists[name], codes, "check")
    if reader.problems:
        raise RulesError(f"{name} contains errors", problems=tuple(reader.problems))
    return ReturnedRules(
        checks={check.code: check for check in checks.values()},
        **{name: frozenset(values) for name, values in lists.items()},
    )


@cache
def list_returned_checks() -> Mapping[str, CheckRule]:
    """Return all checks of issued certificates by code, including the checks in the CA rules."""
    ours = load_returned_rules().checks
    return MappingProxyType(
        {**ours, **{check.code: check for check in load_ca_rules().list_returned_checks()}}
    )


#: The codes that findings had in earlier versions, with today's code. A blank code means that
#: lyncnb has no such finding any more. An acceptance of one of these codes counts for today's code.
EARLIER_CODES: Mapping[str, str] = MappingProxyType(
    {
        "edge-pool-name-external": "name-leads-to-two-places",
        "simple-url-is-pool-name": "name-leads-to-two-places",
        "simple-url-is-web-name": "name-leads-to-two-places",
        "web-internal-fqdn-taken": "name-leads-to-two-places",
        "web-names-equal": "name-leads-to-two-places",
        "aliases-validated-by-name": "",
        "caa-parameters-of-zones": "",
        "dnssec-of-zones": "",
        "zones-seen-from-many-places": "",
    }
)


def list_all_checks(rules: Rules) -> Mapping[str, CheckRule]:
    """Return all checks of plans (product and CA rules) and of issued certificates.

    Parameters
    ----------
    rules : Rules
        The rules of the product.

    Returns
    -------
    mapping of str to CheckRule
        The checks by code. Checks in the CA rules are included regardless of their dates.
    """
    shared = {**list_returned_checks(), **load_ca_rules().map_checks_by_code()}
    if rules.words:
        shared = {code: rules.adapt_check(check) for code, check in shared.items()}
    return MappingProxyType({**shared, **rules.checks})


def is_acceptable(code: str) -> bool:
    """Return whether a planner may accept an error if a reason is given.

    A planner may accept only a matter of policy, not an invalid signature, key, name, or date.
    """
    return code in list_returned_checks() and code not in load_returned_rules().never_accepted


@cache
def compute_rules_identity() -> str:
    """Return the first digits of the SHA-256 of the rules, which identify their version."""
    path = package_files(__package__) / "returned_rules.toml"
    digest = hashlib.sha256(path.read_bytes() + compute_ca_rules_digest().encode())
    return f"returned_rules {digest.hexdigest()[:16]}"


def create_returned_finding(code: str, subject_id: str, message: str) -> Finding:
    """Create a finding for a code in ``rules/returned_rules.toml``.

    Parameters
    ----------
    code : str
        A code in the file.
    subject_id : str
        The id of a request, or the file name of an issued certificate.
    message : str
        The message, which contains the value.
    """
    return create_finding(list_returned_checks()[code], subject_id, message)


def create_findings(entry: PlannedEntry, differences: Iterable[Difference]) -> tuple[Finding, ...]:
    """Create the findings for one planned certificate. Checks that do not apply are left out.

    Parameters
    ----------
    entry : PlannedEntry
        The planned certificate.
    differences : iterable of (code, message)
        The differences that were found.
    """
    findings = []
    for code, message in differences:
        rule = list_returned_checks()[code]
        if rule.issuers and entry.issuer not in rule.issuers:
            continue
        if rule.roles and entry.role not in rule.roles:
            continue
        if rule.usages and not set(rule.usages) & set(entry.usages):
            continue
        if set(rule.not_for) & {entry.role, *entry.usages}:
            continue
        findings.append(create_returned_finding(code, entry.id, message))
    return tuple(dict.fromkeys(findings))
