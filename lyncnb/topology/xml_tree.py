"""Read XML from other sources. Only this module parses XML.

The module rejects entities and document type declarations, and limits the size, the depth, and the
number of elements.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

from ..base.pasted_text import shown
from ..errors import TopologyError

#: The size in bytes at which lyncnb rejects a document. A document with 5,000 servers is about 4
#: MB.
MAX_BYTES = 32_000_000
_MAX_ELEMENTS = 400_000
_MAX_DEPTH = 64
#: The largest number of elements in a part of a workbook. 100,000 servers with all columns need
#: 8.2 million elements.
MAX_SCANNED = 9_000_000

_DEPLOY = "urn:schema:Microsoft.Rtc.Management.Deploy."
#: The full names of root elements: of a Topology Builder file, of the output of Get-CsTopology
#: -AsXml, and of a file that ``export_topology.ps1`` created.
WRAPPER = f"{_DEPLOY}TopologyBuilder.2008 TopologyBuilder"
PUBLISHED = f"{_DEPLOY}Topology.2008 Topology"
EXPORTED = "urn:lyncnb:topology-export:1 Export"
#: The PowerShell commands that write the root element EXPORTED.
EXPORT_SCRIPT = Path(__file__).with_name("export_topology.ps1")
_WHAT_TO_GIVE = (
    "use the .tbxml file from Topology Builder, the output of Get-CsTopology -AsXml, or a "
    "table (.csv, .xlsx) with the headings server_fqdn, role, sip_domains"
)


@dataclass(slots=True)
class Element:
    """An XML element: its name without namespace, attributes, child elements, and text."""

    name: str
    attributes: Mapping[str, str]
    children: list[Element] = field(default_factory=list)
    text: str = ""

    def get(self, attribute: str) -> str:
        """Return an attribute of the element, or "" if it is missing."""
        return self.attributes.get(attribute, "").strip()

    def find(self, *path: str) -> Element | None:
        """Return the first descendant at a path of element names."""
        element = self
        for name in path:
            match = next((child for child in element.children if child.name == name), None)
            if match is None:
                return None
            element = match
        return element

    def find_all(self, name: str) -> Iterator[Element]:
        """Yield all descendants with the given name, in document order."""
        waiting = self.children[::-1]
        while waiting:
            child = waiting.pop()
            if child.name == name:
                yield child
            waiting += child.children[::-1]


class XmlTree:
    """A parser that builds the elements of a topology document, and rejects other XML.

    ``form`` is the full name of the root.
    """

    def __init__(self, source: str) -> None:
        self.source = source
        self.root = Element("", {})
        self.form = ""
        self._open: list[Element] = []
        self._count = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """Process the start tag of an XML element."""
        self._count += 1
        if self._count > _MAX_ELEMENTS or len(self._open) >= _MAX_DEPTH:
            raise TopologyError(
                (f"{self.source} has more elements, or deeper nesting, than a topology can have"),
                hint=_WHAT_TO_GIVE,
            )
        element = Element(name.rpartition(" ")[2], attributes)
        if self._open:
            self._open[-1].children.append(element)
        else:
            self.root, self.form = element, name
            if name not in (WRAPPER, PUBLISHED, EXPORTED):
                raise TopologyError(
                    f"{self.source} is not a topology: it is an XML or HTML document that "
                    f"begins with the element {shown(element.name[:60])}",
                    hint=_WHAT_TO_GIVE,
                )
        self._open.append(element)

    def end(self, name: str) -> None:
        """Process the end tag of an XML element."""
        self._open.pop()

    def text(self, text: str) -> None:
        """Add text to the current XML element. Long text is truncated.

        Topologies contain only short texts.
        """
        if self._open and len(self._open[-1].text) < 1000:
            self._open[-1].text += text[:1000]

    def refuse(self, *_: object) -> None:
        """Raise an error for a document type declaration or an entity."""
        raise TopologyError(
            f"{self.source} is not a topology: it is an XML or HTML document with a document "
            "type declaration",
            hint=_WHAT_TO_GIVE,
        )


def is_markup(data: bytes) -> bool:
    """Return whether data begins like XML or HTML, not like a table."""
    return data[:256].replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n").startswith(b"<")


def parse_xml(source: str, text: str) -> XmlTree:
    """Parse an XML document that contains a topology.

    Raises
    ------
    TopologyError
        If the text is not valid XML, is not a topology, or is malicious.
    """
    tree = XmlTree(source)
    # expat gets text instead of bytes, so that it ignores the declared encoding. Out-File in
    # PowerShell writes UTF-16 with a declaration of UTF-8, and some editors do the reverse.
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
        problem = "ends unexpectedly" if breaks_off else "is damaged"
        raise TopologyError(
            f"{source} is an XML or HTML document that {problem} in line {line:,}",
            hint="export the topology again" if tree.form else _WHAT_TO_GIVE,
        ) from None
    return tree


def scan_xml(
    source: str,
    chunks: Iterable[bytes],
    *,
    start: Callable[[str, dict[str, str]], None],
    end: Callable[[str], None],
    text: Callable[[str], None],
    max_elements: int = MAX_SCANNED,
) -> None:
    """Parse XML as a stream, for XML that is too large for a tree, such as a part of a workbook.

    Parameters
    ----------
    source : str
        The file name, for messages.
    chunks : iterable of bytes
        The document.
    start, end, text : callable
        The callback functions. Names are complete, with a space between namespace and name. An
        exception in a callback function stops parsing.
    max_elements : int, optional
        The maximum number of elements.

    Raises
    ------
    TopologyError
        If the document is not valid XML, has a document type declaration or too many elements, or
        is
        nested too deeply.
    """
    left, depth = max_elements, 0

    def handle_start(name: str, attributes: dict[str, str]) -> None:
        nonlocal left, depth
        left -= 1
        depth += 1
        if left < 0 or depth > _MAX_DEPTH:
            raise TopologyError(
                f"{source} has more cells, or deeper nesting, than a table of servers can have",
                hint="delete the blank columns and rows next to the table, or save the table "
                "as CSV",
            )
        start(name, attributes)

    def handle_end(name: str) -> None:
        nonlocal depth
        depth -= 1
        end(name)

    def reject_declaration(*_: object) -> None:
        raise TopologyError(
            f"{source} contains XML with a document type declaration, which is not allowed in a "
            "workbook",
            hint="save the file again in Excel or LibreOffice",
        )

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = reject_declaration
    parser.StartElementHandler = handle_start
    parser.EndElementHandler = handle_end
    parser.CharacterDataHandler = text
    parser.buffer_text = True
    try:
        for piece in chunks:
            parser.Parse(piece, False)
        parser.Parse(b"", True)
    # An unsupported encoding raises either LookupError or UnicodeError.
    except (expat.ExpatError, LookupError, UnicodeError):
        raise TopologyError(
            f"{source} is damaged, because it contains data that is not valid XML",
            hint="open the file in Excel or LibreOffice and save it again",
        ) from None


_BREAKS_OFF = {
    expat.errors.codes[words]
    for words in (
        expat.errors.XML_ERROR_NO_ELEMENTS,
        expat.errors.XML_ERROR_UNCLOSED_TOKEN,
        expat.errors.XML_ERROR_PARTIAL_CHAR,
    )
}
