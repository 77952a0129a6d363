"""Read, write and clean notebook files.

``leak_scan`` decides what a notebook must not contain, and ``run_notebook`` runs notebooks.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from ..base.disk import files, outputs
from ..base.shown.browser_print import draw_picture
from ..base.shown.tables import NEEDS_CLASS
from ..errors import UnreadableNotebook
from .leak_scan import raise_problems, replace_paths, scan_notebook
from .png_pictures import split_pictures

#: The MIME type of a saved output that shows a live widget.
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"

#: The type of file that :func:`clean_notebook` replaces.
CLEANED = outputs.OutputKind(what="a notebook", is_ours={".ipynb": outputs.match_content()})

#: The text of a widget that has no static output.
WIDGET_GONE = (
    "<p><em>This output is interactive. To use it, open the notebook in JupyterLab and run its "
    "cells.</em></p>"
)

# The advice of a panel's static output, which helps only in a live session.
_NEEDS = re.compile(rf'<p class="{NEEDS_CLASS}">.*?</p>', re.S)

_LARGEST = 200 << 20

Notebook = Any  # The real type is nbformat.NotebookNode, a dict whose keys are also attributes.


def read_notebook(path: str | Path) -> Notebook:
    """Read a notebook in nbformat 4.

    Parameters
    ----------
    path : path
        An ``.ipynb`` file.

    Raises
    ------
    UnreadableNotebook
        If the file does not exist or is not a notebook.
    """
    import nbformat

    path = Path(path)
    data = files.read_specified_file(path, limit=_LARGEST, error_class=UnreadableNotebook)
    text = data.decode("utf-8-sig", "surrogateescape")
    values = _parse_json(path, text)
    if not isinstance(values, dict) or not _is_notebook_document(values):
        raise UnreadableNotebook(
            f'"{path}" is not a Jupyter notebook in format 3 or 4',
            hint="use a file that ends in .ipynb. To convert an older notebook, save it again "
            "in JupyterLab",
        )
    try:
        # The notebook is validated first, because the functions in nbformat assume that all values
        # have the right types.
        nbformat.validate(values)
        return nbformat.reads(text, as_version=4)  # type: ignore[no-untyped-call]
    except (nbformat.ValidationError, RecursionError) as error:
        location = "".join(f" {step}" for step in getattr(error, "absolute_path", ()))
        raise UnreadableNotebook(
            f'"{path}" is damaged: {location.strip() or "the file"} is not valid in a notebook',
            hint="open the notebook in JupyterLab, correct the damaged cell and save the notebook",
        ) from error


def _is_notebook_document(values: dict[str, object]) -> bool:
    # The types that the validation in nbformat requires.
    version = values.get("nbformat")
    # A notebook in nbformat 3 has worksheets.
    cells = values.get("cells", [] if version == 3 else None)
    numbers = (version, values.get("nbformat_minor", 0))
    known = version in (3, 4) and all(type(number) is int for number in numbers)
    return known and isinstance(cells, list) and all(map(_is_cell, cells))


def _is_cell(cell: object) -> bool:
    return isinstance(cell, dict) and isinstance(cell.get("cell_type", ""), str)


def _parse_json(path: Path, text: str) -> object:
    try:
        values: object = json.loads(text)
        if "\\ud" in text.lower() or not text.isascii():
            # lyncnb rejects bytes that are not UTF-8 and unpaired surrogates, because it could not
            # write them again.
            json.dumps(values, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise UnreadableNotebook(
            f'"{path}" is not a Jupyter notebook, because the file is not JSON or is nested too '
            "deeply",
            hint="use a file that ends in .ipynb",
        ) from error
    return values


def write_notebook(
    notebook: Notebook, path: Path, *, kind: outputs.OutputKind, force: bool = False
) -> None:
    """Write a notebook completely or not at all. An earlier file is replaced.

    Parameters
    ----------
    notebook : Notebook
        The notebook in nbformat 4.
    path : Path
        The file to write. An existing file keeps its permissions.
    kind : OutputKind
        The kind of file that may be replaced.
    force : bool, optional
        Whether any other file may be replaced.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    import nbformat

    text = nbformat.writes(notebook, version=4)  # type: ignore[no-untyped-call]
    data = (text.rstrip("\n") + "\n").encode()
    outputs.write_output(path, data, kind, force=force)


def clean_notebook(path: str | Path, *, png: bool = False) -> bool:
    """Remove widget state, widget views, timings and local paths from a notebook.

    Static output stays. For a widget, this is its ``text/html``, or a sentence if there is
    none. Paths in home and temporary folders are removed from outputs, but not from code.

    Parameters
    ----------
    path : path
        The notebook. The file is rewritten only if something changes.
    png : bool, optional
        Whether to convert pictures to PNG outputs, with an installed Chromium.

    Returns
    -------
    bool
        Whether the file was rewritten.

    Raises
    ------
    NotebookError
        If the notebook contains a secret that can be removed only with the content of a cell.
    UnreadableNotebook
        If the file does not exist or is not a notebook.
    """
    path = Path(path)
    # The existing file is a notebook, so lyncnb may replace it.
    outputs.check_output_path(path, CLEANED, force=True)
    notebook = read_notebook(path)
    changed = strip_widgets(notebook)
    changed |= replace_paths(notebook)
    raise_problems(scan_notebook(notebook, name=path.name), path)
    if png:
        changed |= split_pictures(notebook, draw_picture)
    if changed:
        write_notebook(notebook, path, kind=CLEANED, force=True)
    return changed


def strip_widgets(notebook: Notebook) -> bool:
    """Remove widget state, widget views, timings and advice about panels from a notebook in memory.

    Returns
    -------
    bool
        Whether anything was removed.
    """
    changed = notebook.metadata.pop("widgets", None) is not None
    for cell in notebook.cells:
        changed |= cell.metadata.pop("execution", None) is not None
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            page = data.get("text/html", "")
            if NEEDS_CLASS in page:
                data["text/html"] = _NEEDS.sub("", page)
                changed = True
            if data.pop(WIDGET_VIEW, None) is not None:
                # The text "VBox(children=(...))" does not help a reader, so it is removed.
                data.setdefault("text/html", WIDGET_GONE)
                changed = True
    return changed
