"""Connect a session to a web worker, and load all modules before the memory is saved."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .session import DOCUMENTS, PageSession

# The messages that open the first questions of the guide, and every tab of the plan editor.
_QUESTIONS: tuple[Mapping[str, object], ...] = (
    {"type": "ready"},
    {"type": "answer", "site": "", "key": "sip_domains", "text": "contoso.com"},
    {"type": "write", "folder": ".", "force": False},
)
_VIEWS: tuple[Mapping[str, object], ...] = (
    {"type": "ready"},
    {"type": "explain", "ids": [0], "total": 1},
    *({"type": name} for name in ("findings", "certificates", "changes", "code", "scenarios")),
    {"type": "names", "search": ""},
    {"type": "picture", "shows": "", "site": ""},
    {"type": "option", "name": "wildcard", "value": "true"},
    {"type": "undo"},
    {"type": "why_cell", "row": 0, "column": "site"},
    {"type": "save", "path": "saved.csv", "overwrite": True},
)


def make_session(post_message: Callable[[str, str, list[bytes]], object]) -> PageSession:
    """Return a session that sends its messages to the page as JSON and bytes."""

    def send_message(kind: str, parts: Mapping[str, Any], buffers: Sequence[bytes] = ()) -> None:
        post_message(kind, json.dumps(parts), [*map(bytes, buffers)])

    return PageSession(send_message)


def warm_up() -> list[str]:
    """Use each part of a session once, so that the saved memory contains all modules and rules.

    Returns
    -------
    list of str
        The files of the loaded modules, which a page with this memory does not need.

    Raises
    ------
    RuntimeError
        If the session refused anything.
    """
    refused = []

    def discard_message(kind: str, parts: Mapping[str, Any], buffers: Sequence[bytes] = ()) -> None:
        if "refused" in (kind, parts.get("type")):
            refused.append(parts)

    session = PageSession(discard_message)
    session.start_session([], "")
    for message in (*_QUESTIONS, *_VIEWS):
        session.receive(json.dumps(message))
    for document in DOCUMENTS:
        session.write_document(document)
    if refused:
        raise RuntimeError(str(refused))
    for path in Path().iterdir():
        path.unlink()
    files = (getattr(module, "__file__", None) for module in [*sys.modules.values()])
    return sorted(file for file in files if file)
