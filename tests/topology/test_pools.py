"""lyncnb groups the rows of a table into pools, and reports contradictory values."""

from __future__ import annotations

import itertools

import pytest

from lyncnb.errors import TopologyError
from lyncnb.topology.model import Computer, Pool
from lyncnb.topology.topology import Topology, read_topology


def topology(text: str) -> Topology:
    """Read a table in which spaces separate the cells, and add a SIP domain to it."""
    lines = [line.split() for line in text.strip().splitlines()]
    cells = [[*("" if cell == "-" else cell for cell in line)] for line in lines]
    rows = [[*cells[0], "sip_domains"], *([*row, "contoso.com"] for row in cells[1:])]
    return read_topology("\n".join(",".join(row) for row in rows).encode())


def problems(text: str) -> list[tuple[int, str, str]]:
    with pytest.raises(TopologyError) as caught:
        topology(text)
    assert all(problem.hint for problem in caught.value.problems)
    return [(p.row, p.column, p.message) for p in caught.value.problems]


def test_servers_of_a_pool_are_sorted_by_name():
    """Rows with the same pool name form one pool, whose servers are sorted by name."""
    (pool,) = topology("""
        fqdn             role     pool             site   target_os issuer
        fe02.contoso.net FrontEnd pool.contoso.net Taipei 2016      -
        fe01.contoso.net FrontEnd pool.contoso.net Taipei -         Default=public
    """).pools
    assert pool == Pool(
        fqdn="pool.contoso.net",
        role="FrontEnd",
        site="Taipei",
        computers=(
            Computer(fqdn="fe01.contoso.net", row=1, issuer=(("Default", "public"),)),
            Computer(fqdn="fe02.contoso.net", row=0, target_os="2016"),
        ),
        flags=frozenset({"strict_dns", "autodiscover"}),
    )
    assert [computer.row for computer in pool.computers] == [1, 0]


def test_a_server_without_a_pool_name_is_a_pool():
    """If the pool name is blank, the server's name is the pool name."""
    (pool,) = topology("""
        fqdn             role
        se01.contoso.net SE
    """).pools
    assert (pool.fqdn, pool.site) == ("se01.contoso.net", "")
    assert pool.computers == (Computer(fqdn="se01.contoso.net", row=0),)


def test_pools_are_sorted_by_site_role_and_name():
    """Pools are sorted by site, by role in the order of column_rules.toml, and by name."""
    pools = topology("""
        fqdn            role     site
        z.contoso.net   Edge     Taipei
        b.contoso.net   FrontEnd Taipei
        a.contoso.net   FrontEnd Taipei
        y.contoso.net   Director Hsinchu
        x.contoso.net   SE       Taipei
        w.contoso.net   RP       -
    """).pools
    assert [(pool.site, pool.role, pool.fqdn) for pool in pools] == [
        ("", "ReverseProxy", "w.contoso.net"),
        ("Hsinchu", "Director", "y.contoso.net"),
        ("Taipei", "StandardEdition", "x.contoso.net"),
        ("Taipei", "FrontEnd", "a.contoso.net"),
        ("Taipei", "FrontEnd", "b.contoso.net"),
        ("Taipei", "Edge", "z.contoso.net"),
    ]


NAMES = {
    "web_internal_fqdn": "webint.contoso.net",
    "web_external_fqdn": "webext.contoso.com",
    "access_edge_fqdn": "access.contoso.com",
    "webconf_edge_fqdn": "webconf.contoso.com",
    "av_edge_fqdn": "av.contoso.com",
    "edge_internal_fqdn": "edgeint.contoso.net",
}
# Columns whose values only the rules use.
FURTHER = {
    "owas_external_fqdn": ("owas.contoso.com",),
    "sip_dns_aliases": ("sipinternal.contoso.com", "sipexternal.contoso.com"),
    "xmpp_domains": ("contoso.com",),
}


@pytest.mark.parametrize("row", [0, 1, 2])
@pytest.mark.parametrize(("name", "value"), [*NAMES.items(), *FURTHER.items()])
def test_a_value_of_the_pool_can_be_in_any_row(name, value, row):
    """A pool's value can be in any row of the pool, and the blank cells in its other rows inherit
    the value.
    """
    text = value if isinstance(value, str) else "|".join(value)
    cells = ["-"] * 3
    cells[row] = text
    (pool,) = topology(f"""
        fqdn             role     pool             {name}
        fe01.contoso.net FrontEnd pool.contoso.net {cells[0]}
        fe02.contoso.net FrontEnd pool.contoso.net {cells[1]}
        fe03.contoso.net FrontEnd pool.contoso.net {cells[2]}
    """).pools
    values = {column: getattr(pool, column) for column in NAMES}
    values |= {column: pool.list_names(column) for column in FURTHER}
    assert values == {**dict.fromkeys(NAMES), **dict.fromkeys(FURTHER, ()), name: value}


@pytest.mark.parametrize(
    ("role", "cells", "flags"),
    [
        ("FrontEnd", {}, {"strict_dns", "autodiscover"}),
        ("FrontEnd", {"autologon": "yes"}, {"autologon", "strict_dns", "autodiscover"}),
        ("Director", {"strict_dns": "0", "autodiscover": "N"}, set()),
        ("StandardEdition", {"autologon": "1", "strict_dns": "no"}, {"autologon", "autodiscover"}),
        ("Edge", {}, {"federation", "client_autoconfig"}),
        ("Edge", {"federation": "false", "aol_pic": "true"}, {"client_autoconfig", "aol_pic"}),
        # Edge pools do not use the column autologon, so the pool does not have this flag.
        ("Edge", {"autologon": "true"}, {"federation", "client_autoconfig"}),
        ("Mediation", {}, {"mediation_standalone"}),
        ("Mediation", {"mediation_standalone": "no"}, set()),
        ("ReverseProxy", {}, {"autodiscover"}),
        ("PersistentChat", {"autologon": "true"}, set()),
    ],
)
def test_true_columns_become_flags(role, cells, flags):
    """If a yes/no column is true, the pool has the flag of this column, provided that the pool's
    role uses the column.
    """
    (pool,) = topology(f"""
        fqdn          role   {" ".join(cells)}
        a.contoso.net {role} {" ".join(cells.values())}
    """).pools
    assert pool.flags == flags


def test_equal_values_may_be_written_in_two_ways():
    """If two servers in a pool have equal lists that are separated differently, lyncnb accepts the
    table. The result does not depend on the row order.
    """
    text = """
        fqdn             role     pool             extra_san
        fe01.contoso.net FrontEnd pool.contoso.net {}
        fe02.contoso.net FrontEnd pool.contoso.net {}
    """
    semicolon_list = "a.contoso.com;b.contoso.com"
    other = "a.contoso.com|b.contoso.com"
    assert topology(text.format(semicolon_list, other)) == topology(
        text.format(other, semicolon_list)
    )


def test_two_values_of_a_pool_are_a_contradiction():
    """If a pool has two different values in a column, the error message contains both values and
    their row numbers.
    """
    assert problems("""
        fqdn             role     pool             web_external_fqdn autologon
        fe01.contoso.net FrontEnd pool.contoso.net a.contoso.com     -
        fe02.contoso.net FrontEnd pool.contoso.net -                 yes
        fe03.contoso.net FrontEnd pool.contoso.net b.contoso.com     no
    """) == [
        (
            4,
            "web_external_fqdn",
            (
                'the pool pool.contoso.net has two different values for web_external_fqdn: "a.contoso.com" in row 2, and '
                '"b.contoso.com" in row 4'
            ),
        ),
        (
            4,
            "autologon",
            'the pool pool.contoso.net has two different values for autologon: "true" in row 3, and "false" in row 4',
        ),
    ]


def test_a_pool_belongs_to_one_site():
    """If the table contains two different sites for a pool, lyncnb reports an error. A server
    without a site belongs to the pool's site.
    """
    assert problems("""
        fqdn             role     pool             site
        fe01.contoso.net FrontEnd pool.contoso.net Taipei
        fe02.contoso.net FrontEnd pool.contoso.net Hsinchu
    """) == [
        (
            3,
            "site",
            'the pool pool.contoso.net has two different values for site: "Taipei" in row 2, and "Hsinchu" in row 3',
        )
    ]
    (pool,) = topology("""
        fqdn             role     pool             site
        fe01.contoso.net FrontEnd pool.contoso.net -
        fe02.contoso.net FrontEnd pool.contoso.net Hsinchu
    """).pools
    assert pool.site == "Hsinchu"


def test_a_server_appears_once_with_a_role():
    """If a server appears twice with the same role, the error for the second row contains the
    number of the first row.
    """
    assert problems("""
        fqdn             role     pool
        fe01.contoso.net FrontEnd pool.contoso.net
        FE01.contoso.net FE       pool.contoso.net
    """) == [(3, "server_fqdn", "fe01.contoso.net already appears in row 2 with the role FrontEnd")]


def test_a_server_belongs_to_one_pool():
    """A server can be in only one pool, but a partner server can be in several pools."""
    assert problems("""
        fqdn             role      pool
        fe01.contoso.net FrontEnd  pool.contoso.net
        fe01.contoso.net Mediation medpool.contoso.net
    """) == [
        (
            3,
            "pool_fqdn",
            (
                "fe01.contoso.net is in the pool medpool.contoso.net in this row, but in the pool pool.contoso.net "
                "in row 2"
            ),
        )
    ]
    pools = topology("""
        fqdn             role        pool
        ex01.contoso.net ExchangeUM  -
        ex01.contoso.net ExchangeOWA owapool.contoso.net
    """).pools
    assert [pool.fqdn for pool in pools] == ["ex01.contoso.net", "owapool.contoso.net"]


def test_collocated_roles_share_a_pool():
    """If some servers of a pool have a second role, these servers form a separate pool with the
    same name.
    """
    pools = topology("""
        fqdn             role      pool             web_external_fqdn mediation_standalone
        fe01.contoso.net FrontEnd  pool.contoso.net a.contoso.com     -
        fe02.contoso.net FrontEnd  pool.contoso.net -                 -
        fe02.contoso.net Mediation pool.contoso.net -                 no
    """).pools
    assert [(p.fqdn, p.role, len(p.computers), sorted(p.flags)) for p in pools] == [
        ("pool.contoso.net", "FrontEnd", 2, ["autodiscover", "strict_dns"]),
        ("pool.contoso.net", "Mediation", 1, []),
    ]


def test_two_roles_on_different_servers_need_two_pools():
    """lyncnb reports an error if different servers with the same pool name have different roles."""
    assert problems("""
        fqdn              role      pool
        fe01.contoso.net  FrontEnd  pool.contoso.net
        fe02.contoso.net  FrontEnd  pool.contoso.net
        med01.contoso.net Mediation pool.contoso.net
    """) == [
        (
            4,
            "role",
            (
                "med01.contoso.net has the role Mediation in the pool pool.contoso.net, but the other "
                "servers in the pool have the role FrontEnd"
            ),
        )
    ]


def test_blank_cells_are_reported_with_other_problems():
    """A blank cell in a required column is reported together with the problems in other rows."""
    assert problems("""
        fqdn             role     pool             web_external_fqdn
        fe01.contoso.net FrontEnd pool.contoso.net a.contoso.com
        -                FrontEnd pool.contoso.net -
        fe03.contoso.net -        pool.contoso.net -
        fe04.contoso.net FrontEnd pool.contoso.net b.contoso.com
        fe05.contoso.net Toaster  pool.contoso.net -
    """) == [
        (3, "server_fqdn", "server_fqdn is blank"),
        (4, "role", "role is blank"),
        (
            5,
            "web_external_fqdn",
            (
                'the pool pool.contoso.net has two different values for web_external_fqdn: "a.contoso.com" in row 2, and '
                '"b.contoso.com" in row 5'
            ),
        ),
        (6, "role", '"Toaster" is not a known role'),
    ]


# --- These tests are about values of a site or the deployment: simple URLs and SIP domains.

HEADING = "fqdn,role,site,sip_domains,meet_urls,dialin_url,admin_url"


def table_of(*rows: str) -> Topology:
    return read_topology("\n".join([HEADING, *rows]).encode())


def urls(topology: Topology) -> dict[str, tuple[str, ...]]:
    """Return the Meet, dial-in, and admin URLs of each site as text."""
    return {
        site.name: (
            ";".join(url.url for url in site.meet_urls),
            *(url.url if url else "" for url in (site.dialin_url, site.admin_url)),
        )
        for site in topology.sites
    }


MEET, DIALIN, ADMIN = (f"https://{name}.contoso.com" for name in ("meet", "dialin", "admin"))


@pytest.mark.parametrize("row_number", [0, 1, 2])
def test_the_same_url_in_all_rows_applies_to_every_site(row_number):
    """If all rows with a simple URL have the same URL, it applies to every site."""
    sites = ["Taipei", "Hsinchu", ""]
    rows = [
        f"se{n}.contoso.net,SE,{site},"
        + (f"contoso.com,{MEET},{DIALIN},{ADMIN}" if n == row_number else ",,,")
        for n, site in enumerate(sites)
    ]
    assert urls(table_of(*rows)) == dict.fromkeys(["", "Hsinchu", "Taipei"], (MEET, DIALIN, ADMIN))


def test_sites_with_different_urls():
    """If sites have different URLs, each site has only its own URLs, and a site without URLs has
    none.
    """
    topology = table_of(
        "a.contoso.net,SE,Taipei,contoso.com,https://meettaipei.contoso.com,,",
        "b.contoso.net,SE,Hsinchu,,https://meethsinchu.contoso.com,,",
        "c.contoso.net,SE,Tainan,,,,",
    )
    assert urls(topology) == {
        "Hsinchu": ("https://meethsinchu.contoso.com", "", ""),
        "Tainan": ("", "", ""),
        "Taipei": ("https://meettaipei.contoso.com", "", ""),
    }


def test_rows_without_a_site_apply_to_other_sites():
    """If some sites have their own URLs, the other sites use the URLs in rows without a site."""
    topology = table_of(
        f"a.contoso.net,SE,,contoso.com,,{DIALIN},",
        "b.contoso.net,SE,Taipei,,,https://dialintaipei.contoso.com,",
        "c.contoso.net,SE,Hsinchu,,,,",
    )
    assert {site.name: site.dialin_url.url for site in topology.sites} == {
        "": DIALIN,
        "Hsinchu": DIALIN,
        "Taipei": "https://dialintaipei.contoso.com",
    }


def test_a_site_with_its_own_urls_inherits_no_admin_url():
    """A site with its own simple URLs does not inherit the deployment's admin URL. A site without
    simple URLs inherits this admin URL.
    """
    topology = table_of(
        f"a.contoso.net,SE,Taipei,contoso.com,{MEET},{DIALIN},{ADMIN}",
        "b.contoso.net,SE,Hsinchu,,https://meeth.contoso.com,https://dialinh.contoso.com,",
    )
    assert urls(topology)["Hsinchu"][2] == ""
    assert urls(topology)["Taipei"][2] == ADMIN
    topology = table_of(
        f"a.contoso.net,SE,Taipei,contoso.com,{MEET},{DIALIN},{ADMIN}",
        "b.contoso.net,SE,Hsinchu,,https://meeth.contoso.com,https://dialinh.contoso.com,",
        "c.contoso.net,SE,Tainan,,,,",
        "d.contoso.net,SE,,,,,",
    )
    assert urls(topology)["Tainan"] == urls(topology)[""] == ("", "", ""), (
        "the deployment has no URLs"
    )
    assert urls(topology)["Taipei"][2] == ADMIN
    topology = table_of(
        f"a.contoso.net,SE,,contoso.com,{MEET},{DIALIN},{ADMIN}",
        "b.contoso.net,SE,Hsinchu,,https://meeth.contoso.com,https://dialinh.contoso.com,",
        "c.contoso.net,SE,Tainan,,,,",
    )
    assert [urls(topology)[site][2] for site in ("", "Hsinchu", "Tainan")] == [ADMIN, "", ADMIN]


def test_a_row_without_a_site_has_the_site_of_its_pool():
    """If the site of a row is blank, the row has the site of its pool."""
    table = b"""fqdn,role,pool,site,sip_domains,dialin_url
fe01.contoso.net,FE,pool.contoso.net,,contoso.com,https://dialintaipei.contoso.com
fe02.contoso.net,FE,pool.contoso.net,Taipei,,
se01.contoso.net,SE,,Hsinchu,,https://dialinhsinchu.contoso.com
"""
    topology = read_topology(table)
    assert {site.name: site.dialin_url.url for site in topology.sites} == {
        "Hsinchu": "https://dialinhsinchu.contoso.com",
        "Taipei": "https://dialintaipei.contoso.com",
    }


def test_two_urls_of_a_site_are_a_contradiction():
    """If one site has two different URLs, the error message names both rows and both URLs."""
    with pytest.raises(TopologyError) as caught:
        table_of(
            f"a.contoso.net,SE,Taipei,contoso.com,,{DIALIN},",
            "b.contoso.net,SE,Hsinchu,,,https://dialin.fabrikam.com,",
            "c.contoso.net,SE,Taipei,,,https://dialin.litwareinc.com,",
        )
    (problem,) = caught.value.problems
    assert (problem.row, problem.column) == (4, "dialin_url")
    assert problem.message == (
        f'the site Taipei has two different values: "{DIALIN}" in row 2, and "https://dialin.litwareinc.com" in row 4'
    )


def test_two_urls_without_sites_are_a_contradiction():
    """If the deployment has no sites, lyncnb rejects a table with two different URLs for the same
    purpose.
    """
    with pytest.raises(
        TopologyError, match="the deployment has two different values: .* in row 2, and .* row 3"
    ):
        table_of(
            f"a.contoso.net,SE,,contoso.com,,{DIALIN},",
            "b.contoso.net,SE,,,,https://dialin.fabrikam.com,",
        )


def test_the_default_sip_domain_comes_first():
    """lyncnb keeps the order of the SIP domains, because the first one is the default."""
    topology = table_of("a.contoso.net,SE,,fabrikam.com;contoso.com;fabrikam.com,,,")
    assert topology.sip_domains == ("fabrikam.com", "contoso.com")


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (("", ""), "the table contains no SIP domains"),
        (
            ("contoso.com;fabrikam.com", "fabrikam.com;contoso.com"),
            (
                'the deployment has two different values: "contoso.com;fabrikam.com" in row 2, and '
                '"fabrikam.com;contoso.com" in row 3'
            ),
        ),
        (("contoso.com", "contoso"), '"contoso" is not a fully qualified domain name'),
        (("contoso", ""), '"contoso" is not a fully qualified domain name'),
    ],
)
def test_sip_domains_are_specified_once(cells, message):
    """A table is rejected if it contains no SIP domains, or two different lists of SIP domains.

    An invalid SIP domain is reported alone.
    """
    with pytest.raises(TopologyError) as caught:
        table_of(*(f"se{n}.contoso.net,SE,Site{n},{cell},,," for n, cell in enumerate(cells)))
    assert [problem.message for problem in caught.value.problems] == [message]
    assert caught.value.problems[0].column == "sip_domains"
    assert caught.value.problems[0].hint


def test_row_order_changes_no_site():
    """The sites and their values do not depend on the order of the rows."""
    rows = [
        f"a.contoso.net,SE,,contoso.com,,{DIALIN},",
        "b.contoso.net,SE,Taipei,contoso.com,,https://dialintaipei.contoso.com,",
        "c.contoso.net,SE,Hsinchu,,,,",
        f"d.contoso.net,SE,Hsinchu,,,,{ADMIN}",
    ]
    assert len({table_of(*order) for order in itertools.permutations(rows)}) == 1
