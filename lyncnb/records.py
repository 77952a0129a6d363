"""``RequestRecord``: one request of the folder, its generations and what came back for it.

A record says what was asked of a certificate authority and under which public key, so every
later step (matching, packaging, a new run) compares with it and never guesses from file names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

STATES = ("planned", "waiting", "issued", "packaged", "retired")


def csr_path(request_id: str) -> str:
    """Return where the CSR of a request stands, relative to the folder."""
    return f"csr/{request_id}.csr"


def key_path(request_id: str) -> str:
    """Return where the private key of a request stands, relative to the folder."""
    return f"keys/{request_id}.key"


def archived_paths(request_id: str, generation: int) -> dict[str, str]:
    """Return where CSR and key of a superseded generation stand, relative to the folder."""
    stem = f"archive/{request_id}-g{generation}"
    return {"csr": f"{stem}.csr", "key": f"{stem}.key"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivedGeneration:
    """A superseded request, whole in ``archive/``: a certificate may still come back for it.

    Hashes are SHA-256 as 64 lower-case hex digits, of the CSR file's bytes, of the DER
    SubjectPublicKeyInfo and of the encrypted key file; times are UTC in ISO 8601 to the second.
    ``reasons`` says why it was superseded, ``plan`` is its entry of the plan document.
    ``purged_at`` is when its files were removed, on request.
    """

    generation: int
    files: Mapping[str, str]
    csr_sha256: str
    spki_sha256: str
    key_sha256: str
    superseded_at: str
    reasons: tuple[str, ...]
    purged_at: str = ""
    plan: Mapping[str, object] = field(default_factory=dict)
    issued: Mapping[str, object] | None = None
    package: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRecord:
    """One request of the folder.

    ``plan`` is the certificate's entry of the plan document, exact. ``files`` has the keys
    ``csr`` and ``key``. Hashes are empty until CSR and key are durably written. ``state`` is one
    of ``planned | waiting | issued | packaged | retired``; a retired request left the plan and
    keeps its files. ``reasons`` says why this generation was made, field by field.
    ``validity_days`` is what was asked for, 0 for nothing. ``deployed_at`` is when its key and
    package were removed, on request, because its servers have them.
    """

    id: str
    generation: int = 1
    state: str = "planned"
    files: Mapping[str, str]
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
    plan: Mapping[str, object]
    issued: Mapping[str, object] | None = None
    package: Mapping[str, object] | None = None
    archived: tuple[ArchivedGeneration, ...] = ()

    @property
    def is_written(self) -> bool:
        """Whether key and CSR are known to be in the folder."""
        return bool(self.csr_sha256)

    @property
    def has_key(self) -> bool:
        """Whether its key belongs into the folder: it was written, and not removed on request."""
        return self.is_written and not self.deployed_at

    @property
    def active_state(self) -> str:
        """The state that the request has while it is in the plan, from what is on record."""
        if self.package is not None and not self.deployed_at:
            return "packaged"
        if self.issued is not None:
            return "issued"
        return "waiting" if self.is_written else "planned"

    def with_issued(
        self, issued: Mapping[str, object], *, at: str, generation: int | None = None
    ) -> RequestRecord:
        """Return the record with the certificate that came back.

        Parameters
        ----------
        issued : Mapping
            ``file``, ``chain``, ``serial``, ``thumbprint_sha1``, ``sha256``, ``not_before``,
            ``not_after`` (UTC, ISO 8601), ``received_at``, ``findings`` (codes).
        at : str
            Time of receipt, UTC, ISO 8601 to the second.
        generation : int, optional
            The superseded generation it belongs to; the present one if left out.
        """
        if generation not in (None, self.generation):
            return self._with_archived(generation, issued=dict(issued))
        # A new certificate makes a package of the old one stale.
        changed = replace(self, issued=dict(issued), issued_at=at, package=None, packaged_at="")
        return changed if self.state == "retired" else replace(changed, state="issued")

    def with_deployed(self, *, at: str) -> RequestRecord:
        """Return the record without key and package, which its servers have.

        The CSR stays: by it a later run sees that nothing has to be requested anew.
        """
        changed = replace(self, deployed_at=at, key_sha256="")
        return changed if self.state == "retired" else replace(changed, state=changed.active_state)

    def with_package(self, package: Mapping[str, object], *, at: str) -> RequestRecord:
        """Return the record with its package (``file``, ``target_os``, ``encryption``, ...)."""
        changed = replace(self, package=dict(package), packaged_at=at)
        return changed if self.state == "retired" else replace(changed, state="packaged")

    def _with_archived(self, generation: int, **changes: object) -> RequestRecord:
        found = tuple(
            replace(old, **changes) if old.generation == generation else old
            for old in self.archived
        )
        return replace(self, archived=found)
