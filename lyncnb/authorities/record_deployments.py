"""Record which certificates are installed on servers, and which ones a CA has revoked.

Only the administrator knows when a certificate is installed. Until the deployment is recorded, the
earlier generation counts as in use (``request_folder/generations.py``). This module does not use
private keys.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any, ClassVar

from ..base.arguments import check_type
from ..base.planned_entry import list_importing_servers
from ..base.records import JsonSerializable
from ..base.shown.frames import Kind
from ..base.shown.tables import Table, columns, format_count
from ..base.times import convert_to_date
from ..errors import BundleError, OptionsError, Problem
from ..request_folder.bundle import RequestBundle
from ..request_folder.files_on_disk import reject_problems, take_survey
from ..request_folder.generations import (
    Generation,
    find_generations,
    find_revocation_time,
    get_sha256,
    list_known_certificates,
    list_servers_for,
)
from ..request_folder.history import DAY_CORRECTED, UNDEPLOYED, Event, record_changes
from ..request_folder.manifest import Manifest, format_timestamp, read_manifest, save_manifest
from ..request_folder.request_record import (
    ArchivedGeneration,
    CoveringCertificate,
    Deployment,
    IssuedRecord,
    RequestRecord,
    Revocation,
    RevokedCertificate,
    build_deployments,
)
from .certificates_on_record import load_issued_certificates
from .named_requests import NamedRequest, find_named_requests
from .summary_files import refresh_summary_files
from .survey.server_reports import ServerReport, read_server_reports

_RECORDED, _ALREADY = "recorded", "already recorded"
_WITHDRAWN, _REVOKED = "no longer on the server", "revoked"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedDeployment(JsonSerializable):
    """A recorded change: one generation of a certificate was installed or revoked.

    ``what`` is ``recorded``, ``already recorded``, ``no longer on the server`` or ``revoked``.
    ``on`` is a date in ISO 8601. ``seen_in`` is the report that shows the deployment.
    """

    id: str
    generation: int
    what: str
    servers: tuple[str, ...]
    on: str
    serial: str
    seen_in: str = ""

    json_keys: ClassVar = ("id", "generation", "what", "servers", "on", "serial", "seen_in")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class RecordedDeployments(Table, JsonSerializable):
    """The deployments that the ``deployed`` command recorded in one run, and notes about them.

    ``is_partial`` means that certificates were left out. The notes name them.
    """

    json_keys: ClassVar = ("folder", "recorded", "notes")

    _columns: ClassVar = columns(
        ("Certificate", "id"),
        ("Generation", "generation", Kind.COUNT),
        ("Recorded", "what"),
        ("Servers", "servers"),
        ("Day", "on", Kind.DAY),
        ("Serial number", "serial"),
        ("Seen in", "seen_in"),
    )

    folder: Path
    recorded: tuple[RecordedDeployment, ...]
    notes: tuple[str, ...] = ()
    is_partial: bool = False

    @property
    def changes(self) -> int:
        """The number of certificate generations whose record was changed."""
        changed = (entry for entry in self.recorded if entry.what != _ALREADY)
        return len({(entry.id, entry.generation) for entry in changed})

    def _list_items(self) -> Iterable[Any]:
        return self.recorded

    def _summarize(self) -> str:
        return self.summary()

    def summary(self) -> str:
        """Return a sentence with the number of new records."""
        number = format_count(self.changes, "generation") if self.changes else "nothing new"
        return f"{self.folder}: {number} recorded"

    def to_text(self) -> str:
        """Return the recorded deployments as plain lines for a terminal."""
        lines = [_format_line(deployment) for deployment in self.recorded]
        return "\n".join([*lines, self.summary(), *(f"note: {note}" for note in self.notes)]) + "\n"

    def __repr__(self) -> str:
        return self.to_text().rstrip("\n")


def _format_line(deployment: RecordedDeployment) -> str:
    on_servers = f" on {', '.join(deployment.servers)}" if deployment.servers else ""
    seen = f", seen in {deployment.seen_in}" if deployment.seen_in else ""
    generation_text = (
        f"generation {deployment.generation}"
        if deployment.generation
        else "the certificate that was installed before the request was created"
    )
    description = f"{deployment.id}, {generation_text}"
    if deployment.what == _REVOKED:
        return f"revoked: {description}, serial number {deployment.serial}, on {deployment.on}"
    if deployment.what == _WITHDRAWN:
        return (
            f"withdrawn{on_servers}: {description}. An earlier certificate is still installed{seen}"
        )
    return (
        f"{deployment.what}: {description}{on_servers} since {deployment.on}, serial number "
        f"{deployment.serial}{seen}"
    )


def deployed(
    folder: str | os.PathLike[str],
    *names: str,
    on: date | None = None,
    reports: Sequence[str | os.PathLike[str]] = (),
    revoked: bool = False,
    today: date | None = None,
    lock_seconds: float = 10.0,
) -> RecordedDeployments:
    """Record that certificates are installed on their servers.

    The function records the newest generation whose certificate has no error. From then on, this
    generation counts as in use on all its servers, or on the named servers.

    Parameters
    ----------
    folder : path
        A request folder.
    *names : str
        Ids or the start of ids, servers, patterns, serial numbers or thumbprints. For a server, all
        certificates that its sheet contains are recorded. A pool's certificate is recorded for this
        server only. Without `names` and `reports`, all certificates are recorded that are packaged,
        or whose key is on another computer.
    on : date, optional
        The date since which the certificate is installed, or on which it was revoked with
        `revoked`. The default is the current date. With `names`, it corrects a recorded date.
    reports : sequence of path, optional
        Reports from servers: files that the scripts write with ``-Verify -Report FILE``, and files
        from ``lyncnb asis --save``. If a server still has an earlier generation, that generation is
        recorded.
    revoked : bool, optional
        Record instead that the CA revoked the certificates whose revocation was requested.
    today : date, optional
        The current date, for repeatable results.
    lock_seconds : float, optional
        How long to wait for another writer, in seconds.

    Returns
    -------
    RecordedDeployments
        The recorded changes. Recording the same deployment again changes nothing.

    Raises
    ------
    OptionsError
        If the date is in the future, or `revoked` is used without names.
    ReturnedFileError
        If a report cannot be read. The error lists all problems in all reports.
    BundleError
        If a named request has no certificate that can be deployed, or the folder needs attention.
        The error lists all problems, and nothing is recorded.
    """
    check_type("folder", folder, str, os.PathLike)
    check_type("deployed: on", on, date, None)
    now, present = format_timestamp(today), convert_to_date(today or datetime.now(UTC))
    day = convert_to_date(on or present)
    if day > present:
        raise OptionsError(
            f"{day} is in the future, but lyncnb records only past deployments",
            hint=f"use {present} or an earlier date, or run this command again on {day}",
        )
    if revoked and (reports or not names):
        raise OptionsError(
            "--revoked requires the name of each certificate",
            hint="specify an id, a server or a serial number: lyncnb deployed FOLDER NAME "
            "--revoked",
        )
    seen = read_server_reports(reports)
    path = Path(folder)
    # The folder is checked first, so that lyncnb creates no lock file in a folder that is not a
    # request folder.
    read_manifest(path)
    command = "deployed --revoked" if revoked else "deployed"
    with record_changes(path, command, now=now, wait_seconds=lock_seconds) as change_log:
        survey, manifest = take_survey(path), read_manifest(path)
        reject_problems(path, survey.problems)
        run = _DeploymentRun(
            manifest=manifest, day=day, now=now, present=present,
            corrects=on is not None and bool(names),
        )  # fmt: skip
        matches, problems = find_named_requests(manifest.requests, names)
        run.problems += problems
        if revoked:
            run.record_revocations(matches)
        else:
            run.good = _find_errors(RequestBundle(folder=path, manifest=manifest), day, today)
            run.record_deployments(matches, seen, is_all=not names and not reports)
        if run.problems:
            raise BundleError(
                f"{path}: lyncnb recorded nothing", problems=tuple(dict.fromkeys(run.problems))
            )
        changed = manifest.with_records(run.records.values())
        change_log.add_events(*run.withdrawn)
        if changed != manifest:
            save_manifest(path, changed)
            save_manifest(path, refresh_summary_files(path, changed))
    return RecordedDeployments(
        folder=path,
        recorded=tuple(run.recorded),
        notes=tuple(dict.fromkeys((*run.notes, *run.left_out))),
        is_partial=bool(run.left_out),
    )


def _find_errors(
    bundle: RequestBundle, deployment_date: date, today: date | None
) -> Mapping[str, str]:
    """Return the first error of each request's current certificate, or "" if there is none.

    The certificates are evaluated at the end of the deployment date.
    """
    now = datetime.now(UTC)
    evaluated_at = (
        now
        if today is None and deployment_date == now.date()
        else datetime.combine(deployment_date, time(23, 59, 59), UTC)
    )
    issued = load_issued_certificates(bundle, today=evaluated_at)
    return {
        certificate.request_id: next(
            (f.message for f in certificate.findings if f.severity == "error"), ""
        )
        for certificate in issued.certificates
    }


@dataclass(slots=True, kw_only=True)
class _DeploymentRun:
    """The state of one call to ``deployed``: current records, recorded changes, and problems."""

    manifest: Manifest
    day: date
    now: str
    present: date
    corrects: bool = False  # Whether the date that the user specified replaces a recorded date.
    good: Mapping[str, str] = field(default_factory=dict)
    records: dict[str, RequestRecord] = field(default_factory=dict)
    recorded: list[RecordedDeployment] = field(default_factory=list)
    withdrawn: list[Event] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def record_deployments(
        self, matches: Sequence[NamedRequest], seen: Sequence[ServerReport], *, is_all: bool
    ) -> None:
        """Record what the user named, what the reports show, or all that can be installed."""
        self.record_selected_requests(matches)
        self.record_reported_deployments(seen)
        self.note_missing_reports()
        if is_all:
            self.record_all_requests()

    def record_selected_requests(self, matches: Sequence[NamedRequest]) -> None:
        """Record that the newest valid certificate for each specified request is installed."""
        by_name: dict[str, list[tuple[NamedRequest, Generation | None]]] = {}
        selected_ids: set[str] = set()
        skipped: dict[str, str] = {}
        for match in matches:
            generations = [p for p in match.record.generations if p.generation == match.generation]
            part = (
                generations[0]
                if generations and generations[0].issued
                else self._find_newest_generation(match.record)
            )
            match, reason = _limit_to_importing_server(match, part)
            if reason:
                skipped[match.record.id] = reason
            else:
                by_name.setdefault(match.name, []).append((match, part))
                selected_ids.add(match.record.id)
        self.notes += (
            f"lyncnb did not record the deployment of {request_id}, because {request_id} {reason}. "
            "To record the deployment anyway, specify the request ID"
            for request_id, reason in skipped.items()
            if request_id not in selected_ids
        )
        for name, pairs in by_name.items():
            for request, part in pairs:
                if part is not None:
                    self._record_generation(request.record, part, request.servers)
                elif request.servers and any(other is not None for _, other in pairs):
                    reason = self._explain_missing_certificate(request.record)
                    self.notes.append(f"{request.record.id} was not recorded: {reason}")
                else:
                    self.problems.append(
                        Problem(
                            message=f'"{name}": {request.record.id} has no certificate that can be '
                            f"deployed: {self._explain_missing_certificate(request.record)}",
                            hint="lyncnb status FOLDER shows the state of each request",
                        )
                    )

    def record_all_requests(self) -> None:
        """Record the newest certificate of each request that can be on its servers.

        A server has only what is packaged, or a certificate whose key it already has.
        """
        for record in self.manifest.requests:
            if record.issued is None or record.state == "retired":
                continue
            if reason := self.good.get(record.id, ""):
                self.left_out.append(f"{record.id} was not recorded: {reason}")
            elif record.package is None and not (record.key_holder or record.deployed_at):
                self.left_out.append(
                    f"{record.id} was not recorded, because generation {record.generation} was "
                    "never packaged. If it is installed, specify the request ID"
                )
            elif not self._is_deployed_everywhere(record, record, record.issued):
                self._record_generation(record, record, ())

    def record_reported_deployments(self, reports: Sequence[ServerReport]) -> None:
        """Record the deployments in the reports from servers, starting with the oldest report."""
        known = {
            server.casefold()
            for request in self.manifest.requests
            for server in _list_servers(request)
        }
        for report in sorted(reports, key=lambda item: item.at):
            if report.at[:10] > self.present.isoformat():
                self.problems.append(
                    Problem(
                        message=f"the report is dated {report.at[:10]}, which is in the future",
                        file=report.source,
                        hint=f"correct the clock on {report.server}, then write the report again",
                    )
                )
            elif report.server not in known:
                self.notes.append(
                    f"{report.source}: the request folder has no certificate for {report.server}"
                )
            else:
                self._record_server_report(report)

    def record_revocations(self, matches: Sequence[NamedRequest]) -> None:
        """Record that the CA has revoked the certificates that lyncnb listed for revocation."""
        for match in matches:
            record = self.records.get(match.record.id, match.record)
            requested = [part for part in record.generations if part.revocation is not None]
            before = record.covering_certificate
            if before is not None and before.revocation is not None:
                if revocation := self._build_revocation(record.id, 0, before.revocation, (before,)):
                    self.records[record.id] = record.with_covering_certificate(
                        replace(before, revocation=revocation)
                    )
            elif not requested:
                message = f'"{match.name}": you did not request a revocation of {record.id}'
                hint = (
                    "to request a revocation, run: lyncnb renew FOLDER NAME --compromised "
                    "--reason TEXT"
                )
                self.problems.append(Problem(message=message, hint=hint))
            for part in requested:
                assert part.revocation is not None
                revocation = self._build_revocation(
                    record.id,
                    part.generation,
                    part.revocation,
                    tuple(list_known_certificates(part).values()),
                )
                if revocation is not None:
                    record = self.records.get(record.id, record)
                    self.records[record.id] = record.with_generation(
                        part.generation, revocation=revocation
                    )

    def _build_revocation(
        self,
        name: str,
        generation: int,
        revocation: Revocation,
        certificates: Sequence[IssuedRecord | Deployment | CoveringCertificate],
    ) -> Revocation | None:
        """Return the revocation to record, or None if the manifest already records a revocation."""
        when = self.now if self.day == self.present else f"{self.day}T00:00:00Z"
        earlier_certificates = revocation.certificates or tuple(
            _build_revoked_certificate(item, time)
            for item in certificates
            if (time := find_revocation_time(item, revocation))
        )
        pending = [item for item in certificates if not find_revocation_time(item, revocation)]
        if revocation.revoked_at and not pending:
            results = [(entry.revoked_at, entry.serial) for entry in earlier_certificates]
            for at, serial in results or [(revocation.revoked_at, "")]:
                self._add_result(name, generation, _ALREADY, (), at[:10], serial)
            return None
        if when[:10] < revocation.asked_at[:10]:
            requested_on = revocation.asked_at[:10]
            message = (
                f"{name}: the revocation was requested on {requested_on}, which is after {self.day}"
            )
            self.problems.append(Problem(message=message, hint="use a later date"))
            return None
        new_certificates = [
            _build_revoked_certificate(item, when)
            for item in pending
            if item.not_before[:10] <= self.day.isoformat()
        ]
        if pending and not new_certificates:
            message = (
                f"{name}: the certificate is valid from {pending[0].not_before[:10]}, which is "
                f"after {self.day}"
            )
            hint = "specify the date on which the CA revoked the certificate"
            self.problems.append(Problem(message=message, hint=hint))
            return None
        for serial in [entry.serial for entry in new_certificates] or [""]:
            self._add_result(name, generation, _REVOKED, (), when[:10], serial)
        return replace(
            revocation,
            revoked_at=max(revocation.revoked_at, when),
            certificates=(*earlier_certificates, *new_certificates),
        )

    def _find_newest_generation(self, record: RequestRecord) -> Generation | None:
        """Return the newest generation of a request that has a certificate without errors.

        If there is none, return one whose certificate is not valid yet on the date of the
        deployment. The error is then about this date.
        """
        newest_first = sorted(record.generations, key=lambda item: -item.generation)
        issued = [generation for generation in newest_first if generation.issued]
        good = (generation for generation in issued if not self._find_error(record, generation))
        return next(good, None) or next(
            (
                generation
                for generation in issued
                if generation.issued and self.day.isoformat() < generation.issued.not_before[:10]
            ),
            None,
        )

    def _find_error(self, record: RequestRecord, generation: Generation) -> str:
        if not isinstance(generation, ArchivedGeneration):
            return self.good.get(record.id, "lyncnb cannot read the certificate file")
        judgement = generation.issued.judgement if generation.issued else None
        if judgement is None:
            return ""
        accepted = {acceptance.code for acceptance in judgement.accepted}
        errors = (finding for finding in judgement.findings if finding.severity == "error")
        return next((finding.message for finding in errors if finding.code not in accepted), "")

    def _explain_missing_certificate(self, record: RequestRecord) -> str:
        newest = max(
            (generation for generation in record.generations if generation.issued), default=None,
            key=lambda item: item.generation,
        )  # fmt: skip
        return self._find_error(record, newest) if newest else "no certificate was received"

    def _is_deployed_everywhere(
        self, record: RequestRecord, generation: Generation, issued_record: IssuedRecord
    ) -> bool:
        deployments = [
            deployment
            for deployment in generation.every_deployment
            if deployment.matches(issued_record)
        ]
        if (generation.plan or record.plan).shared_by == "deployment" and any(
            not deployment.seen_in for deployment in deployments
        ):
            return True
        servers = list_servers_for(record, generation)
        return bool(servers) and {item.server for item in deployments}.issuperset(servers)

    def _record_generation(
        self,
        record: RequestRecord,
        part: Generation,
        servers: Sequence[str],
        *,
        day: str = "",
        report_name: str = "",
    ) -> None:
        """Record that a generation is installed on the specified servers, or on all servers.

        If no server is specified, record all servers.
        """
        record = self.records.get(record.id, record)
        part = {item.generation: item for item in record.generations}[part.generation]
        issued, day = part.issued, day or self.day.isoformat()
        assert issued is not None
        if day < (start_date := issued.not_before[:10]):
            message = (
                f"{record.id}: the certificate is valid from {start_date}, which is after {day}"
            )
            hint = "specify the date on which the certificate was installed on the servers"
            self.problems.append(Problem(message=message, file=report_name, hint=hint))
            return
        servers = servers or list_servers_for(record, part)
        present = {deployment.server: deployment for deployment in part.every_deployment}
        superseded = _find_superseded_servers(record, part)
        # A recorded date can be corrected only if the certificate is installed on all servers that
        # the user specified.
        corrects = self.corrects and not report_name and present.keys() >= set(servers)
        new = [
            server
            for server in servers
            if server not in present
            or server in superseded
            or not present[server].matches(issued)
            or (corrects and present[server].on != day)
        ]
        self.withdrawn += (
            Event(
                DAY_CORRECTED, record.id, part.generation,
                server=server, on=present[server].on, note=f"to {day}",
            )
            for server in new
            if server in present and server not in superseded
            and present[server].matches(issued)
        )  # fmt: skip
        self._note_missing_package(record, part, is_seen=bool(report_name or present))
        if not new:
            first = max((present[server].on for server in servers), default=day)
            self._add_result(
                record.id, part.generation, _ALREADY, servers, first, issued.serial, report_name
            )
            return
        unchanged = tuple(deployment for name, deployment in present.items() if name not in new)
        added = build_deployments(
            issued, new, date_text=day, recorded_at=self.now, seen_in=report_name
        )
        self.records[record.id] = record.with_generation(
            part.generation, deployments=(*unchanged, *added)
        )
        self._add_result(
            record.id, part.generation, _RECORDED, new, day, issued.serial, report_name
        )

    def _note_missing_package(
        self, record: RequestRecord, part: Generation, *, is_seen: bool
    ) -> None:
        """Note a current generation that was never packaged, if its key is in the folder."""
        has_key_elsewhere = part is not record or record.key_holder or record.deployed_at
        if part.package is None and not (is_seen or has_key_elsewhere):
            self.notes.append(f"{record.id}: generation {part.generation} was never packaged")

    def note_missing_reports(self) -> None:
        """Note the servers of a certificate that replicates, if no report shows it there."""
        for record in self.records.values():
            is_shared = record.plan.shared_by == "deployment"
            if not is_shared or find_generations(record).is_recorded:
                continue
            has = {
                deployment.server
                for deployment in record.deployments
                if record.issued and deployment.certificate == record.issued.sha256
            }
            if has and (missing := [name for name in record.plan.servers if name not in has]):
                self.notes.append(
                    f"{record.id}: generation {record.generation} is not recorded on "
                    f"{', '.join(missing)}"
                )

    def _record_server_report(self, report: ServerReport) -> None:
        unmatched = set(report.thumbprints)
        for record in self.manifest.requests:
            record = self.records.get(record.id, record)
            seen = sorted(
                (
                    part
                    for part in record.generations
                    if part.issued and part.issued.thumbprint_sha1.casefold() in report.thumbprints
                    and report.server in map(str.casefold, list_servers_for(record, part))
                ),
                key=lambda part: part.generation,
            )  # fmt: skip
            unmatched -= {part.issued.thumbprint_sha1.casefold() for part in seen if part.issued}
            if seen:
                # If a server uses two generations, record the earlier one. If both are only in the
                # certificate store, record the later one.
                self._record_reported_generation(record, seen[-1 if report.of_store else 0], report)
        if unmatched and not report.of_store:
            thumbprints = ", ".join(thumbprint.upper() for thumbprint in sorted(unmatched))
            self.notes.append(
                f"{report.source}: {report.server} uses certificates that do not belong to this "
                f"folder: {thumbprints}"
            )

    def _record_reported_generation(
        self, record: RequestRecord, generation: Generation, report: ServerReport
    ) -> None:
        assert generation.issued is not None
        if generation.issued.thumbprint_sha1.casefold() in report.unused:
            self.notes.append(
                f"{report.source}: {report.server} has the certificate of {record.id}, "
                f"generation {generation.generation}, but does not use it for all planned usages, "
                "so lyncnb does not record the deployment"
            )
            return
        server = next(
            server
            for server in list_servers_for(record, generation)
            if server.casefold() == report.server
        )
        newer = [
            (later, deployment)
            for later in record.generations
            if later.generation > generation.generation
            for deployment in later.every_deployment
            if deployment.server == server
        ]
        for later, deployment in newer:
            # A report shows which certificates were installed when it was created. It does not
            # change the record of later installations.
            if (deployment.on, deployment.recorded_at) > (
                report.at[:10],
                report.at,
            ) or record.deployed_at:
                self.notes.append(
                    f"{report.source}: on {report.at[:10]}, {server} had generation "
                    f"{generation.generation} of {record.id}, but generation {later.generation} "
                    f"has been recorded for this server since {deployment.on}. lyncnb does not "
                    "replace the newer record"
                )
                return
        for later, _ in newer:
            remaining = tuple(
                deployment for deployment in later.every_deployment if deployment.server != server
            )
            record = record.with_generation(later.generation, deployments=remaining)
            self.records[record.id] = record
            serial = later.issued.serial if later.issued else ""
            self._add_result(
                record.id, later.generation, _WITHDRAWN, (server,), "", serial, report.source
            )
            details = {"server": server, "on": report.at[:10], "note": f"seen in {report.source}"}
            self.withdrawn.append(Event(UNDEPLOYED, record.id, later.generation, **details))
        self._record_generation(
            record, generation, (server,), day=report.at[:10], report_name=report.source
        )

    def _add_result(
        self,
        name: str,
        generation: int,
        change: str,
        servers: Sequence[str],
        iso_date: str,
        serial: str,
        report_name: str = "",
    ) -> None:
        deployment = RecordedDeployment(
            id=name,
            generation=generation,
            what=change,
            servers=tuple(servers),
            on=iso_date,
            serial=serial,
            seen_in=report_name,
        )
        if deployment not in self.recorded:
            self.recorded.append(deployment)


def _limit_to_importing_server(
    match: NamedRequest, part: Generation | None
) -> tuple[NamedRequest, str]:
    """Limit a match to the servers whose steps import the certificate.

    Returns
    -------
    tuple
        The match, and the reason why the names of its servers do not select the certificate, or "".
    """
    if not match.servers:
        return match, ""
    if match.record.state == "retired":
        return match, "is no longer planned"
    plan = (part.plan if part is not None else None) or match.record.plan
    importing_servers = list_importing_servers(plan.servers, plan.shared_by)
    if plan.shared_by != "deployment" or not importing_servers:
        return match, ""
    servers = tuple(server for server in match.servers if server in importing_servers)
    if not servers:
        return match, f"is imported on {importing_servers[0]}"
    return replace(match, servers=servers), ""


def _find_superseded_servers(record: RequestRecord, generation: Generation) -> set[str]:
    """Return the servers on which another generation was installed later.

    If a server returns to an earlier certificate, the earlier generation is recorded again.
    """
    present = {
        deployment.server: deployment.recorded_at for deployment in generation.every_deployment
    }
    return {
        deployment.server
        for other in record.generations
        if other.generation != generation.generation
        for deployment in other.every_deployment
        if deployment.recorded_at > present.get(deployment.server, deployment.recorded_at)
    }


def _build_revoked_certificate(
    certificate: IssuedRecord | Deployment | CoveringCertificate, revoked_at: str
) -> RevokedCertificate:
    return RevokedCertificate(
        sha256=get_sha256(certificate), serial=certificate.serial, revoked_at=revoked_at
    )


def _list_servers(record: RequestRecord) -> Iterator[str]:
    for part in record.generations:
        yield from list_servers_for(record, part)
