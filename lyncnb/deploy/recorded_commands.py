"""Record the commands of the steps for the columns Import and Assign of the summary."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ..authorities.summary_files import refresh_summary_files
from ..request_folder.history import record_changes
from ..request_folder.manifest import Manifest, read_manifest, save_manifest
from ..rules.procedure import COLUMNS
from .server_steps import DeploymentSteps, ServerStep


def list_install_commands(steps: DeploymentSteps) -> dict[str, tuple[tuple[str, ...], ...]]:
    """Return the commands of the import and assign steps by request ID.

    A command that is the same on several servers appears only once. A comment contains the
    condition of a step, or the manual work.
    """
    request_columns: dict[str, dict[str, dict[str, None]]] = {}
    for server in steps.servers:
        ids = {package.file: package.id for package in server.packages}
        for step in server.steps:
            if step.step.column and step.step.paper:
                columns = request_columns.setdefault(
                    ids[step.package], {name: {} for name in COLUMNS}
                )
                columns[step.step.column].update(dict.fromkeys(_list_command_lines(step)))
    return {
        request: tuple(tuple(columns[name]) for name in COLUMNS)
        for request, columns in request_columns.items()
    }


def _list_command_lines(step: ServerStep) -> Iterator[str]:
    yield from (f"# Only if {check.text}:" for check in step.only_if)
    yield from step.commands or (f"# {step.title}",)


def record_commands(
    folder: Path, steps: DeploymentSteps, *, lock_seconds: float = 10.0
) -> Manifest:
    """Record the commands, and update the summary files if the commands have changed.

    Parameters
    ----------
    folder : Path
        The request folder that the steps come from.
    steps : DeploymentSteps
        The steps of its packages. A request with a newer certificate keeps its record.
    lock_seconds : float, optional
        How long to wait for another writer, in seconds.

    Returns
    -------
    Manifest
        As it is on disk now.
    """
    commands = list_install_commands(steps)
    thumbprints = {p.id: p.thumbprint for server in steps.servers for p in server.packages}
    with record_changes(folder, "steps", wait_seconds=lock_seconds):
        manifest = read_manifest(folder)
        records = [
            replace(record, import_commands=imports, assign_commands=assigns)
            for record in manifest.requests
            if record.issued and record.issued.thumbprint_sha1 == thumbprints.get(record.id)
            # If the manifest was edited, there may be no import or assign commands for the role of
            # a request.
            if record.id in commands
            for imports, assigns in (commands[record.id],)
        ]
        changed = manifest.with_records(records)
        save_manifest(folder, changed)
        changed = refresh_summary_files(folder, changed)
        save_manifest(folder, changed)
    return changed
