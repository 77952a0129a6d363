"""``plan.json``: the saved plan that the requests of a folder were made from.

Somebody else may have written it. Nobody reads it before its SHA-256 is that of the manifest, and
what it says of a certificate is validated as strictly as an entry of the manifest is.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..base.disk import files
from ..base.disk.folder_lock import confirm
from ..base.disk.outputs import OWN_FOLDERS
from ..base.json_text import NotJson, has_its_digest, parse_json
from ..base.planned_entry import SavedEntry
from ..base.records import Line, RecordReader, others_field
from ..base.renewal_days import ANY_DAY, RenewalTerms
from ..base.work_days import read_work_days
from ..errors import BundleError, OptionsError, Problem
from .field_forms import Sha256
from .manifest import FORMAT, NAME, Manifest

PLAN_NAME = "plan.json"

# 100,000 certificates with the rules of their names are some 100 MB.
_LARGEST = 1 << 30
_AGAIN = "request the plan again: lyncnb request TOPOLOGY FOLDER"
_RESTORE = f"restore the file from a backup, or {_AGAIN}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanOnDisk:
    """What the saved plan of a folder says of its certificates."""

    product: Line
    plan_sha256: Sha256
    certificates: tuple[SavedEntry, ...]
    others: Mapping[str, object] = others_field()


@dataclass(frozen=True, slots=True, kw_only=True)
class _WorkOptions:
    """What the options of a saved plan say of lead times and work days."""

    lead_days: Mapping[str, int] = field(default_factory=dict)
    freezes: Mapping[str, str] = field(default_factory=dict)
    windows: Mapping[str, str] = field(default_factory=dict)
    others: Mapping[str, object] = others_field()


# Up to the key that follows them, which begins a line as they do.
_OPTIONS = re.compile(rb'^"options": (\{$.*?^\}),$', re.MULTILINE | re.DOTALL)


def present_plan(folder: Path) -> bytes:
    """Return the bytes of ``plan.json``, empty if there is no such file."""
    path = folder / PLAN_NAME
    return files.read(path, limit=_LARGEST) if os.path.lexists(path) else b""


def read_plan_bytes(folder: Path, manifest: Manifest) -> bytes:
    """Return the bytes of the plan that the manifest names.

    Raises
    ------
    BundleError
        If there is none, or it is not the one on record.
    """
    expected = manifest.plan_json_sha256
    if not expected:
        raise BundleError(f"{folder} has no {PLAN_NAME}", hint=_AGAIN)
    data = present_plan(folder)
    if not data:
        raise BundleError(f"{PLAN_NAME} is missing", hint=_RESTORE)
    found = hashlib.sha256(data).hexdigest()
    if found != expected:
        raise BundleError(
            f"{PLAN_NAME} differs from the plan on record in {NAME}: its SHA-256 is "
            f"{found[:12]}…, but {expected[:12]}… is on record",
            hint=_RESTORE,
        )
    return data


def renewal_terms(folder: Path, manifest: Manifest) -> RenewalTerms:
    """Return the lead times, freezes and windows of the plan that a folder keeps.

    The options alone are read: of 100,000 certificates the rest takes seconds. A folder without its
    plan has none.
    """
    try:
        found = _OPTIONS.search(read_plan_bytes(folder, manifest))
        options = parse_json(found[1]) if found else {}
        said = RecordReader(PLAN_NAME, is_json=True).record(_WorkOptions, options)
        if said is not None:
            return RenewalTerms(
                {"" if name == "all" else name: days for name, days in said.lead_days.items()},
                read_work_days(said.freezes, said.windows),
            )
    except (BundleError, NotJson, OptionsError):
        pass  # status reports a plan that is missing or was altered
    return ANY_DAY


def plan_problems(folder: Path, manifest: Manifest) -> Iterator[Problem]:
    """Report a plan that is missing, or is not the one on record."""
    if not manifest.plan_json_sha256:
        return
    try:
        read_plan_bytes(folder, manifest)
    except BundleError as error:
        message = error.message.removeprefix(f"{PLAN_NAME} ")
        yield Problem(message=message, file=PLAN_NAME, hint=error.hint)


def read_entries(data: bytes) -> PlanOnDisk:
    """Read the certificates of a saved plan without planning again.

    Raises
    ------
    BundleError
        If it is not a saved plan, or was altered; every value that is wrong is named.
    """
    if not has_its_digest(data):
        raise BundleError(f"{PLAN_NAME} is not a complete saved plan", hint=_RESTORE)
    try:
        document = parse_json(data)
    except NotJson as error:
        raise BundleError(f"{PLAN_NAME}: {error}", hint=_RESTORE) from None
    reader = RecordReader(PLAN_NAME, is_json=True)
    found = reader.record(PlanOnDisk, document)
    if found is None:
        raise BundleError(
            f"{PLAN_NAME} was edited or damaged", problems=tuple(reader.problems), hint=_RESTORE
        )
    return found


def write_plan_file(folder: Path, data: bytes, before: Manifest) -> None:
    """Write the plan before the manifest names it; the caller holds the folder's lock.

    Another ``plan.json`` that the manifest does not name is somebody's: it goes to ``archive/``. A
    manifest of an earlier format stays unchanged next to the new one.
    """
    confirm(folder)
    present = present_plan(folder)
    if present != data:
        if present and hashlib.sha256(present).hexdigest() != before.plan_json_sha256:
            keep_copy(folder, PLAN_NAME, present)
        files.replace(folder / PLAN_NAME, data)
    if before.format == FORMAT or not os.path.lexists(folder / NAME):
        return
    manifest = files.read(folder / NAME, limit=1 << 32)
    target = folder / earlier_manifest(before.format)
    if not os.path.lexists(target):
        files.write_new(target, manifest)
    elif files.read(target, limit=1 << 32) != manifest:
        keep_copy(folder, NAME, manifest)


def earlier_manifest(form: str) -> str:
    """Return the name under which a manifest of an earlier format is kept."""
    return f"manifest.v{form.rpartition('/')[2]}.json"


def keep_copy(folder: Path, name: str, data: bytes) -> None:
    """Keep a file that is about to be replaced in ``archive/``, under the hash of its bytes."""
    files.make_folder(folder / "archive", OWN_FOLDERS["archive"])
    stem, ending = name.split(".")
    target = folder / "archive" / f"{stem}-{hashlib.sha256(data).hexdigest()[:8]}.{ending}"
    if not os.path.lexists(target):
        files.write_new(target, data)
