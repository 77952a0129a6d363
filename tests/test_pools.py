"""Rows to pools: what belongs together, and what contradicts itself."""

from __future__ import annotations

import pytest

from lyncnb.errors import TopologyError
from lyncnb.pools import Computer, Pool
from lyncnb.topology import Topology, read_topology


def topology(text: str) -> Topology:
    """Read a table of rows written with blanks between the cells; the SIP domain is added."""
    lines = [line.split() for line in text.strip().splitlines()]
    cells = [[*("" if cell == "-" else cell for cell in line)] for line in lines]
    rows = [[*cells[0], "sip_domains"], *([*row, "contoso.com"] for row in cells[1:])]
    return read_topology("\n".join(",".join(row) for row in rows).encode())


def problems(text: str) -> list[tuple[int, str, str]]:
    with pytest.raises(TopologyError) as caught:
        topology(text)
    assert all(problem.hint for problem in caught.value.problems)
    return [(p.row, p.column, p.message) for p in caught.value.problems]


def test_a_pool_has_its_computers_by_name():
    """Rows of one pool make one pool, with its computers in the order of their names."""
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


def test_a_server_without_a_pool_is_one():
    """A blank pool means the server's own name."""
    (pool,) = topology("""
        fqdn             role
        se01.contoso.net SE
    """).pools
    assert (pool.fqdn, pool.site) == ("se01.contoso.net", "")
    assert pool.computers == (Computer(fqdn="se01.contoso.net", row=0),)


def test_pools_come_by_site_role_and_name():
    """The order is that of sites, then of roles as topology.toml lists them, then of names."""
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
    "owas_external_fqdn": "owas.contoso.com",
}
LISTS = {
    "sip_dns_aliases": ("sipinternal.contoso.com", "sipexternal.contoso.com"),
    "extra_san": ("lync", "*.apps.contoso.com"),
    "xmpp_domains": ("contoso.com",),
}


@pytest.mark.parametrize("row", [0, 1, 2])
@pytest.mark.parametrize(("name", "value"), [*NAMES.items(), *LISTS.items()])
def test_a_value_of_the_pool_stands_on_any_row(name, value, row):
    """A value of the pool may stand on whichever row; blanks take it over."""
    text = value if isinstance(value, str) else "|".join(value)
    cells = ["-"] * 3
    cells[row] = text
    (pool,) = topology(f"""
        fqdn             role     pool             {name}
        fe01.contoso.net FrontEnd pool.contoso.net {cells[0]}
        fe02.contoso.net FrontEnd pool.contoso.net {cells[1]}
        fe03.contoso.net FrontEnd pool.contoso.net {cells[2]}
    """).pools
    assert getattr(pool, name) == value
    others = {**dict.fromkeys(NAMES), **dict.fromkeys(LISTS, ())}
    del others[name]
    assert {other: getattr(pool, other) for other in others} == others


@pytest.mark.parametrize(
    ("role", "cells", "flags"),
    [
        ("FrontEnd", {}, {"strict_dns", "autodiscover"}),
        ("FrontEnd", {"autologon": "yes"}, {"autologon", "strict_dns", "autodiscover"}),
        ("Director", {"strict_dns": "0", "autodiscover": "N"}, set()),
        ("StandardEdition", {"autologon": "1", "strict_dns": "no"}, {"autologon", "autodiscover"}),
        ("Edge", {}, {"federation", "client_autoconfig"}),
        ("Edge", {"federation": "false", "aol_pic": "true"}, {"client_autoconfig", "aol_pic"}),
        # Who does not heed a column does not have its flag.
        ("Edge", {"autologon": "true"}, {"federation", "client_autoconfig"}),
        ("Mediation", {}, {"mediation_standalone"}),
        ("Mediation", {"mediation_standalone": "no"}, set()),
        ("ReverseProxy", {}, {"autodiscover"}),
        ("PersistentChat", {"autologon": "true"}, set()),
    ],
)
def test_flags_are_what_is_true_and_heeded(role, cells, flags):
    """A boolean column is a flag of the pools whose role heeds it, with its default if blank."""
    (pool,) = topology(f"""
        fqdn          role   {" ".join(cells)}
        a.contoso.net {role} {" ".join(cells.values())}
    """).pools
    assert pool.flags == flags


def test_equal_values_may_be_written_in_two_ways():
    """Two ways to write the same list are no contradiction, and row order decides nothing."""
    text = """
        fqdn             role     pool             extra_san
        fe01.contoso.net FrontEnd pool.contoso.net {}
        fe02.contoso.net FrontEnd pool.contoso.net {}
    """
    one = "a.contoso.com;b.contoso.com"
    other = "a.contoso.com|b.contoso.com"
    assert topology(text.format(one, other)) == topology(text.format(other, one))


def test_two_values_of_a_pool_contradict():
    """Two different values are told with both rows and both values."""
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
                'pool pool.contoso.net has two values of web_external_fqdn: "a.contoso.com" in row 2, '
                '"b.contoso.com" in row 4'
            ),
        ),
        (
            4,
            "autologon",
            'pool pool.contoso.net has two values of autologon: "true" in row 3, "false" in row 4',
        ),
    ]


def test_a_pool_lies_in_one_site():
    """One name of a pool in two sites is refused, and a blank site is the pool's."""
    assert problems("""
        fqdn             role     pool             site
        fe01.contoso.net FrontEnd pool.contoso.net Taipei
        fe02.contoso.net FrontEnd pool.contoso.net Hsinchu
    """) == [
        (
            3,
            "site",
            'pool pool.contoso.net has two values of site: "Taipei" in row 2, "Hsinchu" in row 3',
        )
    ]
    (pool,) = topology("""
        fqdn             role     pool             site
        fe01.contoso.net FrontEnd pool.contoso.net -
        fe02.contoso.net FrontEnd pool.contoso.net Hsinchu
    """).pools
    assert pool.site == "Hsinchu"


def test_a_server_stands_once_in_a_role():
    """The same server twice in one role is refused with both rows."""
    assert problems("""
        fqdn             role     pool
        fe01.contoso.net FrontEnd pool.contoso.net
        FE01.contoso.net FE       pool.contoso.net
    """) == [(3, "server_fqdn", "fe01.contoso.net stands here and in row 2 as FrontEnd")]


def test_a_server_belongs_to_one_pool():
    """A computer of the topology is in one pool; partner servers may be in several."""
    assert problems("""
        fqdn             role      pool
        fe01.contoso.net FrontEnd  pool.contoso.net
        fe01.contoso.net Mediation medpool.contoso.net
    """) == [
        (
            3,
            "pool_fqdn",
            (
                "fe01.contoso.net is in pool medpool.contoso.net here and in pool pool.contoso.net "
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
    """A role that stands on servers of another one's pool is a pool beside it."""
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
    """One name of a pool for servers of different roles is refused, with the odd server."""
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
                "med01.contoso.net has the role Mediation in pool pool.contoso.net, whose other "
                "servers have the role FrontEnd"
            ),
        )
    ]


def test_a_blank_server_or_role_is_told_and_the_rest_is_looked_at():
    """Cells that must not be blank are problems beside those of other rows."""
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
                'pool pool.contoso.net has two values of web_external_fqdn: "a.contoso.com" in row 2, '
                '"b.contoso.com" in row 5'
            ),
        ),
        (6, "role", '"Toaster" is no role that lyncnb knows'),
    ]
