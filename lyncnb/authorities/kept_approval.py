"""Store the approved plan and its signature in the request folder, and verify the signature.

The manifest records who approved a plan. With the plan and the signature, anybody can verify that
the recorded key signed the plan. Only a list of allowed signers shows who owns the key.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..base.disk import files
from ..base.disk.folder_lock import lock_folder
from ..base.json_text import NotJson, parse_json
from ..errors import ApprovalError, BundleError, Problem
from ..pki import ssh_signatures
from ..plan.saved_plan_json import NAMESPACE
from ..request_folder.manifest import Manifest
from ..request_folder.request_record import PlanOnRecord

#: The paths of the stored plan and signature, relative to the request folder.
PLAN, SIGNATURE = "approved-plan.json", "approved-plan.json.sig"

# The largest sizes to read. A plan with 100,000 certificates is about 100 MB in size, and a
# signature is smaller than 1 kB.
_LARGEST = 1 << 30
_UNKNOWN = "unknown"
_HINT = (
    "restore approved-plan.json and approved-plan.json.sig from a backup, or run this command "
    "again: lyncnb request --plan PLAN --approved-by SIGNERS FOLDER"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptApproval:
    """The result of verifying an approval: notes, and problems that the user must resolve."""

    notes: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()


def keep_approval(folder: Path, plan: bytes, signature: bytes, *, lock_seconds: float) -> None:
    """Store an approved plan and its signature in the request folder.

    Identical files are not written again.
    """
    new_files = {PLAN: plan, SIGNATURE: signature}
    present = dict(_read_files(folder))
    if present == new_files:
        return
    with lock_folder(folder, wait_seconds=lock_seconds):
        for name, data in new_files.items():
            if present.get(name) != data:
                files.replace_file(folder / name, data, 0o600)


def _read_files(folder: Path) -> Iterator[tuple[str, bytes]]:
    for name in (PLAN, SIGNATURE):
        if os.path.lexists(folder / name):
            yield name, files.read_file(folder / name, limit=_LARGEST)


def find_kept_plan_digest(folder: Path) -> str:
    """Return the digest of the approved plan in the folder, or "" if there is no signature.

    The record of the approval can be lost. The signature file remains, and another plan still needs
    an approval or a reason. An unreadable plan has the digest "unknown".
    """
    if not os.path.lexists(folder / SIGNATURE):
        return ""
    try:
        document = parse_json(dict(_read_files(folder)).get(PLAN, b""))
    except (BundleError, NotJson):
        return _UNKNOWN
    digest = document.get("plan_sha256") if isinstance(document, dict) else None
    return digest if isinstance(digest, str) else _UNKNOWN


def verify_approval(
    folder: Path, manifest: Manifest, signers: str | os.PathLike[str] | None
) -> KeptApproval:
    """Verify the signature of the plan from which the latest requests were created.

    Parameters
    ----------
    folder : Path
        The request folder.
    manifest : Manifest
        The manifest of the folder.
    signers : path, optional
        A list of allowed signers. Without a list, the signer's key is only compared with the
        recorded key.

    Raises
    ------
    ApprovalError
        If the list cannot be read.
    """
    # The list of signers is always read first, so that a wrong file name is reported before other
    # problems.
    allowed = None if signers is None else ssh_signatures.read_signers(Path(signers))
    last = manifest.plans[-1] if manifest.plans else None
    if last is None or not last.approvals:
        if signers is None:
            return KeptApproval()
        message = "the plan for the latest requests is not approved"
        return KeptApproval(problems=(Problem(message=message, file="manifest.json", hint=_HINT),))
    if not os.path.lexists(folder / PLAN) or not os.path.lexists(folder / SIGNATURE):
        return _report_missing_signature(signers is not None)
    try:
        _, notes = _verify_signature(folder, last, allowed)
        return KeptApproval(notes=notes)
    except (ApprovalError, BundleError) as error:
        return _report_problem(error.message, hint=error.hint)


def read_approved_plan(
    folder: Path, manifest: Manifest, signers: str | os.PathLike[str]
) -> tuple[bytes, PlanOnRecord]:
    """Return the plan of the latest requests if its approval is still valid.

    Raises
    ------
    ApprovalError
        If the plan has no approval, if the plan or the signature is missing or was changed, or
        if the signer is not allowed to approve plans now.
    """
    allowed = ssh_signatures.read_signers(Path(signers))
    last = manifest.plans[-1] if manifest.plans else None
    if last is None or not last.approvals or last.plan_sha256 != manifest.plan_sha256:
        raise ApprovalError(
            f"the plan for the latest requests in the folder {folder} is not approved",
            hint="omit --approved-by, or write the requests from an approved plan: lyncnb request "
            "--plan PLAN --approved-by SIGNERS FOLDER",
        )
    try:
        return _verify_signature(folder, last, allowed)[0], last
    except (ApprovalError, BundleError) as error:
        raise ApprovalError(
            f"the approval in {SIGNATURE} in the folder {folder} is not valid: {error.message}",
            hint=_HINT,
        ) from None


def _verify_signature(
    folder: Path, last_saved_plan: PlanOnRecord, allowed_signers: bytes | None
) -> tuple[bytes, tuple[str, ...]]:
    """Verify the signature of the stored plan, and return the plan and the notes."""
    present = dict(_read_files(folder))
    for name in (PLAN, SIGNATURE):
        if name not in present:
            raise ApprovalError(
                (f"{name} is missing, so the approval cannot be verified"), hint=_HINT
            )
    data, signature = present[PLAN], present[SIGNATURE]
    key = ssh_signatures.find_signing_key(data, signature, namespace=NAMESPACE)
    of_key = [approval for approval in last_saved_plan.approvals if approval.key == key]
    digest = hashlib.sha256(signature).hexdigest()
    if not of_key:
        raise ApprovalError(
            (
                f"the signature was created with the key {key}, but the manifest has no "
                "approval with this key"
            ),
            hint=_HINT,
        )
    approval = next((approval for approval in of_key if approval.signature_sha256 == digest), None)
    if approval is None:
        raise ApprovalError(
            "the signature differs from the signature that lyncnb verified", hint=_HINT
        )
    if f'"sha256": "{last_saved_plan.sha256}"'.encode() not in data[-100:]:
        raise ApprovalError(
            "the signature is for a different plan, not for the plan on record",
            hint=_HINT,
        )
    notes = [
        f"the signature matches the key that was recorded on {approval.verified_at[:10]}: {key}"
    ]
    if allowed_signers is not None:
        signer = ssh_signatures.verify_signature(
            data, signature, allowed_signers, namespace=NAMESPACE
        )
        notes.append(f"{signer.name} is on the list of allowed signers and can now approve plans")
    return data, tuple(notes)


def _report_missing_signature(is_required: bool) -> KeptApproval:
    if is_required:
        return KeptApproval(problems=(Problem(message="is missing", file=SIGNATURE, hint=_HINT),))
    note = (
        "the folder contains no signature for the plan; only the record shows who approved the plan"
    )
    return KeptApproval(notes=(note,))


def _report_problem(message: str, hint: str = "") -> KeptApproval:
    return KeptApproval(problems=(Problem(message=message, file=SIGNATURE, hint=hint or _HINT),))
