"""In a source, the title of a document with a known address becomes a link."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import lyncnb
from lyncnb.base.shown.documents import list_document_addresses, parse_documents, split_source
from lyncnb.errors import RulesError

# The host of each address must belong to one of these publishers.
HOSTS = {
    "blog.schertz.name",
    "blogs.perficient.com",
    "blogs.technet.microsoft.com",
    "bugzilla.mozilla.org",
    "cabforum.org",
    "chromium.googlesource.com",
    "comparecheapssl.com",
    "cryptography.io",
    "docs.digicert.com",
    "github.com",
    "googlechrome.github.io",
    "groups.google.com",
    "knowledge.digicert.com",
    "learn.microsoft.com",
    "letsencrypt.org",
    "msrc.microsoft.com",
    "portal.arkict.com.my",
    "publicsuffix.org",
    "sectigo.com",
    "security.googleblog.com",
    "support.apple.com",
    "support.certum.eu",
    "support.globalsign.com",
    "support.microsoft.com",
    "wiki.mozilla.org",
    "www.iana.org",
    "www.iso.org",
    "www.itu.int",
    "www.mozilla.org",
    "www.nicsrs.com",
    "www.sectigo.com",
}

# The documents for which no web address was found on 2026-11-28.
WITHOUT_ADDRESS = {
    "Microsoft Lifecycle, Lync Server 2013",
    "Microsoft Lifecycle, Skype for Business Server 2015",
    "Microsoft Lifecycle, Skype for Business Server 2019",
    "Microsoft security advisory 2862973, 2014-02-11",
    "Microsoft, Specify CRL distribution points (AD CS, a page without a date, as of 2026-11-24)",
    "Third party: masteringmsuc.com, 2012-05-30",
    "practice: blog.schertz.name, 2013-08",
    "practice: shudnow.net, 2012-05-04",
}

LYNC = (
    "https://learn.microsoft.com/en-us/previous-versions/office/lync-server-2013/lync-server-2013-"
)
MOBILITY = "Certificate requirements for mobility in Lync Server 2013"


def test_titles_of_documents_become_links():
    """If a source contains two documents, their titles become links, and the section and date stay
    text.
    """
    source = f"Microsoft, {MOBILITY}, section X, 2014-07-23; Microsoft, other; RFC 5280 section 4.1"
    parts = list(split_source(source))
    assert "".join(text for text, _ in parts) == source
    assert [(text, address) for text, address in parts if address] == [
        (MOBILITY, f"{LYNC}certificate-requirements-for-mobility"),
        ("RFC 5280 section 4.1", "https://www.rfc-editor.org/rfc/rfc5280#section-4.1"),
    ]


def test_a_page_in_chinese_leads_to_documents_in_chinese():
    """In Chinese text, the link to Microsoft's page about mobility leads to the Chinese page, and
    other links do not change.
    """
    source = f"Microsoft, {MOBILITY}, 2014-07-23; Microsoft, Set-CsCertificate"
    addresses = [[a for _, a in split_source(source, lang) if a] for lang in ("en", "zh-TW")]
    (english, command), (chinese, same) = addresses
    assert english.replace("/en-us/", "/zh-tw/") == chinese != english
    assert command == same


def test_the_longest_title_becomes_the_link():
    """A document title that is part of a longer title or word does not become a separate link."""
    source = (
        "Staging A/V and OAuth certificates using -Roll in Set-CsCertificate in Lync Server 2013"
    )
    assert len([address for _, address in split_source(f"Microsoft, {source}") if address]) == 1
    assert not any(address for _, address in split_source("New-Get-CsCertificate2"))


def test_every_address_has_a_known_host():
    """The address of each document uses TLS and the host of a known publisher. In a Chinese
    address, only /en-us/ is replaced with /zh-tw/.
    """
    for title, url in list_document_addresses().items():
        host = url.removeprefix("https://").partition("/")[0]
        assert host in HOSTS, title
        chinese = list_document_addresses("zh-TW")[title]
        assert chinese in (url, url.replace("/en-us/", "/zh-tw/")), title


def test_every_source_has_a_link_or_a_reason():
    """Each source has a link, is marked as inferred, refers to lyncnb itself, or is a work that is
    not available on the web.
    """
    plain = {
        part
        for source in _sources()
        for part in source.split("; ")
        if not any(address for _, address in split_source(part))
        and not part.startswith(("Inferred", "lyncnb"))
    }
    assert plain == WITHOUT_ADDRESS


def _sources() -> Iterator[str]:
    for value in _values_of_source():
        if isinstance(
            value, dict
        ):  # The source of a rule for CAs is a table with a document, a section, and a date.
            yield value["document"]
        elif isinstance(value, str):
            yield value


def _values_of_source() -> Iterator[Any]:
    files = Path(lyncnb.__file__).parent.rglob("*.toml")
    waiting: list[Any] = [tomllib.loads(file.read_text("utf-8")) for file in files]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            for key in value:
                if key == "sources":
                    yield from value[key]
                elif key == "source" or key.endswith("_source"):
                    yield value[key]
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)


def test_missing_address_is_reported():
    """If a document has no address in the data file, the error message gives the location of the
    entry.
    """
    with pytest.raises(RulesError) as caught:
        parse_documents('[[document]]\ntitle = "x"\n')
    assert "document[0].url" in str(caught.value)
