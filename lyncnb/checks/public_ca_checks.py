"""Checks that say, once for a plan, what its public certificates ask of those who own the domains.

Each function yields at most one pair: the first certificate concerned, and what to know of all of
them by the rules of the day. Which CAs a rule binds, from when, and its numbers are data
(``cas/*.toml``). No message holds the day of judgement: it may be today, and the summary of a plan
that did not change must not change either.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta

from ..base.tables import count_of
from ..rules.ca_rules import ca_rules
from ..rules.model import CheckRule
from .deployment_checks import DeploymentTest, Pairs
from .plan_lookups import PlanView

_SHOWN = 5  # names that a message lists
_BEFORE = timedelta(days=398)  # no certificate in use was ordered earlier
_AHEAD = timedelta(days=366)  # a renewal or two: what ends later is told then


def domains_validated_again(view: PlanView, rule: CheckRule) -> Pairs:
    """Tell for how long a proof counts that a domain is the applicant's."""
    certificates = view.asked_of(rule)
    if certificates:
        domains = _listed(_to_prove(view, rule))
        message = f"a validation of {domains} counts for {count_of(rule.limit, 'day')}"
        shorter = [m for m in ca_rules().methods if 0 < m.reuse_days < rule.limit]
        message += "".join(f" ({m.reuse_days} with a {m.title})" for m in shorter)
        yield certificates[0].id, message


def _to_prove(view: PlanView, rule: CheckRule) -> list[str]:
    """List what is to be proved: domains, or every name where no CA counts a domain for it."""
    certificates = view.asked_of(rule)
    if not all(ca_rules().proves_each_name(c.ca) for c in certificates):
        return view.domains_of(rule)
    return sorted({entry.name for c in certificates for entry in c.subject_alt_name})


def organization_verified_again(view: PlanView, rule: CheckRule) -> Pairs:
    """Tell for how long what was verified of the organization counts."""
    certificates = [c for c in view.asked_of(rule) if c.subject.organization]
    if certificates:
        name = certificates[0].subject.organization
        yield certificates[0].id, f'what was verified of "{name}" counts for {rule.limit} days'


def validation_methods_end(view: PlanView, rule: CheckRule) -> Pairs:
    """Tell which ways to show a domain have ended, and which end within a year."""
    certificates = view.asked_of(rule)
    methods = [m for m in ca_rules().methods if m.until and m.until - view.on <= _AHEAD]
    ended = [m.title for m in methods if m.until and view.on - _BEFORE < m.until <= view.on]
    ending = [f"{m.title} (on {m.until})" for m in methods if m.until and m.until > view.on]
    words = [f"ended: {', '.join(ended)}"] if ended else []
    words += [f"ends within a year: {', '.join(ending)}"] if ending else []
    kinds: dict[date, list[str]] = {}
    for m in ca_rules().methods:
        if m.discouraged and m.discouraged <= view.on and not (m.until and m.until <= view.on):
            kinds.setdefault(m.discouraged, []).append(m.by)
    words += [
        f"CAs should no longer use {' and '.join(dict.fromkeys(by))} (since {day})"
        for day, by in sorted(kinds.items())
    ]
    if certificates and words:
        yield certificates[0].id, "; ".join(words)


def names_need_dns_validation(view: PlanView, rule: CheckRule) -> Pairs:
    """Find names on public certificates at which no file on a web server can be shown."""
    edges = {role.id for role in view.plan.rules.roles.values() if "perimeter" in role.traits}
    certificates, names = [], []
    for certificate in view.asked_of(rule):
        found = [
            name
            for name in view.names(certificate)
            if name.is_wildcard or certificate.role in edges
        ]
        if found:
            certificates.append(certificate)
            names += found
    if certificates:
        yield certificates[0].id, f"a file on a web server does not validate {_listed(names)}"


def caa_of_zones(view: PlanView, rule: CheckRule) -> Pairs:
    """Name the zones in which a CA looks for CAA records, and what it looks for."""
    certificates = view.asked_of(rule)
    if certificates:
        wild = any(name.is_wildcard for c in certificates for name in view.names(c))
        tags = "issue and issuewild" if wild else "issue"
        yield certificates[0].id, f"CAs read {tags} in {_listed(view.domains_of(rule))}"


def caa_parameters_of_zones(view: PlanView, rule: CheckRule) -> Pairs:
    """Name the zones in which a CA heeds what a CAA record says of account and proof."""
    certificates = view.asked_of(rule)
    if certificates:
        domains = _listed(view.domains_of(rule))
        yield certificates[0].id, f"CAs read accounturi and validationmethods in {domains}"


def zones_concerned(view: PlanView, rule: CheckRule) -> Pairs:
    """Name the zones to which a rule of the CAs applies."""
    certificates = view.asked_of(rule)
    if certificates:
        yield certificates[0].id, f"this applies to {_listed(view.domains_of(rule))}"


def certificates_concerned(view: PlanView, rule: CheckRule) -> Pairs:
    """Count the certificates to which a rule of the CAs applies."""
    certificates = view.asked_of(rule)
    if certificates:
        count = count_of(len(certificates), "certificate")
        yield certificates[0].id, f"this applies to {count}"


def dnssec_of_zones(view: PlanView, rule: CheckRule) -> Pairs:
    """Name the zones whose signatures a CA checks."""
    certificates = view.asked_of(rule)
    if certificates:
        yield certificates[0].id, f"CAs check signatures in {_listed(view.domains_of(rule))}"


def zones_seen_from_many_places(view: PlanView, rule: CheckRule) -> Pairs:
    """Tell from how many places a CA looks."""
    certificates = view.asked_of(rule)
    if certificates:
        domains = _listed(view.domains_of(rule))
        message = f"CAs query {domains} from {rule.limit} remote places and their own"
        yield certificates[0].id, message


def names_become_public(view: PlanView, rule: CheckRule) -> Pairs:
    """List the names that public logs will show."""
    certificates = view.asked_of(rule)
    if certificates:
        names = [name for c in certificates for name in view.names(c)]
        count = len(set(names))
        become = "name becomes" if count == 1 else "names become"
        yield certificates[0].id, f"{count:,} {become} public: {_listed(names)}"


def crl_distribution_point_not_assured(view: PlanView, rule: CheckRule) -> Pairs:
    """Name the public CAs, or say that none is named, whose certificates may lack a CRL's place."""
    certificates = view.asked_of(rule)
    if certificates:
        cas = sorted({c.ca for c in certificates if c.ca})
        whose = f"of {_listed(cas)}" if cas else "of a public CA"
        count = count_of(len(certificates), "certificate")
        yield certificates[0].id, f"{count} {whose} may have none"


def replacement_within_24_hours(view: PlanView, rule: CheckRule) -> Pairs:
    """Count the certificates that a public CA may have to revoke within 24 hours."""
    certificates = view.asked_of(rule)
    if certificates:
        count = count_of(len(certificates), "certificate")
        yield certificates[0].id, f"be able to replace {count} within 24 hours"


def rules_of_cas_old(view: PlanView, rule: CheckRule) -> Pairs:
    """Find rules of CAs that nobody looked after for longer than they may be trusted."""
    certificates, as_of = view.asked_of(rule), ca_rules().as_of
    if certificates and view.on > _months_later(as_of, rule.limit):
        age = f"more than {rule.limit} months before the day by which the plan is judged"
        yield certificates[0].id, f"the rules are as of {as_of}, {age}"


def _months_later(day: date, months: int) -> date:
    """Give the same day some months later, or that month's last."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    first = date(year, month + 1, 1)
    following = date(year + month // 11, (month + 1) % 12 + 1, 1)
    return min(first + timedelta(days=day.day - 1), following - timedelta(days=1))


def _listed(names: Iterable[str]) -> str:
    known = list(dict.fromkeys(names))
    more = len(known) - _SHOWN
    return ", ".join(known[:_SHOWN]) + (f" and {more:,} more" if more > 0 else "")


PUBLIC_CA_TESTS: dict[str, DeploymentTest] = {
    test.__name__: test
    for test in (
        domains_validated_again,
        organization_verified_again,
        validation_methods_end,
        names_need_dns_validation,
        caa_of_zones,
        caa_parameters_of_zones,
        zones_concerned,
        certificates_concerned,
        dnssec_of_zones,
        zones_seen_from_many_places,
        names_become_public,
        crl_distribution_point_not_assured,
        replacement_within_24_hours,
        rules_of_cas_old,
    )
}
