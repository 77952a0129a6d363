"""Notebooks as files: read, written, and cleaned of what must not stand in them.

What that is says ``leak_scan``. Nothing here runs a notebook (``run_notebook``).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..base.disk import files, outputs
from ..base.shown.browser_print import draw_picture
from ..errors import UnreadableNotebook
from .leak_scan import refuse, scan_notebook, without_paths
from .png_pictures import split_pictures

#: MIME type under which a live widget stands in a saved output.
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"

#: What :func:`clean_notebook` writes over itself.
CLEANED = outputs.OutputKind(what="a notebook", is_ours={".ipynb": outputs.mentions()})

_WIDGET_GONE = (
    "<p><em>An interactive part of this notebook stood here. Open the notebook in JupyterLab and "
    "run its cells to use it.</em></p>"
)

_LARGEST = 200 << 20

Notebook = Any  # nbformat.NotebookNode: a dict that also has attributes


def read_notebook(path: str | Path) -> Notebook:
    """Read a notebook in nbformat 4.

    Parameters
    ----------
    path : path
        An ``.ipynb`` file.

    Raises
    ------
    UnreadableNotebook
        If there is no such file, or it is no notebook.
    """
    import nbformat

    path = Path(path)
    data = files.read_named(path, limit=_LARGEST, error=UnreadableNotebook)
    text = data.decode("utf-8-sig", "surrogateescape")
    values = _json(path, text)
    if not isinstance(values, dict) or not _is_notebook(values):
        raise UnreadableNotebook(
            f'"{path}" is no Jupyter notebook of format 3 or 4',
            hint="give a file that ends in .ipynb, and save an old one anew in JupyterLab",
        )
    try:
        # Before nbformat touches it: its readers take the shape of the values for granted.
        nbformat.validate(values)
        return nbformat.reads(text, as_version=4)  # type: ignore[no-untyped-call]
    except (nbformat.ValidationError, RecursionError) as error:
        where = "".join(f" {step}" for step in getattr(error, "absolute_path", ()))
        raise UnreadableNotebook(
            f'"{path}" is damaged: {where.strip() or "the whole"} is not as a notebook has it',
            hint="open it in JupyterLab, look at that place and save it",
        ) from error


def _is_notebook(values: dict[str, object]) -> bool:
    # nbformat's own validation takes this much for granted.
    version = values.get("nbformat")
    cells = values.get("cells", [] if version == 3 else None)  # format 3 has worksheets
    numbers = (version, values.get("nbformat_minor", 0))
    known = version in (3, 4) and all(type(number) is int for number in numbers)
    return known and isinstance(cells, list) and all(map(_is_cell, cells))


def _is_cell(cell: object) -> bool:
    return isinstance(cell, dict) and isinstance(cell.get("cell_type", ""), str)


def _json(path: Path, text: str) -> object:
    try:
        values: object = json.loads(text)
        if "\\ud" in text.lower() or not text.isascii():
            # Bytes that are no UTF-8, or half of a surrogate pair, cannot be written again.
            json.dumps(values, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise UnreadableNotebook(
            f'"{path}" is no Jupyter notebook: it is not JSON text, or nested too deeply',
            hint="give a file that ends in .ipynb",
        ) from error
    return values


def write_notebook(
    notebook: Notebook, path: Path, *, kind: outputs.OutputKind, force: bool = False
) -> None:
    """Write a notebook, whole or not at all, over an earlier one.

    Parameters
    ----------
    notebook : Notebook
        In nbformat 4.
    path : Path
        Keeps its permissions if it exists.
    kind : OutputKind
        What may be there already.
    force : bool, optional
        Whether anything else may be.

    Raises
    ------
    OutputError
        If the name is refused.
    """
    import nbformat

    text = nbformat.writes(notebook, version=4)  # type: ignore[no-untyped-call]
    data = (text.rstrip("\n") + "\n").encode()
    outputs.write_output(path, data, kind, force=force)


def clean_notebook(path: str | Path, *, png: bool = False) -> bool:
    """Take widget state, widget views, timings and paths of this machine out of a notebook.

    Static output stays: where a widget stood its ``text/html``, or a sentence in its place. Paths
    into home and temporary folders are taken out of outputs, not out of code.

    Parameters
    ----------
    path : path
        Rewritten in place, and only if something changes.
    png : bool, optional
        Whether pictures become PNG outputs, drawn by a Chromium that is there.

    Returns
    -------
    bool
        Whether the file was rewritten.

    Raises
    ------
    NotebookError
        If it holds a secret that cannot be taken out without losing a cell's content.
    UnreadableNotebook
        If there is no such file, or it is no notebook.
    """
    path = Path(path)
    # Over itself: what was read as a notebook is one.
    outputs.check_output(path, CLEANED, force=True)
    notebook = read_notebook(path)
    changed = strip_widgets(notebook)
    changed |= without_paths(notebook)
    refuse(scan_notebook(notebook, name=path.name), path)
    if png:
        changed |= split_pictures(notebook, draw_picture)
    if changed:
        write_notebook(notebook, path, kind=CLEANED, force=True)
    return changed


def strip_widgets(notebook: Notebook) -> bool:
    """Do what :func:`clean_notebook` does to a notebook in memory.

    Returns
    -------
    bool
        Whether anything was there to take out.
    """
    changed = notebook.metadata.pop("widgets", None) is not None
    for cell in notebook.cells:
        changed |= cell.metadata.pop("execution", None) is not None
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            if data.pop(WIDGET_VIEW, None) is not None:
                # "VBox(children=(...))" beside it tells a reader nothing.
                data.setdefault("text/html", _WIDGET_GONE)
                changed = True
    return changed
