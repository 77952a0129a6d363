"""The tables of the workspace, which a page offers to open."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from ...plan.plan_toml import OPTIONS_FILE, TOPOLOGY_FILE

_TABLES = (".csv", ".xlsx", ".xlsm", ".ods", ".tbxml", ".xml")
# How the names begin of what Excel leaves beside a workbook that is open, and of what is hidden.
_NOT_SHOWN = ("~$", ".")
_LISTED = 200


def tables_here(beside: str = "", *, scenarios: bool = False) -> list[str]:
    """List the tables below the working folder, and those in the folder of another table.

    Parameters
    ----------
    beside : str, optional
        The other table.
    scenarios : bool, optional
        Whether a table that is kept with its options is listed as their folder.

    Returns
    -------
    list of str
        At most 200 paths, in alphabetical order.
    """
    paths = [*Path().rglob("*"), *_siblings(beside)]
    found = (
        path
        for path in paths
        if path.suffix.lower() in _TABLES
        and not any(part.startswith(_NOT_SHOWN) and part != os.pardir for part in path.parts)
        and not _is_of_a_folder(path)
    )
    return sorted({(_with_its_options(p) if scenarios else p).as_posix() for p in found})[:_LISTED]


def _siblings(table: str) -> Iterator[Path]:
    folder = Path(table).parent
    return folder.iterdir() if table and folder.is_dir() else iter(())


def _with_its_options(path: Path) -> Path:
    """Return the folder of a table that is kept with its options: a scenario, or a first plan."""
    folder = path.parent
    is_kept = path.name == TOPOLOGY_FILE and (folder / OPTIONS_FILE).is_file()
    return folder if is_kept and folder != Path() else path


def _is_of_a_folder(path: Path) -> bool:
    """Return whether a file is in a request folder, whose summary is not a topology."""
    return any((folder / "manifest.json").exists() for folder in path.parents)
