"""A comparison of two topologies lists exactly the values that differ."""

from __future__ import annotations

import json

import pytest
from shell_kit import make_shell
from topology_documents import Cluster, edge, front_end, make_published_topology, topology_builder

from lyncnb.topology.topology import read_topology

shell = pytest.fixture(make_shell)

TABLE = """\
server_fqdn,role,pool_fqdn,site,sip_domains,meet_urls,dialin_url,web_external_fqdn,autologon,\
access_edge_fqdn,extra_san,issuer,target_os
fe01.contoso.com,FrontEnd,pool01.contoso.com,Taipei,contoso.com;fabrikam.com,\
https://meet.contoso.com,https://dialin.contoso.com,web01.contoso.com,true,,,,2012R2
fe02.contoso.com,FrontEnd,pool01.contoso.com,Taipei,,,,,,,,,2012R2
edge01.contoso.com,Edge,edgepool.contoso.com,Taipei,,,,,,sip.contoso.com,x.contoso.com,,2012R2
"""


def read_table(text: str):
    """Read a table or a topology document from text."""
    return read_topology(text.encode())


def list_differences(before: str, after: str) -> list[tuple[str, ...]]:
    """Return the differences between two topologies."""
    differences = read_table(before).compare(read_table(after)).differences
    return [
        (difference.about, difference.column, difference.before, difference.after)
        for difference in differences
    ]


def test_equivalent_values_are_not_differences():
    """Row order, inherited values, default values, and uppercase letters are not reported as
    differences.
    """
    heading, first_row, second_row, three = TABLE.splitlines(keepends=True)
    assert list_differences(TABLE, TABLE) == []
    assert (
        list_differences(TABLE, heading + three + second_row + first_row.replace("fe01", "FE01"))
        == []
    )
    shared = TABLE.replace("fe02.contoso.com,FrontEnd,pool01.contoso.com,Taipei,,,,,",
                           "fe02.contoso.com,FrontEnd,pool01.contoso.com,Taipei,,,,web01.contoso.com,")  # fmt: skip
    assert list_differences(TABLE, shared) == []
    # The new value is the default for a blank cell.
    assert list_differences(TABLE.replace("2012R2", ""), TABLE) == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("fe02.", "fe03.",
         [("fe02.contoso.com", "server_fqdn", "fe02.contoso.com", ""),
          ("fe03.contoso.com", "server_fqdn", "", "fe03.contoso.com")]),
        ("edge01.contoso.com,Edge", "edge01.contoso.com,SBA",
         [("edge01.contoso.com", "role", "Edge", "SBA")]),
        ("Edge,edgepool.", "Edge,edge.",
         [("edge01.contoso.com", "pool_fqdn", "edgepool.contoso.com", "edge.contoso.com")]),
        ("edgepool.contoso.com,Taipei", "edgepool.contoso.com,Hualien",
         [("edge01.contoso.com", "site", "Taipei", "Hualien")]),
        ("contoso.com;fabrikam.com", "fabrikam.com;contoso.com",
         [("deployment", "sip_domains", "contoso.com;fabrikam.com", "fabrikam.com;contoso.com")]),
        ("//meet.", "//join.",
         [("Taipei", "meet_urls", "https://meet.contoso.com", "https://join.contoso.com")]),
        ("https://dialin.contoso.com", "",
         [("Taipei", "dialin_url", "https://dialin.contoso.com", "")]),
        ("web01.", "web02.",
         [("pool01.contoso.com as FrontEnd", "web_external_fqdn", "web01.contoso.com",
           "web02.contoso.com")]),
        (",true,", ",,", [("pool01.contoso.com as FrontEnd", "autologon", "true", "false")]),
        ("sip.contoso.com", "access.contoso.com",
         [("edgepool.contoso.com as Edge", "access_edge_fqdn", "sip.contoso.com",
           "access.contoso.com")]),
        ("x.contoso.com,,", "Internal=x.contoso.com,,",
         [("edgepool.contoso.com as Edge", "extra_san", "x.contoso.com",
           "Internal=x.contoso.com")]),
        ("x.contoso.com,,", "x.contoso.com,Internal=public,",
         [("edge01.contoso.com", "issuer", "", "Internal=public")]),
        ("x.contoso.com,,2012R2", "x.contoso.com,,2019",
         [("edge01.contoso.com", "target_os", "2012R2", "2019")]),
    ],
)  # fmt: skip
def test_each_different_value_is_listed(old, new, expected):
    """Each difference contains the object, the column, and both values, whichever topology is
    first.
    """
    changed = TABLE.replace(old, new)
    assert changed != TABLE
    assert list_differences(TABLE, changed) == expected
    assert sorted(list_differences(changed, TABLE)) == sorted(
        (entity, name, b, a) for entity, name, a, b in expected
    )


def test_a_table_and_a_topology_document_can_be_compared():
    """A table of servers and a topology document of the same servers do not differ. A column or
    partner role that only one of them contains is listed, but not compared.
    """
    clusters = [
        front_end(
            "pool01.contoso.com", ("fe01.contoso.com", "fe02.contoso.com"),
            external="web01.contoso.com",
        ),
        Cluster("edgepool.contoso.com", {"EdgeServer": edge("sip.contoso.com", "wc.contoso.com",
                                                            "av.contoso.com")},
                ("edge01.contoso.com",)),
    ]  # fmt: skip
    domains = ("contoso.com", "fabrikam.com")
    urls = (("Meet", "contoso.com", "https://meet.contoso.com"),
            ("Dialin", "*", "https://dialin.contoso.com"))  # fmt: skip
    document = topology_builder(clusters, domains=domains, urls=urls)
    table = TABLE + "rp01.contoso.com,ReverseProxy,,Taipei,,,,,,,,,2012R2\n"
    comparison = read_table(table).compare(read_table(document))
    assert comparison.differences == ()
    assert comparison.is_empty
    assert set(comparison.not_compared) == {
        *("autologon", "extra_san", "issuer", "target_os", "webconf_edge_fqdn", "av_edge_fqdn"),
        "ReverseProxy",
    }
    assert (
        read_table(topology_builder(clusters))
        .compare(read_table(make_published_topology(clusters)))
        .is_empty
    )
    assert "0 differences; in only one of the topologies: " in repr(comparison)


def test_sites_with_different_names():
    """If two topologies have different site names, lyncnb compares the simple URLs of the complete
    deployments.
    """
    renamed = TABLE.replace("Taipei", "台北").replace("//meet.", "//join.")
    differences = list_differences(TABLE, renamed)
    assert (
        "deployment",
        "meet_urls",
        "https://meet.contoso.com",
        "https://join.contoso.com",
    ) in differences
    assert sum(column == "site" for _, column, _, _ in differences) == 3


def test_equal_sources_are_numbered():
    """If two topologies have the same source, such as a DataFrame, the second column of values has a
    number in its heading.
    """
    frames = [read_table(text).to_frame() for text in (TABLE, TABLE.replace("web01.", "web02."))]
    comparison = read_topology(frames[0]).compare(read_topology(frames[1]))
    frame = comparison.to_frame()
    assert list(frame.columns) == ["About", "Column", "DataFrame", "DataFrame (2)"]
    assert list(frame["DataFrame (2)"]) == ["web02.contoso.com"]


def test_the_command_compares_the_rows(shell):
    """The compare command shows the rows of two tables, and each differing value once. The exit
    status is that of the certificates, or also of the rows if one side is a topology document.
    """
    shell.write("a.csv", TABLE)
    shell.write("b.csv", TABLE.replace("web01.", "web02."))
    shell.write("c.csv", TABLE.replace("Taipei", "Kaohsiung"))
    result = shell("compare", "a.csv", "a.csv")
    assert result.status == 0
    assert "\nRows: a.csv and a.csv: 0 differences\n\nNo certificate changes" in result.out
    result = shell("compare", "a.csv", "b.csv")
    assert result.status == 1
    assert (
        "pool01.contoso.com as FrontEnd: the column External web FQDN contains "
        '"web01.contoso.com" in the first topology, but contains "web02.contoso.com" in the second '
        "topology"
    ) in " ".join(result.out.split())
    document = json.loads(shell("compare", "a.csv", "b.csv", "--json").out)
    assert document["rows"]["format"] == "lyncnb-topology-difference/1"
    assert [row["column"] for row in document["rows"]["differences"]] == ["web_external_fqdn"]
    assert len(document["certificates"]) >= 1
    shell.write("d.tbxml", topology_builder([front_end("se01.contoso.com")]))
    assert shell("convert", "d.tbxml", "d.csv").status == 0
    table = (shell.folder / "d.csv").read_text("utf-8")
    shell.write("e.csv", table.replace("Taipei", "Kaohsiung"))
    header, *rows = table.splitlines()
    shell.write(
        "f.csv", "\n".join([f"{header},extra_san", *(f"{row},x.contoso.com" for row in rows)])
    )
    assert shell("compare", "d.tbxml", "d.csv").status == 0
    assert shell("compare", "d.tbxml", "e.csv").status == 1
    # The document has no column for further names, so only the certificates differ.
    assert shell("compare", "d.csv", "f.csv").status == 1
    assert shell("compare", "d.tbxml", "f.csv").status == 0
    page = shell("compare", "d.tbxml", "e.csv", "-o", "page.html")
    assert page.status == 1
    assert "Kaohsiung" in (shell.folder / "page.html").read_text("utf-8")
