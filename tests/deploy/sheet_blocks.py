"""Read the rows and the blocks of commands of a rendered sheet, as an administrator copies them.

A block is what one click selects. The tests ask what a rendered sheet says and what happens if a
block is pasted into a console, and do not depend on the data from which the sheet was made.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from html.parser import HTMLParser

from deploy.walk import Walk
from powershell_kit import Json

from lyncnb.deploy.checklist import to_html
from lyncnb.deploy.server_steps import DeploymentSteps, ServerSteps

_HEADINGS = ("h1", "h2", "h3")

# A command that reads its next line from the console: for a password, or for a confirmation.
_ASKS = re.compile(
    r"Read-Host|Get-Credential|-importpfx|-exportpfx|certutil -dump '[^']*\.pfx'|-Confirm\b(?!:)",
    re.IGNORECASE,
)
# A word that a person replaces, such as POOL, and the names in capitals that are real.
_CAPITALS = re.compile(r"(?<!env:)\b[A-Z]{4,}\b")
_REAL = {"REPLICA", "REPLIC", "REQUEST", "SHA256", "STOP"}
_VARIABLE = re.compile(r"\$(Value|Key|Date)\b")


@dataclass(frozen=True)
class Row:
    """A row of a sheet: its heading, its text without the commands, and its blocks in order."""

    heading: str
    text: str
    blocks: tuple[tuple[str, ...], ...]

    @property
    def commands(self) -> str:
        """All commands of the row."""
        return "\n".join(line for block in self.blocks for line in block)


class _Reader(HTMLParser):
    """Collect the rows of an HTML page. Text outside of rows belongs to the heading above it."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[Row] = []
        self._heading = ""
        self._texts: list[str] = []
        self._blocks: list[tuple[str, ...]] = []
        self._open: list[str] | None = None  # The text of the open heading or block.

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        # The blocks of a row are in a table row of their own.
        if tag == "tr" and ("class", "blocks") not in attrs:
            self._end_row()
        if tag in ("pre", *_HEADINGS):
            self._open = []
        elif tag not in ("wbr", "span", "code", "strong", "label", "small", "a"):
            self.handle_data(" ")

    def handle_endtag(self, tag: str) -> None:
        if tag in _HEADINGS and self._open is not None:
            self._heading = " ".join("".join(self._open).split())
            self._open = None
        elif tag == "pre" and self._open is not None:
            lines = "".join(self._open).splitlines()
            self._blocks.append(tuple(line for line in lines if line.strip()))
            self._open = None

    def handle_data(self, data: str) -> None:
        (self._texts if self._open is None else self._open).append(data)

    def close(self) -> None:
        super().close()
        self._end_row()

    def _end_row(self) -> None:
        text = " ".join("".join(self._texts).split())
        if text or self._blocks:
            self.rows.append(Row(self._heading, text, tuple(self._blocks)))
        self._texts, self._blocks = [], []


def read_rows(html: str) -> list[Row]:
    """Return the rows of a rendered sheet, in order."""
    reader = _Reader()
    reader.feed(re.sub(r"<style.*?</style>", "", html, flags=re.DOTALL))
    reader.close()
    return reader.rows


def select_server_steps(steps: DeploymentSteps, server: ServerSteps) -> DeploymentSteps:
    """Return the steps for only one server, or for one key on another computer."""
    holder = (server,) if server in steps.key_holders else ()
    servers = () if holder else (server,)
    return replace(steps, servers=servers, key_holders=holder, missing=(), covered=())


def render_sheet(steps: DeploymentSteps, server: str) -> list[Row]:
    """Return the rows of a server's rendered sheet."""
    (page,) = (page for page in steps.pages if page.stem == server)
    return read_rows(to_html(select_server_steps(steps, page)))


def render_sheets(steps: DeploymentSteps) -> dict[str, list[Row]]:
    """Return the rows of each server's rendered sheet, by server."""
    return {page.stem: render_sheet(steps, page.stem) for page in steps.pages}


def find_rows(rows: list[Row], command: str) -> list[int]:
    """Return the positions of the rows with a block that contains a command."""
    return [index for index, row in enumerate(rows) if command in row.commands]


def asks(line: str) -> bool:
    """Return whether a command reads its next line from the console.

    A console without PSReadLine gives such a command the next line of a pasted block.
    """
    return bool(_ASKS.search(line))


def list_fill_ins(block: tuple[str, ...]) -> list[str]:
    """Return the parts of a block that a person must replace before the block can run."""
    text = "\n".join(block)
    words = [word for word in _CAPITALS.findall(text) if word not in _REAL]
    variables = {
        name
        for name in _VARIABLE.findall(text)
        if not re.search(rf"\${name} (=|in) ", text, re.IGNORECASE)
    }
    return words + sorted(f"${name}" for name in variables)


def paste(walk: Walk, server: str, block: tuple[str, ...], **options: object) -> Json:
    """Run a block on a simulated server, and return its output and its changes."""
    data = "\r\n".join(block).encode("utf-8-sig")
    path = walk.place / f"{hashlib.sha256(data).hexdigest()[:16]}.ps1"
    path.write_bytes(data)
    move = {"run": server, "script": str(path), "switches": [], "fault": None, "person": True}
    (result,) = walk.ask({"moves": [move | options]})
    assert isinstance(result, dict)
    return result
