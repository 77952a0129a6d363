"""Record which certificates are installed on servers, and which ones a CA has revoked.

Only the administrator knows when a certificate is installed. Until the deployment is recorded, the
earlier generation counts as in use (``request_folder/generations.py``). This module does not use
private keys. ``installed/`` contains the other records of this command.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time
from pathlib import Path

from ..base.arguments import check_type
from ..base.planned_entry import list_importing_servers
from ..base.times import convert_to_date
from ..errors import BundleError, OptionsError
from ..request_folder.bundle import RequestBundle
from ..request_folder.files_on_disk import reject_problems, take_survey
from ..request_folder.generations import (
    REVOCATION_REASONS,
    Generation,
    find_generations,
    list_servers_for,
)
from ..request_folder.history import DAY_CORRECTED, UNDEPLOYED, Event, record_changes
from ..request_folder.manifest import format_timestamp, read_manifest, save_manifest
from ..request_folder.request_record import (
    ArchivedGeneration,
    Deployment,
    IssuedRecord,
    RequestRecord,
    build_deployments,
)
from .certificates_on_record import load_issued_certificates
from .installed.departures import build_return_event, record_departures
from .installed.deployed_results import ALREADY, RECORDED, WITHDRAWN, RecordedDeployments
from .installed.deployed_run import Run
from .installed.revocations import record_revocations
from .installed.undo import undo_records
from .named_requests import NamedRequest, find_named_requests
from .summary_files import refresh_summary_files
from .survey.server_reports import ServerReport, read_server_reports


def deployed(
    folder: str | os.PathLike[str],
    *names: str,
    on: date | None = None,
    reports: Sequence[str | os.PathLike[str]] = (),
    undo: bool | RecordedDeployments = False,
    gone: bool = False,
    revoked: bool = False,
    reason: str = "",
    dry_run: bool = False,
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
        `revoked`, or on which the server left with `gone`. The default is the current date. With
        `names`, it corrects a recorded date.
    reports : sequence of path, optional
        Reports from servers: files that the scripts write with ``-Verify -Report FILE``, and files
        from ``lyncnb asis --save``. If a server still has an earlier generation, that generation is
        recorded.
    undo : bool or RecordedDeployments, optional
        Lift the newest record of each name instead, or without names, all records of the newest
        run. If it is the result of a dry run, exactly these records are lifted.
    gone : bool, optional
        Record instead that the named servers left the deployment.
    revoked : bool, optional
        Record instead that the CA revoked the certificates.
    reason : str, optional
        A reason from RFC 5280 section 5.3.1. With `revoked`, the reason of a revocation that was
        not requested. With `gone`, the reason with which to request revocations.
    dry_run : bool, optional
        Return the changes, and record nothing.
    today : date, optional
        The current date, for repeatable results.
    lock_seconds : float, optional
        How long to wait for another writer, in seconds.

    Returns
    -------
    RecordedDeployments
        The recorded changes. Recording the same deployment again changes nothing. If only some
        names could be recorded, ``is_partial`` is true, and the notes contain the reasons.

    Raises
    ------
    OptionsError
        If the date is in the future, or the arguments contradict each other.
    ReturnedFileError
        If a report cannot be read. The error lists all problems in all reports.
    BundleError
        If nothing can be recorded, or the folder needs attention. The error lists all problems.
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
    kinds = {"--undo": undo is not False, "--gone": gone, "--revoked": revoked}
    kind = next((option for option, is_set in kinds.items() if is_set), "")
    _check_arguments(kinds, names, reports=reports, on=on, reason=reason)
    seen = read_server_reports(reports)
    path = Path(folder)
    # The folder is checked first, so that lyncnb creates no lock file in a folder that is not a
    # request folder.
    read_manifest(path)
    command = f"deployed {kind}".strip()
    changes = record_changes(path, command, now=now, wait_seconds=lock_seconds)
    with nullcontext() if dry_run else changes as change_log:
        survey, manifest = take_survey(path, is_reading=dry_run), read_manifest(path)
        reject_problems(path, survey.problems)
        run = _DeploymentRun(
            manifest=manifest, day=day, now=now, present=present,
            corrects=on is not None and bool(names),
        )  # fmt: skip
        if not kind:
            run.good = _find_errors(RequestBundle(folder=path, manifest=manifest), day, today)
        run.record(kind, names, reason=reason, seen=seen)
        result = _build_result(path, run, dry_run=dry_run)
        if isinstance(undo, RecordedDeployments) and undo.recorded != result.recorded:
            raise BundleError(
                f"{path}: another command recorded something, so lyncnb undid nothing",
                hint="run this command again, and check the list",
            )
        changed = manifest.with_records(run.records.values())
        if change_log is not None:
            change_log.add_events(*run.events)
            if changed != manifest:
                save_manifest(path, changed)
                save_manifest(path, refresh_summary_files(path, changed))
    return result


def _check_arguments(
    kinds: Mapping[str, bool],
    names: Sequence[str],
    *,
    reports: Sequence[str | os.PathLike[str]],
    on: date | None,
    reason: str,
) -> None:
    chosen = [option for option, is_set in kinds.items() if is_set]
    if len(chosen) > 1 or (chosen and reports):
        both = " and ".join((*chosen, *(("--report",) if reports else ())))
        raise OptionsError(f"{both} cannot be combined", hint="run one command for each")
    if chosen and chosen != ["--undo"] and not names:
        what, named = "certificate", "an id, a server or a serial number"
        if kinds["--gone"]:
            what = named = "server"
        raise OptionsError(
            f"{chosen[0]} requires the name of each {what}",
            hint=f"specify {named}: lyncnb deployed FOLDER NAME {chosen[0]}",
        )
    if kinds["--undo"] and on is not None:
        raise OptionsError("--undo and --on cannot be combined", hint="omit --on")
    if reason and not (kinds["--revoked"] or kinds["--gone"]):
        raise OptionsError(
            "--reason requires --revoked or --gone", hint="a deployment needs no reason"
        )
    if reason and reason not in REVOCATION_REASONS:
        raise OptionsError(
            f'"{reason}" is not a reason for a revocation',
            hint=f"use one of {', '.join(REVOCATION_REASONS)}",
        )


def _build_result(folder: Path, run: _DeploymentRun, *, dry_run: bool) -> RecordedDeployments:
    """Return the result of a run, or raise an error if nothing could be recorded."""
    problems = tuple(dict.fromkeys(run.problems))
    if problems and not run.recorded:
        raise BundleError(f"{folder}: lyncnb recorded nothing", problems=problems)
    left_out = [*run.left_out, *map(str, problems)]
    return RecordedDeployments(
        folder=folder,
        recorded=tuple(run.recorded),
        notes=tuple(dict.fromkeys((*run.notes, *left_out))),
        is_partial=bool(left_out),
        dry_run=dry_run,
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
class _DeploymentRun(Run):
    """A call to ``deployed`` that records which certificates are installed.

    ``corrects`` says whether the date that the user specified replaces a recorded date. ``good``
    contains the error of each current certificate, or a blank.
    """

    corrects: bool = False
    good: Mapping[str, str] = field(default_factory=dict)

    def record(
        self, kind: str, names: Sequence[str], *, reason: str, seen: Sequence[ServerReport]
    ) -> None:
        """Record what the user named, what the reports show, or all that can be installed."""
        if kind == "--gone":
            record_departures(self, names, reason)
            return
        matches, problems = find_named_requests(self.manifest.requests, names)
        self.problems += problems
        if kind == "--undo":
            undo_records(self, matches, is_all=not names)
        elif kind == "--revoked":
            record_revocations(self, matches, reason)
        else:
            self.record_selected_requests(matches)
            self.record_reported_deployments(seen)
            self.note_missing_reports()
        if not (kind or names or seen):
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
                    self.add_problem(
                        f'"{name}": {request.record.id} has no certificate that can be deployed: '
                        f"{self._explain_missing_certificate(request.record)}",
                        "lyncnb status FOLDER shows the state of each request",
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
                self.add_problem(
                    f"the report is dated {report.at[:10]}, which is in the future",
                    f"correct the clock on {report.server}, then write the report again",
                    file=report.source,
                )
            elif report.server not in known:
                self.notes.append(
                    f"{report.source}: the request folder has no certificate for {report.server}"
                )
            else:
                self._record_server_report(report)

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
        record = self.get_record(record)
        part = {item.generation: item for item in record.generations}[part.generation]
        issued, day = part.issued, day or self.day.isoformat()
        assert issued is not None
        if day < (start_date := issued.not_before[:10]):
            self.add_problem(
                f"{record.id}: the certificate is valid from {start_date}, which is after {day}",
                "specify the date on which the certificate was installed on the servers",
                file=report_name,
            )
            return
        servers = servers or list_servers_for(record, part) or (part.plan or record.plan).servers
        gone = {entry.server for entry in record.gone}
        record = self._return_servers(record, servers)
        part = {item.generation: item for item in record.generations}[part.generation]
        present = {deployment.server: deployment for deployment in part.every_deployment}
        replaced = _find_superseded_servers(record, part) | gone
        # A recorded date can be corrected only if the certificate is installed on all servers that
        # the user specified.
        corrects = self.corrects and not report_name and present.keys() >= set(servers)
        new = []
        for server in servers:
            known = present.get(server) if server not in replaced else None
            if known is None or not known.matches(issued):
                new.append(server)
            elif corrects and known.on != day:
                new.append(server)
                event = Event(DAY_CORRECTED, record.id, part.generation, server=server, on=known.on)
                self.events.append(event._replace(note=f"to {day}"))
        self._note_missing_package(record, part, is_seen=bool(report_name or present))
        number, serial = part.generation, issued.serial
        if not new:
            first = max((present[server].on for server in servers), default=day)
            self.add_result(record.id, number, ALREADY, servers, first, serial, seen_in=report_name)
            return
        added = build_deployments(
            issued, new, date_text=day, recorded_at=self.now, seen_in=report_name
        )
        self.records[record.id] = _add_deployments(record, part, added)
        self.add_result(record.id, number, RECORDED, new, day, serial, seen_in=report_name)

    def _return_servers(self, record: RequestRecord, servers: Sequence[str]) -> RequestRecord:
        """Lift the record that servers left, because they have a certificate again."""
        returned = [entry for entry in record.gone if entry.server in servers]
        if not returned:
            return record
        self.events += (build_return_event(record, entry) for entry in returned)
        return record.with_gone_servers(entry for entry in record.gone if entry not in returned)

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
            record = self.get_record(record)
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
                deployment
                for deployment in later.deployments or later.every_deployment
                if deployment.server != server
            )
            record = record.with_generation(later.generation, deployments=remaining)
            self.records[record.id] = record
            serial = later.issued.serial if later.issued else ""
            self.add_result(
                record.id, later.generation, WITHDRAWN, (server,), "", serial, seen_in=report.source
            )
            details = {"server": server, "on": report.at[:10], "note": f"seen in {report.source}"}
            self.events.append(Event(UNDEPLOYED, record.id, later.generation, **details))
        self._record_generation(
            record, generation, (server,), day=report.at[:10], report_name=report.source
        )


def _add_deployments(
    record: RequestRecord, part: Generation, added: Sequence[Deployment]
) -> RequestRecord:
    """Add deployments. The earlier ones remain, because they count again after an undo."""
    facts = {(entry.server, entry.certificate, entry.on) for entry in added}
    earlier = (
        entry
        for entry in part.deployments or part.every_deployment
        if (entry.server, entry.certificate, entry.on) not in facts
    )
    return record.with_generation(part.generation, deployments=(*earlier, *added))


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


def _list_servers(record: RequestRecord) -> Iterator[str]:
    for part in record.generations:
        yield from list_servers_for(record, part)
