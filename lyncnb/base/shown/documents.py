"""Where the documents that sources name are found: RFCs by number, others by ``documents.toml``.

A source is plain text, e.g. ``Microsoft, Planning for simple URLs in Lync Server 2013, 2015``. Its
links are found when it is shown, so that no rule has to carry an address.
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
_CHINESE = ("zh-TW", "zh-Hant-TW")  # as planners choose it, and as pages name it
_ADDRESS = r"https://[^\s;,<>\"]+"


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A document that has an address: its title as sources name it.

    ``zh_tw`` says that Microsoft has the page in Traditional Chinese, under ``/zh-tw/``.
    """

    title: str
    url: str
    zh_tw: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Documents:
    """What ``documents.toml`` holds."""

    document: tuple[Document, ...]


def parse_documents(text: str) -> Documents:
    """Read the text of ``documents.toml``.

    Raises
    ------
    RulesError
        With every mistake, e.g. of ``document[3].url``.
    """
    reader = RecordReader(_FILE)
    found = reader.record(Documents, parse_toml(text))
    if found is None:
        raise RulesError(f"{_FILE} has mistakes", problems=tuple(reader.problems))
    return found


@cache
def document_addresses(language: str = "en") -> Mapping[str, str]:
    """Give the address of each document by its title; in English where it has no other."""
    text = (package_files(__package__) / _FILE).read_text(encoding="utf-8")
    is_chinese = language in _CHINESE
    return {
        document.title: document.url.replace("/en-us/", "/zh-tw/")
        if is_chinese and document.zh_tw
        else document.url
        for document in parse_documents(text).document
    }


@cache
def _pattern() -> re.Pattern[str]:
    # The longest first: the title of one document may be the beginning of another's.
    titles = "|".join(map(re.escape, sorted(document_addresses(), key=len, reverse=True)))
    return re.compile(rf"{_RFC}|{_ADDRESS}|(?<![\w-])(?:{titles})(?![\w-])")


def linked_parts(source: str, language: str = "en") -> Iterator[tuple[str, str]]:
    """Cut a source into what leads somewhere and what does not.

    Parameters
    ----------
    source : str
        Plain text.
    language : str, optional
        Of the page; a document leads to its page in this language where one is known.

    Yields
    ------
    tuple of str
        Plain text and its address, "" where there is none; the texts joined are the source.
    """
    place = 0
    for found in _pattern().finditer(source):
        if found.start() > place:
            yield source[place : found.start()], ""
        address = document_addresses(language).get(found[0], found[0])
        if found["rfc"]:
            section = f"#section-{found['section']}" if found["section"] else ""
            address = f"https://www.rfc-editor.org/rfc/rfc{found['rfc']}{section}"
        yield found[0], address
        place = found.end()
    if place < len(source):
        yield source[place:], ""


def named_documents(sources: Iterable[str], language: str = "en") -> tuple[tuple[str, str], ...]:
    """List the documents that sources name and that have an address, once each: title, address."""
    parts = (part for source in dict.fromkeys(sources) for part in linked_parts(source, language))
    return tuple(dict.fromkeys(part for part in parts if part[1]))
