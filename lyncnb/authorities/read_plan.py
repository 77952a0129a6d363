"""``read_plan``: read a plan from a request folder, a saved plan or a plan's JSON document.

So that a folder can be compared with a plan of today: what is requested, and what would be.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from ..base.planned_entry import PlannedEntry
from ..errors import BundleError, LyncnbError, Problem
from ..plan.model import plan_digest
from ..plan.options import PlanOptions
from ..plan.recorded_plan import (
    RecordedPlan,
    read_plan_file,
    read_plan_json,
    recorded_certificates,
    recorded_plan,
)
from ..plan.saved_plan_json import is_saved_plan, read_saved_json
from ..plan.scenarios import is_scenario
from ..request_folder.manifest import Manifest, read_manifest
from ..request_folder.plan_file import PLAN_NAME, read_plan_bytes
from ..rules.rule_files import rules_on_record


def is_record(path: str | os.PathLike[str]) -> bool:
    """Return whether :func:`read_plan` reads this path, and not ``read_topology``.

    Returns
    -------
    bool
        True for folders, but for a scenario's, and for names that end in ``.json``.
    """
    if os.path.isdir(path):
        return not is_scenario(path)
    return Path(path).suffix.lower() == ".json"


def read_plan(path: str | os.PathLike[str]) -> RecordedPlan:
    """Read what was planned from a request folder, a saved plan, or ``lyncnb plan --json``.

    Parameters
    ----------
    path : path
        Of the folder or the file.

    Returns
    -------
    RecordedPlan
        The n certificates on record, as they stand there; ``read_saved_plan`` gives a saved plan
        with its table and options, planned again. A folder does not keep why a name is on a
        certificate, nor the findings; nothing is guessed.

    Raises
    ------
    BundleError
        If it is not a request folder, or its manifest is damaged or was rebuilt
        (``status --rebuild``), so that it does not say what was planned.
    PlanError
        If it is not a plan document, or was edited (:class:`PlanAltered` of a saved plan).
    """
    path = Path(path)
    if os.path.isdir(path):
        return plan_of_manifest(path, read_manifest(path))
    data = read_plan_file(path)
    if is_saved_plan(data):
        return read_saved_json(data, source=path.name).recorded()
    return read_plan_json(data, source=path.name)


def options_of_folder(folder: Path, manifest: Manifest) -> PlanOptions | None:
    """Return the options of the plan that a folder keeps; None if it cannot be read."""
    try:
        data = read_plan_bytes(folder, manifest)
        return read_saved_json(data, source=PLAN_NAME, whole=False).options
    except LyncnbError:
        return None


def plan_of_manifest(folder: Path, manifest: Manifest) -> RecordedPlan:
    """Return what the manifest of a folder has on record as planned.

    Raises
    ------
    BundleError
        If it does not say what was planned for each of its requests.
    """
    problems: list[Problem] = []
    # Before there was more than one product, none was on record.
    rules = rules_on_record(manifest.product or "lync2013")
    certificates = recorded_certificates(_entries(manifest), rules, problems)
    if problems:
        raise BundleError(
            f"the manifest of {folder} has no plan data for {len(problems):,} requests",
            problems=tuple(problems),
            hint="request the plan again: lyncnb request TOPOLOGY FOLDER",
        )
    return recorded_plan(certificates, rules, source=str(folder))


def digest_of_manifest(manifest: Manifest) -> str:
    """Return the digest of what the manifest has on record as planned.

    Returns
    -------
    str
        As ``CertificatePlan.sha256``; empty if the manifest does not say what was planned. The
        product's rules are not asked: those of one's own may be elsewhere.
    """
    problems: list[Problem] = []
    certificates = recorded_certificates(_entries(manifest), None, problems)
    return "" if problems else plan_digest(manifest.product or "lync2013", certificates)


def _entries(manifest: Manifest) -> Iterator[PlannedEntry]:
    """Return what the folder's last plan asks for; what left the plan is kept in it as retired."""
    for record in manifest.requests:
        if record.state != "retired":
            yield record.plan
