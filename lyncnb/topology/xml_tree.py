"""Read external XML as a tree of elements or as calls. Only this file reads XML.

It rejects entities and document types, and limits size, depth and the number of elements.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

from ..base.pasted_text import shown
from ..errors import TopologyError

#: lyncnb rejects a document of this size or more (bytes); 5,000 servers take 4 MB.
MAX_BYTES = 32_000_000
_MAX_ELEMENTS = 400_000
_MAX_DEPTH = 64
#: Maximum number of elements in a workbook's part; 100,000 servers with all columns take 8.2
#: million.
MAX_SCANNED = 9_000_000

_DEPLOY = "urn:schema:Microsoft.Rtc.Management.Deploy."
#: Full names of the root elements of topologies: Topology Builder's file, the output of
#: Get-CsTopology -AsXml, and the element that ``export_topology.ps1`` adds around that output.
WRAPPER = f"{_DEPLOY}TopologyBuilder.2008 TopologyBuilder"
PUBLISHED = f"{_DEPLOY}Topology.2008 Topology"
EXPORTED = "urn:lyncnb:topology-export:1 Export"
#: The PowerShell commands that write EXPORTED.
EXPORT_SCRIPT = Path(__file__).with_name("export_topology.ps1")
_WHAT_TO_GIVE = (
    "use the .tbxml file of Topology Builder, the output of Get-CsTopology -AsXml, or a table "
    "(.csv, .xlsx) with the headings server_fqdn, role, sip_domains"
)


@dataclass(slots=True)
class Element:
    """One element: its name without the namespace, attributes, children and text."""

    name: str
    attributes: Mapping[str, str]
    children: list[Element] = field(default_factory=list)
    text: str = ""

    def get(self, attribute: str) -> str:
        """Return an attribute, "" if it is missing."""
        return self.attributes.get(attribute, "").strip()

    def find(self, *path: str) -> Element | None:
        """Return the first element at a path of names."""
        here = self
        for name in path:
            match = next((child for child in here.children if child.name == name), None)
            if match is None:
                return None
            here = match
        return here

    def all(self, name: str) -> Iterator[Element]:
        """Yield all descendants with a name, in the document's order."""
        waiting = self.children[::-1]
        while waiting:
            child = waiting.pop()
            if child.name == name:
                yield child
            waiting += child.children[::-1]


class XmlTree:
    """Builds the tree; rejects XML that no topology contains. ``form`` is the root's full name."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.root = Element("", {})
        self.form = ""
        self._open: list[Element] = []
        self._count = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """Begin an element."""
        self._count += 1
        if self._count > _MAX_ELEMENTS or len(self._open) >= _MAX_DEPTH:
            raise TopologyError(
                f"{self.source} has more elements, or deeper ones, than any topology",
                hint=_WHAT_TO_GIVE,
            )
        element = Element(name.rpartition(" ")[2], attributes)
        if self._open:
            self._open[-1].children.append(element)
        else:
            self.root, self.form = element, name
            if name not in (WRAPPER, PUBLISHED, EXPORTED):
                raise TopologyError(
                    f"{self.source} is an XML or HTML document that begins with"
                    f" {shown(element.name[:60])}, not a topology",
                    hint=_WHAT_TO_GIVE,
                )
        self._open.append(element)

    def end(self, name: str) -> None:
        """End the element that began last."""
        self._open.pop()

    def text(self, text: str) -> None:
        """Add text; topologies need only short texts."""
        if self._open and len(self._open[-1].text) < 1000:
            self._open[-1].text += text[:1000]

    def refuse(self, *_: object) -> None:
        """Reject a document type or an entity."""
        raise TopologyError(
            f"{self.source} is an XML or HTML document with a document type, which no topology has",
            hint=_WHAT_TO_GIVE,
        )


def is_markup(data: bytes) -> bool:
    """Return whether a file begins like XML or HTML rather than a table."""
    return data[:256].replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n").startswith(b"<")


def parse_xml(source: str, text: str) -> XmlTree:
    """Read a topology document.

    Raises
    ------
    TopologyError
        If it is not XML, is damaged, of another kind, or harmful.
    """
    tree = XmlTree(source)
    # With text instead of bytes, expat ignores the declared encoding. PowerShell's Out-File writes
    # UTF-16 with a declaration of UTF-8, and editors do the reverse.
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartDoctypeDeclHandler = tree.refuse
    parser.EntityDeclHandler = tree.refuse
    parser.StartElementHandler = tree.start
    parser.EndElementHandler = tree.end
    parser.CharacterDataHandler = tree.text
    parser.buffer_text = True
    try:
        parser.Parse(text.lstrip(), True)
    except (expat.ExpatError, UnicodeEncodeError) as error:
        line = getattr(error, "lineno", 0)
        breaks_off = getattr(error, "code", 0) in _BREAKS_OFF
        what = "breaks off" if breaks_off else "is damaged"
        raise TopologyError(
            f"{source} is an XML or HTML document that {what} in line {line:,}",
            hint="export it again" if tree.form else _WHAT_TO_GIVE,
        ) from None
    return tree


def scan_xml(
    source: str,
    pieces: Iterable[bytes],
    *,
    start: Callable[[str, dict[str, str]], None],
    end: Callable[[str], None],
    text: Callable[[str], None],
    most: int = MAX_SCANNED,
) -> None:
    """Read XML that is too large for a tree: a part of a workbook.

    Parameters
    ----------
    source : str
        Name for messages.
    pieces : iterable of bytes
        The document.
    start, end, text : callable
        Callbacks. Names are full, with a blank between namespace and name; an exception of a
        callback stops reading.
    most : int, optional
        Maximum number of elements.

    Raises
    ------
    TopologyError
        If it is not XML, is damaged or too deep, has too many elements, or has a document type.
    """
    left, depth = most, 0

    def begin(name: str, attributes: dict[str, str]) -> None:
        nonlocal left, depth
        left -= 1
        depth += 1
        if left < 0 or depth > _MAX_DEPTH:
            raise TopologyError(
                f"{source} has more cells, or deeper elements, than any table of servers",
                hint="delete the blank columns and rows next to the table, or save it as CSV",
            )
        start(name, attributes)

    def finish(name: str) -> None:
        nonlocal depth
        depth -= 1
        end(name)

    def refuse(*_: object) -> None:
        raise TopologyError(
            f"{source} holds XML with a document type, which no workbook has",
            hint="save it again with Excel or LibreOffice",
        )

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = refuse
    parser.StartElementHandler = begin
    parser.EndElementHandler = finish
    parser.CharacterDataHandler = text
    parser.buffer_text = True
    try:
        for piece in pieces:
            parser.Parse(piece, False)
        parser.Parse(b"", True)
    except (expat.ExpatError, LookupError, UnicodeError):  # the latter two: an unsupported encoding
        raise TopologyError(
            f"{source} is damaged: part of it is not XML",
            hint="open it with Excel or LibreOffice and save it again",
        ) from None


_BREAKS_OFF = {
    expat.errors.codes[words]
    for words in (
        expat.errors.XML_ERROR_NO_ELEMENTS,
        expat.errors.XML_ERROR_UNCLOSED_TOKEN,
        expat.errors.XML_ERROR_PARTIAL_CHAR,
    )
}
