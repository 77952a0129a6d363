"""Compare installed certificates with the plan.

lyncnb evaluates an installed certificate like an issued one (``evaluation.py``), except for the
private key, which is not in the files. The exports say which servers have the key. Only the planner
knows whether a copy of it is available.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path as FilePath

from ...base.arguments import check_type
from ...base.disk.files import open_plain
from ...base.pasted_text import shown
from ...base.planned_entry import PlannedEntry
from ...base.times import convert_to_time, format_time
from ...errors import LyncnbError, ReturnedFileError
from ...pki.certificates import Certificate, format_name
from ...pki.chain import Issuers, Path, is_signed_by
from ...plan.acceptances import list_accepted_codes
from ...plan.model import CertificatePlan, convert_to_entry
from ...plan.totals import build_origin
from ...request_folder.generations import list_compromised_keys
from ...request_folder.manifest import read_manifest
from ...request_folder.request_record import RequestRecord
from ...rules.findings import Finding
from ...rules.returned_rules import create_findings, create_returned_finding
from ..cas_on_record import OTHER_ROOT, format_root
from ..demonstration import is_fictional
from ..evaluation.cross_findings import add_ca_differences
from ..evaluation.evaluation import Evaluation, Evidence, compute_entry_sha256, evaluate
from ..returned.candidates import Match, Outstanding
from ..returned.returned_files import Password, ReturnedFile, read_returned_files
from ..returned.server_export import Placement, ServerExport
from .as_is import (
    AS_IS_FILE,
    GOOD,
    LACKING,
    STATES,
    AsIs,
    InstalledCertificate,
    PlannedAsIs,
    UnplannedCertificate,
)
from .read_as_is import read_as_is

# The error codes for each state of a certificate. The first state with a matching code applies, so
# missing names take precedence over a wrong key.
_STATES: Mapping[str, frozenset[str]] = {
    "names-missing": frozenset(("names-missing", "names-replaced-by-wildcard")),
    "other-key": frozenset(
        (
            *("key-differs-from-plan", "signature-hash-sha1-public", "signature-hash-weak"),
            *("signature-pss", "signature-scheme-unsupported"),
        )
    ),
    "not-in-force": frozenset(("certificate-expired", "not-yet-valid")),
    "other-ca": frozenset((OTHER_ROOT,)),
}

_ROOT_NOTICE = "root-to-compare"


def compare_as_is(
    plan: CertificatePlan,
    *paths: str | os.PathLike[str],
    on: date | None = None,
    password: Password = None,
    folder: str | os.PathLike[str] | None = None,
) -> AsIs:
    """Compare the installed certificates with the plan.

    Parameters
    ----------
    plan : CertificatePlan
        n planned certificates.
    paths : path
        Certificates in any form, folders and zip archives, and the exports of ``lyncnb snippet
        certificates``. Only the exports show on which server a certificate is. Also files that
        ``asis --save`` or ``probe --save`` wrote for this plan: the best result counts.
    on : date, optional
        The date on which the certificates must be valid. The default is the planned issue date or
        the current date, whichever is later.
    password : Secret, str, callable or None, optional
        The password for PFX files, as for :func:`lyncnb.receive`. Private keys are not copied.
    folder : path, optional
        A request folder. A certificate whose key is recorded as compromised there covers nothing.

    Returns
    -------
    AsIs
        A result for each planned certificate, and the certificates that are not planned. The
        function writes nothing.

    Raises
    ------
    ReturnedFileError
        If a path does not exist, or no file could be read.
    BundleError
        If the request folder cannot be read.
    """
    check_type("compare_as_is: plan", plan, CertificatePlan)
    check_type("compare_as_is: on", on, date, None)
    if not paths:
        raise ReturnedFileError(
            "you did not specify any files or folders", hint="specify at least one file or folder"
        )
    saved = [read_as_is(path) for path in paths if _is_saved_comparison(path)]
    others = [path for path in paths if not _is_saved_comparison(path)]
    day = on or max(plan.options.planned_issue_date or date.min, datetime.now(UTC).date())
    if saved and not others:
        return _merge_results(plan, saved)
    files = read_returned_files(others, password=password)
    findings = tuple(
        create_returned_finding(code, file.name, message)
        for file in files
        for code, message in file.remarks
    )
    if not any(file.certificates for file in files) and not any(file.export for file in files):
        raise ReturnedFileError(
            "the specified files contain no certificates"
            + "".join(f"; {shown(finding.about)}: {finding.message}" for finding in findings[:3]),
            hint="specify certificates, folders or zip archives with certificates, or the "
            "output of the PowerShell script from lyncnb snippet certificates",
        )
    records = read_manifest(FilePath(folder)).requests if folder is not None else ()
    compared = compare_files(
        plan,
        files,
        evaluation_date=day,
        is_date_given=on is not None,
        findings=findings,
        records=records,
    )
    return _merge_results(plan, [*saved, compared]) if saved else compared


def _is_saved_comparison(path: str | os.PathLike[str]) -> bool:
    """Return whether a file was written by ``asis --save`` or ``probe --save``."""
    if not os.fspath(path).lower().endswith(".json"):
        return False
    with suppress(OSError, ValueError, LyncnbError), open_plain(path) as file:
        return AS_IS_FILE.is_ours[".json"](file)
    return False


def _merge_results(plan: CertificatePlan, comparisons: Sequence[AsIs]) -> AsIs:
    """Return the best result for each planned certificate from several comparisons.

    A probe from inside and one from outside see different ports, and no port shows some
    certificates, whose files the user adds.
    """
    if any(
        (part.product, part.plan_sha256) != (plan.rules.product, plan.sha256)
        for part in comparisons
    ):
        raise ReturnedFileError(
            "a saved list of installed certificates was created for another plan",
            hint="probe the servers again, or compare the certificates with this plan again",
        )
    ranks = {state: rank for rank, state in enumerate(STATES)}
    best: dict[str, PlannedAsIs] = {}
    for result in (item for part in comparisons for item in part.planned):
        if result.id not in best or ranks[result.state] < ranks[best[result.id].state]:
            best[result.id] = result
    planned = tuple(best.values())
    used = {item.certificate.sha256 for item in planned if item.certificate is not None}
    unplanned = {item.certificate.sha256: item for part in comparisons for item in part.unplanned}
    findings: dict[object, Finding] = {}
    for file in (file for part in comparisons for file in part.files):
        # The notice about a root appears once, because its message identifies the root.
        findings.setdefault(file.message if file.code == _ROOT_NOTICE else file, file)
    last = max(comparisons, key=lambda part: part.made_at)
    return replace(
        last,
        judged_on=max(part.judged_on for part in comparisons),
        planned=planned,
        unplanned=tuple(item for digest, item in unplanned.items() if digest not in used),
        files=tuple(findings.values()),
        notes=tuple(dict.fromkeys(note for part in comparisons for note in part.notes)),
    )


def compare_files(
    plan: CertificatePlan,
    files: Iterable[ReturnedFile],
    *,
    evaluation_date: date,
    is_date_given: bool = False,
    findings: tuple[Finding, ...] = (),
    records: Iterable[RequestRecord] = (),
) -> AsIs:
    """Compare certificates that were read from files with the plan.

    Parameters
    ----------
    plan : CertificatePlan
        n planned certificates.
    files : iterable of ReturnedFile
        The certificates and their locations.
    evaluation_date : date
        The date on which the certificates must be valid.
    is_date_given : bool, optional
        Whether the user specified the date. If not, today means the current time.
    findings : tuple of Finding, optional
        Findings about the files.
    records : iterable of RequestRecord, optional
        The records of a request folder, for compromised keys.
    """
    now, day = datetime.now(UTC), evaluation_date
    estate = _collect_installed_certificates(files)
    entries = [convert_to_entry(certificate) for certificate in plan.certificates]
    judged = _Evaluated(
        estate=estate,
        entries=entries,
        # Without a given date, the evaluation uses the current time, so that a certificate that was
        # issued within the last hour counts as valid.
        at=now if not is_date_given and day == now.date() else convert_to_time(day),
        accepted=list_accepted_codes((), plan.options, day=day),
        compromised=list_compromised_keys(records),
    )
    planned = _compare_planned_certificates(plan, judged)
    roots = judged.list_root_findings(
        result.certificate.sha256 for result in planned if result.certificate and result.is_good
    )
    now_text = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    return AsIs(
        product=plan.rules.product,
        plan_sha256=plan.sha256,
        made_at=now_text,
        origin=build_origin(plan, judged_on=day, made_on=now_text[:10]),
        judged_on=day,
        planned=planned,
        unplanned=tuple(_list_unplanned_certificates(planned, judged)),
        files=(*findings, *roots),
        notes=tuple(_list_notes(estate.exports, entries)),
    )


# --- The following functions read server certificates, CA certificates, and the places where each
# certificate is installed.


@dataclass(frozen=True, slots=True)
class _InstalledCertificates:
    leaves: tuple[Certificate, ...]
    issuers: Issuers
    files: Mapping[str, tuple[str, ...]]  # The certificates by their SHA-256.
    exports: Mapping[str, ServerExport]  # The exports by the name of their computer.
    places: Mapping[
        str, Mapping[str, Placement]
    ]  # The locations by the SHA-256 of the certificate, and then by the name of the computer.

    def describe_installed_certificate(self, certificate: Certificate) -> InstalledCertificate:
        return build_installed_certificate(
            certificate,
            files=self.files[certificate.sha256],
            servers=tuple(sorted(self.places.get(certificate.sha256, ()))),
        )


def build_installed_certificate(
    certificate: Certificate, *, files: tuple[str, ...], servers: tuple[str, ...]
) -> InstalledCertificate:
    """Return the values of an installed certificate that lyncnb saves and displays."""
    return InstalledCertificate(
        thumbprint=certificate.thumbprint,
        sha256=certificate.sha256,
        serial=certificate.serial_hex,
        subject=format_name(certificate.subject) or ", ".join(certificate.dns_names[:1]),
        issuer=format_name(certificate.issuer),
        not_before=format_time(certificate.not_before),
        not_after=format_time(certificate.not_after),
        files=files,
        servers=servers,
    )


def _collect_installed_certificates(files: Iterable[ReturnedFile]) -> _InstalledCertificates:
    sources: dict[Certificate, dict[str, None]] = {}
    exports: dict[str, ServerExport] = {}
    for file in files:
        for certificate in file.certificates:
            sources.setdefault(certificate, {})[file.name] = None
        export = file.export
        if export is not None:
            before = exports.get(export.computer)
            # If a computer has two exports, the later one is used.
            if before is None or before.exported_at < export.exported_at:
                exports[export.computer] = export
    placements: dict[str, dict[str, Placement]] = {}
    for computer, export in exports.items():
        for placement in export.placements:
            placements.setdefault(placement.sha256, {})[computer] = placement
    leaves = tuple(certificate for certificate in sources if is_server_certificate(certificate))
    return _InstalledCertificates(
        leaves=leaves,
        issuers=Issuers(
            [certificate for certificate in sources if not is_server_certificate(certificate)]
        ),
        files={certificate.sha256: tuple(names) for certificate, names in sources.items()},
        exports=exports,
        places=placements,
    )


def is_server_certificate(certificate: Certificate) -> bool:
    """Return whether a certificate belongs to a server rather than to a CA."""
    # Some old root certificates, for example from 1999, do not have the extension that marks a CA.
    may_sign = certificate.is_version_1 or "keyCertSign" in (certificate.key_usage or ())
    return not certificate.is_ca and not (certificate.is_self_issued and may_sign)


def evaluate_installed_certificate(evidence: Evidence, *, evaluated_at: datetime) -> Evaluation:
    """Evaluate an installed certificate with the same rules as an issued certificate.

    A self-signed certificate is an error.
    """
    evaluation, certificate = evaluate(evidence, evaluated_at=evaluated_at), evidence.certificate
    if certificate.is_self_issued and is_signed_by(certificate, certificate):
        difference = ("self-signed", f"serial number {certificate.serial_hex}")
        findings = create_findings(evidence.entry, [difference])
        evaluation = replace(evaluation, findings=(*findings, *evaluation.findings))
    return evaluation


# --- The following functions assign installed certificates to planned certificates, first by their
# names, then by the results of their evaluation.


@dataclass(frozen=True, slots=True)
class _Pair:
    """An installed certificate, and the planned certificate with which it was compared."""

    certificate: Certificate
    path: Path
    findings: tuple[Finding, ...]
    is_in_force: bool
    is_proven: bool
    is_compromised: bool

    @property
    def errors(self) -> frozenset[str]:
        return frozenset(finding.code for finding in self.findings if finding.severity == "error")

    @property
    def is_good(self) -> bool:
        is_usable = self.is_in_force and not self.is_compromised
        return is_usable and self.is_proven and not self.errors

    @property
    def state(self) -> str:
        """The state of the planned certificate. The most important error determines the state."""
        if self.is_compromised:
            return "compromised"
        codes = self.errors | (frozenset() if self.is_in_force else {"not-yet-valid"})
        fitting = (state for state, ones in _STATES.items() if codes & ones)
        return next(fitting, "differs" if self.errors else "unproven")


#: The number of names that an installed certificate does not share with a planned one, and the
#: installed certificate.
_Near = tuple[int, Certificate]

# The largest numbers of candidates for a planned certificate. These limits keep the comparison
# fast.
_MOST_JUDGED, _MOST_NEAR = 500, 5


@dataclass
class _Evaluated:
    """The installed certificates, with the planned certificates that match or are closest.

    ``uses`` lists, by SHA-256, all planned certificates that a certificate matches.
    """

    estate: _InstalledCertificates
    entries: list[PlannedEntry]
    at: datetime
    accepted: Mapping[str, str]
    compromised: frozenset[
        str
        # The SHA-256 values of compromised public keys (as SPKI), and of the certificates with such
        # keys.
    ]
    good: dict[str, list[_Pair]] = field(
        default_factory=dict
    )  # The candidate matches for each planned certificate, by its ID.
    near: dict[str, list[_Near]] = field(default_factory=dict)
    uses: dict[str, list[PlannedEntry]] = field(default_factory=dict)
    fictional: bool = field(init=False)

    def __post_init__(self) -> None:
        self.fictional = is_fictional(self.entries)
        names = {certificate.sha256: _list_names(certificate) for certificate in self.estate.leaves}
        wild = {
            digest
            for digest, own_names in names.items()
            if any(name.startswith("*.") for name in own_names)
        }
        candidates = _find_candidates(self.entries, self.estate.leaves, names)
        similar_entries: dict[Certificate, list[tuple[int, PlannedEntry]]] = {}
        for entry in self.entries:
            planned_names = frozenset(
                name.casefold() for name in (*entry.san, entry.common_name) if name
            )
            full_matches: list[_Near] = []
            for certificate in candidates[entry.id]:
                present = names[certificate.sha256]
                apart = len(planned_names ^ present)
                if planned_names <= present or certificate.sha256 in wild:
                    full_matches.append((apart, certificate))
                similar_entries.setdefault(certificate, []).append((apart, entry))
            self._find_matching_certificates(entry, full_matches)
        for certificate, similar in similar_entries.items():
            # An installed certificate that covers one planned certificate is not a candidate for
            # another one.
            if certificate.sha256 not in self.uses:
                for apart, entry in self._find_most_similar_entries(certificate, similar):
                    self.near.setdefault(entry.id, []).append((apart, certificate))

    def _find_matching_certificates(
        self, entry: PlannedEntry, matching_certificates: list[_Near]
    ) -> None:
        matching_certificates.sort(key=lambda item: (item[0], -item[1].not_after.timestamp()))
        for _, certificate in matching_certificates[:_MOST_JUDGED]:
            pair = self.evaluate_pair(certificate, entry)
            if pair.is_good:
                self.good.setdefault(entry.id, []).append(pair)
                self.uses.setdefault(certificate.sha256, []).append(entry)

    def find_nearest_certificate(self, entry: PlannedEntry) -> _Pair | None:
        """Return the closest installed certificate for a planned certificate without a match."""

        def compute_distance(near_certificate: _Near) -> tuple[object, ...]:
            apart, certificate = near_certificate
            in_use = _count_usages(certificate, entry, self.estate)
            return -in_use, not certificate.is_valid_at(self.at), apart

        near = sorted(
            self.near.get(entry.id, ()),
            key=lambda item: (compute_distance(item), -item[1].not_after.timestamp()),
        )
        judged = [
            (compute_distance(candidate), self.evaluate_pair(candidate[1], entry))
            for candidate in near[:_MOST_NEAR]
        ]
        best = min(judged, key=lambda item: (item[0], len(item[1].errors)), default=None)
        return best[1] if best else None

    def evaluate_pair(self, certificate: Certificate, entry: PlannedEntry) -> _Pair:
        """Evaluate an installed certificate as if a CA had issued it for a planned certificate."""
        evidence = Evidence(
            certificate=certificate,
            entry=entry,
            issuers=self.estate.issuers,
            accepted=self.accepted,
            is_fictional=self.fictional,
        )
        evaluation = evaluate_installed_certificate(evidence, evaluated_at=self.at)
        # Without the CA certificates, lyncnb cannot verify that a CA signed the certificate.
        # However, the files rarely contain the root of a public CA, because the operating system
        # provides it.
        is_proven = evaluation.path.is_complete or (
            entry.issuer == "public" and bool(evaluation.path.issuers)
        )
        return _Pair(
            certificate,
            evaluation.path,
            evaluation.findings,
            is_in_force=certificate.is_valid_at(self.at),
            is_proven=is_proven,
            is_compromised=not self.compromised.isdisjoint(
                (certificate.spki_sha256, certificate.sha256)
            ),
        )

    def list_root_findings(self, sha256: Iterable[str]) -> Iterator[Finding]:
        """Yield a notice about each root above the matching certificates.

        The user can then verify the root.
        """
        paths = {
            pair.certificate.sha256: pair.path for pairs in self.good.values() for pair in pairs
        }
        roots = {paths[digest].issuers[-1]: None for digest in sha256 if paths[digest].is_complete}
        for root in roots:
            name = self.estate.files[root.sha256][0]
            yield create_returned_finding(_ROOT_NOTICE, name, f"the root is {format_root(root)}")

    def _find_most_similar_entries(
        self, certificate: Certificate, evaluated_entries: list[tuple[int, PlannedEntry]]
    ) -> list[tuple[int, PlannedEntry]]:
        """Return the planned certificates that differ least from an installed certificate.

        If several differ equally, the server and then the common name decide.
        """
        computers = self.estate.places.get(certificate.sha256, {})
        common = {name.casefold() for name in certificate.common_names}

        def compute_distance(differences: int, entry: PlannedEntry) -> tuple[object, ...]:
            is_there = not computers or any(server in computers for server in entry.servers)
            return differences, not is_there, entry.common_name.casefold() not in common

        least = min(compute_distance(*entry) for entry in evaluated_entries)
        return [entry for entry in evaluated_entries if compute_distance(*entry) == least]


def _list_names(certificate: Certificate) -> frozenset[str]:
    names = (*certificate.dns_names, *certificate.common_names)
    return frozenset(name.casefold() for name in names)


def _find_candidates(
    entries: Iterable[PlannedEntry],
    certificates: Iterable[Certificate],
    names: Mapping[str, frozenset[str]],
) -> dict[str, list[Certificate]]:
    """Return the installed certificates with the subject or server name of each request, by ID."""
    by_name: dict[str, list[Certificate]] = {}
    for certificate in certificates:
        for name in names[certificate.sha256]:
            by_name.setdefault(name, []).append(certificate)
    candidates = {}
    for entry in entries:
        common = entry.common_name.casefold()
        server_names = entry.servers if entry.shared_by == "server" else ()
        planned_names = (common, "*." + common.partition(".")[2], *server_names)
        candidates[entry.id] = [
            *dict.fromkeys(
                certificate for name in planned_names for certificate in by_name.get(name, ())
            )
        ]
    return candidates


# --- The following functions create the results of the comparison.


def _compare_planned_certificates(
    plan: CertificatePlan, evaluated_certificates: _Evaluated
) -> tuple[PlannedAsIs, ...]:
    answers = []
    choices = [
        _choose_certificate(entry, evaluated_certificates)
        for entry in evaluated_certificates.entries
    ]
    results = _compare_cas(plan, choices, evaluated_certificates)
    for certificate, entry, result in zip(
        plan.certificates, evaluated_certificates.entries, results, strict=True
    ):
        state, pair, remarks = result
        answers.append(
            PlannedAsIs(
                id=entry.id,
                owner=certificate.owner,
                usages=entry.usages,
                subject=entry.common_name,
                entry_sha256=compute_entry_sha256(entry),
                state=state,
                certificate=evaluated_certificates.estate.describe_installed_certificate(
                    pair.certificate
                )
                if pair
                else None,
                findings=pair.findings if pair else (),
                remarks=remarks,
            )
        )
    return tuple(answers)


#: Each tuple contains the state of a planned certificate, the installed certificate for it, and
#: remarks.
_Chosen = tuple[str, _Pair | None, tuple[str, ...]]


def _compare_cas(
    plan: CertificatePlan, choices: list[_Chosen], evaluated_certificates: _Evaluated
) -> Iterator[_Chosen]:
    """Yield findings if the matching certificates were issued by different CAs."""
    matches = {}
    for certificate, entry, (_, pair, _) in zip(
        plan.certificates, evaluated_certificates.entries, choices, strict=True
    ):
        if pair is not None and pair.is_good:
            request = Outstanding(
                request_id=entry.id,
                generation=1,
                spki_sha256=pair.certificate.spki_sha256,
                entry=entry,
                accepted=evaluated_certificates.accepted,
                ca=certificate.ca,
            )
            matches[entry.id] = Match(
                request=request,
                certificate=pair.certificate,
                path=pair.path,
                source_file="",
                findings=pair.findings,
            )
    compared = add_ca_differences(
        [*matches.values()], {}, (), evaluated_certificates.estate.issuers
    )
    findings_by_id = {match.request.request_id: match.findings for match in compared}
    for entry, (state, pair, remarks) in zip(evaluated_certificates.entries, choices, strict=True):
        if pair is not None and entry.id in findings_by_id:
            pair = replace(pair, findings=findings_by_id[entry.id])
            state = state if pair.is_good else pair.state
        yield state, pair, remarks


def _choose_certificate(entry: PlannedEntry, evaluated_certificates: _Evaluated) -> _Chosen:
    good = evaluated_certificates.good.get(entry.id, [])
    if good:
        best = max(
            good, key=lambda item: _rank_certificate(item, entry, evaluated_certificates.estate)
        )
        state = _find_installation_state(best.certificate, entry, evaluated_certificates.estate)
        uses = evaluated_certificates.uses[best.certificate.sha256]
        remarks = tuple(_list_remarks(best.certificate, entry, uses, evaluated_certificates.estate))
        return state, best, remarks
    near = evaluated_certificates.find_nearest_certificate(entry)
    if near is None:
        return "none", None, ()
    return (
        near.state,
        near,
        tuple(_list_remarks(near.certificate, entry, [entry], evaluated_certificates.estate)),
    )


def _rank_certificate(
    pair: _Pair, entry: PlannedEntry, installed_certificates: _InstalledCertificates
) -> tuple[object, ...]:
    """Return the sort key of a matching certificate: location, use, warnings, expiration."""
    in_use = _count_usages(pair.certificate, entry, installed_certificates)
    warnings = sum(finding.severity == "warning" for finding in pair.findings)
    state = _find_installation_state(pair.certificate, entry, installed_certificates)
    return -GOOD.index(state), in_use, -warnings, pair.certificate.not_after


def _count_usages(
    certificate: Certificate, entry: PlannedEntry, installed_certificates: _InstalledCertificates
) -> int:
    """Count the planned usages that the certificate has on the planned servers.

    A usage counts once for each server.
    """
    computers = installed_certificates.places.get(certificate.sha256, {})
    return sum(
        len({*entry.usages} & {*computers[server].types})
        for server in entry.servers
        if server in computers
    )


def _find_installation_state(
    certificate: Certificate, entry: PlannedEntry, installed_certificates: _InstalledCertificates
) -> str:
    """Return the state of a matching certificate, from the exports of the planned servers."""
    computers = installed_certificates.places.get(certificate.sha256, {})
    placements = [computers[server] for server in entry.servers if server in computers]
    lacking = [
        s for s in entry.servers if s in installed_certificates.exports and s not in computers
    ]
    if not placements and (lacking or computers):
        return "elsewhere"
    if lacking and any(placement.has_key for placement in placements):
        return LACKING
    return "covered" if all(placement.has_key for placement in placements) else "no-key"


def _list_remarks(
    certificate: Certificate,
    entry: PlannedEntry,
    uses: list[PlannedEntry],
    installed_certificates: _InstalledCertificates,
) -> Iterator[str]:
    """Yield the differences between the plan and a certificate's installation and use on servers.

    Servers that need a copy of the certificate come first.
    The servers' exports list where the certificate is installed and used.
    """
    computers = installed_certificates.places.get(certificate.sha256, {})
    needed = {server for entry in uses for server in entry.servers}
    lacking = [
        s for s in entry.servers if s in installed_certificates.exports and s not in computers
    ]
    if lacking:
        total = len(entry.servers)
        count = f" {len(lacking):,} of {total:,} servers:" if len(lacking) < total else ""
        yield f"the certificate is not installed on{count} {', '.join(lacking)}"
    keyless = [s for s in entry.servers if s in computers and not computers[s].has_key]
    if keyless:
        verb = "has" if len(keyless) == 1 else "have"
        yield f"{', '.join(keyless)} {verb} no private key for the certificate"
    foreign = sorted(computers.keys() - needed)
    if foreign:
        yield (
            f"the certificate is installed on {', '.join(foreign)}, but the plan does "
            "not require it there"
        )
    planned_apart = {usage for entry in uses for usage in entry.usages}
    for server in entry.servers:
        placement = computers.get(server)
        if placement is None:
            continue
        missing_usages = [usage for usage in entry.usages if usage not in placement.types]
        if missing_usages and installed_certificates.exports[server].has_lync:
            yield f"on {server}, the certificate is not assigned to {', '.join(missing_usages)}"
        extra_usages = [kind for kind in placement.types if kind not in planned_apart]
        if extra_usages:
            yield f"on {server}, the certificate is also assigned to {', '.join(extra_usages)}"


def _list_unplanned_certificates(
    planned_certificates: Iterable[PlannedAsIs], evaluated_certificates: _Evaluated
) -> Iterator[UnplannedCertificate]:
    planned_by_hash = {
        planned_certificate.certificate.sha256: planned_certificate
        for planned_certificate in planned_certificates
        if planned_certificate.certificate is not None
    }
    by_id = {
        planned_certificate.id: planned_certificate for planned_certificate in planned_certificates
    }
    fitting: dict[str, str] = {}
    for identity, pairs in evaluated_certificates.good.items():
        for pair in pairs:
            fitting.setdefault(pair.certificate.sha256, identity)
    for identity, near in evaluated_certificates.near.items():
        for _, candidate in near:
            fitting.setdefault(candidate.sha256, identity)
    for certificate in evaluated_certificates.estate.leaves:
        if certificate.sha256 in planned_by_hash:
            continue
        reason = "no planned certificate has the same names as this certificate"
        identity = fitting.get(certificate.sha256, "")
        if identity:
            other = by_id[identity].certificate
            assert other is not None
            reason = (
                f"the certificate {other.thumbprint} is a better match for the planned "
                f"certificate {identity}"
            )
        yield UnplannedCertificate(
            certificate=evaluated_certificates.estate.describe_installed_certificate(certificate),
            why=reason,
        )


def _list_notes(
    exports: Mapping[str, ServerExport], entries: Iterable[PlannedEntry]
) -> Iterator[str]:
    known = {server for entry in entries for server in entry.servers}
    for computer, export in sorted(exports.items()):
        if computer not in known:
            yield f"the plan has no certificate for {computer}, whose certificates were exported"
        for kind, thumbprint in export.absent:
            yield (
                f"{computer} uses the certificate {thumbprint} for {kind}, but this "
                "certificate is not in the server's certificate store"
            )
