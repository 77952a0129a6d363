"""Find the web addresses of cited documents, by the number of an RFC or by the title.

The file ``documents.toml`` contains the addresses of all documents except RFCs.

A source is plain text, for example ``Microsoft, Planning for simple URLs in Lync Server 2013,
2015``. lyncnb finds the links when it shows the source, so that rules contain no web addresses.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files as package_files

from ...errors import RulesError
from ..records import RecordReader
from ..toml_text import parse_toml

_FILE = "documents.toml"
_RFC = r"RFC (?P<rfc>\d{1,5})(?:,? section (?P<section>\d+(?:\.\d+)*))?"
# The language code of Traditional Chinese, as an option and in an HTML page.
_CHINESE = ("zh-TW", "zh-Hant-TW")
_ADDRESS = r"https://[^\s;,<>\"]+"


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A document that sources refer to by its title, with its web address.

    ``zh_tw`` means that Microsoft also publishes the page in Traditional Chinese, under
    ``/zh-tw/``.
    """

    title: str
    url: str
    zh_tw: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Documents:
    """The content of the file ``documents.toml``: all documents with a web address."""

    document: tuple[Document, ...]


def parse_documents(text: str) -> Documents:
    """Parse the text of ``documents.toml``.

    Raises
    ------
    RulesError
        With every error in the text and its place, such as ``document[3].url``.
    """
    reader = RecordReader(_FILE)
    documents = reader.record(Documents, parse_toml(text))
    if documents is None:
        raise RulesError(f"the file {_FILE} contains errors", problems=tuple(reader.problems))
    return documents


@cache
def list_document_addresses(language: str = "en") -> Mapping[str, str]:
    """Map the title of each document to its web address.

    If a document is not available in the language, the address leads to the English version.
    """
    text = (package_files(__package__) / _FILE).read_text(encoding="utf-8")
    is_chinese = language in _CHINESE
    return {
        document.title: document.url.replace("/en-us/", "/zh-tw/")
        if is_chinese and document.zh_tw
        else document.url
        for document in parse_documents(text).document
    }


@cache
def _build_pattern() -> re.Pattern[str]:
    # The pattern tries longer titles first, because a short title can be the beginning of a longer
    # one.
    titles = "|".join(map(re.escape, sorted(list_document_addresses(), key=len, reverse=True)))
    return re.compile(rf"{_RFC}|{_ADDRESS}|(?<![\w-])(?:{titles})(?![\w-])")


def split_source(source: str, language: str = "en") -> Iterator[tuple[str, str]]:
    """Split the text of a source into parts with and without a link.

    Parameters
    ----------
    source : str
        Plain text.
    language : str, optional
        The language of the page. A link leads to a translation in this language if there is one.

    Yields
    ------
    tuple of str
        Plain text, and its web address or "". The joined texts are equal to the source.
    """
    end = 0
    for match in _build_pattern().finditer(source):
        if match.start() > end:
            yield source[end : match.start()], ""
        address = list_document_addresses(language).get(match[0], match[0])
        if match["rfc"]:
            section = f"#section-{match['section']}" if match["section"] else ""
            address = f"https://www.rfc-editor.org/rfc/rfc{match['rfc']}{section}"
        yield match[0], address
        end = match.end()
    if end < len(source):
        yield source[end:], ""


def list_cited_documents(
    sources: Iterable[str], language: str = "en"
) -> tuple[tuple[str, str], ...]:
    """Return the title and address of each cited document, without duplicates."""
    parts = (part for source in dict.fromkeys(sources) for part in split_source(source, language))
    return tuple(dict.fromkeys(part for part in parts if part[1]))
