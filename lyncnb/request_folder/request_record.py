"""One request of the folder: its plan entry, key, issued certificate and package.

A record says what was asked of a certificate authority and under which public key, so every later
step (matching, packaging, a new run) compares with it and never guesses from file names. Records
are values of a checked document: the type of each field says what ``manifest.json`` may hold there
(``field_forms.py``).

``others`` of a record are fields that only a later lyncnb knows: they are kept and written
back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Annotated, Any

from ..base.planned_entry import Id, PlannedEntry
from ..base.records import BLANK_IS_NONE, SINCE_2, Line, Text, others_field
from .field_forms import (
    Computer,
    Day,
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


def csr_path(request_id: str) -> str:
    """Return the path of the CSR of a request, relative to the folder."""
    return f"csr/{request_id}.csr"


def key_path(request_id: str) -> str:
    """Return the path of the private key of a request, relative to the folder."""
    return f"keys/{request_id}.key"


def read_time(text: str) -> datetime:
    """Read a time of the manifest: UTC, ISO 8601 to the second."""
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestFiles:
    """Paths of the CSR and key of one generation, relative to the folder."""

    csr: Text
    key: Text

    def __iter__(self) -> Iterator[str]:
        return iter((self.csr, self.key))


def present_files(request_id: str) -> RequestFiles:
    """Return the paths of the present generation of a request."""
    return RequestFiles(csr=csr_path(request_id), key=key_path(request_id))


def archived_files(request_id: str, generation: int) -> RequestFiles:
    """Return the paths of a superseded generation of a request."""
    stem = f"archive/{request_id}-g{generation}"
    return RequestFiles(csr=f"{stem}.csr", key=f"{stem}.key")


def package_names(request_id: str, generation: int) -> tuple[str, ...]:
    """Return the names that the package of one generation may have, the one in use today first.

    The first generation keeps the name that every generation had in earlier versions.
    """
    plain = f"{request_id}.pfx"
    return (plain,) if generation == 1 else (f"{request_id}-g{generation}.pfx", plain)


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """A finding that was accepted, and why."""

    code: Line
    reason: Text
    others: Mapping[str, object] = others_field()


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedFinding:
    """One finding of an evaluation, as lyncnb reported it."""

    code: Line
    severity: Line
    message: Text
    others: Mapping[str, object] = others_field()


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """The findings of an issued certificate, with everything that they are based on.

    Certificates are named by the SHA-256 of their DER bytes, as 64 lower-case hex digits:
    ``chain`` from the issuer up, ``rejected`` those that bore the issuer's name and did not sign.
    ``entry_sha256`` is over the plan's entry that it was compared with, ``rules`` names the rules
    and their date, ``judged_at`` is the time of the evaluation.
    """

    certificate: Sha256
    chain: tuple[Sha256, ...] = ()
    chain_complete: bool = False
    rejected: tuple[Sha256, ...] = ()
    entry_sha256: Sha256OrBlank = ""
    rules: Line = ""
    judged_at: TimeOrBlank = ""
    findings: tuple[JudgedFinding, ...] = ()
    accepted: tuple[Acceptance, ...] = ()
    others: Mapping[str, object] = others_field()


class _ValidOnRecord:
    """The days of a certificate on record, as times, UTC."""

    __slots__ = ()

    not_before: str
    not_after: str

    @property
    def begins(self) -> datetime:
        """``not_before`` as a time."""
        return read_time(self.not_before)

    @property
    def ends(self) -> datetime:
        """``not_after`` as a time; the certificate is valid through that second."""
        return read_time(self.not_after)


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedRecord(_ValidOnRecord):
    """An issued certificate on record.

    ``file`` and ``chain`` are relative to the folder, ``chain`` empty without one; their hashes
    are over the bytes of these files. ``sha256`` is over the certificate's DER bytes. Times are
    UTC, ISO 8601 to the second. ``findings`` lists codes.
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
    judgement: Judgement | None = field(default=None, metadata=SINCE_2)
    others: Mapping[str, object] = others_field()


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageRecord:
    """The PFX of a request: ``file`` relative to the folder, ``sha256`` over its bytes.

    ``certificate`` is the SHA-256 of the certificate in it, ``encryption`` the id in the rules.
    """

    file: PackageFile
    target_os: Line
    encryption: Line
    friendly_name: Line
    certificate: Sha256
    sha256: Sha256
    packaged_at: Time
    others: Mapping[str, object] = others_field()


@dataclass(frozen=True, slots=True, kw_only=True)
class NameNote:
    """A note about how a name was written in the table.

    ``name`` as it was requested, ``written`` as the table had it, ``note`` what was made of it.
    """

    name: Text
    written: Text
    note: Text
    others: Mapping[str, object] = others_field()


@dataclass(frozen=True, slots=True, kw_only=True)
class TableNote:
    """A text of the table that differs from the requested text.

    ``place`` is row and column, ``written`` what the table had, ``what`` what was made of it.
    """

    place: Line
    written: Text
    requested: Text
    what: Text
    others: Mapping[str, object] = others_field()


@dataclass(frozen=True, slots=True, kw_only=True)
class TableOnRecord:
    """What a saved plan does not say of its table, and the summary shows.

    ``name`` of its file, ``lang`` for the language of titles, ``notes`` on what reads otherwise in
    it than it is requested.
    """

    name: Text
    lang: Line = "en"
    notes: tuple[TableNote, ...] = ()
    others: Mapping[str, object] = others_field()


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment(_ValidOnRecord):
    """A deployment: which certificate a server has, and since which day.

    A CA may issue a second certificate for the same request, so the generation alone does not say
    which one a server has. ``certificate`` is the SHA-256 of its DER bytes. ``on`` is the day on
    which it was put there, or seen there; ``seen_in`` names the report that showed it, blank where
    somebody said so. ``recorded_at`` is when that was recorded; times are UTC, ISO 8601.
    """

    server: Line
    on: Day
    certificate: Sha256
    serial: Serial
    not_before: Time
    not_after: Time
    recorded_at: Time
    seen_in: Line = ""
    others: Mapping[str, object] = others_field()


def deployments_of(
    issued: IssuedRecord, servers: Iterable[str], *, on: str, at: str, seen_in: str = ""
) -> tuple[Deployment, ...]:
    """Say of each server that it has a certificate; `on` is a day, `at` a time, ISO 8601."""
    return tuple(
        Deployment(
            server=server,
            on=on,
            certificate=issued.sha256,
            serial=issued.serial,
            not_before=issued.not_before,
            not_after=issued.not_after,
            recorded_at=at,
            seen_in=seen_in,
        )
        for server in servers
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation:
    """A request to revoke a certificate, and when its revocation was recorded.

    ``reason`` is a CRL reason of RFC 5280 section 5.3.1, e.g. ``keyCompromise``; times are UTC,
    ISO 8601 to the second, and ``revoked_at`` is blank until the revocation is recorded.
    """

    reason: Line
    asked_at: Time
    revoked_at: TimeOrBlank = ""
    others: Mapping[str, object] = others_field()


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivedGeneration:
    """A superseded request, kept in ``archive/``: the CA may still issue its certificate.

    Hashes are SHA-256 as 64 lower-case hex digits, of the CSR file's bytes, of the DER
    SubjectPublicKeyInfo and of the encrypted key file; times are UTC in ISO 8601 to the second.
    ``reasons`` says why it was superseded, ``plan`` is its entry of the plan document.
    ``purged_at`` is when its files were removed, on request. ``deployments`` are the servers that
    have or had its certificate, ``revocation`` what the CA is asked to do about it, and
    ``approved_plan`` the approved plan that it was made from.
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
    others: Mapping[str, object] = others_field()

    @property
    def every_deployment(self) -> tuple[Deployment, ...]:
        """The servers that have or had its certificate."""
        return self.deployments


@dataclass(frozen=True, slots=True, kw_only=True)
class CoveringCertificate(_ValidOnRecord):
    """An installed certificate that is as planned, so that none is requested.

    Its key is not in the folder: a planner confirmed that it is at hand. ``servers`` are those of
    the checked servers that had it. ``found_at`` is when it was compared with the plan,
    ``recorded_at`` when the request was left out; times are UTC, ISO 8601 to the second.
    ``revocation`` is what the CA is asked to do about it.
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
    others: Mapping[str, object] = others_field()

    def is_in_force(self, at: datetime) -> bool:
        """Whether it covers anything at a moment, UTC."""
        return self.begins <= at.replace(microsecond=0) <= self.ends

    def __str__(self) -> str:
        return f"covered by {self.thumbprint_sha1} until {self.not_after[:10]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRecord:
    """One request of the folder.

    ``plan`` is the certificate's entry of the plan document, exact. Hashes are empty until CSR and
    key are durably written. ``state`` is one of ``planned | waiting | issued | packaged |
    retired``; a retired request left the plan and keeps its files. ``reasons`` says why this
    generation was made, field by field. ``validity_days`` is what was asked for, 0 for nothing.
    ``deployed_at`` is when its key and package were removed, on request, because its servers have
    them. ``refused`` are issued certificates that lyncnb did not accept. ``key_holder`` is the
    computer that holds the key of a request that was made elsewhere. ``covered`` is the
    installed certificate that replaces it: lyncnb writes no files for it as long as that is so.
    ``import_commands`` and ``assign_commands`` are those of the steps as they were last written,
    for the summary; empty until there is a package. ``stood_before`` is the certificate that
    covered it before it was requested: servers use it until another is recorded. ``deployments``,
    ``revocation`` and ``approved_plan`` (the SHA-256 of one of the folder's saved plans) are as in
    :class:`ArchivedGeneration`. ``number`` is that of the certificate in every document, 0 in a
    folder of an earlier version until its next change.
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
    revocation: Revocation | None = field(default=None, metadata=SINCE_2)
    approved_plan: Sha256OrBlank = field(default="", metadata=SINCE_2)
    number: Number = field(default=0, metadata=SINCE_2)
    others: Mapping[str, object] = others_field()

    @property
    def is_to_write(self) -> bool:
        """Whether key and CSR of it are still to be made here."""
        return not (self.is_written or self.key_holder or self.covered)

    @property
    def is_written(self) -> bool:
        """Whether key and CSR are known to be in the folder."""
        return bool(self.csr_sha256)

    @property
    def has_key(self) -> bool:
        """Whether its key belongs into the folder: written, not removed, not held elsewhere."""
        return self.is_written and not self.deployed_at and not self.key_holder

    @property
    def active_state(self) -> str:
        """The state that the request has while it is in the plan, from what is on record."""
        if self.package is not None and not self.deployed_at:
            return "packaged"
        if self.issued is not None:
            return "issued"
        return "waiting" if self.is_written else "planned"

    @property
    def covering(self) -> CoveringCertificate | None:
        """The certificate from before its first request, whether it still covers it or not."""
        return self.covered or self.stood_before

    def with_covering(self, certificate: CoveringCertificate) -> RequestRecord:
        """Return the record with the certificate from before its first request replaced."""
        if self.covered is not None:
            return replace(self, covered=certificate)
        return replace(self, stood_before=certificate)

    @property
    def generations(self) -> tuple[RequestRecord | ArchivedGeneration, ...]:
        """Every generation on record, the present one first."""
        return (self, *self.archived)

    @property
    def as_archived(self) -> ArchivedGeneration:
        """The present generation with its paths in ``archive/``, not yet superseded."""
        return ArchivedGeneration(
            generation=self.generation,
            files=archived_files(self.id, self.generation),
            csr_sha256=self.csr_sha256,
            spki_sha256=self.spki_sha256,
            key_sha256=self.key_sha256,
            superseded_at="",
            reasons=(),
            plan=self.plan,
            issued=self.issued,
            package=self.package,
            refused=self.refused,
            deployments=self.every_deployment,
            revocation=self.revocation,
            approved_plan=self.approved_plan,
        )

    @property
    def every_deployment(self) -> tuple[Deployment, ...]:
        """The servers that have its certificate, also where only its removed key says so."""
        if not self.deployed_at or self.issued is None:
            return self.deployments
        known = {one.server for one in self.deployments}
        new = deployments_of(
            self.issued, self.plan.servers, on=self.deployed_at[:10], at=self.deployed_at
        )
        return self.deployments + tuple(one for one in new if one.server not in known)

    def superseded(
        self, *, at: str, reasons: tuple[str, ...], old: ArchivedGeneration | None = None
    ) -> RequestRecord:
        """Return the next generation, not written yet, with the present one among the archived.

        Parameters
        ----------
        at : str
            The time, UTC, ISO 8601 to the second.
        reasons : tuple of str
            Why the present generation is given up.
        old : ArchivedGeneration, optional
            What the present generation turned out to be; made of the record if left out.
        """
        old = replace(old or self.as_archived, superseded_at=at, reasons=reasons)
        return replace(
            self,
            generation=self.generation + 1,
            state="retired" if self.state == "retired" else "planned",
            csr_sha256="",
            spki_sha256="",
            key_sha256="",
            planned_at=at,
            written_at="",
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

    def with_issued(
        self, issued: IssuedRecord, *, at: str, generation: int | None = None
    ) -> RequestRecord:
        """Return the record with the issued certificate.

        Parameters
        ----------
        issued : IssuedRecord
            The certificate.
        at : str
            Time of receipt, UTC, ISO 8601 to the second.
        generation : int, optional
            The superseded generation it belongs to; the present one if left out.
        """
        if generation is not None and generation != self.generation:
            return self.with_generation(generation, issued=issued)
        # A new certificate makes a package of the old one stale.
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

    def with_deployed(self, *, at: str) -> RequestRecord:
        """Return the record without key and package, which its servers have.

        The CSR stays, so that a later run does not request the certificate again.
        """
        changed = replace(self, deployed_at=at, key_sha256="", binding="")
        changed = replace(changed, deployments=changed.every_deployment)
        return changed if self.state == "retired" else replace(changed, state=changed.active_state)

    def with_generation(self, generation: int, **changes: Any) -> RequestRecord:
        """Return the record with fields of one generation replaced, the present one or another."""
        if generation == self.generation:
            return replace(self, **changes)
        archived = (
            replace(old, **changes) if old.generation == generation else old
            for old in self.archived
        )
        return replace(self, archived=tuple(archived))

    def with_package(self, package: PackageRecord, *, at: str) -> RequestRecord:
        """Return the record with its package."""
        changed = replace(self, package=package, packaged_at=at)
        return changed if self.state == "retired" else replace(changed, state="packaged")


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """What was removed or moved outside an ordinary run: when, what, about which request."""

    at: Time
    event: Line
    about: Text
    others: Mapping[str, object] = others_field()


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryKey:
    """A key that also opens the folder: its fingerprint, and since when."""

    fingerprint: Line
    added_at: Time
    others: Mapping[str, object] = others_field()


@dataclass(frozen=True, slots=True, kw_only=True)
class BindingKey:
    """By what the key of all bindings is derived from the passphrase: PBKDF2, then HKDF.

    ``salt`` is in hex digits, ``hash`` that of PBKDF2's HMAC, ``length`` is in bytes.
    """

    salt: Salt
    rounds: Rounds
    hash: Hash
    length: KeyBytes
    others: Mapping[str, object] = others_field()


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptFile:
    """A received file that is kept for the whole folder, and the SHA-256 of its bytes."""

    file: ReturnedFile
    sha256: Sha256
    received_at: Time
    others: Mapping[str, object] = others_field()


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalOnRecord:
    """Who approved a saved plan: the signer's name, the key's fingerprint, when it was verified."""

    signer: Line
    key: Line
    signature_sha256: Sha256
    verified_at: Time
    others: Mapping[str, object] = others_field()

    def is_same(self, other: ApprovalOnRecord) -> bool:
        """Whether both are the same signature by the same key."""
        return (self.key, self.signature_sha256) == (other.key, other.signature_sha256)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanOnRecord:
    """A saved plan that was requested into the folder, known by the digest in its last line.

    ``file_sha256`` is that of the whole file, blank on older records. ``plan_sha256`` is that of
    its certificates, ``judged_on`` its evaluation date.
    ``reason`` says why it was requested although a newer one was on record.
    """

    sha256: Sha256
    plan_sha256: Sha256
    judged_on: Day
    requested_at: Time
    approvals: tuple[ApprovalOnRecord, ...] = ()
    reason: Text = field(default="", metadata=SINCE_2)
    file_sha256: Sha256OrBlank = field(default="", metadata=SINCE_2)
    others: Mapping[str, object] = others_field()

    @property
    def shown_sha256(self) -> str:
        """The file's ``sha256sum``; of an older record, the digest in the file's last line."""
        return self.file_sha256 or self.sha256

    @property
    def shown_as(self) -> str:
        """The name of that digest, for people who compare it."""
        return "sha256sum" if self.file_sha256 else "digest in its last line"
