"""The approved plan and its signature, kept in the folder and verified again on request.

The manifest says who approved a plan. With plan and signature beside it anybody can see that the
recorded key did sign; whose key it is, only a list of allowed signers says.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..base.disk import files
from ..base.disk.folder_lock import lock
from ..errors import ApprovalError, BundleError, Problem
from ..pki import ssh_signatures
from ..plan.saved_plan_json import NAMESPACE
from ..request_folder.manifest import Manifest
from ..request_folder.request_record import PlanOnRecord

#: Relative to the folder.
PLAN, SIGNATURE = "approved-plan.json", "approved-plan.json.sig"

# 100,000 certificates are some 100 MB; a signature has less than 1 kB.
_LARGEST = 1 << 30
_HINT = (
    "restore both files from a backup, or request the plan again: lyncnb request --plan PLAN "
    "--approved-by SIGNERS FOLDER"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptApproval:
    """What the kept signature shows: notes, and problems that need attention."""

    notes: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()


def keep_approval(folder: Path, plan: bytes, signature: bytes, *, lock_seconds: float) -> None:
    """Keep an approved plan and its signature; the same again changes nothing."""
    wanted = {PLAN: plan, SIGNATURE: signature}
    present = dict(_present(folder))
    if present == wanted:
        return
    with lock(folder, wait=lock_seconds):
        for name, data in wanted.items():
            if present.get(name) != data:
                files.replace(folder / name, data, 0o600)


def _present(folder: Path) -> Iterator[tuple[str, bytes]]:
    for name in (PLAN, SIGNATURE):
        if os.path.lexists(folder / name):
            yield name, files.read(folder / name, limit=_LARGEST)


def look_at_approval(
    folder: Path, manifest: Manifest, signers: str | os.PathLike[str] | None
) -> KeptApproval:
    """Verify the signature of the plan that was requested last.

    Parameters
    ----------
    folder : Path
        The request folder.
    manifest : Manifest
        What is on record.
    signers : path, optional
        A list of allowed signers. Without it only the key is compared with the recorded one.

    Raises
    ------
    ApprovalError
        If the list cannot be read.
    """
    # A list that is given is read in every case: a wrong name is reported before anything else.
    allowed = None if signers is None else ssh_signatures.read_signers(Path(signers))
    last = manifest.plans[-1] if manifest.plans else None
    if last is None or not last.approvals:
        if signers is None:
            return KeptApproval()
        message = "the last requested plan has no approval"
        return KeptApproval(problems=(Problem(message=message, file="manifest.json", hint=_HINT),))
    if not os.path.lexists(folder / PLAN) or not os.path.lexists(folder / SIGNATURE):
        return _not_kept(signers is not None)
    try:
        _, notes = _verified(folder, last, allowed)
        return KeptApproval(notes=notes)
    except (ApprovalError, BundleError) as error:
        own = error.message.removeprefix(f"{SIGNATURE} ")
        words = own if own != error.message else f"is not valid: {own}"
        return _wrong(words, hint=error.hint)


def approved_plan(
    folder: Path, manifest: Manifest, signers: str | os.PathLike[str]
) -> tuple[bytes, PlanOnRecord]:
    """Return the kept plan that was requested last, if its signer may approve plans now.

    Raises
    ------
    ApprovalError
        If nobody approved it, plan or signature is missing or was altered, or the list does not
        let the signer approve plans now.
    """
    allowed = ssh_signatures.read_signers(Path(signers))
    last = manifest.plans[-1] if manifest.plans else None
    if last is None or not last.approvals or last.plan_sha256 != manifest.plan_sha256:
        raise ApprovalError(
            f"the last requested plan of {folder} has no approval",
            hint="omit --approved-by, or request an approved plan: lyncnb request "
            "--plan PLAN --approved-by SIGNERS FOLDER",
        )
    try:
        return _verified(folder, last, allowed)[0], last
    except (ApprovalError, BundleError) as error:
        raise ApprovalError(
            f"the approval in {SIGNATURE} of {folder} is not valid: {error.message}",
            hint=_HINT,
        ) from None


def _verified(
    folder: Path, last: PlanOnRecord, allowed: bytes | None
) -> tuple[bytes, tuple[str, ...]]:
    """Verify the kept signature over the kept plan; give that plan, and what was found."""
    present = dict(_present(folder))
    for name in (PLAN, SIGNATURE):
        if name not in present:
            raise ApprovalError(
                (f"{name} is missing, so the approval cannot be verified"), hint=_HINT
            )
    data, signature = present[PLAN], present[SIGNATURE]
    key = ssh_signatures.signing_key(data, signature, namespace=NAMESPACE)
    of_key = [one for one in last.approvals if one.key == key]
    digest = hashlib.sha256(signature).hexdigest()
    if not of_key:
        raise ApprovalError(
            (f"{SIGNATURE} was made with the key {key}, which is not on record"), hint=_HINT
        )
    approval = next((one for one in of_key if one.signature_sha256 == digest), None)
    if approval is None:
        raise ApprovalError(
            f"{SIGNATURE} differs from the signature that lyncnb verified", hint=_HINT
        )
    if f'"sha256": "{last.sha256}"'.encode() not in data[-100:]:
        raise ApprovalError(
            f"{SIGNATURE} is the signature of a different plan than the plan on record", hint=_HINT
        )
    notes = [
        f"the signature matches the key that was recorded on {approval.verified_at[:10]}: {key}"
    ]
    if allowed is not None:
        signer = ssh_signatures.verify(data, signature, allowed, namespace=NAMESPACE)
        notes.append(f"{signer.name} is on the list of allowed signers and can approve plans now")
    return data, tuple(notes)


def _not_kept(is_asked: bool) -> KeptApproval:
    words = "the folder contains no signature for the plan"
    if is_asked:
        return KeptApproval(problems=(Problem(message="is missing", file=SIGNATURE, hint=_HINT),))
    return KeptApproval(notes=(f"{words}; only the manifest shows who approved the plan",))


def _wrong(message: str, hint: str = "") -> KeptApproval:
    return KeptApproval(problems=(Problem(message=message, file=SIGNATURE, hint=hint or _HINT),))
