"""Create a page that lists every finding with its meaning, hint, and source."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..base.disk.outputs import OutputKind, match_page
from ..base.shown.html_page import render_template
from .ca_rules import CaLimit, RootRule, load_ca_rules
from .model import SEVERITIES, Case, CheckRule, Rules
from .returned_rules import is_acceptable, list_returned_checks

_TITLE = "Findings of lyncnb"

#: The file name of the page that :func:`build_finding_page` creates.
FINDING_PAGE = OutputKind(what="a page of findings", is_ours={".html": match_page(_TITLE.encode())})


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A finding on the page about findings.

    The periods and examples are text, or "" if there are none.
    """

    rule: CheckRule
    days: str
    whom: str
    fires: str
    nearest: str
    acceptance: str
    limits: tuple[str, ...] = ()


def build_finding_page(rules: Rules) -> str:
    """Create an HTML page that explains every finding about plans and issued certificates.

    Parameters
    ----------
    rules : Rules
        The rules of the product.

    Returns
    -------
    str
        HTML without external resources. The code of each finding is the id of its heading.
    """
    cas = load_ca_rules()
    numbers = {check.code: _format_limits(check.limit_of) for check in cas.checks if check.limit_of}
    numbers |= {
        code: tuple(_format_root(root) for root in cas.roots if root.code == code)
        for code in dict.fromkeys(root.code for root in cas.roots)
    }
    of_plans = [rules.adapt_check(cas.convert_check(c)) for c in cas.checks if "plan" in c.judges]
    sections = (
        (f"Plans: rules for {rules.title}", list(rules.checks.values())),
        (f"Plans: rules for CAs (as of {cas.as_of})", of_plans),
        ("Issued certificates", list(map(rules.adapt_check, list_returned_checks().values()))),
    )
    returned = {*list_returned_checks()}
    return render_template(
        "rules/findings.html.j2",
        title=_TITLE,
        sections=[
            (
                heading,
                [
                    _build_finding_entry(rule, numbers.get(rule.code, ()), returned)
                    for rule in _sort_entries(checks)
                ],
            )
            for heading, checks in sections
        ],
    )


def _sort_entries(rules: Iterable[CheckRule]) -> list[CheckRule]:
    return sorted(rules, key=lambda rule: (SEVERITIES.index(rule.severity), rule.code))


def _build_finding_entry(
    rule: CheckRule, limits: tuple[str, ...], returned_codes: set[str]
) -> Entry:
    acceptance = ""
    if rule.severity == "error":
        may = rule.code not in returned_codes or is_acceptable(rule.code)
        acceptance = "with a reason" if may else "you cannot accept this finding"
    return Entry(
        rule=rule,
        days=format_period(rule),
        whom=", ".join((*rule.issuers, *rule.cas, *rule.roles, *rule.usages)),
        fires=_format_case(rule.fires),
        nearest=_format_case(rule.nearest),
        acceptance=acceptance,
        limits=limits,
    )


def format_period(rule: CheckRule) -> str:
    """Format the period in which a check applies, or return "" if it always applies."""
    words = [f"from {rule.effective}"] if rule.effective else []
    words += [f"until the day before {rule.until}"] if rule.until else []
    return " ".join(words)


def _format_case(case: Case | None) -> str:
    if case is None:
        return ""
    return f"{case.says}, evaluated as of {case.on}" if case.on else case.says


def _format_limits(quantity: str) -> tuple[str, ...]:
    """Format every limit on a quantity, with its period, scope, and source."""
    every = (limit for rules in load_ca_rules().files for limit in rules.limits)
    return tuple(_format_limit(limit) for limit in every if limit.quantity == quantity)


def _format_root(root: RootRule) -> str:
    """Return one line: the clients that reject root certificates, a date, and a source."""
    since = f", {root.effective}" if root.effective else ""
    return f"{root.clients}{since}: {', '.join(root.roots)} ({root.source})"


def _format_limit(limit: CaLimit) -> str:
    since = f" from {limit.effective}" if limit.effective else ""
    until = f" until the day before {limit.until}" if limit.until else ""
    scope = "" if limit.applies in ("public", "internal") else f", {limit.applies}"
    return f"{limit.value:,}{since}{until}{scope} ({limit.source})"
