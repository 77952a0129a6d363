"""Topology Builder's file and the published topology contain the same servers as a table that a
person enters.

With LYNCNB_DOCUMENTS, real documents in a folder are read too. This module has only their counts
and digests.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from powershell_kit import commands, parse
from shell_kit import make_shell
from topology_documents import (
    DIRECTOR,
    Cluster,
    edge,
    front_end,
    make_exported_topology,
    make_published_topology,
    topology_builder,
    web,
)

from lyncnb.checks.check_plan import check_plan
from lyncnb.errors import TopologyError
from lyncnb.plan.planner import plan_certificates
from lyncnb.rules.rule_files import load_rules
from lyncnb.topology import topology_document
from lyncnb.topology.topology import read_topology
from lyncnb.topology.xml_tree import EXPORTED

shell = pytest.fixture(make_shell)

FORMS = {
    "Topology Builder": topology_builder,
    "published": make_published_topology,
    "exported": make_exported_topology,
}

EVERYTHING = [
    front_end(
        "SE01.Contoso.com", databases=("UserStore", "CentralMgmtStore"), beside=["FileStore"]
    ),
    front_end(
        "pool01.contoso.com",
        ("fe01.contoso.com", "fe02.contoso.com"),
        internal="webint.contoso.com",
        beside=["MediationServer", "PersistentChat"],
    ),
    front_end("pool02.contoso.com", ("fe09.contoso.com",), site="Kaohsiung"),
    front_end("dir01.contoso.com", registrar=DIRECTOR),
    Cluster(
        "edgepool.contoso.com",
        {"EdgeServer": edge("sip.contoso.com", "wc.contoso.com", "av.contoso.com")},
        ("edge01.contoso.com", "edge02.contoso.com"),
    ),
    Cluster("edge09.contoso.com", {"EdgeServer": edge(*["one.contoso.com"] * 3)}, ()),
    Cluster("med.contoso.com", {"MediationServer": ""}, ("med01.contoso.com",)),
    Cluster("chat.contoso.com", {"PersistentChat": ""}, ("chat01.contoso.com",)),
    Cluster("owas.contoso.com", {"WacService": ""}, ()),
    Cluster("app.contoso.com", {"ExternalServer": ""}, ("app01.contoso.com",)),
    Cluster("sba.contoso.com", {"Registrar": "", "MediationServer": ""}, branch="Hualien"),
    Cluster("vis.contoso.com", {"VideoInteropServer": ""}),
    Cluster("gw.contoso.com", {"PstnGateway": ""}),
    Cluster("sql.contoso.com", databases=("UserStore", "ArchivingStore")),
    Cluster("contoso.com", {"FileStore": ""}),
    Cluster("new.contoso.com", {"TeaService": ""}),
]
ROWS = [
    ("se01.contoso.com", "StandardEdition", "se01.contoso.com", "Taipei"),
    ("fe01.contoso.com", "FrontEnd", "pool01.contoso.com", "Taipei"),
    ("fe02.contoso.com", "FrontEnd", "pool01.contoso.com", "Taipei"),
    ("fe01.contoso.com", "Mediation", "pool01.contoso.com", "Taipei"),
    ("fe02.contoso.com", "Mediation", "pool01.contoso.com", "Taipei"),
    ("fe01.contoso.com", "PersistentChat", "pool01.contoso.com", "Taipei"),
    ("fe02.contoso.com", "PersistentChat", "pool01.contoso.com", "Taipei"),
    ("fe09.contoso.com", "FrontEnd", "pool02.contoso.com", "Kaohsiung"),
    ("dir01.contoso.com", "Director", "dir01.contoso.com", "Taipei"),
    ("edge01.contoso.com", "Edge", "edgepool.contoso.com", "Taipei"),
    ("edge02.contoso.com", "Edge", "edgepool.contoso.com", "Taipei"),
    ("edge09.contoso.com", "Edge", "edge09.contoso.com", "Taipei"),
    ("med01.contoso.com", "Mediation", "med.contoso.com", "Taipei"),
    ("chat01.contoso.com", "PersistentChat", "chat.contoso.com", "Taipei"),
    ("owas.contoso.com", "OfficeWebApps", "owas.contoso.com", "Taipei"),
    ("app01.contoso.com", "TrustedApplication", "app.contoso.com", "Taipei"),
    ("sba.contoso.com", "SBA", "sba.contoso.com", "Hualien"),
    ("vis.contoso.com", "VideoInterop", "vis.contoso.com", "Taipei"),
]


def read_document(document: str):
    """Read a topology document from a string."""
    return read_topology(document.encode())


def cells_of(topology, *columns: str) -> list[tuple[str, ...]]:
    """Return the given columns of the table that lyncnb creates from a topology document."""
    indexes = [topology.columns.index(column) for column in columns]
    return [tuple(row[index] for index in indexes) for row in topology.cells]


@pytest.mark.parametrize("form", FORMS)
def test_every_role_is_read_from_its_services(form):
    """For each server and role, the table has one row with the pool and the site."""
    topology = read_document(FORMS[form](EVERYTHING, domains=("contoso.com", "fabrikam.com")))
    assert sorted(ROWS) == sorted(cells_of(topology, "server_fqdn", "role", "pool_fqdn", "site"))
    # The default SIP domain is the first in the list.
    assert topology.sip_domains == ("contoso.com", "fabrikam.com")


@pytest.mark.parametrize("form", FORMS)
def test_the_names_of_pools(form):
    """Each pool has its external and internal web names, and an Edge pool has its three names or
    its single name.
    """
    topology = read_document(FORMS[form](EVERYTHING))
    cells = {
        row[0]: row[1:]
        for row in cells_of(topology, "pool_fqdn", "web_external_fqdn", "web_internal_fqdn")
        if row[1]
    }
    assert cells == {
        "se01.contoso.com": ("web-se01.contoso.com", ""),
        "pool01.contoso.com": ("web-pool01.contoso.com", "webint.contoso.com"),
        "pool02.contoso.com": ("web-pool02.contoso.com", ""),
        "dir01.contoso.com": ("web-dir01.contoso.com", ""),
    }
    columns = ("access_edge_fqdn", "webconf_edge_fqdn", "av_edge_fqdn")
    assert [row for row in cells_of(topology, *columns) if row[0]] == [
        ("sip.contoso.com", "wc.contoso.com", "av.contoso.com"),
        ("one.contoso.com",) * 3,
    ]


def test_simple_urls_are_in_the_order_of_their_domains():
    """The Meet URLs are in the order of the SIP domains, and the URL of the default domain is
    first.

    The published topology contains no Meet URLs, so a note requests them.
    """
    domains = ("contoso.com", "fabrikam.com")
    topology = read_document(topology_builder(EVERYTHING, domains=domains))
    assert cells_of(topology, "meet_urls", "dialin_url")[0] == (
        "https://meet.contoso.com;https://meet.fabrikam.com",
        "https://dialin.contoso.com",
    )
    notes = [str(note) for note in read_document(make_published_topology(EVERYTHING)).notes]
    assert (
        "the topology document does not contain the answer to this question: what are the simple URLs (meet_urls, dialin_url, admin_url)?"
        in notes
    )


def test_an_export_has_the_simple_urls():
    """The file that `lyncnb snippet topology` writes contains the published topology and its simple
    URLs.
    """
    domains = ("contoso.com", "fabrikam.com")
    assert read_document(make_exported_topology(EVERYTHING, domains=domains)) == read_document(
        topology_builder(EVERYTHING, domains=domains)
    )
    urls = (
        ("Global", "Meet", "contoso.com", "https://meet.contoso.com"),
        ("Global", "Dialin", "*", "https://dialin.contoso.com"),
        ("Site:Kaohsiung", "Meet", "contoso.com", "https://meet-k.contoso.com"),
    )
    topology = read_document(make_exported_topology(EVERYTHING, urls=urls))
    urls_by_site = {site.name: [url.url for url in site.meet_urls] for site in topology.sites}
    assert urls_by_site["Kaohsiung"] == ["https://meet-k.contoso.com"]
    assert urls_by_site["Taipei"] == ["https://meet.contoso.com"]
    assert {site.dialin_url.host for site in topology.sites} == {"dialin.contoso.com"}


@pytest.mark.parametrize("form", FORMS)
def test_services_without_a_row_are_reported(form):
    """lyncnb adds no rows for databases, stores, gateways, unknown elements and missing values, but
    reports them.
    """
    notes = [str(note) for note in read_document(FORMS[form](EVERYTHING)).notes]
    for words in (
        "the topology document is for Lync Server 2013",
        'lyncnb added no row for "sql.contoso.com": the product requires no certificate',
        'lyncnb added no row for "contoso.com": the product requires no certificate for a file store',
        'lyncnb added no row for "gw.contoso.com": a PSTN gateway is not part of the product',
        'lyncnb does not support the service "TeaService" on "new.contoso.com"',
        "the topology document does not contain the answer to this question: which pool do clients sign in to automatically",
        "the topology document does not contain the answer to this question: do the branch sites use an appliance (SBA) or a server (SBS)?",
        "the topology document does not contain the answer to this question: which certificates need an issuer other than",
        "to answer these questions, create a table with lyncnb convert and fill in the columns in",
    ):
        assert [note for note in notes if words in note], words
    assert not [
        note for note in notes if "added no row" in note and "SE01" in note.upper()
    ]  # The database and the file store of SE01 belong to the Standard Edition server.


def test_the_previous_topology_is_ignored():
    """The element OriginalTopology is ignored, because it repeats the servers that were published
    previously.
    """
    old, new = [front_end("se01.contoso.com")], [front_end("se02.contoso.com")]
    assert cells_of(read_document(topology_builder(new, original=old)), "server_fqdn") == [
        ("se02.contoso.com",)
    ]
    only = topology_builder(old).replace("NewTopology", "OriginalTopology")
    assert cells_of(read_document(only), "server_fqdn") == [("se01.contoso.com",)]


def test_unknown_elements_are_ignored():
    """lyncnb ignores elements of a later version in a topology document, and reads all other
    elements.
    """
    extra_elements = (
        '<Tea xmlns="urn:later"><Service RoleName="x" /><Cups Count="9">many</Cups></Tea>'
    )
    with_more = read_document(topology_builder(EVERYTHING, more=extra_elements))
    assert with_more == read_document(topology_builder(EVERYTHING))


@pytest.mark.parametrize(
    ("version", "product"),
    [("5", "lync2010"), ("6", "lync2013"), ("7", "sfb2015"), ("8", "sfb2019"), ("99", "")],
)
def test_the_version_determines_the_product(version, product):
    """The product is determined by the version of the services. If the version is unknown, no
    product is selected.
    """
    for form in FORMS.values():
        assert read_document(form(EVERYTHING[:1], version=version)).product == product


@pytest.mark.parametrize(
    ("encoding", "mark"),
    [("utf-8", b""), ("utf-8", b"\xef\xbb\xbf"), ("utf-16-le", b"\xff\xfe"), ("utf-16-le", b""),
     ("utf-16-be", b"\xfe\xff")],
)  # fmt: skip
def test_the_encoding_is_detected_from_the_bytes(encoding, mark):
    """The encoding is detected from the bytes, because Out-File writes UTF-16 even if the XML
    declaration says otherwise.
    """
    document = topology_builder([front_end("se01.contoso.com", site="台北")])
    topology = read_topology(mark + document.encode(encoding))
    assert cells_of(topology, "site") == [("台北",)]


@pytest.mark.posix  # In this test, PowerShell on Linux parses the snippet.
def test_the_snippet_writes_a_readable_file(shell):
    """The PowerShell snippet is ASCII, can be parsed, changes nothing on a server, and writes a
    file that lyncnb can read.
    """
    result = shell("snippet", "topology")
    assert result.status == 0
    assert result.out.isascii()
    assert parse(result.out).errors == ()
    assert {command.name for command in commands(result.out)} == {
        *("Get-CsTopology", "Get-CsSimpleUrlConfiguration", "New-Object", "Write-Output"),
        *("Join-Path", "Get-Location", "Test-Path"),
    }
    assert EXPORTED == f"{NAMESPACE.search(result.out)[1]} Export"
    for attribute in ("Identity", "Component", "Domain", "ActiveUrl"):
        assert f"SetAttribute('{attribute}'" in result.out


NAMESPACE = re.compile(r"\$namespace = '(.+)'")


# --- These topology documents are invalid or malicious.

NS = 'xmlns="urn:schema:Microsoft.Rtc.Management.Deploy.Topology.2008"'
SOUND = topology_builder(EVERYTHING)
BAD = {
    "a web page": (
        "<html><body>Hello</body></html>",
        'not a topology: it is an XML or HTML document that begins with the element "html"',
    ),
    "a web page with doctype": ("<!DOCTYPE html><html></html>", "with a document type"),
    "another root": ("<Topology/>", 'document that begins with the element "Topology"'),
    "nothing": ("<?xml version='1.0'?>", "ends unexpectedly in line 1"),
    "no server": (f"<Topology {NS}></Topology>", "contains no server that needs a certificate"),
    "cut": (SOUND[: len(SOUND) // 2], "ends unexpectedly in line 2"),
    "no XML": (SOUND.replace("</Services>", "</Service>"), "is damaged in line 2"),
    "an entity": (
        f'<!DOCTYPE t [<!ENTITY a "b">]><Topology {NS}>&a;</Topology>',
        "with a document type",
    ),
    "a file from elsewhere": (
        f'<!DOCTYPE t [<!ENTITY a SYSTEM "file:///etc/passwd">]><Topology {NS}>&a;</Topology>',
        "with a document type",
    ),
    "a type from the network": (
        f'<!DOCTYPE t SYSTEM "http://127.0.0.1:9/x.dtd"><Topology {NS} />',
        "with a document type",
    ),
    "too deep": (f"<Topology {NS}>" + "<a>" * 100_000, "more elements, or deeper nesting"),
    "too many": (f"<Topology {NS}>" + "<a/>" * 500_000, "more elements, or deeper nesting"),
    "an unknown entity": (f"<Topology {NS}>&nbsp;</Topology>", "is damaged in line 1"),
    "too large": (f"<Topology {NS}>" + " " * 32_000_000, "which is too large for a topology"),
    "no text": (f"<Topology {NS}>\ud800</Topology>", "UTF-8"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", BAD)
def test_files_that_are_not_topology_documents(name, tmp_path):
    """If a file is not a topology document, lyncnb rejects it with a clear message within seconds,
    and reads no other file.
    """
    text, message = BAD[name]
    path = tmp_path / "t.tbxml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    start = time.process_time()
    with pytest.raises(TopologyError) as refused:
        read_topology(path)
    assert time.process_time() - start < 5
    assert str(refused.value).startswith("t.tbxml ")
    assert message in str(refused.value)
    assert refused.value.hint


def test_nested_entities_are_rejected():
    """lyncnb rejects a document in which nested entities would expand a thousand bytes to a billion
    bytes.
    """
    entities = '<!ENTITY a0 "ha">' + "".join(
        f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10)
    )
    with pytest.raises(TopologyError, match="document type"):
        read_document(f"<!DOCTYPE t [{entities}]><Topology {NS}>&a9;</Topology>")


def test_a_truncated_document():
    """A truncated topology document is rejected."""
    for end in range(1, len(SOUND), 97):
        with pytest.raises(TopologyError) as refused:
            read_document(SOUND[:end])
        assert "table is an XML or HTML document" in str(refused.value), end


def test_invalid_names_are_reported_as_in_a_table():
    """lyncnb reports invalid names in a topology document in the same way as in a table."""
    with pytest.raises(TopologyError) as refused:
        read_document(topology_builder([front_end("se 01.contoso.com")]))
    assert {problem.column for problem in refused.value.problems} >= {"server_fqdn", "pool_fqdn"}


# --- These tests use random topology documents, large topology documents, and commands.

LABELS = st.from_regex(r"[A-Za-z][a-z0-9]{0,8}", fullmatch=True)
COMPONENTS = {
    "FrontEnd": {"UserServices": "", "Registrar": "", "WebServices": web("web.contoso.com")},
    "Director": {"Registrar": DIRECTOR},
    "Edge": {"EdgeServer": edge("a.contoso.com", "b.contoso.com", "c.contoso.com")},
    "Mediation": {"MediationServer": ""},
    "PersistentChat": {"PersistentChat": ""},
    "TrustedApplication": {"ExternalServer": ""},
}


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(sorted(COMPONENTS)), st.integers(1, 4), LABELS),
        min_size=1,
        max_size=8,
    ),
    st.sampled_from(sorted(FORMS)),
)
def test_any_deployment_is_read_completely(pools, form):
    """For any deployment, each pool has its role and its servers, in both formats and with any
    names.
    """
    clusters, expected = [], Counter()
    for number, (role, size, label) in enumerate(pools):
        machines = tuple(f"{label}{number}-{index}.contoso.com" for index in range(size))
        clusters.append(Cluster(f"{label}{number}.contoso.com", COMPONENTS[role], machines))
        expected[role] += size
    topology = read_document(FORMS[form](clusters))
    assert Counter(role for (role,) in cells_of(topology, "role")) == expected
    assert len(topology.pools) == len(pools)
    assert read_topology(topology.to_csv()) == topology
    assert read_topology(topology.to_xlsx()) == topology


ALONE = {
    "StandardEdition": front_end("one.contoso.com"),
    "FrontEnd": front_end("one.contoso.com", ("fe01.contoso.com",)),
    "Director": front_end("one.contoso.com", registrar=DIRECTOR),
    "Edge": Cluster("one.contoso.com", {"EdgeServer": edge(*["sip.contoso.com"] * 3)}),
    "Mediation": Cluster("one.contoso.com", {"MediationServer": ""}),
    "PersistentChat": Cluster("one.contoso.com", {"PersistentChat": ""}),
    "OfficeWebApps": Cluster("one.contoso.com", {"WacService": ""}),
    "TrustedApplication": Cluster("one.contoso.com", {"ExternalServer": ""}),
    "VideoInterop": Cluster("one.contoso.com", {"VideoInteropServer": ""}),
    "SBA": Cluster("one.contoso.com", {"Registrar": "", "MediationServer": ""}, branch="Hualien"),
}


def test_every_role_of_services_has_a_document():
    """For every role in document_services.toml, these tests contain a topology document."""
    text = (Path(topology_document.__file__).with_name("document_services.toml")).read_text()
    roles = set(re.findall(r'^(?:\w+_)?role = "(\w+)"', text, re.MULTILINE))
    assert roles == set(ALONE)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("role", ALONE)
def test_a_topology_with_a_single_server(role, form):
    """A topology with a single server can be read, for each role and in each format."""
    (pool,) = read_document(FORMS[form]([ALONE[role]])).pools
    assert (pool.fqdn, pool.role, len(pool.computers)) == ("one.contoso.com", role, 1)


@pytest.mark.parametrize("form", FORMS)
def test_forty_pools_of_every_role(form):
    """In each format, lyncnb reads the name, role and site of every pool in a deployment of twenty
    sites with branches.
    """
    clusters, expected = [], {}
    for number in range(40):
        role = [*ALONE][number % len(ALONE)]
        name = f"pool{number:02}.contoso.com"
        machines = ("",) if role in ("StandardEdition", "SBA") else (f"a{number}.contoso.com",)
        branch = f"Branch {number}" if role == "SBA" else ""
        site = f"Site {number % 20:02}"
        clusters.append(
            replace(ALONE[role], fqdn=name, machines=machines, site=site, branch=branch)
        )
        expected[name] = (role, branch or site)
    topology = read_document(FORMS[form](clusters))
    assert {pool.fqdn: (pool.role, pool.site) for pool in topology.pools} == expected


@pytest.mark.parametrize("form", FORMS)
def test_five_thousand_servers_are_read(form):
    """A topology document with 5,000 servers in 40 pools can be read."""
    pools = [
        front_end(f"pool{pool}.contoso.com", tuple(f"fe{pool}-{n}.contoso.com" for n in range(125)))
        for pool in range(40)
    ]
    document = FORMS[form](pools).encode()
    assert sum(1 for _ in read_topology(document).computers) == 5000


def test_every_command_takes_a_document(shell):
    """Plan, check, explain and request accept a topology document. The option --product overrides
    the product of the document.
    """
    document = topology_builder([front_end("se01.contoso.com", databases=("UserStore",))])
    shell.write("contoso.tbxml", document)
    for command in (
        ("plan", "contoso.tbxml"),
        ("check", "contoso.tbxml", "--json"),
        ("explain", "contoso.tbxml", "se01.contoso.com"),
        ("request", "contoso.tbxml", "requests", "--dry-run"),
        ("steps", "contoso.tbxml", "--request-on-server", "-o", "scripts"),
    ):
        result = shell(*command)
        assert result.status in (0, 1), (command, result)
        assert "contoso.tbxml: the topology document is for Lync Server 2013" in result.err
    shell.write("old.xml", make_published_topology([front_end("se01.contoso.com")], version="5"))
    assert "lyncnb has no rules for lync2010" in shell("check", "old.xml").err
    assert "no rules" not in shell("check", "old.xml", "--product", "lync2013").err


@pytest.mark.parametrize(
    ("version", "product"), [("6", "lync2013"), ("7", "sfb2015"), ("8", "sfb2019")]
)
def test_a_document_chooses_the_product(shell, version, product):
    """lyncnb plans the certificates for the product in the topology document, unless the planner
    selects another product.
    """
    shell.write(
        "one.xml", make_published_topology([front_end("se01.contoso.com")], version=version)
    )
    plan = json.loads(shell("plan", "one.xml", "--json").out)
    assert plan["product"] == product
    plan = json.loads(shell("plan", "one.xml", "--json", "--product", "lync2013").out)
    assert plan["product"] == "lync2013"


# --- These tests use real topology documents, if they are available.

#: For each document: the SHA-256 hash of the sorted names of servers and pools, and the number of
#: rows and pools for each role.
REAL = {
    "bb0d62c8332892e9a7fbe822fca33a8a9fa227f7801d374eeb3e365e60f2692c": {
        "FrontEnd": (4, 1), "Mediation": (4, 1), "Edge": (3, 1), "OfficeWebApps": (1, 1),
    },
    "f8f1f58774a1f22525f72b074b12c1b5c34bc14db62cb278ae2e55a37cf56ac3": {"StandardEdition": (1, 1)},
    "9e2a087c5a07a20cc63c19ce51fbf081868654469403a0e9a988c24aab839bc9": {"StandardEdition": (1, 1)},
    "940bd48a75246632d93f70ba5de90695005e4ef1a615354b15b28b5d95e150f4": {
        "FrontEnd": (1, 1), "OfficeWebApps": (1, 1),
    },
}  # fmt: skip

# The test is defined only if this folder exists. Otherwise, pytest would report it as skipped.
if Path(os.environ.get("LYNCNB_DOCUMENTS", "") or "nowhere").is_dir():

    def test_real_documents():
        """The roles and names are read from real topology documents. This test contains only a
        digest of the names.
        """
        paths = sorted(Path(os.environ["LYNCNB_DOCUMENTS"]).iterdir())
        role_counts = dict(facts(path) for path in paths if path.suffix in (".tbxml", ".xml"))
        assert REAL.items() <= role_counts.items()


def facts(path: Path) -> tuple[str, dict[str, tuple[int, int]]]:
    """Return the digest of the names in a topology document, and the number of rows and pools for
    each role.
    """
    topology = read_topology(path)
    names = sorted({name for row in cells_of(topology, "server_fqdn", "pool_fqdn") for name in row})
    roles = Counter(role for (role,) in cells_of(topology, "role"))
    pools = Counter(pool.role for pool in topology.pools)
    counts = {role: (roles[role], pools[role]) for role in roles}
    return hashlib.sha256("\n".join(names).encode()).hexdigest(), counts


FARM = (
    '<WacService DiscoveryUrl="https://{host}/hosting/discovery/" IsExternal="false"'
    ' xmlns="urn:schema:Microsoft.Rtc.Management.Deploy.ServiceRoles.2008" />'
)


@pytest.mark.parametrize("form", FORMS)
def test_a_name_without_a_domain_is_read_and_reported(form):
    """A topology document can be read even if a server name has no domain.

    The plan's check reports the farm, and an edit corrects it.
    """
    topology = read_document(
        FORMS[form]([front_end("se01.contoso.com"), Cluster("OWAS01", {"WacService": ""})])
    )
    index = next(n for n, row in enumerate(topology.cells) if row[0] == "owas01")
    plan = plan_certificates(topology, load_rules("lync2013"))
    messages = [f.message for f in check_plan(plan) if f.code == "single-label-name"]
    assert messages == ['"owas01" has no domain']
    assert topology.with_cells({index: {"site": "Tokyo"}}).cells[index][0] == "owas01"
    name = "owas01.contoso.com"
    corrected = topology.with_cells({index: {"server_fqdn": name, "pool_fqdn": name}})
    assert corrected.cells[index][0] == name
    with pytest.raises(TopologyError, match="not a fully qualified domain name"):
        corrected.with_cells({index: {"server_fqdn": "owas01"}})


@pytest.mark.parametrize(
    ("names", "numbers", "expected"),
    [
        (("access", "webconf"), (443, 443), []),
        (("edge", "edge"), (5061, 444), []),
        (("access", "webconf"), (5061, 443), ['"5061" ("access.contoso.com")']),
        (("edge", "edge"), (443, 444), ['"443" ("edge.contoso.com")']),
    ],
)
def test_an_unusual_port_of_an_edge_service_is_reported(names, numbers, expected):
    """If an Edge service uses a port that the pictures, the trust plan and the probes do not
    expect, a remark contains the port.
    """
    ports = "".join(
        f'<Port Owner="urn:component:{owner}" Usage="{usage}" InterfaceSide="External" '
        f'Port="{number}" ConfiguredFqdn="{name}.contoso.com" />'
        for (owner, usage), name, number in zip(
            (("AccessEdge", "SipClient"), ("DataEdge", "PsomClient")), names, numbers, strict=True
        )
    )
    pool = Cluster("edge01.contoso.com", {"EdgeServer": f"<Ports>{ports}</Ports>"})
    remarks = read_document(topology_builder([front_end("se01.contoso.com"), pool])).remarks
    port_remarks = [remark for remark in remarks if "for clients, but pictures" in remark]
    assert [
        remark.partition(" for clients")[0].partition("port ")[2] for remark in port_remarks
    ] == expected


@pytest.mark.parametrize("form", FORMS)
def test_the_host_of_a_discovery_url_is_added(form):
    """If the host of an Office Web Apps discovery URL differs from the farm's name, lyncnb adds the
    host to extra_san with a remark.
    """
    farms = [
        Cluster("owas.contoso.com", {"WacService": FARM.format(host="office.contoso.com")}, ()),
        Cluster("owas02.contoso.com", {"WacService": FARM.format(host="OWAS02.contoso.com")}, ()),
    ]
    topology = read_document(FORMS[form]([front_end("se01.contoso.com"), *farms]))
    assert cells_of(topology, "server_fqdn", "extra_san")[1:] == [
        ("owas.contoso.com", "office.contoso.com"),
        ("owas02.contoso.com", ""),
    ]
    (url_remark,) = (remark for remark in topology.remarks if "DiscoveryUrl" in remark)
    assert url_remark.startswith(
        '"owas.contoso.com" uses the name "office.contoso.com" (DiscoveryUrl)'
    )


@pytest.mark.parametrize("form", FORMS)
def test_missing_columns_of_edge_pools_are_reported_once(form):
    """If a topology document contains several Edge pools, a single remark lists the four columns
    whose values the document does not contain.
    """
    edges = [
        Cluster(f"edge{n}.contoso.com", {"EdgeServer": edge(*["x.contoso.com"] * 3)}) for n in "12"
    ]
    columns = ("xmpp_domains", "federation", "client_autoconfig", "aol_pic")
    server = front_end("se01.contoso.com")

    def questions(clusters):
        remarks = read_document(FORMS[form](clusters)).remarks
        return [remark for remark in remarks if all(f"({name})" in remark for name in columns)]

    assert len(questions([server, *edges])) == 1
    assert questions([server]) == []


@pytest.mark.parametrize(
    ("form", "old", "new"),
    [
        ("published", "RemoteSite", "OutpostSite"),
        ("Topology Builder", "RemoteSite>", "OutpostSite>"),
    ],
)
def test_a_site_of_an_unknown_kind_is_an_error(form, old, new):
    """lyncnb rejects a site of an unknown type. Otherwise, a server in a branch site could be read
    as a Standard Edition server.
    """
    clusters = [front_end("se01.contoso.com"), front_end("sba.contoso.com", branch="Hualien")]
    document = FORMS[form](clusters).replace(f"<{old}", f"<{new}").replace(f"</{old}", f"</{new}")
    with pytest.raises(TopologyError, match='the site "Hualien" has the type "OutpostSite"'):
        read_document(document)


def test_a_document_in_latin_1_is_reported():
    """If a topology document is in latin-1, the message contains the declared encoding, and does
    not mention Excel.
    """
    document = topology_builder([front_end("se01.contoso.com", site="Zürich Süd")])
    document = document.replace('encoding="utf-8"', 'encoding="ISO-8859-1"')
    with pytest.raises(
        TopologyError, match="neither in UTF-8 nor in UTF-16; the declared encoding is ISO-8859-1"
    ) as e:
        read_topology(document.encode("latin-1"))
    assert "CSV" not in str(e.value)
