"""Forecast the work for certificates in the next years, for a plan or request folder.

The functions have no side effects. For a request folder, they read the files and use the current
date.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import chain
from pathlib import Path

from ..authorities.read_plan import (
    build_folder_origin,
    load_recorded_plan,
    read_folder_options,
    read_plan,
)
from ..base.arguments import check_type
from ..base.renewal_days import (
    Days,
    RenewalTerms,
    find_last_whole_day,
    find_renewal_day,
)
from ..base.shown.origin import Origin
from ..base.shown.tables import format_count
from ..base.times import add_time_span, convert_to_date
from ..checks.saved_plan import read_saved_plan
from ..errors import PlanError
from ..plan.model import CertificatePlan, PlannedCertificate
from ..plan.options import PlanOptions
from ..plan.recorded_plan import read_plan_file
from ..plan.saved_plan_json import is_saved_plan
from ..plan.totals import build_origin
from ..reports.timeline_figure import list_limit_facts
from ..request_folder.bundle import RequestBundle
from ..request_folder.generations import Generations, Held, find_generations, find_revocation_time
from ..request_folder.manifest import Manifest, format_timestamp, read_manifest
from ..request_folder.request_record import IssuedRecord, RequestRecord, Revocation, read_time
from ..rules.ca_rules import CaLimit, load_ca_rules
from ..rules.procedure import RollOver, load_procedure
from .broken_rules import find_rules_for_first_issue, find_rules_that_block_renewal, format_span
from .model import BrokenRule, Forecast, ForecastEntry, ForecastProblem
from .timetable import Hold, RecordedPeriod, Step, Terms, Timetable, Turn, find_step

DEFAULT_UNTIL = date(2030, 12, 31)

_DAY = timedelta(days=1)
_LAST_SECOND = time(23, 59, 59)
_LONGEST = 100 * 366 * _DAY  # The longest period that a forecast covers is a century.
_YEARS = 1900, 2900
# A certificate that is issued on the first day of a forecast may have been ordered a year earlier.
_BEFORE = 400 * _DAY
_ASKED = "plan options: validity, validity_days"
_ON_RECORD = "the certificate on record"


def forecast(
    plan: CertificatePlan | RequestBundle | str | os.PathLike[str],
    *,
    until: date = DEFAULT_UNTIL,
    start: date | None = None,
    options: PlanOptions | None = None,
) -> Forecast:
    """Forecast when to order, renew, and roll over each certificate, until a date.

    Parameters
    ----------
    plan : CertificatePlan, RequestBundle or path
        The plan, or the path of a request folder, a saved plan, or a plan in JSON. For a folder,
        the forecast uses the certificates on servers and the certificates that will replace them.
    until : date, optional
        The last date of the forecast.
    start : date, optional
        The first possible order date. For a plan, the default is the order date for the planned
        issue date. For a folder, it is the current date or the last recorded date, whichever is
        later.
    options : PlanOptions, optional
        Options with lead times, freezes, windows, validity, and planned issue date. The default is
        the options of the plan, or of the folder's saved plan.

    Returns
    -------
    Forecast
        A row for each certificate, and the problems, each with the rules that cause it. The same
        plan and arguments, or the same folder and start, result in the same forecast.

    Raises
    ------
    PlanError
        If the first date is not known, or the last date is earlier.

    Notes
    -----
    Days are whole UTC days. A certificate for n days ends with the n-th day (RFC 5280 section
    4.1.2.5), and the work on a day is finished at the end of the day. A certificate is renewed in
    the last third of its validity, on the first day on which its servers may be changed. The
    validity is the requested validity, limited to the maximum on the issue date.
    """
    check_type("forecast: plan", plan, CertificatePlan, RequestBundle, str, os.PathLike)
    check_type("forecast: until", until, date)
    check_type("forecast: start", start if start is not None else until, date)
    forecast_input, until = _read_plan(plan), convert_to_date(until)
    plan_options = options or forecast_input.plan.options
    issue = plan_options.planned_issue_date
    start_date = _find_start(forecast_input, plan_options, start)
    first = min(start_date, issue or start_date)
    if until < start_date or until - first > _LONGEST or not _YEARS[0] <= first.year <= _YEARS[1]:
        raise PlanError(
            f"the forecast period cannot be from {first} to {until}",
            hint=(
                "choose a last date that is after the first date, and at most 100 "
                "years after the first date"
            ),
        )
    terms = plan_options.renewal_terms
    days = Days(first - _BEFORE, until, terms.work)
    schedules = _Schedules(forecast_input, plan_options, terms, days, start_date)
    bare_entries, problems = schedules.build_entries()
    entries = tuple(_add_validations(bare_entries, schedules))
    return Forecast(
        source=forecast_input.plan.topology.source,
        origin=forecast_input.origin
        or build_origin(replace(forecast_input.plan, options=plan_options)),
        product=forecast_input.plan.rules.product,
        start=start_date,
        until=until,
        entries=entries,
        problems=problems,
        freezes=terms.work.find_freezes(start_date, until),
        limits=tuple(
            fact
            for fact in list_limit_facts(start_date, schedules.public_cas)
            if fact.begins is None or fact.begins <= until
        ),
        notes=tuple(_list_notes(forecast_input, plan_options, entries)),
    )


@dataclass(frozen=True, kw_only=True)
class _ForecastInput:
    """The input for a forecast: a plan, with records and generations by request ID."""

    plan: CertificatePlan
    records: Mapping[str, RequestRecord]
    lives: Mapping[str, Generations]
    seen: date | None = None  # The latest date in the records of the folder.
    origin: Origin | None = None  # The origin of the forecast, which is set only for a folder.

    def get_held(self, name: str) -> Held | None:
        """Return the certificate that the servers of a request have, or None without one."""
        return self.lives[name].held if name in self.lives else None


def _read_plan(plan: CertificatePlan | RequestBundle | str | os.PathLike[str]) -> _ForecastInput:
    if isinstance(plan, CertificatePlan):
        return _ForecastInput(plan=plan, records={}, lives={})
    if isinstance(plan, RequestBundle):
        return _read_folder(plan.folder, plan.manifest)
    path = Path(plan)
    if os.path.isdir(path):
        return _read_folder(path, read_manifest(path))
    if is_saved_plan(read_plan_file(path)):
        return _ForecastInput(plan=read_saved_plan(path).plan, records={}, lives={})
    return _ForecastInput(plan=read_plan(path), records={}, lives={})


def _read_folder(folder: Path, manifest: Manifest) -> _ForecastInput:
    records = {request.id: request for request in manifest.requests if request.state != "retired"}
    lives = {name: find_generations(record) for name, record in records.items()}
    times = [time for record in records.values() for time in (record.planned_at, record.written_at)]
    times += [
        deployed.received_at if isinstance(deployed, IssuedRecord) else deployed.recorded_at
        for life in lives.values()
        if (deployed := life.held) is not None
    ]
    seen = max((date.fromisoformat(text[:10]) for text in times if text), default=None)
    plan = load_recorded_plan(folder, manifest)
    if (options := read_folder_options(folder, manifest)) is not None:
        plan = replace(plan, options=options)
    origin = build_folder_origin(folder, manifest)
    return _ForecastInput(
        plan=plan,
        records=records,
        lives=lives,
        seen=seen,
        origin=origin,
    )


def _find_start(input_data: _ForecastInput, options: PlanOptions, start: date | None) -> date:
    if start is not None:
        return convert_to_date(start)
    if input_data.seen is not None:
        # The forecast starts no earlier than today. Otherwise, a certificate that expired after the
        # last run would count as valid.
        return max(input_data.seen, date.fromisoformat(format_timestamp(None)[:10]))
    issue = options.planned_issue_date
    if issue is None:
        raise PlanError(
            "the forecast needs a start date, but the plan has no planned_issue_date",
            hint="set planned_issue_date in plan.toml, or specify the first date: --on 2027-01-15 "
            "(in Python: start=date(2027, 1, 15))",
        )
    issuers = {certificate.issuer for certificate in input_data.plan.certificates}
    lead = max(map(options.renewal_terms.find_lead_time, issuers), default=0)
    return date.fromordinal(max(1, issue.toordinal() - lead))


class _Schedules:
    """The renewal schedules for all certificates in a plan.

    Similar certificates share a timetable.
    """

    def __init__(
        self,
        read: _ForecastInput,
        options: PlanOptions,
        terms: RenewalTerms,
        days: Days,
        begin: date,
    ) -> None:
        self.read, self.options, self.days, self.begin = read, options, days, begin
        self.terms = terms
        # A custom product may have no deployment steps. In this case, no usage rolls over, and no
        # service restarts.
        has_steps = "deploy" in read.plan.rules.settings
        self.procedure = load_procedure(read.plan.rules) if has_steps else None
        self._timetables: dict[Terms, Timetable] = {}
        self._validity: dict[tuple[str, str, int | None, str], tuple[Step, ...]] = {}
        self._reuse: dict[str, tuple[Step, ...]] = {}
        self._restarts: dict[tuple[str, tuple[str, ...]], bool] = {}
        #: Many certificates are late for the same reasons, so problems are grouped by their
        #: causes.
        self.broken: dict[tuple[object, ...], tuple[BrokenRule, ...]] = {}

    @property
    def public_cas(self) -> tuple[str, ...]:
        """The names of the public CAs in the plan.

        The first name "" stands for the general rules.
        """
        public = [
            certificate
            for certificate in self.read.plan.certificates
            if certificate.issuer == "public"
        ]
        return tuple(dict.fromkeys(("", *map(self.find_ca, public)))) if public else ()

    def find_ca(self, certificate: PlannedCertificate) -> str:
        """Return the name of a certificate's recorded or planned CA, or "" if it is unknown."""
        record = self.read.records.get(certificate.id)
        return (record.ca if record else "") or certificate.ca

    def build_entries(self) -> tuple[list[ForecastEntry], tuple[ForecastProblem, ...]]:
        """Return the forecast entries for all certificates, and all problems."""
        entries: list[ForecastEntry] = []
        names_by_problem: dict[ForecastProblem, list[str]] = {}
        for certificate in self.read.plan.certificates:
            name = certificate.id
            new_entries, problems = _Schedule(self, certificate, name).make_entries()
            entries += new_entries
            for problem in problems:
                names_by_problem.setdefault(problem, []).append(name)
        problems = [
            replace(problem, certificates=tuple(names))
            for problem, names in names_by_problem.items()
        ]
        problems.sort(key=lambda item: (item.begins, item.ends, item.certificates))
        return entries, tuple(problems)

    def find_timetable(self, certificate: PlannedCertificate, name: str) -> Timetable:
        """Return the timetable for the renewals of a certificate."""
        rolls = self.find_roll_overs(certificate)
        record, ca = self.read.records.get(name), self.find_ca(certificate)
        validity = self.options.validity_for(certificate.issuer)
        validity = validity or (record and record.validity_days) or None
        source = _ASKED
        if validity is None and (installed := self.read.get_held(name)) is not None:
            validity, source = _count_days(installed), _ON_RECORD
        public = certificate.issuer == "public"
        terms = Terms(
            validity=self.list_validities(certificate.issuer, ca, validity, source),
            reuse=self.list_reuse_periods(ca) if public else (),
            order_days=self.terms.find_lead_time(certificate.issuer),
            lead_hours=max((roll.lead_hours for roll in rolls.values()), default=0),
            earliest=self.begin,
        )
        if terms not in self._timetables:
            self._timetables[terms] = Timetable(terms, self.days)
        return self._timetables[terms]

    def find_roll_overs(self, certificate: PlannedCertificate) -> dict[str, RollOver]:
        """Return the rollover rule for each usage of a certificate that can roll over."""
        if self.procedure is None:
            return {}
        roll_overs = ((usage, self.procedure.find_roll_over(usage)) for usage in certificate.usages)
        return {usage: roll for usage, roll in roll_overs if roll is not None}

    def list_validities(
        self, issuer: str, ca: str, requested_days: int | None, source: str = _ASKED
    ) -> tuple[Step, ...]:
        """Return the validity of new certificates by date.

        `source` is the source of `asked` days.
        """
        key = (issuer, ca, requested_days, source)
        if key not in self._validity:
            limits = load_ca_rules().list_smallest_limits("validity-days", issuer=issuer, ca=ca)
            usual = load_ca_rules().list_smallest_limits(
                "usual-validity-days", issuer=issuer, ca=ca
            )
            has_limit = any(limit for _, limit in limits)
            self._validity[key] = _list_validity_steps(
                limits if requested_days or has_limit else usual, requested_days, source
            )
        return self._validity[key]

    def list_reuse_periods(self, ca: str) -> tuple[Step, ...]:
        """Return how many days a public CA may reuse a domain validation, by start date."""
        if ca not in self._reuse:
            self._reuse[ca] = _list_validity_steps(
                load_ca_rules().list_smallest_limits("domain-validation-days", ca=ca), None
            )
        return self._reuse[ca]

    def is_restart_required(self, certificate: PlannedCertificate) -> bool:
        """Return whether a deployment step for a certificate drains or restarts services."""
        key = (certificate.role, certificate.usages)
        if key not in self._restarts:
            facts = self.procedure.list_facts(certificate.role) if self.procedure else ()
            self._restarts[key] = any(
                step.applies(*key)
                and step.is_in_case("renew")
                and {*step.when} <= {"several", "alone", *facts}
                and step.call != "roll"
                and (
                    step.does == "drain"
                    or any(command.startswith("Restart-") for command in step.commands)
                )
                for step in (self.procedure.steps if self.procedure else ())
            )
        return self._restarts[key]


def _count_days(certificate: Held) -> int:
    """Return the validity of a certificate in days. The last second is included."""
    return max(
        1, (add_time_span(certificate.ends, timedelta(seconds=1)) - certificate.begins) // _DAY
    )


def _find_recorded_period(
    certificate: Held, revocation: Revocation | None = None
) -> RecordedPeriod:
    """Return the validity period of a recorded certificate, which ends with its revocation."""
    if revocation is None:
        return RecordedPeriod(certificate.begins, certificate.usable_until)
    revoked_at = find_revocation_time(certificate, revocation)
    at = revoked_at or revocation.asked_at
    words = (
        f"the certificate on record was revoked on {at[:10]}"
        if revoked_at
        else f"the revocation of the certificate on record was requested on {at[:10]}"
    )
    ends = min(certificate.usable_until, read_time(at))
    return RecordedPeriod(certificate.begins, ends, words)


def _list_validity_steps(
    limits: tuple[tuple[date, CaLimit | None], ...],
    requested_days: int | None,
    source: str = _ASKED,
) -> tuple[Step, ...]:
    """Return validity periods by start date: the limit, or the requested days if they are fewer."""
    steps = []
    for day, least in limits:
        if requested_days is not None and (least is None or requested_days <= least.value):
            words = f"the plan requests {format_count(requested_days, 'day')}"
            if source == _ON_RECORD:
                words = (
                    f"the certificate on record is valid for {format_count(requested_days, 'day')}"
                )
            steps.append(Step(day, requested_days, words, source))
        elif least is None:
            steps.append(Step(day, _UNLIMITED, "no limit is known", _ASKED))
        else:
            words = f"the limit is {format_count(least.value, 'day')}"
            if least.effective:
                words = f"from {least.effective}, {words}"
            steps.append(Step(day, least.value, words, str(least.source)))
    return tuple(steps)


# The rules contain no limit for public CAs before 2015.
_UNLIMITED = 36_500


class _Schedule:
    """The renewal schedule for one certificate."""

    def __init__(self, schedules: _Schedules, certificate: PlannedCertificate, name: str) -> None:
        self.of, self.certificate, self.name = schedules, certificate, name
        self.find_timetable = schedules.find_timetable(certificate, name)
        self.find_roll_overs = schedules.find_roll_overs(certificate)
        self.days = schedules.days
        self.ends = datetime.min.replace(tzinfo=UTC)  # The certificate that is in use.
        self.is_restart_required = schedules.is_restart_required(certificate)
        self.find_ca = schedules.find_ca(certificate)

    def make_entries(self) -> tuple[list[ForecastEntry], list[ForecastProblem]]:
        """Return the forecast entries and the problems for the certificate."""
        entries: list[ForecastEntry] = []
        problems: list[ForecastProblem] = []
        installed = self.of.read.get_held(self.name)
        hold, first, in_use = None, None, installed is not None
        ordered: tuple[Turn, ...] = ()
        if installed is not None:
            revocation = self.of.read.lives[self.name].revocation
            period = _find_recorded_period(installed, revocation)
            hold, self.ends = self._build_recorded_entry(period), period.ends
            entries.append(self._build_entry(0, hold))
            ordered = tuple(self._list_replacements(hold))
        elif (issue := self.of.options.planned_issue_date) and self._is_future(issue):
            first = self.days.convert_to_number(issue)
            problems += self._find_first_problem(first)
        following = self.find_timetable.list_replacements(
            ordered[-1].hold if ordered else hold, first
        )
        for number, turn in enumerate(chain(ordered, following), 1):
            if turn.late_from is not None and hold is not None:
                gap = (
                    hold.deadline + 1,
                    turn.change,
                )  # The certificate is installed on the last possible day, so there is no gap.
                problems.append(self._build_problem(number, hold, gap))
            entries.append(self._build_turn_entry(number, turn, is_first=not in_use))
            hold, in_use = turn.hold, in_use or entries[-1].change_on is not None
            if turn.change >= self.days.count:
                return (
                    entries,
                    problems,
                )  # The certificate is never installed, and ``problems`` contains the reason.
            last = self.days.convert_to_date(hold.last + 1)
            self.ends = datetime.combine(last, time(), tzinfo=UTC)
        if hold is None:
            problems.append(self._build_never_issued_problem())
        elif hold.last < self.days.goal:
            gap = hold.deadline + 1, self.days.goal
            problems.append(self._build_problem(entries[-1].number + 1, hold, gap))
        return entries, problems

    def _list_replacements(self, current_certificate: Hold) -> Iterator[Turn]:
        """Yield the ordered or issued certificates that will replace the certificate in use."""
        life = self.of.read.lives[self.name]
        part, day = life.under_way, life.find_ready_date(self.of.terms)
        if part is None or day is None:
            return
        number, record = self.days.convert_to_number, self.of.read.records[self.name]
        order = number(date.fromisoformat((record.written_at or record.planned_at)[:10]))
        ready = max(number(day), number(self.of.begin))
        if part.issued is not None:
            following = self._build_recorded_entry(_find_recorded_period(part.issued))
            issue = following.issued
        else:
            issue = ready
            following = self.find_timetable.build_certificate(issue)
        change = self.days.next_change[ready] if ready < self.days.count else self.days.count
        deadline = current_certificate.deadline
        is_late = change > deadline
        last_change = None if is_late else self.find_timetable.find_last_change(current_certificate)
        yield Turn(
            hold=following,
            order=order,
            validate=issue
            if part.issued is None
            else issue + 1,  # The domains of an issued certificate are already validated.
            issue=issue,
            change=change,
            order_by=None,
            change_by=deadline if last_change is None else last_change,
            late_from=deadline + 1 if is_late else None,
        )

    def _is_future(self, issue_date: date) -> bool:
        """Return whether an issue date is on or after the start of the forecast.

        Without records of requests, the result is always True.
        """
        return not self.of.read.records or issue_date >= self.of.begin

    def _build_recorded_entry(self, period: RecordedPeriod) -> Hold:
        # Tokens need no lead time before a revocation, because nobody knows its date in advance.
        hours = 0 if period.revocation else self.find_timetable.terms.lead_hours
        number = self.days.convert_to_number
        # A certificate must be valid for the complete day. It is still valid during the second in
        # notAfter.
        last, deadline = (
            number(find_last_whole_day(moment))
            for moment in (period.ends, add_time_span(period.ends, -timedelta(hours=hours)))
        )
        renew = number(
            period.ends.date()
            if period.revocation
            else find_renewal_day(period.begins, period.ends)
        )
        return Hold(number(period.begins.date()), last, deadline, renew, period)

    def _build_entry(self, number: int, period: Hold) -> ForecastEntry:
        certificate = self.certificate
        recorded = period.recorded
        if recorded is None:
            begins = datetime.combine(self.days.convert_to_date(period.issued), time(), tzinfo=UTC)
            ends = datetime.combine(
                self.days.convert_to_date(period.last), _LAST_SECOND, tzinfo=UTC
            )
        else:
            begins, ends = recorded.begins, recorded.ends
        is_revoked = recorded is not None and recorded.revocation
        return ForecastEntry(
            id=self.name,
            owner=certificate.owner,
            role=certificate.role,
            servers=certificate.servers,
            usages=certificate.usages,
            issuer=certificate.issuer,
            ca=self.find_ca,
            number=number,
            valid_until=ends.date(),
            renew_from=ends.date()
            if is_revoked
            else self.of.terms.plan_renewal(begins, ends, certificate.issuer).order_on,
        )

    def _build_turn_entry(self, number: int, turn: Turn, *, is_first: bool) -> ForecastEntry:
        day, certificate = self.days.convert_to_date, self.certificate
        # A certificate that is issued on the planned date can expire before it can be installed.
        comes = turn.change < self.days.count and turn.change <= turn.hold.last
        change = day(turn.change) if comes else None
        finished_at = change and datetime.combine(change + _DAY, time(), tzinfo=UTC)
        effect = []
        for usage, roll in self.find_roll_overs.items() if finished_at and not is_first else ():
            moment = add_time_span(self.ends, -timedelta(hours=roll.lead_hours))
            # A certificate is still valid during the second in notAfter. If it ends at 23:59:59, it
            # is valid for the complete day.
            if finished_at and finished_at <= add_time_span(moment, timedelta(seconds=1)):
                effect.append((usage, moment))
        shared = certificate.shared_by == "deployment"
        is_proven = bool(self.find_timetable.terms.reuse) and turn.validate <= turn.issue
        return self._build_entry(number, turn.hold)._replace(
            order_on=day(turn.order),
            order_by=None if turn.order_by is None else day(turn.order_by),
            validate_on=day(turn.validate) if is_proven else None,
            issued_on=day(turn.issue),
            change_on=change,
            change_by=None if turn.change_by is None else day(turn.change_by),
            takes_effect=tuple(effect),
            late_from=None if turn.late_from is None else day(turn.late_from),
            changes=0 if change is None else 1 if shared else len(certificate.servers),
            restarts=self.is_restart_required and not is_first,
        )

    def _find_first_problem(self, issue_day: int) -> Iterator[ForecastProblem]:
        rules = find_rules_for_first_issue(self.find_timetable, issue_day)
        if rules:
            day, change = (
                self.days.convert_to_date(issue_day),
                self.days.next_change[issue_day],
            )
            last = self.days.convert_to_date(min(change - 1, self.days.goal))
            yield ForecastProblem(
                certificates=(), number=1, begins=day, ends=max(day, last), rules=rules,
                what=(f"you cannot get the first certificate on {day} and then install it as "
                      "planned"),
            )  # fmt: skip

    def _build_problem(
        self, number: int, certificate: Hold, missing_days: tuple[int, int]
    ) -> ForecastProblem:
        begins, ends = map(self.days.convert_to_date, missing_days)
        source = "; ".join(dict.fromkeys(roll.source for roll in self.find_roll_overs.values()))
        # Certificates that end on the same day have the same rules, whatever the exact time is.
        recorded = certificate.recorded
        end = recorded and (recorded.ends.date(), recorded.revocation)
        key = (
            self.find_timetable.terms, certificate._replace(recorded=None), end, missing_days[0],
        )  # fmt: skip
        if key not in self.of.broken:
            self.of.broken[key] = find_rules_that_block_renewal(
                self.find_timetable, certificate, missing_days[0], lead_source=source
            )
        rules = self.of.broken[key]
        description = (
            f"the servers have no valid certificate {format_span(begins, ends)}, because "
            "the next certificate is not installed in time"
        )
        return ForecastProblem(
            certificates=(), number=number, begins=begins, ends=ends, what=description, rules=rules
        )

    def _build_never_issued_problem(self) -> ForecastProblem:
        start_date, end = self.of.begin, self.days.until
        rule = BrokenRule(
            rule="earliest order",
            says=f"a certificate that is ordered on {start_date} or later cannot be installed on "
            f"or before {end}",
            begins=start_date, ends=end, source="plan options: freezes, windows, lead_days",
        )  # fmt: skip
        return ForecastProblem(
            certificates=(), number=1, begins=start_date, ends=end, rules=(rule,),
            what=f"the certificate cannot be installed on or before {end}",
        )  # fmt: skip


def _add_validations(
    entries: list[ForecastEntry], schedules: _Schedules
) -> Iterator[ForecastEntry]:
    """Add to each forecast entry the domains that need a new validation."""
    domains = {
        certificate.id: _list_domains(
            certificate,
            each_name=load_ca_rules().validates_each_name(schedules.find_ca(certificate)),
        )
        for certificate in schedules.read.plan.certificates
        if certificate.issuer == "public"
    }
    proofs: dict[tuple[str, str], date] = {}
    needed: dict[int, tuple[str, ...]] = {}
    order = sorted(
        (position for position, entry in enumerate(entries) if entry.issuer == "public"),
        key=lambda position: (_find_issue_date(entries[position], schedules), position),
    )
    for position in order:
        entry = entries[position]
        issued, day = _find_issue_date(entry, schedules), entry.validate_on
        reuse = find_step(schedules.list_reuse_periods(entry.ca), issued).days
        domains_to_validate = []
        for domain in domains[entry.id]:
            proof = proofs.get((entry.ca, domain))
            if entry.number and day is None:
                # If the domain cannot be validated before the deadline, the forecast contains a
                # separate problem for it, so this step is skipped.
                continue
            if proof is None or (issued - proof).days > reuse:
                proofs[entry.ca, domain] = day or issued
                domains_to_validate.append(domain)
        needed[position] = tuple(domains_to_validate) if day else ()
    for position, entry in enumerate(entries):
        if domains_now := needed.get(position):
            yield entry._replace(domains=domains_now)
        else:
            yield entry._replace(validate_on=None) if entry.validate_on else entry


def _find_issue_date(entry: ForecastEntry, schedules: _Schedules) -> date:
    """Return the issue date of an entry, or the first day of validity of a recorded certificate."""
    held = schedules.read.get_held(entry.id)
    return entry.issued_on or (held.begins.date() if held else date.min)


def _list_domains(certificate: PlannedCertificate, *, each_name: bool) -> tuple[str, ...]:
    """Return the domains that the CA validates: every name, or only the registered domains.

    A CA may use the validation of a domain for all names below the domain. Source: Baseline
    Requirements 3.2.2.4.7.
    """
    names = (entry.name for entry in certificate.subject_alt_name)
    return tuple(
        sorted({str(name if each_name else name.registered_domain or name) for name in names})
    )


def _list_notes(
    input_data: _ForecastInput, options: PlanOptions, entries: tuple[ForecastEntry, ...]
) -> Iterator[str]:
    """Yield a note about an assumed validity, with the number of orders that it affects.

    The other assumptions are the same for every plan, so the documentation contains them.
    """
    ordered = [entry.id for entry in entries if entry.order_on]
    orders = format_count(len(ordered), "order")
    assumed = [
        certificate
        for certificate in input_data.plan.certificates
        if certificate.issuer == "internal"
        and not (input_data.get_held(certificate.id) or options.validity_for("internal"))
        and not ((record := input_data.records.get(certificate.id)) and record.validity_days)
    ]
    ids = {certificate.id for certificate in assumed}
    concerned = sum(request_id in ids for request_id in ordered)
    for limit in load_ca_rules().list_limits("usual-validity-days", issuer="internal"):
        if assumed:
            yield (
                f"the forecast assumes a validity of {format_count(limit.value, 'day')} for "
                f"{format_count(len(assumed), 'certificate')} from an internal CA "
                f"({concerned:,} of {orders}), because plan.toml has no validity_days and no "
                f"earlier validity is recorded. Source: {limit.source}"
            )
