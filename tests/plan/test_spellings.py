"""If a name is spelled differently from the requested name, lyncnb reports the difference only
once.
"""

from __future__ import annotations

import pytest

from lyncnb.plan.planner import plan_certificates
from lyncnb.plan.spellings import find_certificate_spellings, find_spellings
from lyncnb.rules.rule_files import load_rules
from lyncnb.topology.topology import read_topology

HEAD = "server_fqdn,role,pool_fqdn,sip_domains,meet_urls,dialin_url,web_external_fqdn\n"
ROW = "fe01.contoso.com,FrontEnd,pool.contoso.com,{0},https://meet.{1},https://dial.contoso.com,{2}"


def planned(domains: str, meet: str = "contoso.com", web: str = "web.contoso.com"):
    """Return the plan of a Front End Server with the given spellings of names."""
    table = HEAD + ROW.format(domains, meet, web) + "\n"
    return plan_certificates(read_topology(table.encode()), load_rules("lync2013"))


def map_displayed_names(plan) -> dict[str, str]:
    """Map each requested name in the plan to the form in which lyncnb displays the name."""
    spellings = find_certificate_spellings(plan.certificates, plan.topology)
    return {
        spelling.requested: spelling.written for group in spellings.values() for spelling in group
    }


def test_plain_names_are_not_reported():
    """If lyncnb corrects only spaces, a trailing dot, or uppercase letters in a name, the name is
    not reported.
    """
    plan = planned(" contoso.com", web="Web.contoso.com.")
    assert find_spellings(plan) == ()
    assert map_displayed_names(plan) == {}


def test_names_with_invisible_characters():
    """If a name contains invisible characters, the report shows their positions in this name and in
    all names that lyncnb derives from it.
    """
    plan = planned("con\u00adtoso.com;fabrikam.com", web="web.fab\u200brikam.com")
    assert [spelling.written for spelling in find_spellings(plan)] == [
        "con<U+00AD>toso.com;fabrikam.com",
        "web.fab<U+200B>rikam.com",
    ]
    displayed_names = map_displayed_names(plan)
    assert displayed_names["web.fabrikam.com"] == "web.fab<U+200B>rikam.com"
    assert displayed_names["lyncdiscover.contoso.com"] == "lyncdiscover.con<U+00AD>toso.com"
    assert "lyncdiscover.fabrikam.com" not in displayed_names


@pytest.mark.parametrize("domain", ["bücher.example", "xn--bcher-kva.example"])
def test_international_names_in_both_forms(domain):
    """For an international domain, the notes show both the Unicode form and the ASCII form. The
    summary lists only the domain itself and no names below it.
    """
    plan = planned(domain, meet=domain)
    displayed_names = map_displayed_names(plan)
    assert displayed_names["lyncdiscover.xn--bcher-kva.example"] == "lyncdiscover.bücher.example"
    assert displayed_names["meet.xn--bcher-kva.example"] == "meet.bücher.example"
    in_summary = [
        spelling
        for spelling in find_spellings(plan)
        if spelling.requested == "xn--bcher-kva.example"
    ]
    assert [spelling.written for spelling in in_summary] == ["bücher.example"]
    assert not [
        spelling
        for spelling in find_spellings(plan)
        if spelling.requested.startswith("lyncdiscover")
    ]
