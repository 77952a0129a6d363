"""Approve a saved plan: create and verify the SSH signature of its file.

The signature is in ``FILE.sig`` next to the plan. When the requests of the plan are
written, lyncnb checks whether the signer is allowed. The manifest then records who approved
the plan, for later runs.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ..base.disk.outputs import OutputKind, check_output_path, match_first_line, write_output
from ..base.pasted_text import shown
from ..checks.saved_plan import SavedPlan, read_saved_plan
from ..errors import ApprovalError, FileOccupied
from ..pki import ssh_signatures
from ..plan.saved_plan_json import NAMESPACE
from ..request_folder.manifest import NAME, read_manifest
from ..request_folder.request_record import ApprovalOnRecord

_DIGITS = 12  # The minimum number of digits in a digest. lyncnb status shows this number of digits.

#: The type of file for the signature of a saved plan.
SIGNATURE_FILE = OutputKind(
    what="an approval", is_ours={".sig": match_first_line(b"-----BEGIN SSH SIGNATURE-----")}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """The signature file of a saved plan, and the fingerprint of the signing key."""

    plan: SavedPlan
    path: Path
    key: str

    def __str__(self) -> str:
        return f"you approved the plan with the key {self.key}; the signature is in {self.path}"


def build_signature_path(saved_plan: SavedPlan) -> Path:
    """Return the path of the signature of a saved plan: ``FILE.sig``."""
    return saved_plan.path.with_name(f"{saved_plan.path.name}.sig")


def approve_plan(
    path: str | os.PathLike[str],
    *,
    key: str | os.PathLike[str],
    force: bool = False,
    digest: str = "",
) -> Approval:
    """Approve a saved plan: sign its file with an SSH key.

    Parameters
    ----------
    path : path
        The saved plan. lyncnb plans it again first, and stops if the result differs.
    key : path
        A private SSH key, or the ``.pub`` file of a key in an agent. ``ssh-keygen`` asks for its
        passphrase.
    force : bool, optional
        Whether to replace an approval by another key, or a file that is not an approval.
    digest : str, optional
        SHA-256 of the file that was read and is to be signed, or its first 12 digits or more.

    Returns
    -------
    Approval
        The signature in ``FILE.sig``; the same as ``ssh-keygen -Y sign -n lyncnb-plan`` makes.

    Raises
    ------
    PlanError
        If the plan cannot be read, or planning it again gives a different plan.
    ApprovalError
        If the file is not the plan of `digest`, the key cannot sign, or ``ssh-keygen`` is not
        installed.
    OutputError
        If the signature cannot be written.
    """
    saved = read_saved_plan(path)
    if digest and not _is_digest_of(saved, digest):
        raise ApprovalError(
            (
                f"{saved.identity}: the digest {shown(digest)} that you confirmed does not belong "
                "to this plan"
            ),
            hint="read the plan again, and confirm its digest",
        )
    target = build_signature_path(saved)
    check_output_path(target, SIGNATURE_FILE, force=force)
    signature = ssh_signatures.sign_content(saved.data, key, namespace=NAMESPACE)
    made_by = ssh_signatures.find_signing_key(saved.data, signature, namespace=NAMESPACE)
    if not force:
        _reject_other_approval(saved, target, made_by)
    write_output(target, signature, SIGNATURE_FILE, force=force)
    return Approval(plan=saved, path=target, key=made_by)


def _is_digest_of(saved_plan: SavedPlan, digest: str) -> bool:
    prefix = digest.lower()
    # Both digests are accepted, because earlier versions of lyncnb showed the digest in the last
    # line of the file.
    known = (saved_plan.sha256, saved_plan.digest)
    return len(prefix) >= _DIGITS and any(known_digest.startswith(prefix) for known_digest in known)


def _reject_other_approval(saved_plan: SavedPlan, signature_path: Path, fingerprint: str) -> None:
    """Raise an error if another key has already signed the same plan with a valid signature."""
    if not os.path.exists(signature_path):
        return
    try:
        present = ssh_signatures.read_signature(signature_path)
        before = ssh_signatures.find_signing_key(saved_plan.data, present, namespace=NAMESPACE)
    except ApprovalError:
        return
    if before != fingerprint:
        raise FileOccupied(
            (
                f"{signature_path} contains an approval of this plan with a different key, "
                f"{before}, so lyncnb did not replace the file"
            ),
            hint="move the file to another folder, or replace it with --force",
        )


def check_approval(
    saved_plan: SavedPlan,
    signers: str | os.PathLike[str],
    *,
    folder: str | os.PathLike[str] | None = None,
    accept: Iterable[str] = (),
    now: str = "",
) -> tuple[ApprovalOnRecord, ...]:
    """Return who approved a saved plan, and check that the signer may still approve plans.

    Parameters
    ----------
    saved_plan : SavedPlan
        With the signature in ``FILE.sig`` in the same folder.
    signers : path
        A list of allowed signers in the form of ssh-keygen(1).
    folder : path, optional
        A request folder. If it has a record of exactly this signature and plan, that record is
        returned.
    accept : iterable of str, optional
        Codes to accept in addition to those of the plan; they are not approved.
    now : str, optional
        The time to record, UTC, ISO 8601.

    Returns
    -------
    tuple of ApprovalOnRecord
        Who approved it.

    Raises
    ------
    ApprovalError
        If it is not approved: the signature is missing, is over another text, or its key is
        unknown, expired or not for plans; or ``ssh-keygen`` is not installed.
    """
    if codes := ", ".join(accept):
        raise ApprovalError(
            f"the approved plan does not contain the reason why {codes} is accepted",
            hint=(
                "enter the reason under [accepted] in plan.toml, then save and approve "
                "the plan again"
            ),
        )
    allowed = ssh_signatures.read_signers(Path(signers))
    signature = ssh_signatures.read_signature(build_signature_path(saved_plan))
    signer = ssh_signatures.verify_signature(
        saved_plan.data, signature, allowed, namespace=NAMESPACE
    )
    approval = ApprovalOnRecord(
        signer=signer.name,
        key=signer.key,
        signature_sha256=hashlib.sha256(signature).hexdigest(),
        verified_at=now,
    )
    if folder is not None and os.path.isfile(Path(folder) / NAME):
        plans = read_manifest(Path(folder)).plans
        if plans and plans[-1].sha256 == saved_plan.digest:
            present = tuple(
                old_approval
                for old_approval in plans[-1].approvals
                if old_approval.is_same(approval)
            )
            if present:
                return present
    return (approval,)
