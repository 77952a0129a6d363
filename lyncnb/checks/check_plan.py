"""Check a ``CertificatePlan`` for common mistakes.

The product's rules (``[[check]]`` in ``products/``) and the CA rules (``cas/*.toml``) define the
code, severity, meaning, hint, source, and scope of each check.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from itertools import islice

from ..base.arguments import check_type
from ..base.dns_name import DnsName
from ..base.garbage_collection import pause_garbage_collection
from ..base.times import convert_to_date
from ..errors import RulesError
from ..plan.model import CertificatePlan, PlannedCertificate
from ..rules.findings import Finding, Findings, create_finding, sort_findings
from ..rules.model import CheckRule
from ..topology.columns import list_topology_columns
from .certificate_checks import CERTIFICATE_TESTS, FEATURE_TESTS, NAME_TESTS
from .deployment_checks import DEPLOYMENT_TESTS
from .found import MOST_CHOICES, CertificateTest, Found, NameTest
from .option_checks import LAST_TESTS, OPTION_TESTS
from .plan_lookups import PlanView
from .practice_checks import PRACTICE_TESTS
from .public_ca_checks import PUBLIC_CA_TESTS
from .simple_url_checks import SIMPLE_URL_TESTS

#: The role, usages, issuer, and CA of a certificate. They determine which checks apply.
_Kind = tuple[str, tuple[str, ...], str, str]

_OF_ONE = CERTIFICATE_TESTS | FEATURE_TESTS
_WHOLE_TESTS = DEPLOYMENT_TESTS | SIMPLE_URL_TESTS | PUBLIC_CA_TESTS | OPTION_TESTS | PRACTICE_TESTS


def check_plan(plan: CertificatePlan, *, on: date | None = None) -> Findings:
    """Check a plan for common mistakes.

    Parameters
    ----------
    plan : CertificatePlan
        A plan with n certificates for p pools.
    on : date, optional
        The evaluation date. The default is the planned issue date in the options, or today.
        The attribute ``judged_on`` of the findings contains this date.

    Returns
    -------
    Findings
        Errors first, then warnings and notices. Within a severity, findings are sorted by code and
        by the certificate or server that they concern. ``write_requests`` refuses a plan with
        errors until you accept each code.

    Raises
    ------
    RulesError
        If a check in the product's rules names a function that does not exist.

    Notes
    -----
    Each finding has a source from the rules of the product or of the CAs.
    """
    check_type("check_plan: plan", plan, CertificatePlan)
    check_type("check_plan: on", on, date, None)
    day = choose_evaluation_date(plan, on)
    view = PlanView(plan, on=day)
    with pause_garbage_collection():
        findings = [
            *_check_all_certificates(view, plan.certificates),
            *_check_whole_deployment(view),
        ]
        findings += _check_accepted_findings(view, findings)
    return replace(sort_findings(findings, judged_on=day), plan=plan)


def choose_evaluation_date(
    plan: CertificatePlan, requested_date: date | None = None, *, today: date | None = None
) -> date:
    """Return the evaluation date: the requested date, the planned issue date, or today (UTC).

    If you specify `today`, it replaces a planned issue date in the past.
    """
    planned = plan.options.planned_issue_date
    if requested_date:
        return convert_to_date(requested_date)
    if today is not None:
        return max(planned or today, today)
    return planned or datetime.now(UTC).date()


def choose_present_date(plan: CertificatePlan) -> date:
    """Return the evaluation date for new requests: the planned issue date, but at least today."""
    return choose_evaluation_date(plan, today=datetime.now(UTC).date())


def check_certificates(
    plan: CertificatePlan, certificates: Iterable[PlannedCertificate], *, on: date
) -> tuple[Finding, ...]:
    """Check some certificates of a plan, each one separately.

    After a change to one pool, an editor checks only the certificates of that pool with this
    function, and the deployment with ``check_deployment``.
    """
    with pause_garbage_collection():
        return tuple(_check_all_certificates(PlanView(plan, on=on), certificates))


def check_deployment(plan: CertificatePlan, *, evaluation_date: date) -> tuple[Finding, ...]:
    """Run the checks that examine a deployment as a whole."""
    with pause_garbage_collection():
        return tuple(_check_whole_deployment(PlanView(plan, on=evaluation_date)))


def check_accepted_findings(
    plan: CertificatePlan, findings: Iterable[Finding], *, evaluation_date: date
) -> tuple[Finding, ...]:
    """Report accepted findings that have expired or that do not occur in the plan."""
    return tuple(_check_accepted_findings(PlanView(plan, on=evaluation_date), findings))


def _check_accepted_findings(view: PlanView, findings: Iterable[Finding]) -> Iterator[Finding]:
    known = tuple(findings)
    for rule in view.checks:
        if view.plan.options.accepted and _get_test_name(rule) in LAST_TESTS:
            for found in LAST_TESTS[_get_test_name(rule)](view, rule, known):
                yield _make_finding(view, rule, found)


def _make_finding(view: PlanView, rule: CheckRule, found: Found) -> Finding:
    """Create a finding whose hint has examples from the plan."""
    return create_finding(
        rule,
        found.subject,
        found.message,
        hint=view.fill_hint(rule.hint, found.subject),
        edits=found.edits,
        choices=tuple(islice(found.choices, MOST_CHOICES)),
    )


def _check_all_certificates(
    view: PlanView, certificates: Iterable[PlannedCertificate]
) -> Iterator[Finding]:
    # Many certificates have the same names, or do not differ for some checks, so the results of the
    # checks are reused.
    kinds: dict[_Kind, _CheckSet] = {}
    alike: dict[tuple[_Kind, tuple[object, ...]], _CheckSet] = {}
    incomplete = view.plan.topology.incomplete_names
    for certificate in certificates:
        # A correct text in a rejected cell can change the names of this certificate.
        if incomplete and not incomplete.isdisjoint((certificate.pool, *certificate.servers)):
            continue
        kind = (certificate.role, certificate.usages, certificate.issuer, certificate.ca)
        if kind not in kinds:
            kinds[kind] = _CheckSet.build(view, certificate)
        tests, features = kinds[kind], view.list_features(certificate)
        if features is not None:
            key = (kind, features)
            if key not in alike:
                alike[key] = tests.select_reporting_checks(certificate, view)
            tests = alike[key]
        for rule, test in tests.of_certificate:
            for found in test(certificate, view, rule):
                yield _make_finding(view, rule, found)
        for name in view.list_names(certificate) if tests.of_name else ():
            remarks = tests.remarks_by_name.get(name)
            if remarks is None:
                remarks = tests.list_messages(name, view)
            for rule, message in remarks:
                yield _make_finding(view, rule, Found(certificate.id, message))


@dataclass(frozen=True, slots=True)
class _CheckSet:
    """The checks that apply to certificates with the same role, usages, issuer, and CA."""

    of_certificate: list[tuple[CheckRule, CertificateTest]]
    of_name: list[tuple[CheckRule, NameTest]]
    remarks_by_name: dict[DnsName, list[tuple[CheckRule, str]]] = field(default_factory=dict)

    @classmethod
    def build(cls, view: PlanView, certificate: PlannedCertificate) -> _CheckSet:
        rules = [
            rule
            for rule in view.checks
            if _is_certificate_check(rule) and view.applies(rule, certificate)
        ]
        tests = [(rule, _get_test_name(rule)) for rule in rules]
        return cls(
            [(rule, _OF_ONE[test]) for rule, test in tests if test in _OF_ONE],
            [(rule, NAME_TESTS[test]) for rule, test in tests if test in NAME_TESTS],
        )

    def select_reporting_checks(self, certificate: PlannedCertificate, view: PlanView) -> _CheckSet:
        """Return the checks that report, or may report, something about a certificate."""
        reporting = [
            (rule, test)
            for rule, test in self.of_certificate
            if _get_test_name(rule) not in FEATURE_TESTS or any(test(certificate, view, rule))
        ]
        return replace(self, of_certificate=reporting)

    def list_messages(self, name: DnsName, view: PlanView) -> list[tuple[CheckRule, str]]:
        """Return the messages about a name on a certificate, each with the check that found it."""
        results = [(rule, test(name, view, rule)) for rule, test in self.of_name]
        self.remarks_by_name[name] = [(rule, message) for rule, message in results if message]
        return self.remarks_by_name[name]


def _check_whole_deployment(view: PlanView) -> Iterator[Finding]:
    topology = view.plan.topology
    incomplete = topology.incomplete_names
    # A finding about the deployment can need a row, or a shared value, that is still rejected.
    shared = ("site", "deployment")
    if topology.left_out or any(
        cell.column == facts.name and facts.scope in shared
        for cell in topology.rejected
        for facts in list_topology_columns()
    ):
        return
    for rule in view.checks:
        if _get_test_name(rule) not in LAST_TESTS and not _is_certificate_check(rule):
            # Several sites can share a value, which is one finding.
            for found in dict.fromkeys(_WHOLE_TESTS[_get_test_name(rule)](view, rule)):
                if found.subject not in incomplete:
                    yield _make_finding(view, rule, found)


def _get_test_name(rule: CheckRule) -> str:
    return rule.test or rule.code.replace("-", "_")


def _is_certificate_check(rule: CheckRule) -> bool:
    name = _get_test_name(rule)
    is_of_one = name in _OF_ONE or name in NAME_TESTS
    if not is_of_one and name not in _WHOLE_TESTS and name not in LAST_TESTS:
        known = ", ".join(sorted({*_OF_ONE, *NAME_TESTS, *_WHOLE_TESTS, *LAST_TESTS}))
        raise RulesError(
            f'the check "{rule.code}" specifies the function "{name}", which does not exist',
            hint=f"set `test` to one of: {known}",
        )
    return is_of_one
