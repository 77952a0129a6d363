"""One request of the folder: what was planned, under which key, what came back, what was packed.

A record says what was asked of a certificate authority and under which public key, so every later
step (matching, packaging, a new run) compares with it and never guesses from file names. Records
are values of a checked document (``manifest_schema.py``) and are trusted here.

``others`` of a record are fields that a later lyncnb wrote beside the ones known here: they are
kept and written back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

STATES = ("planned", "waiting", "issued", "packaged", "retired")

#: Who holds a key until somebody names the computer, or the request itself does.
SOME_COMPUTER = "a computer with the administrative tools"

# One object for all: a folder has 100,000 records, and hardly one has anything in it.
_NO_OTHERS: Mapping[str, object] = {}


def _no_others() -> Mapping[str, object]:
    return _NO_OTHERS


# Fields that the first format did not have: written only where there is something to say, so that
# a folder of that format stays as it is.
_SINCE_2 = {"since": 2}


#: A certificate is expiring in the last third of its life: 122 days of a year, 15 of 47.
EXPIRING_SHARE = 1 / 3


def csr_path(request_id: str) -> str:
    """Return where the CSR of a request stands, relative to the folder."""
    return f"csr/{request_id}.csr"


def key_path(request_id: str) -> str:
    """Return where the private key of a request stands, relative to the folder."""
    return f"keys/{request_id}.key"


def read_time(text: str) -> datetime:
    """Read a time of the manifest: UTC, ISO 8601 to the second."""
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestFiles:
    """Where CSR and key of one generation stand, relative to the folder."""

    csr: str
    key: str

    def __iter__(self) -> Iterator[str]:
        return iter((self.csr, self.key))


def present_files(request_id: str) -> RequestFiles:
    """Return where the present generation of a request stands."""
    return RequestFiles(csr=csr_path(request_id), key=key_path(request_id))


def archived_files(request_id: str, generation: int) -> RequestFiles:
    """Return where a superseded generation of a request stands."""
    stem = f"archive/{request_id}-g{generation}"
    return RequestFiles(csr=f"{stem}.csr", key=f"{stem}.key")


def package_names(request_id: str, generation: int) -> tuple[str, ...]:
    """Return the names that the package of one generation may have, the one in use today first.

    The first generation keeps the name that every generation had in earlier versions.
    """
    plain = f"{request_id}.pfx"
    return (plain,) if generation == 1 else (f"{request_id}-g{generation}.pfx", plain)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedKey:
    """Algorithm and size of a key pair as it was asked for; an adopted key may have any size."""

    algorithm: str
    bits: int
    others: Mapping[str, object] = field(default_factory=_no_others)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedEntry:
    """A certificate's entry of the plan document (``lyncnb-plan/1``), without its reasons.

    ``subject`` has the short names of RFC 4514 (CN, O, …). What only a plan can tell is blank in
    an entry that was made of a CSR alone, and ``key`` is None where even that is gone.
    ``at_set_up``: it is requested when its server is set up, and nothing is handed over.
    """

    id: str
    role: str = ""
    site: str = ""
    pool: str = ""
    servers: tuple[str, ...] = ()
    usages: tuple[str, ...] = ()
    subject: Mapping[str, str] = field(default_factory=dict)
    san: tuple[str, ...] = ()
    eku: tuple[str, ...] = ()
    issuer: str = ""
    key: PlannedKey | None = None
    hash: str = ""
    shared_by: str = ""
    exportable: bool = True
    at_set_up: bool = field(default=False, metadata=_SINCE_2)
    others: Mapping[str, object] = field(default_factory=_no_others)

    @property
    def common_name(self) -> str:
        """The subject's common name, "" if there is none."""
        return self.subject.get("CN", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """A finding that was accepted, and why."""

    code: str
    reason: str
    others: Mapping[str, object] = field(default_factory=_no_others)


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedFinding:
    """One finding of a judgement, as it was told."""

    code: str
    severity: str
    message: str
    others: Mapping[str, object] = field(default_factory=_no_others)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What was found of a certificate that came back, with everything that it was based on.

    Certificates are named by the SHA-256 of their DER bytes, as 64 lower-case hex digits:
    ``chain`` from the issuer up, ``rejected`` those that bore the issuer's name and did not sign.
    ``entry_sha256`` is over the plan's entry that it was compared with, ``rules`` names the rules
    and their date, ``judged_at`` is the moment of judgement.
    """

    certificate: str
    chain: tuple[str, ...] = ()
    chain_complete: bool = False
    rejected: tuple[str, ...] = ()
    entry_sha256: str = ""
    rules: str = ""
    judged_at: str = ""
    findings: tuple[JudgedFinding, ...] = ()
    accepted: tuple[Acceptance, ...] = ()
    others: Mapping[str, object] = field(default_factory=_no_others)


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

    @property
    def renew_from(self) -> datetime:
        """From when on the certificate is expiring, so that it is to be renewed."""
        return self.ends - (self.ends - self.begins) * EXPIRING_SHARE


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedRecord(_ValidOnRecord):
    """A certificate that came back, on record.

    ``file`` and ``chain`` are relative to the folder, ``chain`` empty without one; their hashes
    are over the bytes of these files. ``sha256`` is over the certificate's DER bytes. Times are
    UTC, ISO 8601 to the second. ``findings`` lists codes.
    """

    file: str
    chain: str
    serial: str
    thumbprint_sha1: str
    sha256: str
    not_before: str
    not_after: str
    received_at: str
    findings: tuple[str, ...] = ()
    file_sha256: str = field(default="", metadata=_SINCE_2)
    chain_sha256: str = field(default="", metadata=_SINCE_2)
    judgement: Judgement | None = field(default=None, metadata=_SINCE_2)
    others: Mapping[str, object] = field(default_factory=_no_others)


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageRecord:
    """The PFX of a request: ``file`` relative to the folder, ``sha256`` over its bytes.

    ``certificate`` is the SHA-256 of the certificate in it, ``encryption`` the id in the rules.
    """

    file: str
    target_os: str
    encryption: str
    friendly_name: str
    certificate: str
    sha256: str
    packaged_at: str
    others: Mapping[str, object] = field(default_factory=_no_others)


@dataclass(frozen=True, slots=True, kw_only=True)
class NameNote:
    """What there is to say about how a name was written in the table.

    ``name`` as it was requested, ``written`` as the table had it, ``note`` what was made of it.
    """

    name: str
    written: str
    note: str
    others: Mapping[str, object] = field(default_factory=_no_others)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivedGeneration:
    """A superseded request, whole in ``archive/``: a certificate may still come back for it.

    Hashes are SHA-256 as 64 lower-case hex digits, of the CSR file's bytes, of the DER
    SubjectPublicKeyInfo and of the encrypted key file; times are UTC in ISO 8601 to the second.
    ``reasons`` says why it was superseded, ``plan`` is its entry of the plan document.
    ``purged_at`` is when its files were removed, on request.
    """

    generation: int
    files: RequestFiles
    csr_sha256: str
    spki_sha256: str
    key_sha256: str
    superseded_at: str
    reasons: tuple[str, ...]
    purged_at: str = ""
    plan: PlannedEntry | None = None
    issued: IssuedRecord | None = None
    package: PackageRecord | None = None
    refused: tuple[IssuedRecord, ...] = field(default=(), metadata=_SINCE_2)
    others: Mapping[str, object] = field(default_factory=_no_others)


@dataclass(frozen=True, slots=True, kw_only=True)
class CoveringCertificate(_ValidOnRecord):
    """A certificate that stands and is as planned, so that none is requested.

    Its key is not in the folder: a planner said that it is at hand. ``servers`` are where it stood,
    as far as they were asked. ``found_at`` is when it was held against the plan, ``recorded_at``
    when the request was left out; times are UTC, ISO 8601 to the second.
    """

    thumbprint_sha1: str
    sha256: str
    serial: str
    subject: str
    issuer: str
    not_before: str
    not_after: str
    found_at: str
    recorded_at: str
    servers: tuple[str, ...] = ()
    others: Mapping[str, object] = field(default_factory=_no_others)

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
    them. ``refused`` are certificates that came back and were not taken. ``key_holder`` is the
    computer that holds the key of a request that was made elsewhere. ``covered`` is the
    certificate that stands for it: then nothing of it is written until that one no longer does.
    ``import_commands`` and ``assign_commands`` are those of the steps as they were last written,
    for the summary; empty until there is a package.
    """

    id: str
    generation: int = 1
    state: str = "planned"
    files: RequestFiles
    csr_sha256: str = ""
    spki_sha256: str = ""
    key_sha256: str = ""
    planned_at: str = ""
    written_at: str = ""
    issued_at: str = ""
    packaged_at: str = ""
    retired_at: str = ""
    deployed_at: str = ""
    reasons: tuple[str, ...] = ()
    ca: str = ""
    target_os: str = ""
    rule: str = ""
    validity_days: int = 0
    plan: PlannedEntry
    issued: IssuedRecord | None = None
    package: PackageRecord | None = None
    archived: tuple[ArchivedGeneration, ...] = ()
    refused: tuple[IssuedRecord, ...] = field(default=(), metadata=_SINCE_2)
    key_holder: str = field(default="", metadata=_SINCE_2)
    name_notes: tuple[NameNote, ...] = field(default=(), metadata=_SINCE_2)
    covered: CoveringCertificate | None = field(default=None, metadata=_SINCE_2)
    import_commands: tuple[str, ...] = field(default=(), metadata=_SINCE_2)
    assign_commands: tuple[str, ...] = field(default=(), metadata=_SINCE_2)
    binding: str = field(default="", metadata=_SINCE_2)
    others: Mapping[str, object] = field(default_factory=_no_others)

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
    def generations(self) -> tuple[RequestRecord | ArchivedGeneration, ...]:
        """Every generation on record, the present one first."""
        return (self, *self.archived)

    @property
    def as_archived(self) -> ArchivedGeneration:
        """The present generation as it stands in ``archive/``, not yet superseded."""
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
        )

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
        )

    def with_issued(
        self, issued: IssuedRecord, *, at: str, generation: int | None = None
    ) -> RequestRecord:
        """Return the record with the certificate that came back.

        Parameters
        ----------
        issued : IssuedRecord
            The certificate.
        at : str
            Time of receipt, UTC, ISO 8601 to the second.
        generation : int, optional
            The superseded generation it belongs to; the present one if left out.
        """
        if generation not in (None, self.generation):
            archived = tuple(
                replace(old, issued=issued) if old.generation == generation else old
                for old in self.archived
            )
            return replace(self, archived=archived)
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

        The CSR stays: by it a later run sees that nothing has to be requested anew.
        """
        changed = replace(self, deployed_at=at, key_sha256="", binding="")
        return changed if self.state == "retired" else replace(changed, state=changed.active_state)

    def with_package(self, package: PackageRecord, *, at: str) -> RequestRecord:
        """Return the record with its package."""
        changed = replace(self, package=package, packaged_at=at)
        return changed if self.state == "retired" else replace(changed, state="packaged")


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """What was removed or moved outside an ordinary run: when, what, about which request."""

    at: str
    event: str
    about: str
    others: Mapping[str, object] = field(default_factory=_no_others)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryKey:
    """A key that opens the folder beside its passphrase: its fingerprint, and since when."""

    fingerprint: str
    added_at: str
    others: Mapping[str, object] = field(default_factory=_no_others)


@dataclass(frozen=True, slots=True, kw_only=True)
class BindingKey:
    """By what the key of all bindings is derived from the passphrase: PBKDF2, then HKDF.

    ``salt`` is in hex digits, ``hash`` that of PBKDF2's HMAC, ``length`` is in bytes.
    """

    salt: str
    rounds: int
    hash: str
    length: int
    others: Mapping[str, object] = field(default_factory=_no_others)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptFile:
    """A file that came back and is kept for the whole folder, and the SHA-256 of its bytes."""

    file: str
    sha256: str
    received_at: str
    others: Mapping[str, object] = field(default_factory=_no_others)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalOnRecord:
    """Who approved a saved plan: the signer's name, the key's fingerprint, when it was verified."""

    signer: str
    key: str
    signature_sha256: str
    verified_at: str
    others: Mapping[str, object] = field(default_factory=_no_others)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanOnRecord:
    """A saved plan that was requested into the folder, known by its digest.

    ``plan_sha256`` is that of its certificates, ``judged_on`` the day by whose rules it is judged.
    ``reason`` says why it was requested although a newer one was on record.
    """

    sha256: str
    plan_sha256: str
    judged_on: str
    requested_at: str
    approvals: tuple[ApprovalOnRecord, ...] = ()
    reason: str = field(default="", metadata=_SINCE_2)
    others: Mapping[str, object] = field(default_factory=_no_others)
