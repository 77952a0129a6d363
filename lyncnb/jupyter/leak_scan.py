"""What must not leave with a notebook: found and told by cell, never shown.

The guard in front of sharing. A saved notebook holds everything its cells printed, and a widget's
state is a copy of what was typed into it.
"""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ..errors import NotebookError, Problem
from .hidden_keys import holds_key
from .written_secrets import cells_with_secrets

if TYPE_CHECKING:
    from ..pki.passphrase import Secret

Notebook = Any  # nbformat.NotebookNode: a dict that also has attributes

# JupyterLab keeps the answer to input() in the output, and for getpass() eight dots instead.
_HIDDEN_ANSWER = re.compile(r"·+\s*\Z")

# A variable, argument or key whose name ends so, and a text that is given to it.
_SECRET_NAME = (
    r"(?:pass(?:phrase|word|wd|code)|pwd|secret|token|credentials?"
    r"|(?:api|access|private|secret|account|storage)_?key|client_?secret)"
)
_WRITTEN_SECRET = re.compile(
    rf"""(?<![A-Za-z])\w{{0,30}}?{_SECRET_NAME}"""
    r"""(?:["']?\]?\s*(?::\s*\w[\w. |]*)?=|["']\s*:)\s*\(?\s*"""
    r"""[rbfu]{0,2}["'](?!["']\s*(?:[,)\s]|$))[^"'\n]"""
    r"""|LYNCNB_PASSPHRASE["'\] ]*(?:=[ ]*["']?[^\s"'=]|,[ ]*["'][^"']+)"""
    r"""|ConvertTo-SecureString\s+["'][^"']+["']""",
    re.IGNORECASE,
)
_WRITTEN = (
    "a passphrase or another secret is written in its source",
    "use ln.ask_passphrase(), and change the passphrase with: lyncnb rekey",
)
# As a header has it, or the address that JupyterLab prints; 48 hexadecimal digits are its own.
_AUTHORIZATION = re.compile(
    r"\b(?:Bearer|Basic)\s+[A-Za-z0-9+/_.=-]{16,}|[?&](?:amp;)?token=[\w.~-]{16,}", re.IGNORECASE
)

# Whose machine it was, and where on it: the folder's name is the user's.
HOME_PATH = re.compile(
    r"(?:(?<![\w.-])/(?:home|Users|var/home)/"
    r"|[A-Z]:(?:\\{1,2}|/)(?:Users|Documents and Settings)(?:\\{1,2}|/))"
    r"(?!Public\b|Shared\b|runner\b)[^\s/\\\"'<>:|&]+|/root(?=/)",
    re.IGNORECASE,
)
TEMPORARY_PATH = re.compile(
    r"(?<![\w.])(?:/private)?/(?:tmp|var/tmp|var/folders)/[^\s/\\\"'<>:|&]+"
    r"|[A-Z]:(?:\\{1,2}|/)(?:Windows(?:\\{1,2}|/))?Temp(?:\\{1,2}|/)[^\s/\\\"'<>:|&]+",
    re.IGNORECASE,
)


def scan_notebook(
    notebook: Notebook,
    *,
    name: str = "notebook",
    known: Sequence[Secret] = (),
    paths: bool = False,
) -> tuple[Problem, ...]:
    """List what must not be shared: keys, answers to questions, passphrases, widget state.

    Parameters
    ----------
    notebook : Notebook
        In nbformat 4; it is not changed.
    name : str, optional
        File name for the messages.
    known : sequence of Secret, optional
        Passphrases that must not stand in it, in whatever coding.
    paths : bool, optional
        Whether paths into somebody's home folder or a temporary one count.

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
    forms = tuple(form for secret in known for form in _forms(secret.reveal()))
    code = (cell.source if cell.cell_type == "code" else "" for cell in notebook.cells)
    given = cells_with_secrets(code)
    for number, cell in enumerate(notebook.cells, start=1):
        place = f"{name} cell {number}"
        found = [*_cell_secrets(cell), *_known_secrets(cell, forms)]
        if number - 1 in given:
            found.append(_WRITTEN)
        if paths:
            found += _paths(cell)
        problems += [Problem(file=place, message=m, hint=h) for m, h in dict.fromkeys(found)]
    if not problems and _holds_key(notebook.metadata):
        problems.append(
            Problem(
                file=name, message="a private key stands in its metadata", hint="make a new key"
            )
        )
    problems += [
        Problem(file=name, message=f"{message} (in its metadata)", hint=hint)
        for message, hint in _known_secrets(notebook.metadata, forms)
        if not notebook.metadata.get("widgets")
    ]
    return tuple(problems)


def refuse(problems: Sequence[Problem], path: Path) -> None:
    """Raise if anything was found.

    Raises
    ------
    NotebookError
        With every problem.
    """
    if problems:
        raise NotebookError(f"{path.name} holds what must not be shared", problems=tuple(problems))


def without_paths(notebook: Notebook) -> bool:
    """Write ``~`` for home folders and ``(temporary)`` for temporary ones, in outputs alone.

    Returns
    -------
    bool
        Whether there were any. What stands in the source of cells is left to its author.
    """
    changed = False
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            changed |= _replace_paths(output)
    return changed


def _replace_paths(node: Any) -> bool:
    changed = False
    for key, value in list(node.items() if isinstance(node, dict) else enumerate(node)):
        if isinstance(value, str):
            plain = TEMPORARY_PATH.sub("(temporary)", HOME_PATH.sub("~", value))
            if plain != value:
                node[key], changed = plain, True
        elif isinstance(value, (dict, list)):
            changed |= _replace_paths(value)
    return changed


def _cell_secrets(cell: Notebook) -> Iterator[tuple[str, str]]:
    if _holds_key(cell):
        yield "a private key stands in it", "delete the cell or its output, and make a new key"
    if cell.cell_type == "code" and _WRITTEN_SECRET.search(cell.source):
        yield _WRITTEN
    if any(map(_AUTHORIZATION.search, _texts(cell))):
        yield "a token for signing in stands in it", "delete it, and have the token withdrawn"
    for output in cell.get("outputs", ()):
        is_answer = output.get("output_type") == "stream" and output.get("name") == "stdin"
        if is_answer and not _HIDDEN_ANSWER.search(output.text):
            yield "the answer to a question stands in its output", "clear the output of this cell"
            return


def _known_secrets(node: Any, forms: Sequence[str]) -> Iterator[tuple[str, str]]:
    if forms and any(form in text for text in _texts(node) for form in forms):
        yield (
            "the folder's passphrase stands in it",
            "delete it, and change the passphrase with: lyncnb rekey",
        )


def _forms(secret: str) -> Iterator[str]:
    """Give the codings in which a text may stand somewhere without being seen."""
    yield secret
    yield html.escape(secret)
    yield html.escape(secret, quote=False)
    yield quote(secret, safe="")
    yield secret.encode("unicode_escape").decode("ascii").replace('"', '\\"')
    for encoding in ("utf-8", "utf-16-le"):
        data = secret.encode(encoding)
        yield data.hex()
        yield data.hex().upper()
        for before in range(3):
            coded = base64.b64encode(b"\0" * before + data).decode("ascii")
            # The first and the last group depend on what stands beside the secret.
            yield coded[4 if before else 0 : -4]
            yield coded[4 if before else 0 : -4].replace("+", "-").replace("/", "_")


def _paths(cell: Notebook) -> Iterator[tuple[str, str]]:
    outputs = list(_texts(cell.get("outputs", ())))
    clean = "take it out with --clean"
    for pattern, what in ((HOME_PATH, "a home"), (TEMPORARY_PATH, "a temporary")):
        if pattern.search(cell.source):
            yield f"a path into {what} folder stands in its source", "write a relative path"
        if any(map(pattern.search, outputs)):
            yield f"a path into {what} folder stands in its output", clean


def _holds_key(node: Any) -> bool:
    return any(map(holds_key, _texts(node)))


def _texts(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict):
        for value in node.values():
            yield from _texts(value)
        # A JSON Web Key may be kept as values, not as text.
        if "kty" in node and "d" in node:
            yield '"kty":"key","d":"'
    elif isinstance(node, (list, tuple)):
        # Text may be kept as a list of lines, as JavaScript and custom MIME types do.
        if all(isinstance(item, str) for item in node):
            yield "".join(node)
        for item in node:
            yield from _texts(item)
