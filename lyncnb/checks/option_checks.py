"""Check the options of a plan, for example for options without an effect."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import fields, replace

from ..base.pasted_text import shown
from ..plan.acceptances import find_acceptance
from ..plan.model import CertificatePlan
from ..plan.options import DEFAULT_OPTIONS, OPTIONS, STAND_ALONE, PlanOptions
from ..plan.planner import plan_certificates
from ..rules.findings import Finding, OptionEdit
from ..rules.model import CheckRule
from ..rules.returned_rules import list_returned_checks
from ..topology.topology import Topology
from .found import DeploymentTest, Found
from .plan_lookups import PlanView

#: The code of the finding about a planned issue date in the past. Sooner or later, every plan has
#: this finding.
LATE = "planned-issue-date-passed"

# The options that apply to every certificate or only to the evaluation. They do not change which
# certificates and names are planned.
_NEVER_IDLE = frozenset(
    {"product", "planned_issue_date", "validity_days", "at_set_up", "oldest_client", "lang"}
    | {"title", "planner"}
    | {"internal_only_sip_domains", "client_authentication", "shared_certificate"}
)


def find_option_changes_nothing(view: PlanView, rule: CheckRule) -> Iterator[Found]:
    """Find an option, or a usage in an option, that has no effect on the plan."""
    plan = view.plan
    if not plan.topology.pools:
        return
    server = view.find_representative(plan.topology.pools[0])
    for name, key in _find_unused_usages(plan):
        message = f'{name} contains "{key}", which does not affect any certificate in the plan'
        is_removable = name in ("issuer", "ca")
        yield Found(server, message, (OptionEdit(option=name, key=key),) if is_removable else ())
    choices = [
        item.name
        for item in fields(PlanOptions)
        if item.name not in _NEVER_IDLE
        and isinstance(getattr(DEFAULT_OPTIONS, item.name), (str, bool, tuple))
        and getattr(plan.options, item.name) != getattr(DEFAULT_OPTIONS, item.name)
    ]
    if not choices:
        return
    topology = _keep_two_servers(plan.topology)
    planned = _list_request_contents(plan_certificates(topology, plan.rules, options=plan.options))
    for name in choices:
        without = replace(plan.options, **{name: getattr(DEFAULT_OPTIONS, name)})
        if (
            _list_request_contents(plan_certificates(topology, plan.rules, options=without))
            == planned
        ):
            value = _format_value(getattr(plan.options, name))
            message = f"{OPTIONS[name].key or name} = {value}"
            yield Found(server, message, (OptionEdit(option=name),))


def find_name_in_unplanned_layout(view: PlanView, rule: CheckRule) -> Iterator[Found]:
    """Find a name that the product adds to a role only in the layout that is not planned."""
    plan = view.plan
    if plan.options.profile != DEFAULT_OPTIONS.profile:
        return  # The printed examples of each layout have names of their own.
    for role in dict.fromkeys(pool.role for pool in plan.topology.pools):
        rules = [
            certificate
            for certificate in plan.rules.certificates
            if certificate.role == role and plan.options.profile in certificate.profiles
        ]
        used = [r for r in rules if r.layout in ("", plan.options.layout)]
        names = {name for r in used for name in (r.subject_name, *r.subject_alt_name)}
        pool = next(pool for pool in plan.topology.pools if pool.role == role)
        for other in rules:
            added = [name for name in other.subject_alt_name if name not in names]
            if used and added:
                yield Found(
                    view.find_representative(pool),
                    f"{', '.join(added)} is only in the rule {other.id}; the plan uses "
                    f"{', '.join(r.id for r in used)}",
                )


def _find_unused_usages(plan: CertificatePlan) -> Iterator[tuple[str, str]]:
    """Yield the usages and roles in the options that no certificate has."""
    kinds = {(c.role, c.issuer, *c.usages) for c in plan.certificates}
    known_keys = {"", *(text.lower() for kind in kinds for text in kind)}
    if plan.options.ca.get(STAND_ALONE, "").casefold() in {
        c.ca.casefold() for c in plan.certificates
    }:
        known_keys.add(STAND_ALONE)
    for name in ("issuer", "ca"):
        for key in getattr(plan.options, name):
            if key.lower() not in known_keys:
                yield name, key
    if plan.options.at_set_up:
        ids = {certificate.id for certificate in plan.certificates}
        yield from (("at_set_up", item) for item in plan.options.at_set_up if item not in ids)
    yield from (
        ("internal_only_sip_domains", domain)
        for domain in plan.options.internal_only_sip_domains
        if domain not in plan.topology.sip_domains
    )
    if plan.options.client_authentication:
        pools = {c.pool for c in plan.certificates if "clientAuth" in c.extended_key_usage}
        names = plan.options.client_authentication
        yield from (("client_authentication", pool) for pool in names if pool not in pools)
    if plan.options.shared_certificate:
        rules = {rule.id for rule in plan.rules.certificates if rule.per_pool_if}
        pools = {c.pool for c in plan.certificates if c.rule in rules}
        names = plan.options.shared_certificate
        yield from (("shared_certificate", pool) for pool in names if pool not in pools)


def _keep_two_servers(topology: Topology) -> Topology:
    """Return a smaller topology with only the first two servers of each pool.

    Two servers are enough to distinguish server names from the pool name.
    """
    pools = tuple(replace(pool, computers=pool.computers[:2]) for pool in topology.pools)
    return replace(topology, pools=pools)


def _list_request_contents(plan: CertificatePlan) -> list[tuple[object, ...]]:
    """Return the content of all planned requests, without the rules and reasons."""
    return [(*c._replace(subject_alt_name=(), rule=""), c.names) for c in plan.certificates]


def _format_value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def find_acceptance_counts_for_nothing(
    view: PlanView, rule: CheckRule, all_findings: Iterable[Finding]
) -> Iterator[Found]:
    """Find an acceptance that has expired, or that does not apply to any finding about the plan."""
    options, pools = view.plan.options, view.plan.topology.pools
    by_code: dict[str, list[Finding]] = {}
    for finding in all_findings:
        by_code.setdefault(finding.code, []).append(finding)
    for code in options.accepted if pools else ():
        findings, until = by_code.get(code, []), options.accepted_until.get(code)
        server = view.find_representative(pools[0])
        edits = tuple(
            OptionEdit(option=name, key=code)
            for name in ("accepted_until", "accepted_for", "accepted")
            if code in getattr(options, name)
        )
        if until and until < view.on:
            message = f"the acceptance of the finding {code} expired on {until}"
            yield Found(server, message, edits)
        elif findings and not any(find_acceptance(f, options, day=view.on) for f in findings):
            starts = map(shown, options.accepted_for.get(code, ()))
            yield Found(
                server,
                f"the finding {code} is accepted only for IDs that begin with "
                f"{' or '.join(starts)}, but it applies to a different ID",
            )
        elif not findings and code != LATE and code not in list_returned_checks():
            message = f"you accepted {code}, but the plan does not have this finding"
            yield Found(server, message, edits)


#: The check runs last, because it needs the findings of all other checks.
LAST_TESTS = {"acceptance_counts_for_nothing": find_acceptance_counts_for_nothing}


def find_country_in_small_letters(view: PlanView, rule: CheckRule) -> Iterator[Found]:
    """Find a country code in lowercase letters."""
    country, pools = view.plan.options.country, view.plan.topology.pools
    if country != country.upper() and pools:
        yield Found(
            view.find_representative(pools[0]),
            f'the country in the options is "{country}", but the certificates will '
            f"contain {country.upper()}",
        )


def find_planned_issue_date_passed(view: PlanView, rule: CheckRule) -> Iterator[Found]:
    """Find a planned issue date that is before the evaluation date."""
    planned, pools = view.plan.options.planned_issue_date, view.plan.topology.pools
    if pools and planned is not None and planned < view.on:
        yield Found(view.find_representative(pools[0]), f"planned_issue_date is {planned}")


OPTION_TESTS: dict[str, DeploymentTest] = {
    test.__name__.removeprefix("find_"): test
    for test in (
        find_option_changes_nothing,
        find_name_in_unplanned_layout,
        find_country_in_small_letters,
        find_planned_issue_date_passed,
    )
}
