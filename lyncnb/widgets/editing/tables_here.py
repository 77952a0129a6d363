"""Find the tables in the workspace that the editor can open."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

_TABLES = (".csv", ".xlsx", ".xlsm", ".ods", ".tbxml", ".xml")
# The first characters in the names of hidden files and of lock files from Excel.
_NOT_SHOWN = ("~$", ".")
_LISTED = 200


def list_tables(other_table: str = "") -> list[str]:
    """List the tables in the working folder, in its subfolders, and in the folder of another table.

    Parameters
    ----------
    other_table : str, optional
        The path of the other table.

    Returns
    -------
    list of str
        At most 200 paths, in alphabetical order.
    """
    paths = [*Path().rglob("*"), *_list_files_next_to(other_table)]
    tables = (
        path
        for path in paths
        if path.suffix.lower() in _TABLES
        and not any(part.startswith(_NOT_SHOWN) and part != os.pardir for part in path.parts)
        and not _is_in_request_folder(path)
    )
    return sorted({path.as_posix() for path in tables})[:_LISTED]


def _list_files_next_to(table: str) -> Iterator[Path]:
    folder = Path(table).parent
    return folder.iterdir() if table and folder.is_dir() else iter(())


def _is_in_request_folder(path: Path) -> bool:
    """Return whether a file is part of a request folder.

    The summary in a request folder is not a table of servers.
    """
    return any((folder / "manifest.json").exists() for folder in path.parents)
