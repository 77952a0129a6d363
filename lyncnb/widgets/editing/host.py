"""Define a host: the environment in which a panel runs, such as a notebook."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .choices import format_loading_line


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """The environment in which a panel runs: a notebook, or a single HTML file without a kernel.

    Attributes
    ----------
    start_again : str
        What to do when the page and Python have different versions.
    leave : str
        The action that ends the work, such as ``close the notebook``.
    saved : str
        The word before the names of saved files.
    next_session : callable
        A function that returns how the next session opens a saved table: a hint, and the line to
        add to a cell, or "". Its arguments are the path of the table, and whether the work
        started with this table.
    deliver : callable
        A function that hands saved files to the user, if files on the disk are not enough.
    """

    start_again: str
    leave: str
    saved: str
    next_session: Callable[[Path, bool], tuple[str, str]]
    deliver: Callable[[Sequence[Path]], object] = lambda paths: None


def _describe_next_cell(path: Path, is_first: bool) -> tuple[str, str]:
    if is_first:
        hint = (
            "When you next run the notebook, it opens this table, because the "
            "notebook already contains the table's name."
        )
        return hint, ""
    hint = (
        "To open this table when you next run the notebook, replace the line of the first cell "
        "that names the table with this line:"
    )
    return hint, format_loading_line(path)


#: In a notebook, the panel runs in a kernel, which can write files to the disk.
NOTEBOOK = Host(
    start_again="reload the page, then run the cell again",
    leave="close the notebook",
    saved="Saved",
    next_session=_describe_next_cell,
)
