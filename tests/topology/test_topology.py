"""A table can be read as a topology and written again."""

from __future__ import annotations

import csv
import gc
import io
import itertools
import random
from dataclasses import replace

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lyncnb.errors import TopologyError
from lyncnb.rules.rule_files import load_rules
from lyncnb.topology.columns import list_topology_columns, list_topology_roles
from lyncnb.topology.topology import Topology, read_topology

SAMPLES = ["contoso", "single-server", "litwareinc-global", "contoso-zh-TW"]


def sample(data, name: str) -> Topology:
    return read_topology(data / f"{name}.csv")


@pytest.mark.parametrize("name", SAMPLES)
def test_samples_are_equal_after_conversions(data, name):
    """If a sample is converted to a DataFrame or to CSV and read again, it is equal to the original
    one.
    """
    check_conversions(sample(data, name))


def test_any_deployment_is_equal_after_conversions(any_deployment):
    """If the table of any deployment is converted and read again, it is equal to the original one."""
    check_conversions(read_topology(any_deployment.table))


def check_conversions(topology: Topology) -> None:
    """Convert a topology to a DataFrame and to CSV, and read each again."""
    assert read_topology(topology.to_frame()) == topology
    for reread in (
        read_topology(topology.to_frame(filled=False)),
        read_topology(topology.to_csv()),
    ):
        assert reread == topology
        assert (reread.columns, reread.cells) == (topology.columns, topology.cells)
        assert reread.notes == ()


@pytest.mark.parametrize("name", SAMPLES[:3])
def test_samples_without_corrections_are_written_unchanged(data, name):
    """If a table needs no corrections, it is written with the same headings and cells as in its
    file.
    """
    path = data / f"{name}.csv"
    output = read_topology(path).to_csv().decode("utf-8-sig")
    assert output.replace("\r\n", "\n") == path.read_text("utf-8")


def test_only_noted_cells_of_any_table_are_changed(any_deployment):
    """The table of any deployment is written with the cells of its file. Only headings, yes/no
    values and the cells in the notes are different.
    """
    topology = read_topology(any_deployment.table)
    file = list(csv.reader(any_deployment.table.read_text("utf-8-sig").splitlines()))
    output = list(csv.reader(topology.to_csv().decode("utf-8-sig").splitlines()))
    noted = {(note.before, note.after) for note in topology.notes} | {("是", "true")}
    pairs = zip(itertools.chain(*file[1:]), itertools.chain(*output[1:]), strict=True)
    assert {(before, after) for before, after in pairs if before != after} <= noted
    assert len(file[0]) == len(output[0])


@pytest.mark.parametrize(
    ("name", "rows", "pools", "sites", "domains"),
    [
        ("contoso", 13, 8, ["Taipei"], 2),
        ("single-server", 1, 1, [""], 1),
        ("litwareinc-global", 59, 35, ["London", "Redmond", "Singapore", "Taipei"], 5),
        ("contoso-zh-TW", 13, 8, ["台北"], 2),
    ],
)
def test_samples_have_the_expected_servers(data, name, rows, pools, sites, domains):
    """Each sample has the expected numbers of servers, pools and SIP domains, and the expected
    sites.
    """
    topology = sample(data, name)
    assert len(topology.cells) == len([*topology.computers]) == rows
    assert len(topology.pools) == pools
    assert [site.name for site in topology.sites] == sites
    assert len(topology.sip_domains) == domains


def test_the_first_sample_has_each_documented_role(data):
    """The sample contoso.csv has every role that occurs on Microsoft's page about requesting
    certificates in advance.
    """
    roles = {pool.role for pool in sample(data, "contoso").pools}
    assert {"StandardEdition", "FrontEnd", "Director", "Edge", "Mediation"} <= roles


def test_the_global_sample_has_every_role(data):
    """The sample litwareinc-global.csv has each role of Lync Server 2013, and each site has its own
    simple URLs.
    """
    topology = sample(data, "litwareinc-global")
    assert {pool.role for pool in topology.pools} == load_rules("lync2013").roles.keys()
    assert len({site.meet_urls for site in topology.sites}) == 4
    dialin = {site.name: site.dialin_url.host for site in topology.sites}
    assert dialin["Taipei"] == "lynctaipei.litwareinc.com"
    assert any(pool.list_names("xmpp_domains") for pool in topology.pools)


def test_a_table_in_chinese_is_the_same_deployment(data):
    """The sample in Chinese describes the same deployment as contoso.csv, except for the name of
    the site.
    """
    chinese, english = sample(data, "contoso-zh-TW"), sample(data, "contoso")
    assert [pool.computers for pool in chinese.pools] == [p.computers for p in english.pools]
    assert [(p.fqdn, p.role, p.flags) for p in chinese.pools] == [
        (p.fqdn, p.role, p.flags) for p in english.pools
    ]
    assert not chinese.remarks
    role = 'row 2, column role, "前端伺服器": lyncnb interprets this value as the role FrontEnd (3 rows)'
    assert role in map(str, chinese.notes)


def test_pandas_reads_every_sample(data):
    """pandas.read_csv can read every sample, and returns the same names and Chinese headings."""
    for name in SAMPLES:
        frame = pd.read_csv(data / f"{name}.csv", dtype=str)
        assert read_topology(frame).pools == sample(data, name).pools
    assert "伺服器" in pd.read_csv(data / "contoso-zh-TW.csv", dtype=str).columns
    assert (data / "contoso-zh-TW.csv").read_bytes().startswith(b"\xef\xbb\xbf")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp950"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_every_export_of_excel_loads(data, encoding, delimiter):
    """For each encoding and delimiter that Excel writes, the topology is the same."""
    topology = sample(data, "contoso-zh-TW")
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter).writerows([topology.columns, *topology.cells])
    assert read_topology(out.getvalue().encode(encoding)) == topology
    assert read_topology(f"sep={delimiter}\r\n{out.getvalue()}".encode(encoding)) == topology


SITES = "server_fqdn,role,site,sip_domains\n" + "".join(
    f"se0{number}.contoso.com,StandardEdition,{site},contoso.com\n"
    for number, site in enumerate(
        ("台北", "臺北", "臺北", "台中", "臺中", "Hsinchu", "HSINCHU", "Hsinchu"), 1
    )
)


def test_two_spellings_of_a_site_are_one_site():
    """If two site names differ only in letter case, or only in the characters 台 and 臺, lyncnb
    treats them as one site.

    A note states that the most frequent spelling is used.
    """
    topology = read_topology(SITES.encode())
    assert [site.name for site in topology.sites] == ["Hsinchu", "台中", "臺北"]
    (note,) = [note for note in topology.notes if note.before == "台北"]
    assert (note.row, note.column, note.after) == (2, "site", "臺北")
    assert (
        note.message
        == "lyncnb interprets this value as 臺北, because the two spellings mean the same site"
    )
    (note,) = [note for note in topology.notes if note.before == "HSINCHU"]
    assert (note.row, note.after) == (8, "Hsinchu")
    assert (
        note.message
        == "lyncnb interprets this value as Hsinchu, because the two spellings mean the same site"
    )
    head, *rows = SITES.splitlines(keepends=True)
    reordered = read_topology((head + "".join(reversed(rows))).encode())
    assert [(pool.fqdn, pool.site) for pool in reordered.pools] == [
        (pool.fqdn, pool.site) for pool in topology.pools
    ]
    assert read_topology(topology.to_csv()).sites == topology.sites


def test_an_edited_row_joins_the_existing_site():
    """If a row is edited, and its site is a different spelling of an existing site, the row belongs
    to the existing site.

    If all rows have the new spelling, it becomes the name of the site.
    """
    topology = read_topology(SITES.encode())
    column = topology.columns.index("site")
    assert topology.with_cells({3: {"site": "台北"}}).cells[3][column] == "臺北"
    all_new = topology.with_cells({0: {"site": "台北"}, 1: {"site": "台北"}, 2: {"site": "台北"}})
    assert [site.name for site in all_new.sites] == ["Hsinchu", "台中", "台北"]


def test_corrections_are_listed():
    """lyncnb corrects uppercase letters, trailing dots, white space, and invisible characters, and
    describes each correction in a note.
    """
    topology = read_topology(
        "Server,Role,Site,SIP Domain\n"
        "FE01.Contoso.net.,fe,\u00a0Taipei,分公司.contoso.com\n"
        "fe02\u200b.contoso.net,FrontEnd,Taipei,\n".encode()
    )
    assert [(n.row, n.column, n.before, n.after, n.message) for n in topology.notes] == [
        (2, "server_fqdn", "FE01.Contoso.net.", "fe01.contoso.net",
         "changed to lowercase; trailing dot removed"),
        (3, "server_fqdn", "fe02\u200b.contoso.net", "fe02.contoso.net",
         "invisible character U+200B removed"),
        (2, "role", "fe", "FrontEnd", "lyncnb interprets this value as the role FrontEnd"),
        (2, "site", "\u00a0Taipei", "Taipei", "lyncnb removed leading and trailing white space"),
        (2, "sip_domains", "分公司.contoso.com", "xn--55q8nz3c.contoso.com",
         "internationalized name encoded as xn--55q8nz3c.contoso.com"),
    ]  # fmt: skip
    assert topology.columns == ("server_fqdn", "role", "site", "sip_domains")
    assert topology.cells[0] == (
        "fe01.contoso.net",
        "FrontEnd",
        "Taipei",
        "xn--55q8nz3c.contoso.com",
    )


def test_unknown_columns_are_written_unchanged():
    """An unknown column keeps its heading, its position and its cells when the table is written."""
    table = "Owner ,server_fqdn,NA,role,sip_domains\n  Kim  ,a.contoso.net,007,SE,contoso.com\n"
    topology = read_topology(table.encode())
    assert topology.columns == ("Owner ", "server_fqdn", "NA", "role", "sip_domains")
    assert topology.cells == (
        ("  Kim  ", "a.contoso.net", "007", "StandardEdition", "contoso.com"),
    )
    assert list(topology.to_frame().iloc[0]) == list(topology.cells[0])


def test_a_site_called_na_is_a_site():
    """lyncnb reads the site name "NA" as text, both from a file and from a DataFrame."""
    table = b"fqdn,role,site,sip_domains\na.contoso.net,SE,NA,contoso.com\n"
    assert [site.name for site in read_topology(table).sites] == ["NA"]
    assert list(read_topology(table).to_frame()["site"]) == ["NA"]


def test_all_problems_are_raised_at_once():
    """If a file has many errors, one message lists all of them, in the order of rows."""
    table = (
        "fqdn,role,pool,site,sip_domains,autologon,target_os\n"
        "pool01,FE,,,contoso.com,,\n"
        "a.contoso.net,Toaster,,,,,\n"
        "b.contoso.net,SE\n"
        "10.1.1.1,SE,,,,maybe,\n"
        "c.contoso.net,SE,,,,,1999\n"
        'd.contoso.net,SE,,"Tai\npei",,,\n'
    )
    with pytest.raises(TopologyError, match='lyncnb cannot use "table": 7 problems') as caught:
        read_topology(table.encode())
    assert [(p.row, p.column, p.value) for p in caught.value.problems] == [
        (2, "server_fqdn", "pool01"),
        (3, "role", "Toaster"),
        (4, "", "b.contoso.net"),
        (5, "server_fqdn", "10.1.1.1"),
        (5, "autologon", "maybe"),
        (6, "target_os", "1999"),
        (7, "site", "Tai\npei"),
    ]
    assert all(p.file == "table" and p.hint and p.message for p in caught.value.problems)
    assert caught.value.exit_status == 2


def test_a_problem_has_location_value_and_hint(tmp_path):
    """The text of a problem contains the file, the row, the column, the value and a hint."""
    path = tmp_path / "contoso.csv"
    path.write_text("fqdn,role,pool,sip_domains\na.contoso.net,FE,pool01,contoso.com\n")
    with pytest.raises(TopologyError) as caught:
        read_topology(path)
    assert str(caught.value) == (
        'lyncnb cannot use "contoso.csv": 1 problem\n'
        'contoso.csv row 2, column pool_fqdn: "pool01" is not a fully qualified domain name\n'
        "  hint: enter the complete name, for example pool01.contoso.net\n"
        "  hint: to correct the cells in a grid, open the table in the plan editor: "
        "ln.PlanEditor(FILE). To make the safe corrections, run lyncnb check FILE --fix"
    )


@pytest.mark.parametrize("name", ["server_fqdn", "web_external_fqdn"])
@pytest.mark.parametrize("fqdn", ["a_b.contoso.net", "fe01.contoso.local", "xn--fa-hia.de"])
def test_unusual_but_valid_names_are_kept(name, fqdn):
    """lyncnb accepts names with an underscore, an internal suffix, or international characters in a
    table. The rules evaluate these names later.
    """
    cells = {"server_fqdn": "fe01.contoso.net", "web_external_fqdn": "", name: fqdn}
    table = f"role,sip_domains,{','.join(cells)}\nSE,contoso.com,{','.join(cells.values())}\n"
    (pool,) = read_topology(table.encode()).pools
    assert fqdn in (pool.fqdn, pool.web_external_fqdn)


# -- properties

hosts = st.sampled_from([f"{label}.contoso.net" for label in ("a", "b", "fe01", "x-y", "_c")])
roles = st.sampled_from([role.id for role in list_topology_roles()])
by_kind = {
    "fqdn": st.one_of(st.just(""), hosts),
    "fqdn_list": st.one_of(st.just(""), st.lists(hosts, unique=True, max_size=3).map(";".join)),
    "fqdn_list_by_usage": st.sampled_from(["", "lync", "Default=a.contoso.com;b.contoso.com"]),
    "url": st.sampled_from(["", "https://lync.contoso.com/Dialin"]),
    "url_list": st.sampled_from(["", "https://meet.contoso.com;https://lync.fabrikam.com/Meet"]),
    "bool": st.sampled_from(["", "true", "false"]),
    "text": st.sampled_from(["", "Taipei", "NA", "007", "台北", "a,b", 'x"y']),
    "choice": st.sampled_from(["", "2008R2", "2016"]),
    "issuer": st.sampled_from(["", "internal", "Default=public;Internal=internal"]),
}


@st.composite
def clean_tables(draw):
    """Return a random table without errors, with pools and unknown columns in any order."""
    known = [
        c for c in list_topology_columns() if c.name not in ("server_fqdn", "role", "pool_fqdn")
    ]
    columns = draw(st.lists(st.sampled_from(known), unique=True, max_size=8))
    names = ["server_fqdn", "role", "pool_fqdn", "sip_domains", "Owner", *(c.name for c in columns)]
    sites = {}
    rows = []
    for number in range(draw(st.integers(1, 4))):
        pool = {"role": draw(roles), "pool_fqdn": f"pool{number}.contoso.net"}
        pool["site"] = draw(by_kind["text"])
        pool |= {c.name: draw(by_kind[c.kind]) for c in columns if c.scope in ("pool", "site")}
        for c in columns:
            if c.scope == "site":
                pool[c.name] = sites.setdefault((pool["site"], c.name), pool[c.name])
        for member in range(draw(st.integers(1, 3))):
            row = {**pool, "server_fqdn": f"s{number}{member}.contoso.net"}
            row |= {
                c.name: draw(by_kind[c.kind])
                for c in columns
                if c.scope == "server" and c.name != "site"
            }
            row["sip_domains"] = "contoso.com;fabrikam.com" if not rows else ""
            row["Owner"] = draw(st.sampled_from(["", "Kim", " Kim ", "=1+1", "台北"]))
            rows.append(row)
    names = draw(st.permutations(list(dict.fromkeys(names))))
    return names, [[row.get(name, "") for name in names] for row in rows]


def as_csv(names, rows, **settings) -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out, **settings).writerows([names, *rows])
    return out.getvalue().encode()


@pytest.mark.slow
@given(clean_tables())
def test_a_table_without_errors_is_written_unchanged(table):
    """If a table without errors is read from CSV and written again, it is unchanged."""
    topology = read_topology(as_csv(*table))
    assert topology.to_csv() == b"\xef\xbb\xbf" + as_csv(*table)
    assert topology.notes == ()
    assert read_topology(topology.to_frame()) == read_topology(topology.to_csv()) == topology


@pytest.mark.slow
@given(clean_tables(), st.randoms(use_true_random=False))
def test_filtering_rows_does_not_change_shared_values(table, chance):
    """If a user filters the rows of a data frame, the remaining rows keep their shared values,
    because each row of a data frame contains these values.
    """
    names, rows = table
    seen = set()
    # The values of a pool are in its first row, and in some cases also in other rows.
    for row in rows:
        pool = row[names.index("pool_fqdn")]
        for facts in list_topology_columns():
            is_shared = facts.name in names and facts.scope in ("pool", "site")
            if is_shared and pool in seen and chance.random() < 0.7:
                row[names.index(facts.name)] = ""
        seen.add(pool)
    topology = read_topology(as_csv(names, rows))
    frame = topology.to_frame()
    assert read_topology(frame) == topology
    removed_row = chance.randrange(len(rows))
    if len(rows) > 1:
        remaining = read_topology(frame.drop(index=removed_row))
        assert remaining.sip_domains == topology.sip_domains
        assert {site.name: site for site in topology.sites}.items() >= {
            site.name: site for site in remaining.sites
        }.items()
        before = {pool.fqdn: replace(pool, computers=()) for pool in topology.pools}
        assert all(replace(pool, computers=()) == before[pool.fqdn] for pool in remaining.pools)


@pytest.mark.slow
@given(clean_tables(), st.randoms(use_true_random=False))
def test_row_order_changes_nothing(table, shuffle):
    """The order of rows and columns does not affect the topology."""
    names, rows = table
    topology = read_topology(as_csv(names, rows))
    mixed = shuffle.sample(rows, len(rows))
    order = shuffle.sample(range(len(names)), len(names))
    other = read_topology(
        as_csv(
            [names[index] for index in order], [[row[index] for index in order] for row in mixed]
        )
    )
    assert other == topology
    assert [repr(p.fqdn) for p in other.pools] == [repr(p.fqdn) for p in topology.pools]


@pytest.mark.slow
@given(clean_tables(), st.randoms(use_true_random=False))
def test_case_and_separators_change_nothing(table, mix):
    """The case of names and headings, and the separators in headings, do not affect the topology."""
    names, rows = table
    loose = [mix.choice((n, n.upper(), n.replace("_", " "), n.replace("_", "-"))) for n in names]
    kinds = {c.name: c.kind for c in list_topology_columns()}
    loud = [
        [
            "".join(mix.choice((c.upper(), c)) for c in cell)
            if kinds.get(name) in ("fqdn", "fqdn_list", "bool", "choice")
            else cell
            for name, cell in zip(names, row)
        ]
        for row in rows
    ]
    assert read_topology(as_csv(loose, loud)) == read_topology(as_csv(names, rows))


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_cause_one_error(data):
    """Whatever a file contains, reading it results in a topology or in a single `LyncnbError`."""
    try:
        topology = read_topology(data)
    except TopologyError:
        return
    assert read_topology(topology.to_csv()) == topology


@given(st.text(st.sampled_from('ab.,;"\n\r\t\0 é台'), max_size=60))
def test_any_table_is_read_or_causes_one_error(text):
    """For any content below valid headings, the result is a topology or one lyncnb error."""
    try:
        topology = read_topology(
            f"server_fqdn,role,sip_domains\nx.contoso.net,SE,contoso.com\n{text}".encode()
        )
    except TopologyError:
        return
    assert read_topology(topology.to_csv()) == topology


@pytest.mark.slow
def test_the_faster_method_has_the_same_result(data):
    """For a large table, lyncnb uses a faster method. The resulting topology is the same as the one
    from a DataFrame.
    """
    rows = ["server_fqdn,role,pool_fqdn,sip_domains,owner"]
    for number in range(35_000):
        rows.append(
            f"fe{number}.contoso.net,FE,pool{number // 6}.contoso.net,"
            f"{'contoso.com;fabrikam.com' if number == 0 else ''},{'x' * 300}"
        )
    shuffled = [rows[0], *random.Random(1).sample(rows[1:], len(rows) - 1)]
    table = "\n".join(shuffled).encode()
    assert len(table) > 12_000_000
    topology = read_topology(table)
    assert topology == read_topology(
        pd.DataFrame([r.split(",") for r in rows[1:]], columns=rows[0].split(","))
    )
    assert len(topology.pools) == 5834
    assert read_topology(topology.to_csv()) == topology


@pytest.mark.parametrize("enabled", [True, False])
def test_the_state_of_the_garbage_collector_is_restored(data, enabled):
    """While a table is read, the garbage collector is paused. Its previous state is restored, even
    after an error.
    """
    # When Python 3.12 starts, some objects are already frozen.
    was, frozen = gc.isenabled(), gc.get_freeze_count()
    try:
        (gc.enable if enabled else gc.disable)()
        sample(data, "contoso")
        assert gc.isenabled() is enabled
        with pytest.raises(TopologyError):
            read_topology(b"nothing")
        assert gc.isenabled() is enabled
        assert gc.get_freeze_count() == frozen
    finally:
        (gc.enable if was else gc.disable)()


def test_a_topology_is_shown_as_an_escaped_table():
    """In a notebook, a topology is shown as a table with a caption, and special characters in its
    text are escaped.
    """
    topology = read_topology(
        b"fqdn,role,site,sip_domains,owner\na.contoso.net,SE,<b>,contoso.com,<script>\n"
    )
    assert repr(topology) == (
        "table: 1 row, 1 pool, 1 site, SIP domains contoso.com\n"
        '  note: lyncnb does not read these columns: "owner"'
    )
    page = topology._repr_html_()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "table: 1 row, 1 pool, 1 site, SIP domains contoso.com" in page


@pytest.mark.parametrize("column", ["server_fqdn", "site", "notes"])
def test_an_unpaired_surrogate_is_rejected(column):
    """If a DataFrame contains an unpaired surrogate, it is rejected, because no file or certificate
    can contain it.
    """
    row = {"server_fqdn": "fe01.contoso.com", "role": "FrontEnd", "sip_domains": "contoso.com"}
    frame = pd.DataFrame([row | {column: f"{row.get(column, '')}\ud800"}], dtype=object)
    with pytest.raises(TopologyError) as caught:
        read_topology(frame)
    (problem,) = caught.value.problems
    assert (problem.row, problem.column) == (2, column)
    assert "U+D800" in str(caught.value)
