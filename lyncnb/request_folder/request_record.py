"""Define the records about a request: planned certificate, key, issued certificate, package.

A record contains the requested values and the public key. So every later step, such as matching and
packaging, uses the record and does not depend on file names. The type of each field determines the
valid values in ``manifest.json`` (``field_forms.py``).

``others`` contains fields from a later lyncnb version, which are kept when the manifest is written.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Annotated, Any

from ..base.planned_entry import Id, PlannedEntry
from ..base.records import BLANK_IS_NONE, SINCE_2, Line, Text, make_unknown_keys_field
from .field_forms import (
    Computer,
    Day,
    DayOrBlank,
    Days,
    Generation,
    Hash,
    KeyBytes,
    Number,
    PackageFile,
    ReturnedFile,
    ReturnedFileOrBlank,
    Rounds,
    Salt,
    Serial,
    Sha256,
    Sha256OrBlank,
    State,
    Thumbprint,
    Time,
    TimeOrBlank,
)


def read_time(text: str) -> datetime:
    """Parse a UTC time from the manifest (ISO 8601 with seconds)."""
    time = datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestFiles:
    """The paths of the CSR and the key for one generation of a request."""

    csr: Text
    key: Text

    def __iter__(self) -> Iterator[str]:
        return iter((self.csr, self.key))

    @property
    def stem(self) -> str:
        """The name of both files, without folder and extension."""
        return self.csr.rpartition("/")[2].removesuffix(".csr")


_KEY_SUFFIX = re.compile(r"-[0-9a-f]{8}\Z")  # The part of a public key's hash in a file name.


def build_file_stem(request_id: str, spki_sha256: str = "") -> str:
    """Return the name, without extension, of the key, the CSR and the package of a generation.

    The name ends with 8 hex digits of the SHA-256 of the public key. So no copy of a folder, older
    or newer, has another key under the same name. Without a public key, the result is the name in
    folders of earlier versions.
    """
    return f"{request_id}-{spki_sha256[:8]}" if spki_sha256 else request_id


def list_current_files(stem: str) -> RequestFiles:
    """Return the paths of the CSR and the key for a current generation, by its file name."""
    return RequestFiles(csr=f"csr/{stem}.csr", key=f"keys/{stem}.key")


def list_archived_files(stem: str) -> RequestFiles:
    """Return the paths of the CSR and the key for a superseded generation, by its file name."""
    return RequestFiles(csr=f"archive/{stem}.csr", key=f"archive/{stem}.key")


def is_file_stem(stem: str, request_id: str, spki_sha256: str, generation: int | None) -> bool:
    """Return whether a generation's files may have this name, in this version or an earlier one.

    ``generation`` is None for the current generation. Another request with the same public key
    can have blanked the public key of a superseded generation.
    """
    earlier = request_id if generation is None else f"{request_id}-g{generation}"
    is_any = generation is not None and not spki_sha256 and find_request_id(stem) == request_id
    return stem in (earlier, build_file_stem(request_id, spki_sha256)) or is_any


def find_request_id(stem: str) -> str:
    """Return the request ID in the name of a file that ends with the public key's digits."""
    return _KEY_SUFFIX.sub("", stem)


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """A finding that the user accepted, with the reason for the acceptance."""

    code: Line
    reason: Text
    others: Mapping[str, object] = make_unknown_keys_field()


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationFinding:
    """A finding in the recorded evaluation of a certificate."""

    code: Line
    severity: Line
    message: Text
    others: Mapping[str, object] = make_unknown_keys_field()


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedEvaluation:
    """The recorded evaluation of an issued certificate, with all data on which it depends.

    Certificates are identified by the SHA-256 of their DER bytes, as 64 lower-case hex digits.
    ``chain`` begins with the issuer. ``chain_until`` is the time when the first CA certificate in
    the chain expires, if the certificate expires later. ``rejected`` contains certificates with the
    issuer's name that did not sign the certificate. ``entry_sha256`` is the hash of the planned
    fields, ``rules`` are the rules and their date, and ``judged_at`` is the time of the evaluation.
    """

    certificate: Sha256
    chain: tuple[Sha256, ...] = ()
    chain_complete: bool = False
    rejected: tuple[Sha256, ...] = ()
    entry_sha256: Sha256OrBlank = ""
    rules: Line = ""
    judged_at: TimeOrBlank = ""
    chain_until: TimeOrBlank = field(default="", metadata=SINCE_2)
    findings: tuple[EvaluationFinding, ...] = ()
    accepted: tuple[Acceptance, ...] = ()
    others: Mapping[str, object] = make_unknown_keys_field()


class _ValidOnRecord:
    """The validity period of a recorded certificate, as UTC times."""

    __slots__ = ()

    not_before: str
    not_after: str

    @property
    def chain_until(self) -> str:
        """The time when the first CA certificate in the chain expires, if it is known, or blank."""
        return ""

    @property
    def replace_by(self) -> str:
        """The last date on which servers can use the certificate, if the CA set one, or blank."""
        return ""

    @property
    def begins(self) -> datetime:
        """The start of the certificate's validity period as a datetime."""
        return read_time(self.not_before)

    @property
    def ends(self) -> datetime:
        """The last second of the certificate's validity period as a datetime."""
        return read_time(self.not_after)

    @property
    def usable_until(self) -> datetime:
        """The last second in which servers can use the certificate.

        It is the earliest end in the certificate's chain, or the end of the day that the CA set.
        Each date by which a certificate must be replaced is calculated from this time.
        """
        last = min(self.ends, read_time(self.chain_until)) if self.chain_until else self.ends
        deadline = f"{self.replace_by}T23:59:59Z" if self.replace_by else ""
        return min(last, read_time(deadline)) if deadline else last


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedRecord(_ValidOnRecord):
    """The record of an issued certificate in the manifest.

    ``file`` and ``chain`` are relative to the folder; ``chain`` is empty without a chain. The file
    hashes cover the bytes of the files. ``sha256`` covers the DER bytes of the certificate. Times
    are UTC in ISO 8601 to the second. ``findings`` lists codes. ``replace_by`` is the last date on
    which servers can use the certificate, because the CA will revoke it, or blank.
    """

    file: ReturnedFile
    chain: ReturnedFileOrBlank
    serial: Serial
    thumbprint_sha1: Thumbprint
    sha256: Sha256
    not_before: Time
    not_after: Time
    received_at: Time
    findings: tuple[Line, ...] = ()
    file_sha256: Sha256OrBlank = field(default="", metadata=SINCE_2)
    chain_sha256: Sha256OrBlank = field(default="", metadata=SINCE_2)
    judgement: RecordedEvaluation | None = field(default=None, metadata=SINCE_2)
    issuer: Line = field(default="", metadata=SINCE_2)
    replace_by: DayOrBlank = field(default="", metadata=SINCE_2)
    others: Mapping[str, object] = make_unknown_keys_field()

    @property
    def chain_until(self) -> str:
        """The time when the first CA certificate expires, if it is earlier, or blank."""
        return self.judgement.chain_until if self.judgement is not None else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageRecord:
    """The PFX package for a request: its path in the folder, and the SHA-256 of its bytes.

    ``certificate`` is the SHA-256 of the certificate in the PFX, and ``encryption`` is the id of an
    encryption in the rules.
    """

    file: PackageFile
    target_os: Line
    encryption: Line
    friendly_name: Line
    certificate: Sha256
    sha256: Sha256
    packaged_at: Time
    others: Mapping[str, object] = make_unknown_keys_field()


@dataclass(frozen=True, slots=True, kw_only=True)
class NameNote:
    """A note about the spelling of a name in the table of servers.

    ``name`` is the requested name, ``written`` is the text in the table, and ``note`` describes the
    change.
    """

    name: Text
    written: Text
    note: Text
    others: Mapping[str, object] = make_unknown_keys_field()


@dataclass(frozen=True, slots=True, kw_only=True)
class TableNote:
    """A text in the table of servers that differs from the text in the request.

    ``place`` is the row and column, ``written`` is the text in the table, and ``what`` describes
    the change.
    """

    place: Line
    written: Text
    requested: Text
    what: Text
    others: Mapping[str, object] = make_unknown_keys_field()


@dataclass(frozen=True, slots=True, kw_only=True)
class TableOnRecord:
    """Data about the table of servers that the summary shows and a saved plan does not contain.

    ``name`` is the file name, ``lang`` is the language of titles, and ``notes`` lists each text in
    the table that differs from the text in the request.
    """

    name: Text
    lang: Line = "en"
    notes: tuple[TableNote, ...] = ()
    others: Mapping[str, object] = make_unknown_keys_field()


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment(_ValidOnRecord):
    """The record of the date on which a certificate was installed on a server.

    A CA may issue a second certificate for the same request, so the generation alone does not
    identify the certificate. ``certificate`` is the SHA-256 of its DER bytes. ``chain_until`` is
    the time when the first CA certificate expires that was installed with it, if it is earlier than
    the certificate's end. ``on`` is the date on which it was installed or found. ``seen_in`` is the
    report that shows it; blank if a user recorded it. ``recorded_at`` is the time of the record.
    Times are UTC in ISO 8601. ``replace_by`` is as in :class:`IssuedRecord`.
    """

    server: Line
    on: Day
    certificate: Sha256
    serial: Serial
    not_before: Time
    not_after: Time
    recorded_at: Time
    seen_in: Line = ""
    chain_until: TimeOrBlank = field(default="", metadata=SINCE_2)
    replace_by: DayOrBlank = field(default="", metadata=SINCE_2)
    others: Mapping[str, object] = make_unknown_keys_field()

    def matches(self, issued: IssuedRecord) -> bool:
        """Return whether the server has an issued certificate with its present CA certificates."""
        # Without a date, the CA certificates expire later, or an earlier version recorded no date.
        return self.certificate == issued.sha256 and self.chain_until in ("", issued.chain_until)


def build_deployments(
    certificate: IssuedRecord,
    servers: Iterable[str],
    *,
    date_text: str,
    recorded_at: str,
    seen_in: str = "",
) -> tuple[Deployment, ...]:
    """Return a deployment record for each server, with the same deployment date and record time."""
    return tuple(
        Deployment(
            server=server,
            on=date_text,
            certificate=certificate.sha256,
            serial=certificate.serial,
            not_before=certificate.not_before,
            not_after=certificate.not_after,
            recorded_at=recorded_at,
            seen_in=seen_in,
            chain_until=certificate.chain_until,
            replace_by=certificate.replace_by,
        )
        for server in servers
    )


def list_latest_deployments(deployments: Iterable[Deployment]) -> tuple[Deployment, ...]:
    """Return the last recorded deployment of a generation on each server."""
    return tuple({deployment.server: deployment for deployment in deployments}.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class GoneServer:
    """A server that left the deployment, the date, and the time of the record (UTC, ISO 8601)."""

    server: Line
    on: Day
    recorded_at: Time
    others: Mapping[str, object] = make_unknown_keys_field()


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokedCertificate:
    """A certificate that the CA has revoked, and the time of the revocation (UTC, ISO 8601).

    ``recorded_at`` is the time of the record, or blank in the folders of earlier versions.
    """

    sha256: Sha256
    serial: Serial
    revoked_at: Time
    recorded_at: TimeOrBlank = field(default="", metadata=SINCE_2)
    others: Mapping[str, object] = make_unknown_keys_field()


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation:
    """The requested revocation of all certificates for a key, and the recorded revocations.

    ``reason`` is a CRL reason in RFC 5280 section 5.3.1, for example ``keyCompromise``. Times are
    UTC in ISO 8601 to the second. ``revoked_at`` is the last recorded revocation, or blank.
    ``certificates`` is empty in the folders of earlier versions.
    """

    reason: Line
    asked_at: Time
    revoked_at: TimeOrBlank = ""
    certificates: tuple[RevokedCertificate, ...] = field(default=(), metadata=SINCE_2)
    others: Mapping[str, object] = make_unknown_keys_field()


#: The reason for a superseded generation of which a rebuild found only the files.
FOUND = ("found in the folder",)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivedGeneration:
    """A superseded request in ``archive/``. The CA may still issue a certificate for it.

    Hashes are SHA-256 values with 64 lower-case hex digits. They cover the CSR file, the DER
    SubjectPublicKeyInfo, and the encrypted key file. Times are UTC in ISO 8601 to the second.
    ``reasons`` contains the reasons why it was superseded, and ``plan`` is the entry in the plan
    document. ``purged_at`` is the time when the files were removed. ``deployments`` contains all
    records of servers with the certificate, in the order in which they were recorded. Of several
    records for a server, the last counts. ``revocation`` is the requested revocation.
    ``approved_plan`` is the approved plan from which the request was created.
    """

    generation: Generation
    files: RequestFiles
    csr_sha256: Sha256OrBlank
    spki_sha256: Sha256OrBlank
    key_sha256: Sha256OrBlank
    superseded_at: Time
    reasons: tuple[Text, ...]
    purged_at: TimeOrBlank = ""
    plan: Annotated[PlannedEntry | None, BLANK_IS_NONE] = None
    issued: IssuedRecord | None = None
    package: PackageRecord | None = None
    refused: tuple[IssuedRecord, ...] = field(default=(), metadata=SINCE_2)
    deployments: tuple[Deployment, ...] = field(default=(), metadata=SINCE_2)
    revocation: Revocation | None = field(default=None, metadata=SINCE_2)
    approved_plan: Sha256OrBlank = field(default="", metadata=SINCE_2)
    others: Mapping[str, object] = make_unknown_keys_field()

    @property
    def every_deployment(self) -> tuple[Deployment, ...]:
        """The last deployment record of each server that has or had the certificate."""
        return list_latest_deployments(self.deployments)


@dataclass(frozen=True, slots=True, kw_only=True)
class CoveringCertificate(_ValidOnRecord):
    """An installed certificate that matches the plan and makes a new certificate unnecessary.

    The key is not in the folder: a planner confirmed that it is available. ``servers`` are the
    checked servers that have the certificate. ``found_at`` is the time when it was compared with
    the plan, and ``recorded_at`` is the time when the request was omitted; times are UTC in ISO
    8601 to the second. ``revocation`` is the requested revocation. ``replace_by`` is as in
    :class:`IssuedRecord`.
    """

    thumbprint_sha1: Thumbprint
    sha256: Sha256
    serial: Serial
    subject: Line
    issuer: Line
    not_before: Time
    not_after: Time
    found_at: Time
    recorded_at: Time
    servers: tuple[Line, ...] = ()
    revocation: Revocation | None = None
    replace_by: DayOrBlank = field(default="", metadata=SINCE_2)
    others: Mapping[str, object] = make_unknown_keys_field()

    def is_in_force(self, moment: datetime) -> bool:
        """Return whether the certificate is valid at a point in time in UTC."""
        return self.begins <= moment.replace(microsecond=0) <= self.ends

    def __str__(self) -> str:
        return (
            f"covered by the certificate with the thumbprint {self.thumbprint_sha1} until "
            f"{self.not_after[:10]}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRecord:
    """The record of a request in the folder's manifest.

    ``plan`` is the exact entry in the plan document. Hashes are empty until the CSR and the key are
    safely written. ``state`` is one of ``planned | waiting | issued | packaged | retired``; a
    retired request is no longer planned and keeps its files. ``reasons`` are the reasons for this
    generation, field by field. ``validity_days`` is the requested validity, or 0. ``deployed_at``
    is the time when the key and the package were removed because the servers have them. ``refused``
    contains issued certificates that lyncnb did not accept. ``key_holder`` is the computer that has
    the key for a request that was created there. ``covered`` is an installed certificate that
    replaces the request. As long as it does, lyncnb writes no files. ``import_commands`` and
    ``assign_commands`` are the commands in the last written steps, for the summary; empty without a
    package. ``stood_before`` is the certificate that covered the request earlier. Servers use it
    until a deployment is recorded. ``deployments``, ``revocation`` and ``approved_plan`` (the
    SHA-256 of a saved plan of the folder) are as in :class:`ArchivedGeneration`.
    ``handed_over_at`` is the time when the request was last packaged for a CA, or blank if the CA
    has returned a certificate that lyncnb refused. ``gone`` contains the servers that left the
    deployment. ``number`` is the number of the certificate in every document. In a folder from an
    earlier version, it is 0 until the next change.
    """

    id: Id
    generation: Generation = 1
    state: State = "planned"
    files: RequestFiles
    csr_sha256: Sha256OrBlank = ""
    spki_sha256: Sha256OrBlank = ""
    key_sha256: Sha256OrBlank = ""
    planned_at: TimeOrBlank = ""
    written_at: TimeOrBlank = ""
    issued_at: TimeOrBlank = ""
    packaged_at: TimeOrBlank = ""
    retired_at: TimeOrBlank = ""
    deployed_at: TimeOrBlank = ""
    reasons: tuple[Text, ...] = ()
    ca: Text = ""
    target_os: Line = ""
    rule: Line = ""
    validity_days: Days = 0
    plan: PlannedEntry
    issued: IssuedRecord | None = None
    package: PackageRecord | None = None
    archived: tuple[ArchivedGeneration, ...] = ()
    refused: tuple[IssuedRecord, ...] = field(default=(), metadata=SINCE_2)
    key_holder: Computer = field(default="", metadata=SINCE_2)
    name_notes: tuple[NameNote, ...] = field(default=(), metadata=SINCE_2)
    covered: CoveringCertificate | None = field(default=None, metadata=SINCE_2)
    stood_before: CoveringCertificate | None = field(default=None, metadata=SINCE_2)
    import_commands: tuple[Line, ...] = field(default=(), metadata=SINCE_2)
    assign_commands: tuple[Line, ...] = field(default=(), metadata=SINCE_2)
    binding: Sha256OrBlank = field(default="", metadata=SINCE_2)
    deployments: tuple[Deployment, ...] = field(default=(), metadata=SINCE_2)
    gone: tuple[GoneServer, ...] = field(default=(), metadata=SINCE_2)
    revocation: Revocation | None = field(default=None, metadata=SINCE_2)
    approved_plan: Sha256OrBlank = field(default="", metadata=SINCE_2)
    handed_over_at: TimeOrBlank = field(default="", metadata=SINCE_2)
    number: Number = field(default=0, metadata=SINCE_2)
    others: Mapping[str, object] = make_unknown_keys_field()

    @property
    def needs_writing(self) -> bool:
        """Whether lyncnb must still create the key and the CSR in the folder."""
        return not (self.is_written or self.key_holder or self.covered)

    @property
    def is_written(self) -> bool:
        """Whether the key and the CSR were written to the folder."""
        return bool(self.csr_sha256)

    @property
    def has_key(self) -> bool:
        """Whether the folder must contain the key, because the key was written and not removed."""
        return self.is_written and not self.deployed_at and not self.key_holder

    @property
    def active_state(self) -> str:
        """The recorded state of the request, as if it were not retired."""
        if self.package is not None and not self.deployed_at:
            return "packaged"
        if self.issued is not None:
            return "issued"
        return "waiting" if self.is_written else "planned"

    @property
    def covering_certificate(self) -> CoveringCertificate | None:
        """The certificate that covered the request when lyncnb first left it out, if any."""
        return self.covered or self.stood_before

    def with_covering_certificate(self, certificate: CoveringCertificate) -> RequestRecord:
        """Return a copy that records ``certificate`` as installed before the first request."""
        if self.covered is not None:
            return replace(self, covered=certificate)
        return replace(self, stood_before=certificate)

    @property
    def generations(self) -> tuple[RequestRecord | ArchivedGeneration, ...]:
        """All recorded generations of the request, the current generation first."""
        return (self, *self.archived)

    @property
    def as_archived_generation(self) -> ArchivedGeneration:
        """The current generation, with the paths that it will have in ``archive/``."""
        return ArchivedGeneration(
            generation=self.generation,
            files=list_archived_files(build_file_stem(self.id, self.spki_sha256)),
            csr_sha256=self.csr_sha256,
            spki_sha256=self.spki_sha256,
            key_sha256=self.key_sha256,
            superseded_at="",
            reasons=(),
            plan=self.plan,
            issued=self.issued,
            package=self.package,
            refused=self.refused,
            deployments=self.deployments or self.every_deployment,
            revocation=self.revocation,
            approved_plan=self.approved_plan,
        )

    @property
    def every_deployment(self) -> tuple[Deployment, ...]:
        """The last deployment record of each server with the certificate.

        Earlier versions recorded only that the key was removed, because all servers have it.
        """
        has_files = self.package is not None or self.key_holder
        is_inferred = bool(self.deployed_at) and not self.deployments and has_files
        return list_latest_deployments(
            self._add_deployments(self.deployed_at) if is_inferred else self.deployments
        )

    def _add_deployments(self, recorded_at: str) -> tuple[Deployment, ...]:
        """Return the deployments, with a record for each server that has none."""
        if self.issued is None:
            return self.deployments
        known = {deployment.server for deployment in self.deployments}
        known |= {entry.server for entry in self.gone}
        return self.deployments + build_deployments(
            self.issued,
            (server for server in self.plan.servers if server not in known),
            date_text=recorded_at[:10],
            recorded_at=recorded_at,
        )

    @property
    def is_gone(self) -> bool:
        """Whether all servers of the request left the deployment."""
        return bool(self.gone) and {entry.server for entry in self.gone}.issuperset(
            self.plan.servers
        )

    def with_gone_servers(self, gone: Iterable[GoneServer]) -> RequestRecord:
        """Return a copy with the servers that left. If no server remains, the request is retired.

        If a server returns, the request is in use again, unless it also left the plan.
        """
        changed = replace(self, gone=tuple(gone))
        is_retired_by_plan = self.state == "retired" and not any(
            entry.recorded_at == self.retired_at for entry in self.gone
        )
        if is_retired_by_plan:
            return changed
        if changed.is_gone:
            at = max(entry.recorded_at for entry in changed.gone)
            return replace(changed, state="retired", retired_at=at)
        return replace(changed, state=changed.active_state, retired_at="")

    def build_next_generation(
        self,
        *,
        at: str,
        reasons: tuple[str, ...],
        old: ArchivedGeneration | None = None,
    ) -> RequestRecord:
        """Return a record for the next generation, in which the current generation is archived.

        Parameters
        ----------
        at : str
            The current UTC time, in ISO 8601 with seconds.
        reasons : tuple of str
            The reasons why the current generation is superseded.
        old : ArchivedGeneration, optional
            The current generation as it is on disk. The default is created from the record.
        """
        old = replace(old or self.as_archived_generation, superseded_at=at, reasons=reasons)
        return replace(
            self,
            generation=max(part.generation for part in self.generations) + 1,
            files=list_current_files(self.id),
            state="retired" if self.state == "retired" else "planned",
            csr_sha256="",
            spki_sha256="",
            key_sha256="",
            planned_at=at,
            written_at="",
            handed_over_at="",
            issued_at="",
            packaged_at="",
            deployed_at="",
            reasons=reasons,
            issued=None,
            package=None,
            archived=(*self.archived, old),
            refused=(),
            key_holder="",
            covered=None,
            import_commands=(),
            assign_commands=(),
            deployments=(),
            revocation=None,
            approved_plan="",
        )

    def with_issued_certificate(
        self, issued: IssuedRecord, *, at: str, generation: int | None = None
    ) -> RequestRecord:
        """Return a copy of the record with an issued certificate.

        Parameters
        ----------
        issued : IssuedRecord
            The certificate.
        at : str
            The UTC time of receipt, in ISO 8601 with seconds.
        generation : int, optional
            The generation that the certificate belongs to. The default is the current generation.
        """
        if generation is not None and generation != self.generation:
            return self.with_generation(generation, issued=issued)
        # The package of the old certificate is removed from the record, because it is obsolete.
        changed = replace(
            self,
            issued=issued,
            issued_at=at,
            package=None,
            packaged_at="",
            import_commands=(),
            assign_commands=(),
        )
        return changed if self.state == "retired" else replace(changed, state="issued")

    def with_removed_key_and_package(self, *, at: str) -> RequestRecord:
        """Return a copy of the record for a certificate whose key and package were removed.

        The copy keeps the CSR, so that a later run does not request the certificate again.
        """
        changed = replace(self, deployed_at=at, key_sha256="", binding="")
        changed = replace(changed, deployments=self._add_deployments(at))
        return changed if self.state == "retired" else replace(changed, state=changed.active_state)

    def with_generation(self, generation: int, **changes: Any) -> RequestRecord:
        """Return a copy of the record in which fields of one generation are changed."""
        if generation == self.generation:
            return replace(self, **changes)
        archived = (
            replace(old, **changes) if old.generation == generation else old
            for old in self.archived
        )
        return replace(self, archived=tuple(archived))

    def with_deadline(self, certificates: Set[str], date_text: str) -> RequestRecord:
        """Return a copy in which certificates must be replaced by a date, named by their SHA-256.

        An earlier date for the same certificate is replaced.
        """
        record, before = self, self.covering_certificate
        if before is not None and before.sha256 in certificates:
            record = record.with_covering_certificate(replace(before, replace_by=date_text))
        for part in self.generations:
            issued = part.issued
            if issued is not None and issued.sha256 in certificates:
                issued = replace(issued, replace_by=date_text)
            deployments = tuple(
                replace(entry, replace_by=date_text) if entry.certificate in certificates else entry
                for entry in part.deployments
            )
            record = record.with_generation(part.generation, issued=issued, deployments=deployments)
        return record

    def with_package(self, package: PackageRecord, *, at: str) -> RequestRecord:
        """Return a copy of the record with a package."""
        changed = replace(self, package=package, packaged_at=at)
        return changed if self.state == "retired" else replace(changed, state="packaged")


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """The record of a file that was removed or moved outside a normal run."""

    at: Time
    event: Line
    about: Text
    others: Mapping[str, object] = make_unknown_keys_field()


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryKey:
    """The fingerprint of a folder's recovery key, and the time when the key was added."""

    fingerprint: Line
    added_at: Time
    others: Mapping[str, object] = make_unknown_keys_field()


@dataclass(frozen=True, slots=True, kw_only=True)
class BindingKey:
    """The parameters with which PBKDF2 and HKDF derive the HMAC key from the passphrase.

    ``salt`` is in hex digits, ``hash`` is the hash of PBKDF2's HMAC, and ``length`` is in bytes.
    """

    salt: Salt
    rounds: Rounds
    hash: Hash
    length: KeyBytes
    others: Mapping[str, object] = make_unknown_keys_field()


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptFile:
    """A received file that the folder stores once, with the SHA-256 of its bytes."""

    file: ReturnedFile
    sha256: Sha256
    received_at: Time
    others: Mapping[str, object] = make_unknown_keys_field()


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalOnRecord:
    """The approval of a saved plan: the signer's name, the key's fingerprint, and the time."""

    signer: Line
    key: Line
    signature_sha256: Sha256
    verified_at: Time
    others: Mapping[str, object] = make_unknown_keys_field()

    def is_same(self, other: ApprovalOnRecord) -> bool:
        """Return whether two approvals have the same signature and the same key."""
        return (self.key, self.signature_sha256) == (other.key, other.signature_sha256)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanOnRecord:
    """The saved plan from which the folder was created, identified by a digest.

    ``file_sha256`` is the SHA-256 of the complete file, or blank in older records. ``plan_sha256``
    is the digest of the certificates, and ``judged_on`` is the evaluation date. ``reason`` is the
    reason why the plan was used although a newer plan was on record.
    """

    sha256: Sha256
    plan_sha256: Sha256
    judged_on: Day
    requested_at: Time
    approvals: tuple[ApprovalOnRecord, ...] = ()
    reason: Text = field(default="", metadata=SINCE_2)
    file_sha256: Sha256OrBlank = field(default="", metadata=SINCE_2)
    others: Mapping[str, object] = make_unknown_keys_field()

    @property
    def shown_sha256(self) -> str:
        """The SHA-256 of the plan's file.

        An old record has only the digest in the file's last line.
        """
        return self.file_sha256 or self.sha256

    @property
    def shown_as(self) -> str:
        """The label of the digest in ``shown_sha256``."""
        return "SHA-256" if self.file_sha256 else "digest in the last line of the file"
