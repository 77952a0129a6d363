"""Assemble the empty planner page from its scripts, Pyodide and the prepared memory image."""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import json
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import distribution
from importlib.resources import files as package_files

from ..errors import PageError
from ..widgets.editing.editor_channel import EditorChannel
from ..widgets.editing.first_guide import GuideChannel
from ..widgets.panel_scripts import read_scripts, read_styles
from .modules import LIBRARIES
from .planner_page import escape_json
from .session import DOCUMENTS

# The changes to Pyodide's files, as pairs of the old and the new text. Pyodide expects module
# workers, but a page that is opened from a disk cannot load their scripts.
_PYODIDE_CHANGES: Mapping[str, tuple[tuple[str, str], ...]] = {
    "pyodide.asm.mjs": (
        ("export default _createPyodideModule;", ""),
        # Without this change, Pyodide cannot restore a memory of more than 30 MB (pyodide issue
        # 6254).
        (
            "Module.HEAP8.set(t),l}",
            "t.length>Module.HEAP8.length&&Module.growMemory(t.length),Module.HEAP8.set(t),l}",
        ),
    ),
    "pyodide.js": (
        ('if(r&&ge())throw new Error("Classic web workers are not supported");', ""),
        ("//# sourceMappingURL=pyodide.js.map", ""),
    ),
}
_SCRIPT_ADDRESS = ("import.meta.url", "self.location.href")


def assemble_page(
    pyodide: Mapping[str, bytes],
    built_files: Mapping[str, bytes],
    zxcvbn: Mapping[str, bytes],
    *,
    packages: Sequence[str],
) -> bytes:
    """Return the planner page without a table.

    Parameters
    ----------
    pyodide : mapping of str to bytes
        The files of Pyodide's npm package.
    built_files : mapping of str to bytes
        The prepared memory, the rest of Python's library, and the rest of lyncnb.
    zxcvbn : mapping of str to bytes
        The files of zxcvbn's npm package.
    packages : sequence of str
        The names and versions of the npm packages.
    """
    lock = json.loads(pyodide["pyodide-lock.json"])
    lock["packages"] = {}
    worker = "\n".join(
        (
            *(_apply_pyodide_changes(name, pyodide[name].decode()) for name in _PYODIDE_CHANGES),
            _read_file("worker.js"),
        )
    )
    source_map = "//# sourceMappingURL=zxcvbn.js.map"
    estimator = _replace_once(zxcvbn["zxcvbn.js"].decode(), source_map, "", "zxcvbn.js")
    parts = {
        "worker": _compress(worker.encode()),
        "wasm": _compress(pyodide["pyodide.asm.wasm"]),
        "library": built_files["library.zip"],
        "site": _compress(built_files["site.bin"]),
        "memory": _compress(built_files["memory.bin"]),
        "estimator": _compress(estimator.encode()),
    }
    data = [
        f'<script type="text/plain" id="page-{name}">{base64.b64encode(part).decode()}</script>'
        for name, part in parts.items()
    ]
    data.append(_build_json_element("lock", lock))
    data.append(_build_json_element("documents", [*DOCUMENTS.items()]))
    script = "\n".join(
        (_join_panel_scripts(), *map(_read_file, ("keys.js", "requests.js", "page.js")))
    )
    # When the page creates requests, it adds the script that estimates passphrases.
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
        for text in (script, estimator)
    )
    page = _read_file("planner.html")
    for placeholder, text in (
        ("@HASHES@", hashes),
        ("@STYLES@", f"{read_styles()}\n{_read_file('page.css')}"),
        ("<!--lyncnb:about-->", _describe_programs(packages, zxcvbn["LICENSE.txt"].decode())),
        ("@PARTS@", "\n".join(data)),
        ("@SCRIPTS@", f"<script>{script}</script>"),
    ):
        page = _replace_once(page, placeholder, text, "planner.html")
    return page.encode()


def _read_file(name: str) -> str:
    return package_files(__package__).joinpath(name).read_text("utf-8")


def _join_panel_scripts() -> str:
    """Return the scripts of all panels as one script.

    The object PANELS contains each panel by name.

    The layout of their tables, which a notebook's page stores in the browser, is kept in memory.
    """
    panels = {"editor": EditorChannel.scripts, "guide": GuideChannel.scripts}
    entries = []
    for name, scripts in panels.items():
        script = _replace_once(read_scripts(*scripts), "export default", "return", name)
        entries.append(f"{name}: ((localStorage) => {{\n{script}\n}})(IN_MEMORY)")
    storage = "const IN_MEMORY = { getItem(name) { return this[name] ?? null; }, "
    storage += "setItem(name, text) { this[name] = text; } };\n"
    return storage + "const PANELS = {" + ",\n".join(entries) + "};"


def _apply_pyodide_changes(name: str, text: str) -> str:
    for old, new in _PYODIDE_CHANGES[name]:
        text = _replace_once(text, old, new, name)
    return text.replace(*_SCRIPT_ADDRESS)


def _replace_once(text: str, old: str, new: str, name: str) -> str:
    if text.count(old) != 1:
        raise PageError(f"{name} must contain {old!r} exactly once", hint="reinstall lyncnb")
    return text.replace(old, new)


def _compress(data: bytes) -> bytes:
    # The highest level of compression would take five times as long and save only one percent.
    return gzip.compress(data, 7, mtime=0)


def _build_json_element(name: str, value: object) -> str:
    return f'<script type="application/json" id="page-{name}">{escape_json(value)}</script>'


def _describe_programs(packages: Sequence[str], zxcvbn_license: str) -> str:
    """Return paragraphs about the programs in the page, with their licenses."""
    own_package = distribution(__package__.partition(".")[0])
    lines = [f"lyncnb {own_package.version} (MIT)", *packages]
    texts = [f"pyodide, with Python: MPL-2.0, PSF-2.0\n\nzxcvbn\n\n{zxcvbn_license.strip()}"]
    for project in LIBRARIES.values():
        library = distribution(project)
        lines.append(f"{project} {library.version}")
        texts += [f"{project}\n\n{text}" for text in _list_licenses(project)]
    items = "".join(f"<li>{html.escape(line)}</li>" for line in lines)
    licences = html.escape("\n\n".join(texts))
    return (
        "<p>This file contains a planner and everything that it needs. It opens no connection and "
        f"stores nothing in the browser.</p><ul>{items}</ul>"
        f"<details><summary>Licenses</summary><pre>{licences}</pre></details>"
    )


def _list_licenses(project: str) -> Iterable[str]:
    for path in distribution(project).files or ():
        if ".dist-info" in str(path) and "LICEN" in path.name.upper():
            yield path.read_text(encoding="utf-8").strip()
