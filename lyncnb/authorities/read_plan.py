"""Read a plan from a request folder, from a saved plan, or from a plan in JSON.

You can then compare the requests in a folder with the requests in the current plan.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ..base.planned_entry import PlannedEntry
from ..base.shown.origin import Origin
from ..errors import BundleError, LyncnbError, Problem
from ..plan.model import CertificatePlan, compute_plan_digest
from ..plan.options import PlanOptions, build_table_origin
from ..plan.planner import plan_certificates
from ..plan.recorded_plan import (
    RecordedPlan,
    build_recorded_certificates,
    build_recorded_plan,
    read_plan_file,
    read_plan_json,
)
from ..plan.saved_plan_json import is_saved_plan, read_saved_json
from ..plan.scenarios import is_scenario
from ..reports.summary.progress import format_last_change
from ..request_folder.manifest import Manifest, read_manifest
from ..request_folder.plan_file import PLAN_NAME, read_plan_bytes
from ..rules.rule_files import load_recorded_rules
from ..topology.model import Pool


def is_plan_path(path: str | os.PathLike[str]) -> bool:
    """Return whether a path contains a plan for :func:`read_plan`.

    A table of servers is not a plan.

    Returns
    -------
    bool
        True for folders other than scenario folders, and for names that end in ``.json``.
    """
    if os.path.isdir(path):
        return not is_scenario(path)
    return Path(path).suffix.lower() == ".json"


def read_plan(path: str | os.PathLike[str]) -> RecordedPlan:
    """Read a plan from a request folder, a saved plan, or the output of ``lyncnb plan --json``.

    Parameters
    ----------
    path : path
        The folder or the file.

    Returns
    -------
    RecordedPlan
        The n recorded certificates. To get a saved plan with its table and options, use
        ``read_saved_plan``. A folder does not record the findings or the reasons for names, so the
        result does not contain them.

    Raises
    ------
    BundleError
        If the folder is not a request folder, or its manifest is damaged, or was rebuilt
        (``status --rebuild``) and has no plan data.
    PlanError
        If the file is not a plan document, or was edited (:class:`PlanAltered` for a saved plan).
    """
    path = Path(path)
    if os.path.isdir(path):
        return load_recorded_plan(path, read_manifest(path))
    data = read_plan_file(path)
    if is_saved_plan(data):
        return read_saved_json(data, source=path.name).build_recorded_plan()
    return read_plan_json(data, source=path.name)


def recreate_plan(folder: str | os.PathLike[str]) -> CertificatePlan:
    """Create a plan again from the table and the options that are stored in a request folder.

    Raises
    ------
    BundleError
        If the folder is not a request folder, or its plan is missing or differs from the record.
    RulesError
        If the rules of its product are missing.
    """
    path = Path(folder)
    manifest = read_manifest(path)
    data = read_plan_bytes(path, manifest)
    saved = read_saved_json(data, source=PLAN_NAME, is_complete=False)
    rules = load_recorded_rules(manifest.product)
    return plan_certificates(saved.topology, rules, options=saved.options)


def read_folder_options(folder: Path, manifest: Manifest) -> PlanOptions | None:
    """Return the options of the plan in a request folder, or None if the plan cannot be read."""
    try:
        data = read_plan_bytes(folder, manifest)
        return read_saved_json(data, source=PLAN_NAME, is_complete=False).options
    except LyncnbError:
        return None


def read_folder_pools(folder: Path, manifest: Manifest) -> tuple[Pool, ...]:
    """Return the pools of the plan in a request folder. If the plan cannot be read, return none."""
    try:
        data = read_plan_bytes(folder, manifest)
        return read_saved_json(data, source=PLAN_NAME, is_complete=False).topology.pools
    except LyncnbError:
        return ()


def build_folder_origin(folder: Path, manifest: Manifest) -> Origin:
    """Return the origin of a document about a request folder.

    It is the origin of the plan, with the folder's last change.
    """
    options, judged_on = PlanOptions(), None
    domains: tuple[str, ...] = ()
    try:
        saved = read_saved_json(
            read_plan_bytes(folder, manifest), source=PLAN_NAME, is_complete=False
        )
        options, judged_on = saved.options, saved.judged_on
        domains = tuple(map(str, saved.topology.sip_domains))
    except LyncnbError:  # Earlier versions of lyncnb did not store the plan in the folder.
        pass
    table = manifest.table.name if manifest.table else ""
    # The file plan.json does not contain the language of the plan.
    lang = manifest.table.lang if manifest.table else options.lang
    return build_table_origin(
        table or folder.name,
        replace(options, lang=lang),
        domains=domains,
        judged_on=judged_on,
        made_on=format_last_change(manifest.requests),
    )


def load_recorded_plan(folder: Path, manifest: Manifest) -> RecordedPlan:
    """Return the plan that the record of a request folder records.

    Raises
    ------
    BundleError
        If the manifest has no plan data for a request.
    """
    problems: list[Problem] = []
    # The first version of lyncnb supported only one product, so its manifests do not contain the
    # product.
    rules = load_recorded_rules(manifest.product or "lync2013")
    certificates = build_recorded_certificates(_list_entries(manifest), rules, problems)
    if problems:
        raise BundleError(
            f"the record of {folder} has no plan data for {len(problems):,} requests",
            problems=tuple(problems),
            hint="run this command again: lyncnb request TOPOLOGY FOLDER",
        )
    return build_recorded_plan(certificates, rules, source=str(folder))


def compute_recorded_digest(manifest: Manifest) -> str:
    """Return the digest of the plan that the manifest records.

    Returns
    -------
    str
        The same value as ``CertificatePlan.sha256``; empty if plan data is missing. The rules of
        the product are not used, because custom rules may be missing on this computer.
    """
    problems: list[Problem] = []
    entries = _list_entries(manifest, with_gone=True)
    certificates = build_recorded_certificates(entries, None, problems)
    return "" if problems else compute_plan_digest(manifest.product or "lync2013", certificates)


def _list_entries(manifest: Manifest, *, with_gone: bool = False) -> Iterator[PlannedEntry]:
    """Return the certificates of the folder's last plan, without retired requests.

    The plan can still contain the certificates of servers that left.
    """
    for record in manifest.requests:
        if record.state != "retired" or (with_gone and record.is_gone):
            yield record.plan
