"""The rows and the blocks of a rendered sheet are in a safe order, and are safe to paste."""

from __future__ import annotations

import re
from functools import cache

import pytest
from deploy.sheet_blocks import (
    asks,
    find_rows,
    list_fill_ins,
    read_rows,
    render_sheets,
)
from deploy.walk import NOON, OLD_END, packages_of
from places import DATA
from topologies import edge, front_end, row, topology

from lyncnb.deploy.checklist import to_html
from lyncnb.deploy.request_scripts import request_scripts
from lyncnb.deploy.steps import build_procedure
from lyncnb.plan.planner import plan_certificates
from lyncnb.rules.rule_files import load_rules
from lyncnb.topology.topology import read_topology

PRODUCTS = ("lync2013", "sfb2015", "sfb2019", "sfbse")
SAMPLES = ("contoso.csv", "litwareinc-global.csv")
CASES = {"new": (), "renewed": (OLD_END,), "keys elsewhere": (OLD_END, "tools01.contoso.com")}


@cache
def procedure_of(product, sample, case):
    """Return the steps for a sample table: new servers, servers with certificates on record, or
    servers whose keys are on another computer.
    """
    rules = load_rules(product)
    table = read_topology(DATA / sample).to_frame()
    planned = plan_certificates(read_topology(table[table["role"].isin(rules.roles)]), rules)
    if case == "requests":
        return request_scripts(planned)
    return build_procedure(packages_of(planned, *CASES[case]), rules, now=NOON)


EVERY = [
    pytest.param(product, sample, id=f"{product}-{sample.partition('.')[0]}")
    for product in PRODUCTS
    for sample in SAMPLES
    # The products after Skype for Business Server 2015 have its steps.
    if sample == "contoso.csv" or product in ("lync2013", "sfb2015")
]


@pytest.mark.parametrize(("product", "sample"), EVERY)
def test_each_block_is_safe_to_paste_whole(product, sample):
    """A command that asks for a password or a confirmation is the only line of its block, and no
    block contains a value that a person must replace.

    A console without PSReadLine gives the command that asks the next line of the block.
    """
    wrong = [
        (case, row.heading, row.text[:60], list_fill_ins(block) or "asks")
        for case in (*CASES, "requests")
        for row in read_rows(to_html(procedure_of(product, sample, case)))
        for block in row.blocks
        if list_fill_ins(block) or (len(block) > 1 and any(map(asks, block)))
    ]
    assert wrong == []


POOL = (front_end(1), front_end(2), front_end(3))


def sheets_of(*rows, in_use_until=None, product="lync2013"):
    """Return the rows of each rendered sheet for a table of servers."""
    rules = load_rules(product)
    planned = plan_certificates(topology(*rows), rules)
    packages = packages_of(planned, in_use_until)
    return render_sheets(build_procedure(packages, rules, now=NOON, pools=planned.topology.pools))


def test_edge_sheet_changes_the_av_certificate_before_the_drain():
    """The sheet of an Edge pool stages the A/V certificate on all servers of the pool before any of
    them stops its services.
    """
    for rows in sheets_of(edge(1), edge(2), in_use_until=OLD_END).values():
        (assign,) = find_rows(rows, "Set-CsCertificate -Type 'AudioVideoAuthentication'")[:1]
        (stop,) = find_rows(rows, "Stop-CsWindowsService")[:1]
        assert assign < stop
        assert "On every server of lsedge.contoso.net, before any of them is drained" in (
            rows[assign].text
        )


def test_edge_sheet_answers_what_a_reader_asks():
    """The sheet of a renewed Edge pool says until when a command is right, what to do later, how to
    install a missing root certificate, on which server to look, and what each test covers.
    """
    steps = sheet_of_pool(edge(1), edge(2))
    (time,) = {
        call.effective_words
        for p in steps.servers[0].packages
        for call in p.calls
        if call.effective
    }
    rows = read_rows(to_html(steps))

    def find(text):
        return next(row for row in rows if text in row.text or text in row.commands)

    staging = find("-Roll -EffectiveDate").text
    assert f"before {time}. Later: STOP, the planner sets another time." in staging
    back = find("Assign the previous A/V certificate")
    assert f"Before {time} only: it cancels what is staged" in back.text
    assert "Only if the root is not trusted. Then look again:" in find("-addstore Root").text
    assert "At the console of each other server of the pool, not here" in find("not here").text
    tests = find("Get-CsManagementStoreReplicationStatus")
    assert {page.server for page in steps.servers} == {*re.findall("'(edge.*?)'", tests.commands)}
    assert "one server of the pool; the probes ask each" in tests.text


def sheet_of_pool(*rows):
    """Return the steps of a renewal by a CA that the servers of a pool trust already."""
    planned = plan_certificates(topology(*rows), load_rules())
    packages = packages_of(planned, OLD_END)
    trusted = {issuer.sha256 for package in packages for issuer in package.path}
    pools = planned.topology.pools
    return build_procedure(
        packages, planned.rules, now=NOON, pools=pools, trusted_ca_hashes=trusted
    )


@pytest.mark.parametrize("rows", [POOL, (edge(1), edge(2))], ids=["FE", "Edge"])
def test_an_assignment_for_one_server_is_a_block_of_its_own(rows):
    """On the sheet of a pool, no block that changes an assignment contains commands for different
    servers, because a person pastes it whole.
    """
    steps = sheet_of_pool(*rows)
    values = {p.server: {x.thumbprint for x in p.packages} for p in steps.servers}
    values = {
        n: v | {x.old for p in steps.servers if p.server == n for x in p.packages}
        for n, v in values.items()
    }
    blocks = [
        "\n".join(block)
        for row in read_rows(to_html(steps))
        for block in row.blocks
        if any(line.startswith("Set-CsCertificate") for line in block)
    ]
    assert len(blocks) >= 4
    for block in blocks:
        named = {*re.findall(r"\b[0-9A-F]{40}\b", block)}
        assert any(named <= own for own in values.values()), block


@pytest.mark.parametrize("product", PRODUCTS)
def test_first_server_assigns_oauth_before_anything_starts(product):
    """In a new deployment, the first server assigns the OAuth certificate before its services
    start, and the other servers run Step 1 of the wizard only after that.
    """
    first, *others = (sheets_of(*POOL, product=product)[f"ee0{n}.contoso.com"] for n in (1, 2, 3))
    (oauth,) = find_rows(first, "Set-CsCertificate -Identity global")[:1]
    assert oauth < min(find_rows(first, "Start-Cs"))
    wizards = [
        [row.text for row in rows if "Step 1 and Step 2 of the Deployment Wizard" in row.text]
        for rows in (first, *others)
    ]
    assert "has assigned OAuthTokenIssuer" not in "".join(wizards[0])
    for text, *_ in wizards[1:]:
        assert "When ee01.contoso.com has assigned OAuthTokenIssuer" in text


@pytest.mark.parametrize(
    ("cells", "ports"),
    [
        ({}, ["4443, 5061, 5062, 8057", "443, 5061"]),
        ({"federation": "false"}, ["4443, 5061, 5062, 8057", "443"]),
        (
            dict.fromkeys(
                ("access_edge_fqdn", "webconf_edge_fqdn", "av_edge_fqdn"), "sip.contoso.com"
            ),
            ["4443, 5061, 5062, 8057", "444, 5061"],
        ),
        ({"xmpp_domains": "contoso.com"}, ["4443, 5061, 5062, 8057", "443, 5061"]),
    ],
    ids=["three names", "no federation", "one name", "XMPP"],
)
def test_edge_sheet_lists_the_ports_that_show_the_certificate(cells, ports):
    """The sheet of an Edge Server lists the ports that lyncnb probe asks: no port of XMPP, which
    needs STARTTLS, and no port of the A/V Edge service, which speaks TURN.
    """
    (rows,) = sheets_of(edge(1, **cells)).values()
    listed = [found for row in rows for found in re.findall(r"As planned: ([\d, ]+)\.", row.text)]
    assert listed == ports


def test_members_of_a_new_farm_have_their_own_command():
    """The first server's sheet creates the farm of Office Web Apps, and the sheets of the other
    servers add them to it.
    """
    farm = [row(f"owas0{n}.contoso.com", "OfficeWebApps", "owas.contoso.com") for n in (1, 2, 3)]
    sheets = sheets_of(*farm, front_end(1))
    commands = {name: "\n".join(row.commands for row in rows) for name, rows in sheets.items()}
    for name in ("owas01.contoso.com", "owas02.contoso.com", "owas03.contoso.com"):
        is_first = name == "owas01.contoso.com"
        assert ("New-OfficeWebAppsFarm " in commands[name]) == is_first
        join = "New-OfficeWebAppsMachine -MachineToJoin 'owas01.contoso.com'"
        assert (join in commands[name]) == (not is_first)
