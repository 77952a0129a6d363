"""Report what public certificates in a plan require from the owners of the domains.

Each check yields at most one finding: at the first affected certificate, about all of them. The CA
rules (``cas/*.toml``) contain the CAs, dates, and limits. No message contains the evaluation
date, because it may be today and the summary of an unchanged plan must not change.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, timedelta

from ..base.shown.tables import format_count, join_first_texts
from ..plan.model import PlannedCertificate
from ..rules.ca_rules import load_ca_rules
from ..rules.model import CheckRule
from .found import DeploymentTest, Found
from .plan_lookups import PlanView

_SHOWN = 5  # The largest number of names in a message.
# For this period after a validation method has ended, the check still reports the method. After
# this period, certificates that used the method are no longer in use.
_BEFORE = timedelta(days=398)
# The check reports dates in this period after the evaluation date. The period contains one or two
# renewals.
_AHEAD = timedelta(days=366)


def find_domains_validated_again(view: PlanView, rule: CheckRule) -> Iterator[Found]:
    """Report for how many days a domain control validation can be used."""
    certificates = view.find_certificates(rule)
    if certificates:
        domains = _join_names(_list_names_to_validate(view, rule))
        message = (
            f"{_format_cas(certificates)} can reuse the validation of {domains} for "
            f"{format_count(rule.limit, 'day')}"
        )
        shorter = [m for m in load_ca_rules().methods if 0 < m.reuse_days < rule.limit]
        message += "".join(
            f" ({format_count(m.reuse_days, 'day')} with a {m.title})" for m in shorter
        )
        yield Found(certificates[0].id, message)


def _format_cas(certificates: Iterable[PlannedCertificate]) -> str:
    """Return the names of the CAs of some certificates, or "a CA" if a name is not in the plan."""
    names = sorted({certificate.ca for certificate in certificates})
    return _join_names(names) if all(names) else "a CA"


def _list_names_to_validate(view: PlanView, rule: CheckRule) -> list[str]:
    """Return the domains to validate, or the names if all CAs validate each name separately."""
    certificates = view.find_certificates(rule)
    if not all(load_ca_rules().validates_each_name(c.ca) for c in certificates):
        return view.list_domains(rule)
    return sorted({entry.name for c in certificates for entry in c.subject_alt_name})


def find_organization_verified_again(view: PlanView, rule: CheckRule) -> Iterator[Found]:
    """Report for how many days the verification of the organization can be used."""
    certificates = [c for c in view.find_certificates(rule) if c.subject.organization]
    if certificates:
        name = certificates[0].subject.organization
        yield Found(
            certificates[0].id,
            f'{_format_cas(certificates)} can reuse the verification of "{name}" for '
            f"{format_count(rule.limit, 'day')}",
        )


def find_validity_over_client_limit(view: PlanView, rule: CheckRule) -> Iterator[Found]:
    """Report a planned validity that some clients reject, with the number of servers."""
    options = view.plan.options
    days = options.validity_for("internal") or 0
    # Without an oldest client, nobody said which clients connect.
    if days <= rule.limit or options.oldest_client:
        return
    certificates = view.find_certificates(rule)
    servers = {server for certificate in certificates for server in certificate.servers}
    if certificates:
        message = (
            f"a validity of {days:,} days is planned for {format_count(len(servers), 'server')} to "
            f"which clients connect; Apple devices accept at most {rule.limit:,} days"
        )
        yield Found(certificates[0].id, message)


def find_validation_methods_end(view: PlanView, rule: CheckRule) -> Iterator[Found]:
    """Report the validation methods that have ended, or that will end within a year."""
    certificates = view.find_certificates(rule)
    methods = [m for m in load_ca_rules().methods if m.until and m.until - view.on <= _AHEAD]
    ended_methods = [m.title for m in methods if m.until and view.on - _BEFORE < m.until <= view.on]
    ending_methods = [f"{m.title} (on {m.until})" for m in methods if m.until and m.until > view.on]
    words = [f"CAs no longer accept: {', '.join(ended_methods)}"] if ended_methods else []
    if ending_methods:
        words.append(f"CAs will stop accepting: {', '.join(ending_methods)}")
    kinds: dict[date, list[str]] = {}
    for m in load_ca_rules().methods:
        if m.discouraged and m.discouraged <= view.on and not (m.until and m.until <= view.on):
            kinds.setdefault(m.discouraged, []).append(m.by)
    words += [
        f"since {day}, CAs should no longer use {' or '.join(dict.fromkeys(by))}"
        for day, by in sorted(kinds.items())
    ]
    if certificates and words:
        yield Found(certificates[0].id, "; ".join(words))


def find_names_need_dns_validation(view: PlanView, rule: CheckRule) -> Iterator[Found]:
    """Find names on public certificates that cannot be validated with a file on a web server."""
    edges = {role.id for role in view.plan.rules.roles.values() if "perimeter" in role.traits}
    certificates, names = [], []
    for certificate in view.find_certificates(rule):
        affected = [
            name
            for name in view.list_names(certificate)
            if name.is_wildcard or certificate.role in edges
        ]
        if affected:
            certificates.append(certificate)
            names += affected
    if certificates:
        yield Found(
            certificates[0].id,
            f"CAs cannot use a file on a web server to validate {_join_names(names)}",
        )


def find_caa_of_zones(view: PlanView, rule: CheckRule) -> Iterator[Found]:
    """Report the zones in which CAs look for CAA records, and the tags that CAs read."""
    certificates = view.find_certificates(rule)
    if certificates:
        wild = any(name.is_wildcard for c in certificates for name in view.list_names(c))
        tags = "the issue and issuewild tags" if wild else "the issue tag"
        yield Found(
            certificates[0].id,
            f"CAs read {tags} in the CAA records for {_join_names(view.list_domains(rule))}",
        )


def find_names_become_public(view: PlanView, rule: CheckRule) -> Iterator[Found]:
    """Report the names that will become visible in public certificate logs."""
    certificates = view.find_certificates(rule)
    if certificates:
        names = [name for c in certificates for name in view.list_names(c)]
        count = len(set(names))
        become = "name becomes" if count == 1 else "names become"
        yield Found(certificates[0].id, f"{count:,} {become} public: {_join_names(names)}")


def find_crl_distribution_point_not_assured(view: PlanView, rule: CheckRule) -> Iterator[Found]:
    """Report the public CAs that may issue certificates without a CRL distribution point."""
    certificates = view.find_certificates(rule)
    if certificates:
        cas = sorted({c.ca for c in certificates if c.ca})
        message = (
            f"{_join_names(cas) or 'a public CA'} might issue "
            f"{format_count(len(certificates), 'certificate')} without a CRL distribution point"
        )
        yield Found(certificates[0].id, message)


def find_rules_of_cas_old(view: PlanView, rule: CheckRule) -> Iterator[Found]:
    """Find CA rules whose last review was too long ago."""
    certificates, as_of = view.find_certificates(rule), load_ca_rules().as_of
    if certificates and view.on > _add_months(as_of, rule.limit):
        message = (
            f"the last review was on {as_of}, more than {rule.limit} months before the evaluation "
            "date"
        )
        yield Found(certificates[0].id, message)


def _add_months(day: date, months: int) -> date:
    """Return the same day in a later month, or the last day if that month is shorter."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    first = date(year, month + 1, 1)
    following = date(year + month // 11, (month + 1) % 12 + 1, 1)
    return min(first + timedelta(days=day.day - 1), following - timedelta(days=1))


def _join_names(names: Iterable[str]) -> str:
    return join_first_texts(list(dict.fromkeys(names)), _SHOWN)


# Checks that report the number of certificates instead of individual certificates.
_MESSAGES = {
    "certificates_concerned": "this applies to {certificates}",
    "replacement_within_24_hours": "you must be able to replace {certificates} within 24 hours",
}


def _make_check(message: str) -> DeploymentTest:
    """Return a check that reports one message for all certificates to which it applies."""

    def report_message(view: PlanView, rule: CheckRule) -> Iterator[Found]:
        certificates = view.find_certificates(rule)
        if certificates:
            yield Found(
                certificates[0].id,
                message.format(certificates=format_count(len(certificates), "certificate")),
            )

    return report_message


PUBLIC_CA_TESTS: dict[str, DeploymentTest] = {
    test.__name__.removeprefix("find_"): test
    for test in (
        find_domains_validated_again,
        find_organization_verified_again,
        find_validity_over_client_limit,
        find_validation_methods_end,
        find_names_need_dns_validation,
        find_caa_of_zones,
        find_names_become_public,
        find_crl_distribution_point_not_assured,
        find_rules_of_cas_old,
    )
} | {name: _make_check(message) for name, message in _MESSAGES.items()}
