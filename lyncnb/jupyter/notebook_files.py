"""Notebooks as files: what must not stand in them, cleaning, a static page.

The guard in front of sharing: a saved notebook holds everything its cells printed, and a widget's
state is a copy of what was typed into it. Nothing here runs a notebook (``notebook_run``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..base import files, outputs
from ..errors import BundleError, NotebookError, Problem
from .hidden_keys import holds_key

#: MIME type under which a live widget stands in a saved output.
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"

#: The page of :func:`share_notebook`.
PAGE = outputs.OutputKind(
    what="a notebook's page",
    is_ours={".html": outputs.is_page(b"font-src data:")},
)

#: What :func:`clean_notebook` writes over itself.
CLEANED = outputs.OutputKind(what="a notebook", is_ours={".ipynb": outputs.mentions()})

_WIDGET_GONE = (
    "<p><em>An interactive part of this notebook stood here. Open the notebook in JupyterLab and "
    "run its cells to use it.</em></p>"
)

# JupyterLab keeps the answer to input() in the output, and for getpass() eight dots instead.
_HIDDEN_ANSWER = re.compile(r"·+\s*\Z")

_WRITTEN_PASSPHRASE = re.compile(
    r"""\b(?:passphrase|password|passwd)\s*=\s*[rbf]?["'][^"'\n]+["']"""
    r"""|LYNCNB_PASSPHRASE["'\] ]*(?:=[ ]*["']?[^\s"'=]|,[ ]*["'][^"']+)""",
    re.IGNORECASE,
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
    NotebookError
        If there is no such file, or it is no notebook.
    """
    import nbformat

    path = Path(path)
    text = _text(path)
    values = _json(path, text)
    if not isinstance(values, dict) or not _is_notebook(values):
        raise NotebookError(
            f'"{path}" is no Jupyter notebook of format 3 or 4',
            hint="give a file that ends in .ipynb, and save an old one anew in JupyterLab",
        )
    try:
        # Before nbformat touches it: its readers take the shape of the values for granted.
        nbformat.validate(values)
        return nbformat.reads(text, as_version=4)  # type: ignore[no-untyped-call]
    except (nbformat.ValidationError, RecursionError) as error:
        where = "".join(f" {step}" for step in getattr(error, "absolute_path", ()))
        raise NotebookError(
            f'"{path}" is damaged: {where.strip() or "the whole"} is not as a notebook has it',
            hint="open it in JupyterLab, look at that place and save it",
        ) from error


def _is_notebook(values: dict[str, object]) -> bool:
    # nbformat's own validation takes this much for granted.
    version, cells = values.get("nbformat"), values.get("cells", [])
    numbers = (version, values.get("nbformat_minor", 0))
    known = version in (3, 4) and all(type(number) is int for number in numbers)
    return known and isinstance(cells, list) and all(isinstance(cell, dict) for cell in cells)


def _text(path: Path) -> str:
    try:
        with files.open_plain(path) as file:
            data = file.read(_LARGEST + 1)
    except BundleError as error:
        raise NotebookError(error.message, hint="give a file that ends in .ipynb") from None
    except (OSError, ValueError) as error:
        told = getattr(error, "strerror", None) or error
        raise NotebookError(
            f'"{path}" cannot be read: {told}', hint="check the name of the file"
        ) from error
    if len(data) > _LARGEST:
        raise NotebookError(
            f'"{path}" is larger than {_LARGEST >> 20} MiB', hint="clear outputs in JupyterLab"
        )
    return data.decode("utf-8-sig", "surrogateescape")


def _json(path: Path, text: str) -> object:
    try:
        values: object = json.loads(text)
        if "\\ud" in text.lower() or not text.isascii():
            # Bytes that are no UTF-8, or half of a surrogate pair, cannot be written again.
            json.dumps(values, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise NotebookError(
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


def scan_notebook(notebook: Notebook, *, name: str = "notebook") -> tuple[Problem, ...]:
    """List what must not be shared: keys, answers to questions, passphrases, widget state.

    Parameters
    ----------
    notebook : Notebook
        In nbformat 4; it is not changed.
    name : str, optional
        File name for the messages.

    Returns
    -------
    tuple of Problem
        In the order of the cells; empty if nothing was found. No message holds the secret.
    """
    problems = []
    if notebook.metadata.get("widgets"):
        problems.append(
            Problem(
                file=name,
                message="it holds the state of widgets, a copy of all that was typed into them",
                hint=f"run: lyncnb clean {name}",
            )
        )
    for number, cell in enumerate(notebook.cells, start=1):
        place = f"{name} cell {number}"
        problems += [Problem(file=place, message=m, hint=h) for m, h in _cell_secrets(cell)]
    if not problems and _holds_key(notebook.metadata):
        problems.append(Problem(file=name, message="a private key stands in its metadata"))
    return tuple(problems)


def clean_notebook(path: str | Path) -> bool:
    """Take widget state, widget views and timings out of a notebook; leave static output.

    Where a widget stood, its ``text/html`` stays, or a sentence takes its place.

    Parameters
    ----------
    path : path
        Rewritten in place, and only if something changes.

    Returns
    -------
    bool
        Whether the file was rewritten.

    Raises
    ------
    NotebookError
        If it holds a secret that cannot be taken out without losing a cell's content.
    """
    path = Path(path)
    # Over itself: what was read as a notebook is one.
    outputs.check_output(path, CLEANED, force=True)
    notebook = read_notebook(path)
    changed = strip_widgets(notebook)
    _refuse(scan_notebook(notebook, name=path.name), path)
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


def share_notebook(
    path: str | Path, output: str | Path | None = None, *, force: bool = False
) -> Path:
    """Write a notebook as one static page that needs no network and runs no script.

    Parameters
    ----------
    path : path
        The notebook, which is not changed.
    output : path, optional
        The page; default is the notebook's name with ``.html``.
    force : bool, optional
        Whether another's file of that name is replaced.

    Returns
    -------
    Path
        The page.

    Raises
    ------
    NotebookError
        If the notebook holds what :func:`scan_notebook` finds.
    OutputError
        If the name of the page is refused.
    """
    path = Path(path)
    page = Path(output) if output is not None else path.with_suffix(".html")
    outputs.check_output(page, PAGE, force=force, inputs=(path,))
    notebook = read_notebook(path)
    _refuse(scan_notebook(notebook, name=path.name), path)
    data = notebook_page(notebook, title=path.stem).encode()
    return outputs.write_output(page, data, PAGE, force=force, inputs=(path,))


def notebook_page(notebook: Notebook, *, title: str) -> str:
    """Render a notebook as a standing-alone HTML page.

    Parameters
    ----------
    notebook : Notebook
        Its widget views are left out, the notebook itself is not changed.
    title : str
        Title of the page, plain text.

    Returns
    -------
    str
        HTML without a single address to load from; a policy in its head forbids loading.
    """
    import copy

    from nbconvert import HTMLExporter

    static = copy.deepcopy(notebook)
    strip_widgets(static)
    for cell in static.cells:
        for output in cell.get("outputs", ()):
            output.get("data", {}).pop("application/javascript", None)
    exporter = HTMLExporter(embed_images=True)  # type: ignore[no-untyped-call]
    exporter.raw_template = Path(__file__).with_name("page.html.j2").read_text("utf-8")
    page, _ = exporter.from_notebook_node(static, {"metadata": {"name": title}})
    return page


def _cell_secrets(cell: Notebook) -> Iterator[tuple[str, str]]:
    if _holds_key(cell):
        yield "a private key stands in it", "delete the cell or its output, and make a new key"
    if cell.cell_type == "code" and _WRITTEN_PASSPHRASE.search(cell.source):
        yield (
            "a passphrase is written in its source",
            "use ln.ask_passphrase(), and change the passphrase with: lyncnb rekey",
        )
    for output in cell.get("outputs", ()):
        is_answer = output.get("output_type") == "stream" and output.get("name") == "stdin"
        if is_answer and not _HIDDEN_ANSWER.search(output.text):
            yield "the answer to a question stands in its output", "clear the output of this cell"
            return


def _holds_key(node: Any) -> bool:
    return any(map(holds_key, _texts(node)))


def _texts(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict):
        for value in node.values():
            yield from _texts(value)
    elif isinstance(node, (list, tuple)):
        # Text may be kept as a list of lines, as JavaScript and custom MIME types do.
        if all(isinstance(item, str) for item in node):
            yield "".join(node)
        for item in node:
            yield from _texts(item)


def _refuse(problems: tuple[Problem, ...], path: Path) -> None:
    if problems:
        raise NotebookError(f"{path.name} holds what must not be shared", problems=problems)
