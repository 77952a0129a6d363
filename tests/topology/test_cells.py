"""lyncnb stores each distinct cell text of a table once. Each problem and each correction names the
rows that it concerns.
"""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lyncnb.base.dns_name import DnsName
from lyncnb.base.pasted_text import BadName
from lyncnb.errors import TopologyError
from lyncnb.topology.cells import Cells, Report, read_cell, read_cells
from lyncnb.topology.columns import get_column, list_topology_columns
from lyncnb.topology.model import SimpleUrl
from lyncnb.topology.source_table import Note, Table, Texts


def cells_of(columns: dict[str, list[str]]) -> tuple[Cells, Report]:
    report = Report("contoso.csv")
    count = len(next(iter(columns.values())))
    table = Table(
        source="contoso.csv",
        columns=tuple(columns),
        texts=tuple(map(Texts.from_cells, columns.values())),
        rows=range(2, count + 2),
    )
    return read_cells(table, report), report


def test_names_are_texts_and_other_cells_have_values():
    """Reading a table keeps host names as text. For lists, URLs, and yes/no values, it stores the
    text and the converted value.
    """
    cells, report = cells_of(
        {
            "server_fqdn": ["fe01.contoso.net", "fe02.contoso.net"],
            "autologon": ["Yes", ""],
            "owner": [" Kim ", ""],
        }
    )
    assert cells.texts == {
        "server_fqdn": ["fe01.contoso.net", "fe02.contoso.net"],
        "autologon": ["true", ""],
        "owner": [" Kim ", ""],
    }
    assert all(type(name) is DnsName for name in cells.column("server_fqdn"))
    assert cells.values == {"autologon": {"true": True}}
    assert cells.value("autologon", "true") is True
    assert cells.value("server_fqdn", "fe01.contoso.net") == "fe01.contoso.net"
    assert cells.column("site") == ["", ""]
    assert cells.list_rows() == (
        ("fe01.contoso.net", "true", " Kim "),
        ("fe02.contoso.net", "", ""),
    )
    assert (report.problems, report.notes) == ([], [])


def test_every_bad_cell_is_a_problem_of_its_row():
    """If three rows contain the same invalid text, lyncnb reports three problems, each with the
    row, column, and value.
    """
    cells, report = cells_of(
        {"server_fqdn": ["pool01", "fe.contoso.net", "pool01"], "site": ["a", "b\nc", "d"]}
    )
    assert [(p.file, p.row, p.column, p.value) for p in report.problems] == [
        ("contoso.csv", 2, "server_fqdn", "pool01"),
        ("contoso.csv", 4, "server_fqdn", "pool01"),
        ("contoso.csv", 3, "site", "b\nc"),
    ]
    assert cells.column("server_fqdn") == ["", "fe.contoso.net", ""]
    with pytest.raises(TopologyError, match="3 problems") as caught:
        report.raise_any_problems()
    assert [problem.row for problem in caught.value.problems] == [2, 3, 4]


def test_a_correction_is_reported_once():
    """If many rows are corrected in the same way, there is one note, with the first row and the
    number of rows.
    """
    _, report = cells_of({"pool_fqdn": ["a.contoso.net", "B.contoso.net", "B.contoso.net"]})
    assert report.notes == [
        Note(
            row=3,
            column="pool_fqdn",
            before="B.contoso.net",
            after="b.contoso.net",
            message="changed to lowercase (2 rows)",
        )
    ]


@pytest.mark.parametrize("text", ["a\nb", "a\rb", "a\0b"])
def test_line_breaks_are_rejected_in_unused_columns(text):
    """A line break or NUL in a cell is an error, even in a column that lyncnb does not use."""
    _, report = cells_of({"owner": ["Kim", text, text]})
    assert [(p.row, p.column, p.value) for p in report.problems] == [
        (3, "owner", text),
        (4, "owner", text),
    ]


# --- These cases convert a cell to a value. The type of the column determines the conversion.


def url(text: str, host: str) -> SimpleUrl:
    return SimpleUrl(url=text, host=DnsName(host))


@pytest.mark.parametrize(
    ("name", "text", "clean", "value", "notes"),
    [
        ("server_fqdn", "fe01.contoso.net", "fe01.contoso.net", "fe01.contoso.net", ()),
        (
            "server_fqdn",
            " FE01.contoso.net. ",
            "fe01.contoso.net",
            "fe01.contoso.net",
            (
                "lyncnb removed leading and trailing white space",
                "changed to lowercase",
                "trailing dot removed",
            ),
        ),
        ("pool_fqdn", " \u3000", "", None, ()),
        # A yes/no cell can have several spellings.
        *(
            ("autologon", text, "true", True, ())
            for text in ("true", "TRUE", "Yes", "y", "1", "是")
        ),
        *(("autologon", text, "false", False, ()) for text in ("false", "No", "n", "0", " 否 ")),
        ("autologon", " ", "", None, ()),
        # A list that needs no correction is not changed.
        *(
            (
                "sip_domains",
                f"contoso.com{between}fabrikam.com",
                f"contoso.com{between}fabrikam.com",
                ("contoso.com", "fabrikam.com"),
                (),
            )
            for between in (";", ",", "|", " ", "; ", "\n", "\r\n", " , ")
        ),
        (
            "sip_domains",
            "Contoso.com, fabrikam.com,contoso.com",
            "contoso.com;fabrikam.com",
            ("contoso.com", "fabrikam.com"),
            ("changed to lowercase", "duplicate removed"),
        ),
        # Users with a Chinese keyboard type these separators.
        (
            "sip_domains",
            "contoso.com；fabrikam.com、litwareinc.com",
            "contoso.com;fabrikam.com;litwareinc.com",
            ("contoso.com", "fabrikam.com", "litwareinc.com"),
            ("lyncnb replaced the separators with semicolons",),
        ),
        ("sip_domains", " ; ", "", (), ()),
        (
            "extra_san",
            "AccessEdgeExternal = SIP.contoso.com",
            "AccessEdgeExternal=sip.contoso.com",
            (("AccessEdgeExternal", "sip.contoso.com"),),
            ("changed to lowercase",),
        ),
        (
            "extra_san",
            "LYNC *.contoso.com",
            "lync;*.contoso.com",
            (("", "lync"), ("", "*.contoso.com")),
            ("changed to lowercase",),
        ),
        # The complete text of a simple URL is kept, but only its host is a DNS name.
        (
            "dialin_url",
            "https://dialin.contoso.com",
            "https://dialin.contoso.com",
            url("https://dialin.contoso.com", "dialin.contoso.com"),
            (),
        ),
        (
            "dialin_url",
            "HTTPS://Lync.Contoso.com:443/Dialin?x",
            "https://lync.contoso.com:443/Dialin?x",
            url("https://lync.contoso.com:443/Dialin?x", "lync.contoso.com"),
            ("changed to lowercase",),
        ),
        (
            "admin_url",
            "https://管理.contoso.com/",
            "https://xn--8ey35n.contoso.com/",
            url("https://xn--8ey35n.contoso.com/", "xn--8ey35n.contoso.com"),
            ("internationalized name encoded as xn--8ey35n.contoso.com",),
        ),
        ("admin_url", "", "", None, ()),
        (
            "meet_urls",
            "https://meet.contoso.com; https://lync.fabrikam.com/Meet",
            "https://meet.contoso.com; https://lync.fabrikam.com/Meet",
            (
                url("https://meet.contoso.com", "meet.contoso.com"),
                url("https://lync.fabrikam.com/Meet", "lync.fabrikam.com"),
            ),
            (),
        ),
        ("site", "NA", "NA", "NA", ()),
        (
            "site",
            "\ufeff 台北 ",
            "台北",
            "台北",
            (
                "invisible character U+FEFF removed",
                "lyncnb removed leading and trailing white space",
            ),
        ),
        ("role", "FrontEnd", "FrontEnd", "FrontEnd", ()),
        (
            "role",
            " front end ",
            "FrontEnd",
            "FrontEnd",
            ("lyncnb interprets this value as the role FrontEnd",),
        ),
        ("role", "", "", None, ()),
        ("target_os", "2016", "2016", "2016", ()),
        ("target_os", "Windows Server 2008 R2", "2008R2", "2008R2", ("interpreted as 2008R2",)),
        ("target_os", " ", "", None, ()),
        ("issuer", "Internal", "internal", (("", "internal"),), ()),
        ("issuer", "", "", (), ()),
        (
            "issuer",
            "internal; AccessEdgeExternal = PUBLIC, Internal=internal",
            "internal;AccessEdgeExternal=public;Internal=internal",
            (("", "internal"), ("AccessEdgeExternal", "public"), ("Internal", "internal")),
            (),
        ),
    ],
)
def test_cells_become_values(name, text, clean, value, notes):
    """Reading a cell returns the corrected text, the value, and notes about the corrections."""
    assert read_cell(text, get_column(name)) == (clean, value, notes)


@pytest.mark.parametrize(
    ("name", "text", "message", "hint"),
    [
        (
            "server_fqdn",
            "pool01",
            '"pool01" is not a fully qualified',
            "for example pool01.contoso.com",
        ),
        (
            "server_fqdn",
            "*.contoso.com",
            "a wildcard, but this value must be a host name",
            "enter the complete host name",
        ),
        (
            "server_fqdn",
            "a.contoso.com\n",
            '"a.contoso.com<U+000A>" contains a line break',
            "remove the line break",
        ),
        (
            "server_fqdn",
            "a\0.contoso.com",
            "contains a NUL character",
            "type the text of this cell again",
        ),
        ("site", "Tai\npei", '"Tai<U+000A>pei" contains a line break', "remove the line break"),
        ("site", "Tai\rpei", "contains a line break", "remove the line break"),
        ("site", "Tai\0pei", '"Tai<U+0000>pei" contains a NUL', "type the text of this cell again"),
        ("site", "Tai\x07pei", "the control character U+0007", "type the text again"),
        (
            "sip_domains",
            "contoso.com;fabri\0kam.com",
            "control character U+0000",
            "type the text again",
        ),
        (
            "sip_domains",
            "contoso.com;10.1.1.1",
            '"10.1.1.1" is an IP address',
            "the server's DNS name",
        ),
        ("sip_domains", "contoso", '"contoso" is not a fully qualified', "contoso.contoso.com"),
        (
            "xmpp_domains",
            "*.contoso.com",
            "a wildcard, but this value must be a host name",
            "enter the complete host name",
        ),
        ("extra_san", "*.com.tw", "the names of all organizations under com.tw", "your own domain"),
        ("autologon", "maybe", '"maybe" is neither true nor false', "enter true or false"),
        ("autologon", "2", '"2" is neither', "enter true or false"),
        (
            "dialin_url",
            "dialin.contoso.com",
            "is not an https URL",
            "for example https://meet.contoso.com",
        ),
        (
            "dialin_url",
            "http://dialin.contoso.com",
            "is not an https URL",
            "enter the complete URL",
        ),
        ("dialin_url", "https://", "the name is empty", "enter a name"),
        ("dialin_url", "https:///x", "the name is empty", "enter a name"),
        (
            "dialin_url",
            "https://10.1.1.1/x",
            'the URL "https://10.1.1.1/x" is not valid: "10.1.1.1" is an IP',
            "the server's DNS name",
        ),
        ("dialin_url", "https://[::1]/x", "is an IP address", "the server's DNS name"),
        ("dialin_url", "https://kim@contoso.com", "is an e-mail or SIP address", "contoso.com"),
        ("dialin_url", "https://dialin/x", '"dialin" is not a fully qualified', "complete name"),
        (
            "dialin_url",
            "https://*.contoso.com",
            "a wildcard, but this value must be a host name",
            "the complete host name",
        ),
        (
            "dialin_url",
            "https://a.contoso.com/x y",
            "contains white space",
            "remove the white space",
        ),
        (
            "meet_urls",
            "https://meet.contoso.com;meet.fabrikam.com",
            '"meet.fabrikam.com" is no',
            "enter the complete URL",
        ),
        ("role", "Frontent", '"Frontent" is not a known role', "did you mean FrontEnd?"),
        (
            "role",
            "Toaster",
            '"Toaster" is not a known role',
            "enter one of these roles: StandardEd",
        ),
        (
            "target_os",
            "2003",
            '"2003" is not a valid value for target_os',
            "enter one of these values: 2008R2",
        ),
        ("issuer", "contoso-ca", '"contoso-ca" is not a valid issuer', "enter internal or public"),
        ("issuer", "Default=", '"Default=" is not a valid issuer', "or an issuer for each usage"),
        ("issuer", "=public", '"=public" is not a valid issuer', "or an issuer for each usage"),
        (
            "issuer",
            "internal;public",
            "contains two issuers for all usages",
            "keep only one issuer",
        ),
        (
            "issuer",
            "Default=internal;Default=public",
            "contains two issuers for Default",
            "keep only one",
        ),
    ],
)
def test_bad_cells_are_refused(name, text, message, hint):
    """If a cell is invalid, the error message contains its value and a hint."""
    with pytest.raises(BadName, match=re.escape(message)) as caught:
        read_cell(text, get_column(name))
    assert hint in caught.value.hint


@given(
    st.sampled_from(list_topology_columns()),
    st.one_of(
        st.text(max_size=30),
        st.text(st.sampled_from("aA.;, |*/:=是　\u200b"), max_size=20).map("https://a.bC/".__add__),
        st.sampled_from(["FE", "2012 R2", "Default=Public", "a.B;c.d", "YES"]),
    ),
)
def test_corrected_text_needs_no_correction(facts, text):
    """If the corrected text of a cell is read again, it has the same value and needs no correction."""
    try:
        clean, value, _ = read_cell(text, facts)
    except BadName:
        return
    assert read_cell(clean, facts)[:2] == (clean, value if clean else read_cell("", facts)[1])
