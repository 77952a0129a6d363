"""Return the state of each request in a folder, and problems with the folder's files.

This module only reads files, so it needs no lock and no passphrase. It compares the hashes of CSR
and key files with the records. ``rebuild`` also decrypts each key and compares it with the CSR.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from itertools import chain
from operator import attrgetter
from pathlib import Path
from typing import Any, ClassVar

from ..base.arguments import check_type
from ..base.disk import files
from ..base.disk.folder_lock import OWNER_NAME, describe_owner
from ..base.pasted_text import shown
from ..base.planned_entry import PlannedEntry
from ..base.records import JsonSerializable
from ..base.renewal_days import RenewalTerms
from ..base.shown.frames import Kind
from ..base.shown.tables import Table, columns, format_count, join_first_texts
from ..base.terminal import quote_argument
from ..base.times import add_time_span, convert_to_time, format_time
from ..errors import ArgumentError, Problem
from ..reports.tasks import OpenStep, list_next_steps, list_open_steps
from ..reports.timeline_figure import DatedFact
from ..request_folder.bundle import RequestBundle
from ..request_folder.entries import PLACE, Entry
from ..request_folder.facts import OTHER_COPY
from ..request_folder.files_on_disk import (
    CHANGED,
    MISSING,
    Survey,
    find_archive_problems,
    find_record_problems,
    take_survey,
)
from ..request_folder.folder_location import explain_missing_permissions
from ..request_folder.generations import (
    Generations,
    Held,
    find_generations,
    find_state_by_date,
    list_certificates_to_revoke,
)
from ..request_folder.key_bindings import report_shared_keys, report_unverified_keys
from ..request_folder.leftovers import group_files_by_request
from ..request_folder.manifest import Manifest, read_folder
from ..request_folder.plan_file import PLAN_NAME, find_plan_problems, read_renewal_terms
from ..request_folder.recovery_key import LIST, find_recovery_problems
from ..request_folder.request_record import ArchivedGeneration, RequestRecord
from ..request_folder.unrecorded import (
    describe_unknown_files,
    list_possible_secrets,
    report_unrecorded_requests,
)
from ..rules.returned_rules import list_returned_checks
from .altered_entries import find_altered_entries
from .certificates_on_record import load_issued_certificates
from .evaluation.evaluation import SEVERAL_ROOTS
from .kept_approval import verify_approval
from .returned.issued import IssuedCertificates
from .saved_plan_status import SavedPlanStatus, compare_with_saved_plan
from .summary_files import explain_stale_summary

#: All states that a request can have, in chronological order.
STATES = (
    *("planned", "waiting", "issued", "packaged", "installed", "refused", "covered", "expiring"),
    *("expired", "superseded", "retired"),
)

_COVERS_TOLD = 20
_MOST_DAYS = 36_500
_NAMES_SHOWN = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestStatus(JsonSerializable):
    """The state of a planned certificate, and the progress of the certificate that replaces it.

    ``not_after`` and ``days_left`` belong to the certificate in use, whose generation is
    ``in_use``. Without a certificate in use, they are empty, None, and 0. ``usable_until`` is the
    earliest end in its chain, or the date ``replace_by`` that the CA set; ``days_left`` counts to
    it. ``change_on`` and ``change_by`` are the first and the last date on which the next
    certificate can be installed; they are empty if it was not requested. ``due_on`` is the date
    from which somebody must act on the certificate: the order date, the first date on which the
    next certificate can be installed, or the date of the status if it cannot wait. It is empty if
    no date is known. ``needs_attention`` says whether this date has come. ``generation`` is the
    newest generation. ``under_way`` is the stage of this generation if it has not yet replaced the
    certificate in use. ``state`` is the stage of the newest generation, or ``expired`` if the
    servers have no valid certificate.

    ``since`` is the time of the last change of state, if recorded (UTC, ISO 8601). ``deployed_on``
    is the date since which all servers have the certificate in use. ``has_next`` are the servers
    that already have the next certificate. ``deployed_at`` is the time when the key and the package
    were removed because of that. ``refused`` is a certificate that must not be installed, and the
    reason: a certificate that was not accepted, or the certificate on record according to the
    current evaluation. ``key_holder`` is the computer with the private key if the folder does not
    have it. ``covered_by`` is the thumbprint of an installed certificate that makes the request
    unnecessary. ``revoke`` are the serial numbers that the CA must still revoke. ``is_revoked``
    says whether the certificate in use is revoked or must be revoked. ``handed_over_on`` is the
    date on which the request was last packaged for a CA that has not answered, if any. ``number``
    is the number of the certificate in every document of the folder, or 0 if it has none yet.
    ``steps`` are the steps that the certificate needs next, the most urgent first.
    """

    json_keys: ClassVar = (
        "id",
        "generation",
        "state",
        "role",
        "servers",
        "usages",
        "subject",
        "since",
        "in_use",
        "under_way",
        "has_next",
        "not_after",
        "days_left",
        "usable_until",
        "replace_by",
        "change_on",
        "change_by",
        "due_on",
        "deployed_on",
        "deployed_at",
        "refused",
        "key_holder",
        "covered_by",
        "revoke",
        "is_revoked",
        "handed_over_on",
        "number",
    )

    id: str
    generation: int
    state: str
    role: str
    servers: tuple[str, ...]
    usages: tuple[str, ...]
    subject: str
    since: str
    in_use: int = 0
    under_way: str = ""
    has_next: tuple[str, ...] = ()
    not_after: str = ""
    days_left: int | None = None
    usable_until: str = ""
    replace_by: str = ""
    change_on: str = ""
    change_by: str = ""
    due_on: str = ""
    needs_attention: bool = False
    deployed_on: str = ""
    deployed_at: str = ""
    refused: str = ""
    key_holder: str = ""
    covered_by: str = ""
    revoke: tuple[str, ...] = ()
    is_revoked: bool = False
    handed_over_on: str = ""
    number: int = 0
    steps: tuple[OpenStep, ...] = ()

    @property
    def state_text(self) -> str:
        """The state, and the progress of the next certificate if it is not the same."""
        following = self.next_generation_text
        if following in ("", self.state):
            return self.state
        return following if following.startswith(self.state) else f"{self.state}; next {following}"

    @property
    def next_generation_text(self) -> str:
        """The stage of the next certificate, and the number of servers on which it is installed."""
        if not self.has_next:
            return self.under_way
        return (
            f"{self.under_way}, installed on {len(self.has_next):,} of {len(self.servers):,} "
            "servers"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderStatus(Table, JsonSerializable):
    """The planned certificates in a folder and their states on one date.

    Superseded certificates are last.

    ``next_steps`` are sentences with a command each, the most urgent first. ``problems`` are files
    that are missing, changed, or accessible to others, and requests that differ from the saved
    plan; ``notes`` are other observations, and ``standing_notes`` those among them that stay the
    same from day to day. ``due_by`` is the last date of a list of what is due. ``saved_plan`` shows
    whether the folder, the saved plan, and the issued certificates agree. It is None if the folder
    was not created from a saved plan.
    """

    json_keys: ClassVar = (
        "folder",
        "today",
        "counts",
        "requests",
        "next_steps",
        "problems=problems.file,message,hint",
        "notes",
        "saved_plan",
    )

    _columns: ClassVar = columns(
        ("Certificate", "id"),
        ("Generation", "generation", Kind.COUNT),
        ("State", "state"),
        ("Role", "role"),
        ("Servers", "servers"),
        ("Type", "usages"),
        ("Subject name", "subject"),
        ("Since", "since", Kind.INSTANT),
        ("Usable until", "usable_until", Kind.DAY),
        ("Due on", "due_on", Kind.DAY),
        ("Days left", "days_left", Kind.COUNT),
        ("Under way", "next_generation_text"),
        ("Deployed", "deployed_on", Kind.DAY),
        ("Certificate refused", "refused"),
        ("No.", lambda row: row.number or "", Kind.COUNT),
    )

    folder: Path
    today: date
    requests: tuple[RequestStatus, ...]
    next_steps: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()
    standing_notes: tuple[str, ...] = ()
    saved_plan: SavedPlanStatus | None = None
    due_by: str = ""

    @property
    def needs_attention(self) -> bool:
        """Whether the request folder has a problem.

        In this case, the exit status of ``lyncnb status`` is 3.
        """
        return bool(self.problems)

    @property
    def exit_status(self) -> int:
        """The exit status of ``lyncnb status``.

        It is 3 if the folder has problems, 1 if only certificates have problems, and otherwise 0.
        """
        if self.needs_attention:
            return 3
        return int(any(request.needs_attention for request in self.requests))

    @property
    def shown(self) -> tuple[RequestStatus, ...]:
        """The rows of current requests, without superseded generations and retired requests."""
        return tuple(
            request for request in self.requests if request.state not in ("superseded", "retired")
        )

    def select_due(self, days: int) -> FolderStatus:
        """Return the status of only those requests on which somebody must act within some days.

        Parameters
        ----------
        days : int
            The number of days after the date of the status. With 0, only requests are returned on
            which somebody must act now.

        Returns
        -------
        FolderStatus
            The requests in the order of their dates, each marked as needing attention.

        Raises
        ------
        ArgumentError
            If the number of days is negative or more than 100 years.
        """
        check_type("days", days, int)
        if not 0 <= days <= _MOST_DAYS:
            raise ArgumentError(
                f"days={days} is not a number of days from 0 to {_MOST_DAYS:,}",
                hint="for example, use 14 for what is due in two weeks",
            )
        last = str(self.today + timedelta(days=days))
        due = [row for row in self.requests if row.due_on and row.due_on <= last]
        due.sort(key=attrgetter("due_on"))
        return replace(
            self,
            requests=tuple(replace(row, needs_attention=True) for row in due),
            next_steps=list_next_steps(self.folder, _list_steps(due)),
            due_by=last,
        )

    def counts(self) -> dict[str, int]:
        """Return the number of requests in each state, for example ``{"waiting": 12}``."""
        states = [request.state for request in self.requests]
        return {state: states.count(state) for state in STATES if state in states}

    @property
    def figure_title(self) -> str:
        """The title of the figure that shows the expiration dates of the certificates."""
        return "Certificates by expiration date"

    def dated_facts(self) -> tuple[DatedFact, ...]:
        """Return the expiration dates of the recorded certificates for ``ln.figure(status)``.

        Returns
        -------
        tuple of DatedFact
            The date of the status first, then one event for each certificate, by state.
        """
        facts = [
            DatedFact(
                kind="Status date",
                about="",
                what="the date of this status report",
                begins=self.today,
                ends=self.today,
                is_present=True,
            )
        ]
        for state in STATES:
            for item in self.requests:
                if item.state == state and item.usable_until:
                    facts.append(
                        DatedFact(
                            kind=f"Certificates, {state}",
                            about=item.id,
                            what=f"{item.subject} expires",
                            ends=datetime.fromisoformat(item.usable_until).date(),
                            needs_a_look=state in ("expiring", "expired"),
                            source="the received certificate",
                        )
                    )
        return tuple(facts)

    def _list_items(self) -> Iterable[Any]:
        return self.requests

    def __repr__(self) -> str:
        refused = [f"{item.id}: {item.refused}" for item in self.requests if item.refused]
        return "\n".join([self._summarize(), *map(str, self.problems), *refused, *self.notes])

    def _summarize(self) -> str:
        counted = ", ".join(f"{number:,} {state}" for state, number in self.counts().items())
        verb = "needs" if len(self.problems) == 1 else "need"
        wrong = (
            f"; {format_count(len(self.problems), 'file')} {verb} attention"
            if self.problems
            else ""
        )
        if self.due_by:
            due = format_count(len(self.requests), "certificate")
            counted = f"{due} due by {self.due_by}{f' ({counted})' if counted else ''}"
        return f"folder {self.folder} on {self.today}: {counted or 'no requests'}{wrong}"


def folder_status(
    folder: str | os.PathLike[str],
    *,
    today: date | None = None,
    approved_by: str | os.PathLike[str] | None = None,
) -> FolderStatus:
    """Return the state of each request in a folder.

    Parameters
    ----------
    folder : path
        A request folder.
    today : date or datetime, optional
        The evaluation time; a date means noon UTC of that day. The default is the current time.
    approved_by : path, optional
        A list of allowed signers, one of whom must have approved the requested plan.

    Returns
    -------
    FolderStatus
        n requests and their superseded generations.

    Raises
    ------
    BundleError
        If the folder is not a request folder, the manifest cannot be read, or others can write it.
    ApprovalError
        If the list of allowed signers cannot be read.
    """
    check_type("folder", folder, str, os.PathLike)
    check_type("today", today, date, None)
    path = Path(folder)
    survey = take_survey(path, is_reading=True)
    state = read_folder(path)
    manifest = state.manifest
    evaluated_at = convert_to_time(today) if today is not None else datetime.now(UTC)
    issued = load_issued_certificates(
        RequestBundle(folder=path, manifest=manifest), today=evaluated_at
    )
    problems = _find_problems(survey, manifest, issued)
    # A file can change between two checks, because a command is running. Only a problem that the
    # second check also finds is real.
    if problems:
        before, survey = manifest, take_survey(path, is_reading=True)
        state = read_folder(path)
        manifest = state.manifest
        # A running command records a file in the manifest only after it has received or written the
        # file.
        if manifest != before:
            issued = load_issued_certificates(
                RequestBundle(folder=path, manifest=manifest), today=evaluated_at
            )
        problems = _find_problems(survey, manifest, issued)
    standing = compare_with_saved_plan(manifest, issued)
    strays = standing.problem if standing else None
    approval = verify_approval(path, manifest, approved_by)
    problems = (
        *problems, *((strays,) if strays else ()), *approval.problems, *state.record.problems
    )  # fmt: skip
    requests = tuple(
        _list_statuses(manifest, issued, evaluated_at, read_renewal_terms(path, manifest))
    )
    standing_notes = (
        *((standing.description,) if standing and standing.follows else ()),
        *_list_standing_notes(manifest, problems),
    )
    return FolderStatus(
        folder=path,
        today=evaluated_at.date(),
        requests=requests,
        next_steps=list_next_steps(path, _list_steps(requests)),
        problems=problems,
        standing_notes=standing_notes,
        notes=(
            *standing_notes,
            *approval.notes,
            *(_report_future_entries(state.record.entries, evaluated_at) if today is None else ()),
            *_list_notes(survey, manifest, evaluated_at, problems),
            *_report_several_roots(path, issued),
        ),
        saved_plan=standing,
    )


def _report_future_entries(entries: Sequence[Entry], now: datetime) -> Iterator[str]:
    # The clocks of two computers can differ by some minutes.
    limit = format_time(add_time_span(now, timedelta(hours=1)))
    names = [
        f"{entry.digest} ({entry.document['at']}, by {shown(entry.document['user'])})"
        for entry in entries
        if entry.document["at"] > limit
    ]
    if names:
        yield (
            f"{PLACE}/ contains entries from the future: {join_first_texts(names, _NAMES_SHOWN)}. "
            "Check the clock of this computer. If it is correct, the clock of the computer that "
            "wrote the entries was wrong, and so may be the dates in them"
        )


def list_next_steps_from_manifest(
    folder: str | os.PathLike[str], manifest: Manifest, *, today: date | None = None
) -> tuple[str, ...]:
    """Return the next steps for a request folder, read from its manifest.

    The plan is the only other file that is read.

    Parameters
    ----------
    folder : path
        The request folder, for the commands.
    manifest : Manifest
        The manifest with n requests.
    today : date or datetime, optional
        The evaluation time; the default is the current time.
    """
    terms = read_renewal_terms(Path(folder), manifest)
    return list_next_steps(folder, _list_steps(list_recorded_states(manifest, terms, today=today)))


def _list_steps(requests: Iterable[RequestStatus]) -> Iterator[OpenStep]:
    return chain.from_iterable(request.steps for request in requests)


def list_recorded_states(
    manifest: Manifest, terms: RenewalTerms, *, today: date | None = None
) -> Iterator[RequestStatus]:
    """Return the state of each planned certificate from the manifest's records alone.

    Parameters
    ----------
    manifest : Manifest
        The manifest with n requests.
    terms : RenewalTerms
        The terms that determine the renewal dates.
    today : date or datetime, optional
        The evaluation time; the default is the current time.
    """
    evaluated_at = convert_to_time(today) if today is not None else datetime.now(UTC)
    for record in manifest.requests:
        yield _build_planned_status(find_generations(record), evaluated_at, terms)


def _find_problems(
    survey: Survey, manifest: Manifest, issued_certificates: IssuedCertificates
) -> tuple[Problem, ...]:
    problems = [
        *survey.problems,
        *find_plan_problems(survey.folder, manifest),
        *_find_altered_files(manifest, issued_certificates),
        *report_shared_keys(manifest),
        *report_unverified_keys(manifest),
    ]
    problems += report_unrecorded_requests(survey, manifest)
    problems += find_altered_entries(survey.folder, manifest)
    problems += find_recovery_problems(survey, manifest)
    for record in manifest.requests:
        if record.is_written:
            problems += find_record_problems(survey, record)
            problems += _find_missing_certificate(survey, record)
            for generation in record.archived:
                problems += find_archive_problems(survey, generation)
    if not manifest.rekeying:
        return tuple(problems)
    # While a passphrase is being changed, some key files differ from the record because they use
    # the new passphrase.
    changed = [item for item in problems if item.message == CHANGED and item.file.endswith(".key")]
    names = join_first_texts([item.file for item in changed], _NAMES_SHOWN) or "none"
    rekeying = Problem(
        message=f"the passphrase change that started at {manifest.rekeying} is incomplete; keys "
        f"that already use the new passphrase: {names}",
        file=f"{PLACE}/",
        hint="complete the change with the same two passphrases: lyncnb rekey FOLDER",
    )
    return (rekeying, *(item for item in problems if item not in changed))


def _find_altered_files(
    manifest: Manifest, issued_certificates: IssuedCertificates
) -> Iterator[Problem]:
    """Return the certificate files and packages that are unreadable or differ from the record."""
    packages = {record.package.file for record in manifest.requests if record.package is not None}
    for name, message in sorted(issued_certificates.exchanged.items()):
        code = "package-exchanged" if name in packages else "file-exchanged"
        description = CHANGED if message.startswith(name) else message
        yield Problem(message=description, file=name, hint=list_returned_checks()[code].hint)


def _find_missing_certificate(survey: Survey, record: RequestRecord) -> Iterator[Problem]:
    path = record.issued.file if record.issued else ""
    if path and files.is_missing(survey.folder / path):
        hint = (
            "restore the file from a backup, or receive the certificate again: lyncnb receive "
            f"{survey.folder} FILE"
        )
        yield Problem(message=MISSING, file=path, hint=hint)


def _list_notes(
    survey: Survey, manifest: Manifest, now: datetime, problems: Sequence[Problem]
) -> Iterator[str]:
    if os.path.lexists(survey.folder / OWNER_NAME):
        yield (
            "another lyncnb command is writing to the folder, or a command was interrupted: "
            f"{describe_owner(survey.folder)}"
        )
    announced = {record.id for record in manifest.requests if not record.is_written}
    if unfinished := group_files_by_request(survey, announced):
        yield (
            "lyncnb request was interrupted and left incomplete files for "
            f"{format_count(len(unfinished), 'request')}. To complete these requests, run the "
            "command again"
        )
    packages = [
        r.package.file for r in manifest.requests if r.package and r.active_state == "packaged"
    ]
    missing = [path for path in packages if files.is_missing(survey.folder / path)]
    if missing:
        yield (
            f"missing from the folder: {format_count(len(missing), 'package')}, for example "
            f"{missing[0]}. To write missing packages again, run lyncnb pfx. If the servers "
            "already have the packages, run: lyncnb purge --deployed ID"
        )
    for record in manifest.requests:
        for part in record.archived:
            if part.reasons == (OTHER_COPY,) and part.issued is None and not part.purged_at:
                yield (
                    f"{record.id}: another copy of the folder has requested another certificate. "
                    f"Withdraw the CSR with the SHA-256 {part.csr_sha256[:12]}… at the CA"
                )
    yield from _report_keys_on_other_computers(manifest)
    yield from _report_covered_certificates(manifest, now)
    yield from _report_deployed_keys(survey, manifest)
    is_reported = any(problem.file == PLAN_NAME for problem in problems)
    if not is_reported and (note := explain_stale_summary(survey.folder, manifest)):
        yield note
    if survey.keeps_no_modes:
        yield explain_missing_permissions(survey.folder)
    yield from describe_unknown_files(survey, manifest)


def _list_standing_notes(manifest: Manifest, problems: Sequence[Problem]) -> Iterator[str]:
    """Yield the notes that stay the same until somebody changes who can open the folder."""
    if manifest.team:
        yield (
            f"this folder is shared by a team: members of the group {manifest.team} can change "
            "the folder"
        )
    for key in manifest.recovery:
        if any(problem.file == LIST or key.fingerprint in problem.message for problem in problems):
            continue
        yield (
            f"in addition to the passphrase, the recovery key {key.fingerprint} (added "
            f"on {key.added_at[:10]}) can open this folder"
        )


def _report_deployed_keys(survey: Survey, manifest: Manifest) -> Iterator[str]:
    """Report the files that may still contain private keys of installed certificates."""
    deployed = {record.id for record in manifest.requests if record.deployed_at}
    if not deployed:
        return
    secret_files = list_possible_secrets(survey, manifest, deployed)
    yield f"deployed: {format_count(len(deployed), 'request')}; " + (
        (
            f"{format_count(len(secret_files), 'file')} may still contain private keys for "
            f"deployed certificates, for example {secret_files[0]}; lyncnb purge FOLDER lists the "
            "files that you can remove"
        )
        if secret_files
        else (
            "the folder no longer contains the keys and packages for deployed "
            "certificates; version histories and backups may still contain copies"
        )
    )


def _report_several_roots(folder: Path, issued_certificates: IssuedCertificates) -> Iterator[str]:
    """Yield a note about the certificates whose root nobody has chosen."""
    messages = Counter(
        finding.message
        for certificate in issued_certificates.certificates
        if not certificate.chain_complete
        for finding in certificate.findings
        if finding.code == SEVERAL_ROOTS
    )
    for message, count in messages.items():
        yield (
            f"{format_count(count, 'certificate')}: {message}. Compare the fingerprints with your "
            f"CA's, then choose the root: lyncnb receive {quote_argument(str(folder))} --accept "
            f"{SEVERAL_ROOTS}=FINGERPRINT"
        )


def _report_keys_on_other_computers(manifest: Manifest) -> Iterator[str]:
    """Yield the number of requests that each other computer created or must still create."""
    holders: dict[str, list[RequestRecord]] = {}
    at_set_up = []
    for record in manifest.requests:
        if record.plan.at_set_up and not record.is_written:
            at_set_up.append(record.id)
        elif record.key_holder and not record.deployed_at:
            holders.setdefault(record.key_holder, []).append(record)
    if at_set_up:
        yield (
            f"lyncnb does not request {format_count(len(at_set_up), 'certificate')} in advance, "
            f"for example {at_set_up[0]}. Request each certificate when you set up its server"
        )
    for holder, records in holders.items():
        created_count = sum(record.is_written for record in records)
        missing_count = len(records) - created_count
        if created_count:
            requests = format_count(created_count, "request")
            yield f"the private key exists only on {holder}: {requests}"
        if missing_count:
            yield (
                f"on {holder}, request {format_count(missing_count, 'certificate')} with the "
                "scripts in steps/. Then import the requests: lyncnb receive FOLDER --request FILE"
            )


def _report_covered_certificates(manifest: Manifest, now: datetime) -> Iterator[str]:
    """Describe which planned certificates are covered, or no longer covered, by installed ones."""
    stands = []
    for record in manifest.requests:
        cover = record.covered
        if cover is None or record.state == "retired":
            continue
        if cover.is_in_force(now):
            stands.append(
                f"lyncnb does not request {record.id}, because it is {cover}, "
                "and you confirmed that you have the private key"
            )
        else:
            yield (
                f"{record.id} was {cover}, which is no longer valid. When you next run lyncnb "
                f"request, it writes a request for {record.id}"
            )
    yield from stands[:_COVERS_TOLD]
    if stands[_COVERS_TOLD:]:
        hidden_count = len(stands) - _COVERS_TOLD
        yield (
            f"lyncnb does not request {hidden_count:,} more certificates, because installed "
            "certificates cover them"
        )


def _list_statuses(
    manifest: Manifest,
    issued_certificates: IssuedCertificates,
    today: datetime,
    terms: RenewalTerms,
) -> Iterator[RequestStatus]:
    refused = issued_certificates.refusals
    faulty = {
        certificate.request_id
        for certificate in issued_certificates.certificates
        if certificate.has_faults
    }
    expired_ids = {
        certificate.request_id
        for certificate in issued_certificates.certificates
        if certificate.has_errors
    } - faulty
    expired_ids -= {certificate.request_id for certificate in issued_certificates.open_refusals}
    lives = [
        find_generations(record, is_faulty=record.id in faulty) for record in manifest.requests
    ]
    for life in lives:
        name = life.record.id
        # If the certificate has expired, the status shows that it must be renewed, and not that a
        # certificate was refused.
        reason = "" if name in expired_ids else refused.get(name, "")
        yield replace(_build_planned_status(life, today, terms), refused=reason)
    for life in lives:
        record = life.record
        for generation in record.archived:
            if generation is not life.in_use:
                yield _build_status(
                    record,
                    generation,
                    "superseded",
                    generation.superseded_at,
                    generation.issued,
                    today,
                )


def _build_planned_status(
    lifecycle: Generations, today: datetime, terms: RenewalTerms
) -> RequestStatus:
    """Return the row of a planned certificate, with the certificate in use and the next one."""
    record, certificate_in_use = lifecycle.record, lifecycle.held
    # A certificate with an error must not be packaged or installed, even if the manifest records
    # that lyncnb already packaged it.
    present = (
        "refused" if lifecycle.is_faulty and record.state != "retired" else record.active_state
    )
    under_way = "" if lifecycle.under_way is None else present
    by_date = find_state_by_date(certificate_in_use, today, lifecycle.find_order_date(terms))
    since = {
        "planned": record.planned_at,
        "waiting": record.written_at,
        "issued": record.issued_at,
        "refused": record.issued_at,
        "packaged": record.packaged_at,
    }[present]
    state, cover = under_way or present, record.covered
    if record.state == "retired":
        state, since = "retired", record.retired_at
    elif by_date == "expired" and certificate_in_use is not None:
        state, since = "expired", format_time(certificate_in_use.usable_until)
    elif present != "refused" and by_date and not under_way:
        state = by_date
    elif lifecycle.in_use is None and cover is not None and state == "planned":
        state, since = "covered", cover.recorded_at
    elif state in ("issued", "packaged") and not under_way and lifecycle.deployed_on:
        recorded_at = (deployment.recorded_at for deployment in record.every_deployment)
        state, since = "installed", max(recorded_at, default=since)
    status = _build_status(record, record, state, since, certificate_in_use, today)
    change = lifecycle.find_change_dates(terms) if state != "retired" else None
    revoke = tuple(certificate.serial for certificate in list_certificates_to_revoke(record))
    is_revoked = lifecycle.revocation is not None and record.state != "retired"
    steps = tuple(list_open_steps(lifecycle, terms, today))
    due = [step.due_on for step in steps]
    order_date = lifecycle.find_order_date(terms)
    if order_date and lifecycle.under_way is None and state != "retired":
        due.append(order_date)
    due_on = min(due, default=None)
    return replace(
        status,
        due_on=str(due_on or ""),
        needs_attention=due_on is not None and due_on <= today.date(),
        change_on=str(change.change_on) if change else "",
        change_by=str(change.change_by) if change else "",
        in_use=lifecycle.in_use.generation if lifecycle.in_use is not None else 0,
        under_way=under_way if certificate_in_use is not None else "",
        has_next=lifecycle.updated_servers,
        deployed_on=lifecycle.deployed_on,
        deployed_at=record.deployed_at,
        key_holder=record.key_holder,
        covered_by=cover.thumbprint_sha1 if cover is not None and state == "covered" else "",
        revoke=revoke,
        is_revoked=is_revoked,
        handed_over_on=record.handed_over_at[:10] if present == "waiting" else "",
        steps=steps,
    )


def _build_status(
    record: RequestRecord,
    generation: RequestRecord | ArchivedGeneration,
    state: str,
    start_date: str,
    certificate_in_use: Held | None,
    today: datetime,
) -> RequestStatus:
    plan = generation.plan or PlannedEntry(id=record.id)
    return RequestStatus(
        id=record.id,
        number=record.number,
        generation=generation.generation,
        state=state,
        role=plan.role,
        servers=plan.servers,
        usages=plan.usages,
        subject=plan.common_name,
        since=start_date,
        not_after=certificate_in_use.not_after if certificate_in_use is not None else "",
        usable_until=format_time(certificate_in_use.usable_until) if certificate_in_use else "",
        replace_by=certificate_in_use.replace_by if certificate_in_use else "",
        days_left=None
        if certificate_in_use is None
        else (certificate_in_use.usable_until.date() - today.date()).days,
    )
