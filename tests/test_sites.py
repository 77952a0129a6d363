"""What holds for a site or for the deployment: simple URLs and SIP domains."""

from __future__ import annotations

import itertools

import pytest

from lyncnb.errors import TopologyError
from lyncnb.topology import Topology, read_topology

HEADING = "fqdn,role,site,sip_domains,meet_urls,dialin_url,admin_url"


def topology(*rows: str) -> Topology:
    return read_topology("\n".join([HEADING, *rows]).encode())


def urls(read: Topology) -> dict[str, tuple[str, ...]]:
    """Give each site its Meet, dial-in and admin URLs as text."""
    return {
        site.name: (
            ";".join(url.url for url in site.meet_urls),
            *(one.url if one else "" for one in (site.dialin_url, site.admin_url)),
        )
        for site in read.sites
    }


MEET, DIALIN, ADMIN = (f"https://{name}.contoso.com" for name in ("meet", "dialin", "admin"))


@pytest.mark.parametrize("place", [0, 1, 2])
def test_what_all_agree_on_is_the_deployments(place):
    """A simple URL that one row gives, or several alike, holds in every site."""
    sites = ["Taipei", "Hsinchu", ""]
    rows = [
        f"se{n}.contoso.net,SE,{site},"
        + (f"contoso.com,{MEET},{DIALIN},{ADMIN}" if n == place else ",,,")
        for n, site in enumerate(sites)
    ]
    assert urls(topology(*rows)) == dict.fromkeys(["", "Hsinchu", "Taipei"], (MEET, DIALIN, ADMIN))


def test_sites_that_differ_have_their_own():
    """Different URLs in different sites stay apart; a site without one has none."""
    read = topology(
        "a.contoso.net,SE,Taipei,contoso.com,https://meettaipei.contoso.com,,",
        "b.contoso.net,SE,Hsinchu,,https://meethsinchu.contoso.com,,",
        "c.contoso.net,SE,Tainan,,,,",
    )
    assert urls(read) == {
        "Hsinchu": ("https://meethsinchu.contoso.com", "", ""),
        "Tainan": ("", "", ""),
        "Taipei": ("https://meettaipei.contoso.com", "", ""),
    }


def test_rows_without_a_site_speak_for_the_others():
    """Where a site has its own URLs, the others have those of the rows without a site."""
    read = topology(
        f"a.contoso.net,SE,,contoso.com,,{DIALIN},",
        "b.contoso.net,SE,Taipei,,,https://dialintaipei.contoso.com,",
        "c.contoso.net,SE,Hsinchu,,,,",
    )
    assert {site.name: site.dialin_url.url for site in read.sites} == {
        "": DIALIN,
        "Hsinchu": DIALIN,
        "Taipei": "https://dialintaipei.contoso.com",
    }


def test_the_pool_tells_the_site_of_a_row():
    """A row that leaves its site blank speaks for the site of its pool."""
    table = b"""fqdn,role,pool,site,sip_domains,dialin_url
fe01.contoso.net,FE,pool.contoso.net,,contoso.com,https://dialintaipei.contoso.com
fe02.contoso.net,FE,pool.contoso.net,Taipei,,
se01.contoso.net,SE,,Hsinchu,,https://dialinhsinchu.contoso.com
"""
    read = read_topology(table)
    assert {site.name: site.dialin_url.url for site in read.sites} == {
        "Hsinchu": "https://dialinhsinchu.contoso.com",
        "Taipei": "https://dialintaipei.contoso.com",
    }


def test_one_site_says_one_thing():
    """Two URLs in one site are told with both rows and values."""
    with pytest.raises(TopologyError) as caught:
        topology(
            f"a.contoso.net,SE,Taipei,contoso.com,,{DIALIN},",
            "b.contoso.net,SE,Hsinchu,,,https://dialin.fabrikam.com,",
            "c.contoso.net,SE,Taipei,,,https://dialin.litwareinc.com,",
        )
    (problem,) = caught.value.problems
    assert (problem.row, problem.column) == (4, "dialin_url")
    assert problem.message == (
        f'two values for site Taipei: "{DIALIN}" in row 2, "https://dialin.litwareinc.com" in row 4'
    )


def test_a_deployment_without_sites_says_one_thing():
    """Without sites two URLs contradict each other."""
    with pytest.raises(TopologyError, match="two values for the deployment: .* in row 2, .* row 3"):
        topology(
            f"a.contoso.net,SE,,contoso.com,,{DIALIN},",
            "b.contoso.net,SE,,,,https://dialin.fabrikam.com,",
        )


def test_the_default_sip_domain_comes_first():
    """SIP domains keep their order, since the first is the default."""
    read = topology("a.contoso.net,SE,,fabrikam.com;contoso.com;fabrikam.com,,,")
    assert read.sip_domains == ("fabrikam.com", "contoso.com")


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (("", ""), "no row names the SIP domains"),
        (
            ("contoso.com;fabrikam.com", "fabrikam.com;contoso.com"),
            (
                'two values for the deployment: "contoso.com;fabrikam.com" in row 2, '
                '"fabrikam.com;contoso.com" in row 3'
            ),
        ),
        (("contoso.com", "contoso"), '"contoso" is not a fully qualified domain name'),
        (("contoso", ""), '"contoso" is not a fully qualified domain name'),
    ],
)
def test_sip_domains_are_given_once(cells, message):
    """SIP domains nowhere, or in two ways, are refused; a bad one is told alone."""
    with pytest.raises(TopologyError) as caught:
        topology(*(f"se{n}.contoso.net,SE,Site{n},{cell},,," for n, cell in enumerate(cells)))
    assert [problem.message for problem in caught.value.problems] == [message]
    assert caught.value.problems[0].column == "sip_domains"
    assert caught.value.problems[0].hint


def test_row_order_changes_no_site():
    """Sites and what holds there do not depend on the order of rows."""
    rows = [
        f"a.contoso.net,SE,,contoso.com,,{DIALIN},",
        "b.contoso.net,SE,Taipei,contoso.com,,https://dialintaipei.contoso.com,",
        "c.contoso.net,SE,Hsinchu,,,,",
        f"d.contoso.net,SE,Hsinchu,,,,{ADMIN}",
    ]
    assert len({topology(*order) for order in itertools.permutations(rows)}) == 1
