"""Read and write ``plan.json``, the saved plan from which a request folder was created.

An attacker may have written the file. So lyncnb reads it only if the SHA-256 matches the manifest,
and validates the entries as strictly as those in the manifest.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from ..base.disk import files
from ..base.disk.folder_lock import confirm_lock
from ..base.json_text import NotJson, has_valid_digest, parse_json
from ..base.planned_entry import SavedEntry
from ..base.records import Line, RecordReader, make_unknown_keys_field
from ..base.renewal_days import ANY_DAY, RenewalTerms
from ..base.work_days import read_work_days
from ..errors import BundleError, OptionsError, Problem, RulesError
from ..rules.procedure import load_procedure
from ..rules.rule_files import load_recorded_rules
from .earlier_folder import archive_copy
from .field_forms import Day, Sha256
from .manifest import Manifest

PLAN_NAME = "plan.json"

# The largest size of the file in bytes. The file is about 100 MB for a plan with 100,000
# certificates and the rules for their names.
_LARGEST = 1 << 30
_AGAIN = "run this command again: lyncnb request TOPOLOGY FOLDER"
_RESTORE = f"restore the file from a backup, or {_AGAIN}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanOnDisk:
    """The certificates of the saved plan in a request folder."""

    product: Line
    plan_sha256: Sha256
    certificates: tuple[SavedEntry, ...]
    others: Mapping[str, object] = make_unknown_keys_field()


@dataclass(frozen=True, slots=True, kw_only=True)
class _WorkOptions:
    """The options of a saved plan that are still needed in its request folder."""

    title: Line = ""
    planned_issue_date: Day | None = None
    lead_days: Mapping[str, int] = field(default_factory=dict)
    freezes: Mapping[str, str] = field(default_factory=dict)
    windows: Mapping[str, str] = field(default_factory=dict)
    oldest_client: Line = ""
    servers: Mapping[str, str] = field(default_factory=dict)
    procedure: Mapping[str, str] = field(default_factory=dict)
    others: Mapping[str, object] = make_unknown_keys_field()


# The options end before the next key of the plan, which starts on a new line.
_OPTIONS = re.compile(rb'^"options": (\{$.*?^\}),$', re.MULTILINE | re.DOTALL)


def read_present_plan(folder: Path) -> bytes:
    """Return the bytes of ``plan.json``, or empty bytes if the file does not exist."""
    path = folder / PLAN_NAME
    return files.read_file(path, limit=_LARGEST) if os.path.lexists(path) else b""


def read_plan_bytes(folder: Path, manifest: Manifest) -> bytes:
    """Return the bytes of the plan that the manifest of a folder records.

    Raises
    ------
    BundleError
        If the plan is missing, or differs from the record.
    """
    expected = manifest.plan_json_sha256
    if not expected:
        raise BundleError(f"{folder} has no {PLAN_NAME}", hint=_AGAIN)
    data = read_present_plan(folder)
    if not data:
        raise BundleError(f"{PLAN_NAME} is missing", hint=_RESTORE)
    digest = hashlib.sha256(data).hexdigest()
    if digest != expected:
        raise BundleError(
            f"{PLAN_NAME} differs from the plan on record: the SHA-256 of the file is "
            f"{digest[:12]}…, but the record contains {expected[:12]}…",
            hint=_RESTORE,
        )
    return data


def read_renewal_terms(folder: Path, manifest: Manifest) -> RenewalTerms:
    """Return the lead times, change freezes and maintenance windows from a folder's plan.

    Only the options are read, because reading 100,000 certificates takes seconds. Without a plan,
    the default terms apply.
    """
    try:
        work_options = _read_options(folder, manifest)
        return RenewalTerms(
            {"" if name == "all" else name: days for name, days in work_options.lead_days.items()},
            read_work_days(work_options.freezes, work_options.windows),
            _find_token_hours(manifest),
            date.fromisoformat(work_options.planned_issue_date)
            if work_options.planned_issue_date
            else None,
        )
    except OptionsError:
        return ANY_DAY


def find_oldest_client(folder: Path, manifest: Manifest) -> str:
    """Return the oldest client in the options of a folder's plan, or "" if the plan names none."""
    return _read_options(folder, manifest).oldest_client


def _find_token_hours(manifest: Manifest) -> dict[str, int]:
    """Return, for each usage that rolls over, how early the next certificate must take effect."""
    try:
        rules = load_recorded_rules(manifest.product, sha256=manifest.product_sha256)
    except RulesError:
        return {}  # The commands that need the procedure report the problem.
    if "deploy" not in rules.settings:
        return {}
    rolls = load_procedure(rules).rolls
    return {usage: roll.lead_hours for roll in rolls for usage in roll.usages}


def read_server_option(folder: Path, manifest: Manifest) -> Mapping[str, str]:
    """Return ``new`` or ``running`` for servers, with "" for all others, from a folder's plan."""
    servers = _read_options(folder, manifest).servers
    return {"" if name == "all" else name: text for name, text in servers.items()}


def read_answers(folder: Path, manifest: Manifest) -> Mapping[str, str]:
    """Return the answers to the questions of the deployment steps from a folder's plan."""
    return _read_options(folder, manifest).procedure


def find_deployment_name(folder: Path, manifest: Manifest) -> str:
    """Return the name of a folder's deployment: the title of its plan, or its table's name."""
    table = re.split(r"[/\\]", manifest.table.name)[-1] if manifest.table else ""
    # A saved plan's file name is not the name of a deployment.
    stem = "" if table.endswith(".json") else table.rpartition(".")[0]
    return _read_options(folder, manifest).title or stem or folder.name


def _read_options(folder: Path, manifest: Manifest) -> _WorkOptions:
    """Return the options in the folder's plan. Without a plan, return the defaults."""
    try:
        match = _OPTIONS.search(read_plan_bytes(folder, manifest))
        options = parse_json(match[1]) if match else {}
    # The status command reports a missing or changed plan.
    except (BundleError, NotJson):
        options = {}
    work_options = RecordReader(PLAN_NAME, is_json=True).record(_WorkOptions, options)
    return work_options or _WorkOptions()


def find_plan_problems(folder: Path, manifest: Manifest) -> Iterator[Problem]:
    """Report a plan that is missing from the folder or differs from the record."""
    if not manifest.plan_json_sha256:
        return
    try:
        read_plan_bytes(folder, manifest)
    except BundleError as error:
        message = error.message.removeprefix(f"{PLAN_NAME} ")
        yield Problem(message=message, file=PLAN_NAME, hint=error.hint)


def read_entries(data: bytes) -> PlanOnDisk:
    """Return the certificates of a saved plan. They are not planned again.

    Raises
    ------
    BundleError
        If the data is not a saved plan, or was changed; the error lists all invalid values.
    """
    if not has_valid_digest(data):
        raise BundleError(f"{PLAN_NAME} is not a complete saved plan", hint=_RESTORE)
    try:
        document = parse_json(data)
    except NotJson as error:
        raise BundleError(f"{PLAN_NAME}: {error}", hint=_RESTORE) from None
    reader = RecordReader(PLAN_NAME, is_json=True)
    plan = reader.record(PlanOnDisk, document)
    if plan is None:
        raise BundleError(
            f"{PLAN_NAME} was edited or damaged", problems=tuple(reader.problems), hint=_RESTORE
        )
    return plan


def write_plan_file(folder: Path, data: bytes, old_manifest: Manifest) -> None:
    """Write the plan to ``plan.json``, before the manifest records it.

    A ``plan.json`` that is not recorded in the manifest is moved to ``archive/``.
    """
    confirm_lock(folder)
    present = read_present_plan(folder)
    if present != data:
        if present and hashlib.sha256(present).hexdigest() != old_manifest.plan_json_sha256:
            archive_copy(folder, PLAN_NAME, present)
        files.replace_file(folder / PLAN_NAME, data)
