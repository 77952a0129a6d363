"""What the people at a CA read: the page, the summary and the list of names of one part.

The words are data (``authorities/handover.toml``); everything that comes from a topology is
escaped on its way to a page and neutralised on its way to a spreadsheet.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files as package_files

from .base.tables import paragraph, rows_to_html, to_page
from .request_folder.manifest import RequestRecord

COLUMNS = (
    *("Request", "Role", "Site", "Pool", "Servers", "Type", "Subject name"),
    *("Subject alternative names", "Names", "EKU", "Key", "Hash", "CSR file", "SHA-256 of the CSR"),
)


# The page is read and printed; the summary beside it has all columns.
_ON_PAGE = ("CSR file", "Servers", "Subject name", "Subject alternative names", "EKU", "Key")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What goes to one CA.

    ``issuer`` is internal or public, ``ca`` the CA's name where one was given, ``folder`` the
    part's place inside the package.
    """

    folder: str
    issuer: str
    ca: str
    requests: tuple[RequestRecord, ...]


def part_folder(issuer: str, ca: str, taken: Container[str]) -> str:
    """Name the folder of a part inside the package, safe on Windows and not in `taken`."""
    slug = re.sub(r"[^a-z0-9]+", "-", ca.casefold()).strip("-")[:60]
    name = f"{issuer}-{slug}" if slug else issuer
    number = 1
    while name in taken:
        number += 1
        name = f"{name.rsplit('_', 1)[0]}_{number}"
    return name


def request_rows(records: Iterable[RequestRecord]) -> Iterator[tuple[object, ...]]:
    """Yield one row per request, fourteen values as :data:`COLUMNS` names them."""
    for record in records:
        plan = record.plan
        subject = ", ".join(f"{name}={value}" for name, value in plan["subject"].items())
        yield (
            *(record.id, plan["role"], plan["site"], plan["pool"], tuple(plan["servers"])),
            *(tuple(plan["usages"]), subject, tuple(plan["san"]), len(plan["san"])),
            *(tuple(plan["eku"]), f"{plan['key']['algorithm']} {plan['key']['bits']}"),
            *(plan["hash"], record.files["csr"], record.csr_sha256),
        )


@cache
def _texts() -> Mapping[str, Mapping[str, object]]:
    path = package_files(__package__) / "authorities" / "handover.toml"
    return tomllib.loads(path.read_text(encoding="utf-8"))


def part_page(part: Part, *, template: str) -> str:
    """Write the page for a CA's people: what to do, what to know, and every request.

    Parameters
    ----------
    part : Part
        n requests of one CA.
    template : str
        Name of the AD CS template.

    Returns
    -------
    str
        An HTML page that needs no other file.
    """
    text = _texts()[part.issuer]
    filled = {"template": template, "count": str(len(part.requests))}
    places = [COLUMNS.index(heading) for heading in _ON_PAGE]
    rows = [[row[place] for place in places] for row in request_rows(part.requests)]
    steps = [(number, _filled(step, filled)) for number, step in enumerate(text["steps"], 1)]
    notes = [(_filled(note, filled),) for note in text["notes"]]
    title = f"{text['title']}: {part.ca}" if part.ca else str(text["title"])
    return to_page(
        title,
        [
            *(paragraph(_filled(line, filled)) for line in text["intro"]),
            rows_to_html(("Step", "What to do"), steps, caption="Steps"),
            rows_to_html(("Good to know",), notes, caption="Notes"),
            rows_to_html(_ON_PAGE, rows, caption="Requests"),
            paragraph("Sources: " + "; ".join(text["sources"])),
        ],
    )


def _filled(text: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        text = text.replace("{" + name + "}", value)
    return text


def name_lines(records: Iterable[RequestRecord]) -> bytes:
    """List the names of each request on one line, to be pasted into a portal."""
    lines = [f"{record.files['csr']}\r\n{', '.join(record.plan['san'])}\r\n" for record in records]
    return "\r\n".join(lines).encode()
