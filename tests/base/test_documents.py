"""Titles of documents in a source become links where the document has an address."""

from __future__ import annotations

import re
from itertools import chain

import pytest

from lyncnb.base.documents import document_addresses, linked_parts, parse_documents
from lyncnb.errors import RulesError
from lyncnb.rules.rule_files import load_rules

MOBILITY = "Certificate requirements for mobility in Lync Server 2013"


def test_a_title_leads_to_its_document_and_the_rest_is_kept():
    """Two documents in one source are two links; a section and a date stay text."""
    source = (
        f"Microsoft, {MOBILITY}, section X, 2014-07-23; Microsoft, certreq; RFC 5280 section 4.1"
    )
    parts = list(linked_parts(source))
    assert "".join(text for text, _ in parts) == source
    assert [(text, address) for text, address in parts if address] == [
        (MOBILITY, "https://technet.microsoft.com/en-us/library/Hh690044(v=OCS.15)"),
        ("RFC 5280 section 4.1", "https://www.rfc-editor.org/rfc/rfc5280#section-4.1"),
    ]


def test_a_page_in_chinese_leads_to_documents_in_chinese():
    """Microsoft's page on requesting in advance has both addresses; other documents keep theirs."""
    title = "Request certificates in advance (optional) for Lync Server 2013"
    source = f"Microsoft, {title}, 2014-07-23; Microsoft, {MOBILITY}"
    addresses = [[a for _, a in linked_parts(source, lang) if a] for lang in ("en", "zh-TW")]
    (english, mobility), (chinese, same) = addresses
    assert english.replace("/en-us/", "/zh-tw/") == chinese != english
    assert mobility == same


def test_the_longest_title_counts():
    """A title that ends another one, or stands inside a longer word, is no link of its own."""
    source = (
        "Staging A/V and OAuth certificates using -Roll in Set-CsCertificate in Lync Server 2013"
    )
    assert len([address for _, address in linked_parts(f"Microsoft, {source}") if address]) == 1
    assert not any(address for _, address in linked_parts("New-Get-CsCertificate2"))


def test_every_address_is_microsofts_own():
    """Addresses are of Microsoft's two sites, over TLS, each as its document gives it."""
    places = (
        r"https://technet\.microsoft\.com/en-us/library/[A-Za-z]{2}\d{6}\(v=OCS\.15\)",
        r"https://learn\.microsoft\.com/powershell/module/[a-z]+/[a-z-]+",
    )
    for url in document_addresses().values():
        assert any(re.fullmatch(place, url) for place in places), url


def test_most_reasons_of_names_lead_to_a_document():
    """Six of seven sources of names and certificates have a link."""
    rules = load_rules("lync2013")
    sources = [rule.source for rule in chain(rules.names.values(), rules.certificates)]
    cited = [source for source in sources if "Microsoft, " in source]
    linked = [source for source in cited if any(address for _, address in linked_parts(source))]
    assert len(linked) >= 6 / 7 * len(cited)


def test_mistakes_of_the_file_are_told():
    """A missing address is told with its place."""
    with pytest.raises(RulesError) as caught:
        parse_documents('[[document]]\ntitle = "x"\n')
    assert "document[0].url" in str(caught.value)
