"""Find secrets in a notebook before it is shared, and report only the cells with secrets.

A saved notebook contains everything that its cells printed. The state of a widget is a copy
of what the user typed.
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
from .hidden_keys import contains_key, decode_text
from .written_secrets import SECRET_NAME, find_cells_with_secrets

if TYPE_CHECKING:
    from ..pki.passphrase import Secret

Notebook = Any  # The real type is nbformat.NotebookNode, a dict whose keys are also attributes.

# JupyterLab saves the user's answer to input() in the output. For getpass(), it saves eight dots
# instead.
_HIDDEN_ANSWER = re.compile(r"·+\s*\Z")

# The pattern for an assignment of a string literal to a variable, argument or key that has the name
# of a secret.
_WRITTEN_SECRET = re.compile(
    rf"""(?<![A-Za-z])\w{{0,30}}?{SECRET_NAME}"""
    r"""(?:["']?\]?\s*(?::\s*\w[\w. |]*)?=|["']\s*:)\s*\(?\s*"""
    r"""[rbfu]{0,2}["'](?!["']\s*(?:[,)\s]|$))[^"'\n]"""
    r"""|LYNCNB_PASSPHRASE["'\] ]*(?:=[ ]*["']?[^\s"'=]|,[ ]*["'][^"']+)"""
    r"""|ConvertTo-SecureString\s+["'][^"']+["']""",
    re.IGNORECASE,
)
# The pattern for the commands and variables in an output that contain a passphrase, in any shell.
_SHOWN_SECRET = re.compile(
    r"""LYNCNB_PASSPHRASE=["']?[^\s"'=…<$]|ConvertTo-SecureString\s+["'][^"'$…<]""", re.IGNORECASE
)
_WRITTEN = (
    "the code contains a passphrase or another secret",
    "use ln.ask_passphrase() instead. Then change the passphrase: lyncnb rekey",
)
# The patterns for a token in an HTTP header, or in the address that JupyterLab prints. JupyterLab's
# own tokens have 48 characters.
_AUTHORIZATION = re.compile(
    r"\b(?:Bearer|Basic)\s+[A-Za-z0-9+/_.=-]{16,}|[?&](?:amp;)?token=[\w.~-]{16,}", re.IGNORECASE
)
# The patterns for tokens that begin with the mark of their issuer: GitHub, GitLab, AWS and Slack,
# and a signed JSON Web Token (RFC 7519).
_ISSUER_TOKEN = re.compile(
    r"\b(?:gh[opsur]_[A-Za-z0-9]{36}|github_pat_\w{22,}|glpat-[\w-]{20}|(?:AKIA|ASIA)[A-Z0-9]{16}"
    r"|xox[abeoprs]-[\w-]{10,}|eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{16,})"
)

# The patterns for paths that contain the name of the user.
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
    known_secrets: Sequence[Secret] = (),
    paths: bool = False,
) -> tuple[Problem, ...]:
    """Find data in a notebook that must not be shared, such as keys and passphrases.

    Parameters
    ----------
    notebook : Notebook
        The notebook in nbformat 4. It does not change.
    name : str, optional
        The file name for the messages.
    known_secrets : sequence of Secret, optional
        Passphrases that the notebook must not contain in any encoding.
    paths : bool, optional
        Whether to report paths in a home folder or a temporary folder.

    Returns
    -------
    tuple of Problem
        The problems in the order of the cells, or an empty tuple. No message contains a secret.
    """
    problems = []
    if notebook.metadata.get("widgets"):
        problems.append(
            Problem(
                file=name,
                message=(
                    "the notebook contains widget state, which includes everything "
                    "that was typed into the widgets"
                ),
                hint=f"run: lyncnb clean {name}",
            )
        )
    forms = tuple(form for secret in known_secrets for form in _encode_secret(secret.reveal()))
    code = (cell.source if cell.cell_type == "code" else "" for cell in notebook.cells)
    with_secrets = find_cells_with_secrets(code)
    for number, cell in enumerate(notebook.cells, start=1):
        secrets = [*_find_cell_secrets(cell), *_find_known_secrets(cell, forms)]
        if number - 1 in with_secrets:
            secrets.append(_WRITTEN)
        if paths:
            secrets += _report_local_paths(cell)
        problems += [
            Problem(file=f"{name} cell {number}", message=message, hint=hint)
            for message, hint in dict.fromkeys(secrets)
        ]
    if not problems and _contains_key(notebook.metadata):
        problems.append(
            Problem(
                file=name,
                message="the notebook's metadata contains a private key",
                hint="create a new key",
            )
        )
    problems += [
        Problem(file=name, message=f"{message} (in the notebook's metadata)", hint=hint)
        for message, hint in _find_known_secrets(notebook.metadata, forms)
        if not notebook.metadata.get("widgets")
    ]
    return tuple(problems)


def raise_problems(problems: Sequence[Problem], path: Path) -> None:
    """If there are problems, raise an error that lists all of them.

    Raises
    ------
    NotebookError
        If there are problems. The exception lists all of them.
    """
    if problems:
        raise NotebookError(
            f"{path.name} contains data that you must not share", problems=tuple(problems)
        )


def replace_paths(notebook: Notebook) -> bool:
    """In notebook outputs, replace home folders with ``~`` and temporary folders with a fixed word.

    Returns
    -------
    bool
        Whether anything was replaced. The code in cells does not change.
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


def _find_cell_secrets(cell: Notebook) -> Iterator[tuple[str, str]]:
    if _contains_key(cell):
        yield (
            "the cell contains a private key",
            "delete the cell or its output, and create a new key",
        )
    if cell.cell_type == "code" and _WRITTEN_SECRET.search(cell.source):
        yield _WRITTEN
    elif any(map(_SHOWN_SECRET.search, _list_texts(cell))):
        yield (
            "the cell or its output contains a passphrase",
            "delete the cell or its output. Then change the passphrase: lyncnb rekey",
        )
    if any(_AUTHORIZATION.search(text) or _ISSUER_TOKEN.search(text) for text in _list_texts(cell)):
        yield (
            "the cell contains a sign-in token",
            "delete the token, and ask the issuer to revoke it",
        )
    for output in cell.get("outputs", ()):
        is_answer = output.get("output_type") == "stream" and output.get("name") == "stdin"
        if is_answer and not _HIDDEN_ANSWER.search(output.text):
            yield "the output contains text that a user entered", "clear the output of this cell"
            return


def _find_known_secrets(node: Any, encodings: Sequence[str]) -> Iterator[tuple[str, str]]:
    # A page can split a passphrase with markup, so the decoded texts are searched, too.
    texts = (
        (text for value in _list_texts(node) for text in decode_text(value)) if encodings else ()
    )
    if any(form in text for text in texts for form in encodings):
        yield (
            "the notebook contains the passphrase of a request folder",
            ("delete the passphrase from the notebook, and change the passphrase: lyncnb rekey"),
        )


def _encode_secret(secret: str) -> Iterator[str]:
    """Yield the encodings in which a notebook can contain a secret without anybody noticing."""
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
            # The first and last group of characters depend on the bytes around the secret, so they
            # are left out.
            yield coded[4 if before else 0 : -4]
            yield coded[4 if before else 0 : -4].replace("+", "-").replace("/", "_")


def _report_local_paths(cell: Notebook) -> Iterator[tuple[str, str]]:
    outputs = list(_list_texts(cell.get("outputs", ())))
    clean = "add --clean to remove the paths from the outputs"
    for pattern, kind in ((HOME_PATH, "home"), (TEMPORARY_PATH, "temporary")):
        if pattern.search(cell.source):
            yield f"the code contains a path in a {kind} folder", "use a relative path"
        if any(map(pattern.search, outputs)):
            yield f"the output contains a path in a {kind} folder", clean


def _contains_key(node: Any) -> bool:
    return any(map(contains_key, _list_texts(node)))


def _list_texts(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict):
        for value in node.values():
            yield from _list_texts(value)
        # A notebook may store a JSON Web Key as separate values instead of text.
        if "kty" in node and "d" in node:
            yield '"kty":"key","d":"'
    elif isinstance(node, (list, tuple)):
        # JavaScript programs and custom MIME types may store a text as a list of lines.
        if all(isinstance(item, str) for item in node):
            yield "".join(node)
        for item in node:
            yield from _list_texts(item)
