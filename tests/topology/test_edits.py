"""After an edit, the topology rebuilds only the objects that the edit affects."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lyncnb.errors import TopologyError
from lyncnb.topology.model import Site
from lyncnb.topology.topology import Topology, read_topology

SERVERS, ROLES = ("fe01", "fe02", "dir01", "rp01"), ("FrontEnd", "Director", "Mediation")


@pytest.fixture(scope="module")
def contoso(data) -> Topology:
    return read_topology(data / "contoso.csv")


@pytest.fixture(scope="module")
def litware(data) -> Topology:
    return read_topology(data / "litwareinc-global.csv")


def reread(topology: Topology) -> Topology:
    """Write the changed topology as CSV, and read this CSV."""
    return read_topology(topology.to_csv())


def changed_pools(before: Topology, after: Topology) -> list[str]:
    """Return the names of the pools that have a new object after an edit."""
    known = {id(pool) for pool in before.pools}
    return [pool.fqdn for pool in after.pools if id(pool) not in known]


def pool(topology: Topology, name: str):
    return next(pool for pool in topology.pools if pool.fqdn.startswith(name))


@pytest.mark.parametrize(
    ("changes", "pools"),
    [
        ({4: {"access_edge_fqdn": "sip.contoso.com"}}, ["edgepool01.contoso.net"]),
        ({1: {"target_os": "2016"}}, ["eepool01.contoso.net"]),
        ({3: {"autologon": "yes"}}, ["dir01.contoso.net"]),
        # The edit changes two pools and adds a column to the table.
        (
            {0: {"extra_san": "lync"}, 9: {"extra_san": "chat"}},
            ["eepool01.contoso.net", "chatpool01.contoso.net"],
        ),
        # If a server moves to another pool, both pools change.
        (
            {1: {"pool_fqdn": "eepool02.contoso.net"}},
            ["eepool01.contoso.net", "eepool02.contoso.net"],
        ),
        ({11: {"server_fqdn": "proxy.contoso.net"}}, ["proxy.contoso.net"]),
        ({11: {"role": "OWAS"}}, ["rp01.contoso.net"]),
        # These values apply to the whole deployment, so the edits change no pool.
        ({0: {"sip_domains": "contoso.com"}}, []),
        ({0: {"meet_urls": "https://lync.contoso.com/Meet"}}, []),
        # The new value is the same as before, so nothing changes.
        ({0: {"autologon": "true"}}, []),
        ({}, []),
    ],
)
def test_an_edit_changes_only_its_pools(contoso, changes, pools):
    """After an edit, the pools that it does not affect are the same objects as before."""
    after = contoso.with_cells(changes)
    assert changed_pools(contoso, after) == pools
    assert after == reread(after)


def test_an_edit_does_not_change_the_original(contoso, data):
    """An edit returns a new topology, and does not change the original one."""
    contoso.with_cells({0: {"server_fqdn": "other.contoso.net", "extra_san": "lync"}})
    assert contoso == read_topology(data / "contoso.csv")
    assert "extra_san" not in contoso.columns


def test_edited_cells_are_corrected_as_in_a_file(contoso):
    """If a user edits a cell, lyncnb corrects the text and reports the corrections, as it does when
    it reads a file.
    """
    after = contoso.with_cells({2: {"server_fqdn": "FE03.Contoso.net.", "role": "front end"}})
    assert after.cells[2][:2] == ("fe03.contoso.net", "FrontEnd")
    assert [str(note) for note in after.notes] == [
        'row 4, column server_fqdn, "FE03.Contoso.net.": changed to lowercase; trailing dot removed',
        'row 4, column role, "front end": lyncnb interprets this value as the role FrontEnd',
    ]
    assert after == contoso


def site(topology: Topology, name: str) -> Site:
    """Return the only site with the given name."""
    (match,) = [candidate for candidate in topology.sites if candidate.name == name]
    return match


def test_sites_change_with_their_rows(contoso):
    """If a pool moves to another site or a URL changes, lyncnb recreates only the affected site
    objects.
    """
    rows = {row: {"site": "Hsinchu"} for row in (4, 5)}
    after = contoso.with_cells(rows)
    assert [site.name for site in after.sites] == ["Hsinchu", "Taipei"]
    assert site(after, "Hsinchu").meet_urls == site(contoso, "Taipei").meet_urls
    assert site(after, "Taipei") is site(contoso, "Taipei")
    edited = after.with_cells({4: {"dialin_url": "https://dialinhsinchu.contoso.com"}})
    assert site(edited, "Hsinchu").dialin_url.host == "dialinhsinchu.contoso.com"
    assert site(edited, "Taipei").dialin_url.host == "dialin.contoso.com"
    assert site(edited, "Hsinchu").meet_urls == site(contoso, "Taipei").meet_urls
    assert edited == reread(edited)


def test_a_blank_site_is_the_site_of_the_pool():
    """If the site of a row is blank, the row has the site of its pool, even after the pool is
    moved.
    """
    table = read_topology(
        b"fqdn,role,pool,site,sip_domains,dialin_url\n"
        b"fe01.contoso.net,FE,pool.contoso.net,,contoso.com,https://dialin1.contoso.com\n"
        b"fe02.contoso.net,FE,pool.contoso.net,Taipei,,\n"
        b"se01.contoso.net,SE,,Hsinchu,,https://dialin2.contoso.com\n"
    )
    after = table.with_cells({1: {"site": "Tainan"}})
    assert {s.name: s.dialin_url.host for s in after.sites} == {
        "Hsinchu": "dialin2.contoso.com",
        "Tainan": "dialin1.contoso.com",
    }
    moved = table.with_cells({0: {"server_fqdn": "fe09.contoso.net"}})
    assert moved.sites == table.sites
    assert moved == reread(moved)


@pytest.mark.parametrize(
    ("changes", "row", "message"),
    [
        ({5: {"server_fqdn": "edge02"}}, 7, '"edge02" is not a fully qualified domain name'),
        ({5: {"server_fqdn": ""}}, 7, "server_fqdn is blank"),
        ({5: {"role": ""}}, 7, "role is blank"),
        ({5: {"role": "Toaster"}}, 7, '"Toaster" is not a known role'),
        ({5: {"autologon": "maybe"}}, 7, '"maybe" is neither true nor false'),
        (
            {1: {"autologon": "no"}},
            3,
            'the pool eepool01.contoso.net has two different values for autologon: "true" in row 2, and "false" in row 3',
        ),
        (
            {1: {"site": "Hsinchu"}},
            3,
            "the pool eepool01.contoso.net has two different values for site",
        ),
        (
            {1: {"server_fqdn": "fe01.contoso.net"}},
            3,
            "fe01.contoso.net already appears in row 2",
        ),
        # The other row with this server is in a pool that the edit does not affect.
        (
            {7: {"server_fqdn": "dir01.contoso.net"}},
            9,
            "dir01.contoso.net is in the pool medpool01.contoso.net in this row, but in the pool dir01.contoso.net",
        ),
        ({3: {"pool_fqdn": "medpool01.contoso.net"}}, 5, "dir01.contoso.net has the role Director"),
        ({3: {"sip_domains": "fabrikam.com"}}, 5, "the deployment has two different values"),
        (
            {3: {"dialin_url": "https://x.contoso.com"}},
            5,
            "the site Taipei has two different values",
        ),
        ({0: {"sip_domains": ""}}, 0, "the table contains no SIP domains"),
        ({0: {"colour": "red"}}, 0, 'the table has no column "colour"'),
    ],
)
def test_invalid_edits_are_rejected_with_the_reason(contoso, changes, row, message):
    """If an edit is invalid, the error message names the row and contains a hint, as for an invalid
    file.
    """
    with pytest.raises(TopologyError) as caught:
        contoso.with_cells(changes)
    (problem,) = caught.value.problems
    assert problem.message.startswith(message)
    assert (problem.row, problem.file) == (row, "contoso.csv")
    assert problem.hint


def test_added_servers_join_or_form_pools(contoso):
    """A new server is added to its pool, or forms a new pool. If a column is missing, it is added."""
    after = contoso.with_rows(
        add=[
            {"server_fqdn": "fe04.contoso.net", "role": "FE", "pool_fqdn": "eepool01.contoso.net"},
            {"server_fqdn": "SBA01.contoso.net", "role": "SBA", "extra_san": "sba"},
        ]
    )
    assert changed_pools(contoso, after) == ["sba01.contoso.net", "eepool01.contoso.net"]
    assert len(pool(after, "eepool01").computers) == 4
    assert pool(after, "sba01").extra_san == (("", "sba"),)
    assert [site.name for site in after.sites] == ["", "Taipei"]
    assert after.columns == (*contoso.columns, "extra_san")
    assert after == reread(after)


def test_a_new_row_is_checked(contoso):
    """lyncnb checks a new row like the other rows. Each error message contains the number that the
    row would have in the table.
    """
    row = (
        len(contoso.cells) + 2
    )  # The heading row is row 1, so the new row comes after the last row of the table.
    with pytest.raises(
        TopologyError, match=f"row {row}, column server_fqdn: .* in row 2 with the role FrontEnd"
    ):
        contoso.with_rows(
            add=[
                {
                    "server_fqdn": "fe01.contoso.net",
                    "role": "FE",
                    "pool_fqdn": "eepool01.contoso.net",
                }
            ]
        )
    with pytest.raises(TopologyError, match=f"row {row}, column role: role is blank"):
        contoso.with_rows(add=[{"server_fqdn": "fe09.contoso.net"}])


def test_shared_values_move_when_their_row_is_removed(contoso):
    """If the only row with a shared value is removed, the value moves to another row."""
    after = contoso.with_rows(remove=[0])
    assert after.sip_domains == contoso.sip_domains
    assert after.sites == contoso.sites
    front_end = pool(after, "eepool01")
    assert front_end.web_external_fqdn == "webext01.contoso.com"
    assert "autologon" in front_end.flags
    assert [(c.fqdn, c.row) for c in front_end.computers] == [
        ("fe02.contoso.net", 0),
        ("fe03.contoso.net", 1),
    ]
    assert after == reread(after)


def test_values_of_a_site_stay_in_the_site(litware):
    """If a row is removed, the simple URLs of its site move to another row of the site, if there is
    one.
    """
    row_indexes = [row for row, cells in enumerate(litware.cells) if cells[3] == "Taipei"]
    after = litware.with_rows(remove=row_indexes[:3])
    assert site(after, "Taipei").meet_urls == site(litware, "Taipei").meet_urls
    assert after == reread(after)
    remaining = litware.with_rows(remove=row_indexes)
    assert [site.name for site in remaining.sites] == ["London", "Redmond", "Singapore"]
    assert site(remaining, "London") is site(litware, "London")
    assert remaining == reread(remaining)


def test_removing_the_last_row_is_refused(contoso):
    """The last server of a topology cannot be removed."""
    with pytest.raises(TopologyError, match="the topology would have no servers"):
        contoso.with_rows(remove=range(len(contoso.cells)))


def test_a_server_can_be_replaced_in_one_step(contoso):
    """In one step, a server can be removed and another one with the same name added."""
    after = contoso.with_rows(
        remove=[11], add=[dict(zip(contoso.columns, contoso.cells[11])) | {"target_os": "2019"}]
    )
    assert pool(after, "rp01").computers[0].target_os == "2019"
    assert after == reread(after)


edits = st.lists(
    st.one_of(
        st.tuples(
            st.just("cells"),
            st.dictionaries(
                st.integers(0, 5),
                st.fixed_dictionaries(
                    {},
                    optional={
                        "server_fqdn": st.sampled_from(SERVERS).map("{}.contoso.net".format),
                        "role": st.sampled_from(ROLES),
                        "pool_fqdn": st.sampled_from(["", "p1.contoso.net", "p2.contoso.net"]),
                        "site": st.sampled_from(["", "Taipei", "Hsinchu"]),
                        "autologon": st.sampled_from(["", "yes"]),
                        "dialin_url": st.sampled_from(["", "https://d.contoso.com"]),
                        "extra_san": st.sampled_from(["", "lync"]),
                    },
                ),
                max_size=2,
            ),
        ),
        st.tuples(st.just("order"), st.integers(0, 1000)),
        st.tuples(st.just("remove"), st.sets(st.integers(0, 5), max_size=2)),
        st.tuples(
            st.just("add"),
            st.fixed_dictionaries(
                {
                    "server_fqdn": st.sampled_from(["n1.contoso.net", "n2.contoso.net"]),
                    "role": st.sampled_from(ROLES),
                    "pool_fqdn": st.sampled_from(["", "p1.contoso.net"]),
                }
            ),
        ),
    ),
    max_size=5,
)
START = b"""server_fqdn,role,pool_fqdn,site,sip_domains,dialin_url
fe01.contoso.net,FrontEnd,p1.contoso.net,Taipei,contoso.com,https://dialin.contoso.com
fe02.contoso.net,FrontEnd,p1.contoso.net,,,
dir01.contoso.net,Director,,Hsinchu,,https://dialinhsinchu.contoso.com
fe03.contoso.net,FrontEnd,p2.contoso.net,,,
"""


@pytest.mark.slow
@given(edits)
def test_edits_have_the_same_result_as_reading_again(steps):
    """After any edits, the topology is equal to the one that is read from its CSV table."""
    topology = read_topology(START)
    for kind, argument in steps:
        rows = [dict(zip(topology.columns, row)) for row in topology.cells]
        try:
            if kind == "cells":
                changes = {row: texts for row, texts in argument.items() if row < len(rows)}
                after = topology.with_cells(changes)
            elif kind == "order":
                order = random.Random(argument).sample(range(len(rows)), len(rows))
                after = topology.with_order(order)
                assert after.cells == tuple(topology.cells[old] for old in order)
            elif kind == "remove":
                after = topology.with_rows(remove=argument & set(range(len(rows))))
            else:
                after = topology.with_rows(add=[argument])
        except TopologyError:
            if kind == "cells":
                edited = [row | changes.get(number, {}) for number, row in enumerate(rows)]
                names = list(dict.fromkeys(name for row in edited for name in row))
                table = [names, *([row.get(name, "") for name in names] for row in edited)]
                with pytest.raises(TopologyError):
                    read_topology("\n".join(",".join(row) for row in table).encode())
            continue
        assert after == reread(after)
        assert [c.row for p in after.pools for c in p.computers] == [
            c.row for p in reread(after).pools for c in p.computers
        ]
        topology = after
