"""The rows of a rendered sheet, pasted by hand on all servers of a pool, end as the script does."""

from __future__ import annotations

import itertools
import os
import random
import re
from dataclasses import replace

import pytest
from deploy.sheet_blocks import Row, paste, read_rows, render_sheets
from deploy.walk import (
    CULTURES,
    NOON,
    OLD_END,
    STAGED,
    all_lines,
    get_stable_state,
    list_differences,
    packages_of,
    servers_in_order,
    services_to_restart,
    world_of,
)
from powershell_kit import needs_pwsh
from topologies import edge, front_end, row, topology

from lyncnb.deploy.checklist import to_html
from lyncnb.deploy.steps import build_procedure
from lyncnb.plan.planner import plan_certificates
from lyncnb.rules.rule_files import load_rules

pytestmark = needs_pwsh

POOLS = {
    "FE": (front_end(1), front_end(2), front_end(3)),
    "SE": (row("se01.contoso.com", "StandardEdition", web_external_fqdn="web.contoso.com"),),
    "Edge": (edge(1), edge(2)),
    "Director": (
        row(
            "dir01.contoso.net", "Director", "dir.contoso.net", web_external_fqdn="dir.contoso.com"
        ),
        row("dir02.contoso.net", "Director", "dir.contoso.net"),
    ),
    "Mediation": (
        row("med01.contoso.net", "Mediation", "med.contoso.net"),
        row("med02.contoso.net", "Mediation", "med.contoso.net"),
    ),
    "Chat": (row("chat01.contoso.net", "PersistentChat", "chat.contoso.net"),),
    "SBA": (row("sba01.contoso.net", "SBA"),),
}
DRAIN = "Stop-CsWindowsService -Graceful"
#: Blocks that a person uses only in an emergency, or that restart a computer or a web application.
SKIPPED = ("Stop-CsWindowsService", "Restart-Computer", "C:\\Windows\\System32\\Inetsrv")
#: Commands whose order the sheet and the script share.
CHANGES = ("certutil -csp", "certutil -importpfx", "Set-Cs", "Stop-Cs", "Start-Cs", "Invoke-Cs")


def begin(walk, pool, case, *, product="lync2013", **forms):
    """Start the simulation of the servers of a pool, and return their steps."""
    rules = load_rules(product)
    planned = plan_certificates(topology(*POOLS[pool]), rules)
    packages = packages_of(planned, OLD_END if case == "renew" else None)
    steps = build_procedure(packages, rules, now=NOON, pools=planned.topology.pools)
    walk.begin(world_of(steps, in_use=case == "renew", **forms), steps)
    return steps


def rows_of(steps, section="By hand"):
    """Return the rows of one section of each server's sheet, by server."""
    return {
        server: [line for line in rows if line.heading.startswith(section)]
        for server, rows in render_sheets(steps).items()
    }


def is_before(rows: list[Row], command: str) -> int:
    """Return the number of rows before the first row with a command."""
    return next((n for n, line in enumerate(rows) if command in line.commands), len(rows))


def paste_rows(walk, server, rows, fault=None):
    """Paste the blocks of rows in order, and return the runs. Stop behind the first error."""
    runs = []
    for block in (block for line in rows for block in line.blocks):
        if block[0] == SKIPPED[0] or block[0].startswith(SKIPPED[1:]):
            continue
        runs.append(paste(walk, server, block, fault=fault))
        if any(line.startswith(("ERROR", "UNCAUGHT")) for line in runs[-1]["output"]):
            break
    return runs


def errors_of(runs):
    """Return the errors of pasted blocks, and what people would have noticed."""
    lines = all_lines(runs).splitlines()
    errors = [line for line in lines if line.startswith(("ERROR", "UNCAUGHT"))]
    return errors + [harm for run in runs for harm in run["harm"]]


def changes_of(runs):
    """Return the changing commands of runs, without how they report an error or print a time. The
    script starts each service by its name.
    """
    changes = [change for run in runs for change in run["changes"] if change.startswith(CHANGES)]
    named = [re.sub(r" -ErrorAction Stop| -EffectiveDate .*?(?= -)", "", text) for text in changes]
    called = [re.sub(r"(Start-CsWindowsService) -Name \w+", r"\1", text) for text in named]
    return [text for text, _ in itertools.groupby(called)]


def dates_of(world):
    """Return the times at which staged certificates take effect."""
    owners = {"deployment": world["everywhere"]}
    owners |= {name: server["uses"] for name, server in world["servers"].items()}
    return {
        (name, usage): use["since"] for name, uses in owners.items() for usage, use in uses.items()
    }


def by_hand(walk, steps, case):
    """Do the sheet of a pool by hand, in its order: prepare or assign on every server, and then
    change or start one server after the other. Return the runs by server.
    """
    sheets, stop = rows_of(steps), DRAIN if case == "renew" else "Start-Cs"
    runs = {
        server: paste_rows(walk, server, rows[: is_before(rows, stop)])
        for server, rows in sheets.items()
    }
    for server, rows in sheets.items():
        runs[server] += paste_rows(walk, server, rows[is_before(rows, stop) :])
    return runs


def by_script(walk, steps, case):
    """Run the script on every server of a pool, as the sheet tells, and return the runs."""
    if case == "new":
        runs = {page.server: [walk.run(page)] for page in steps.servers}
        for page in steps.servers:
            runs[page.server].append(walk.run(page, "StartServices", answers="Y\n"))
        return runs
    switches = ("DrainServices", "StartServices", "TrustInstalled")
    return {page.server: [walk.run(page, *switches)] for page in steps.servers}


# Each role in each case, with each form of a staged certificate, in each culture. The form of ``Use``
# alternates.
CROSSING = [*itertools.product(POOLS, ("new", "renew", "join"), STAGED, ("en-US", *CULTURES))]
#: The cells of a run. LYNCNB_CROSSING sets their number, and LYNCNB_CROSSING=504 tries all of them.
DRAWN = random.Random("lyncnb crossing").sample(
    range(len(CROSSING)), int(os.environ.get("LYNCNB_CROSSING", len(CROSSING) // 10))
)


@pytest.mark.parametrize("case", ["new", "renew"])
@pytest.mark.parametrize(
    ("pool", "product"), [*((pool, "lync2013") for pool in POOLS), ("FE", "sfb2015")]
)
def test_sheet_and_script_end_alike(walk, pool, product, case):
    """For each role, new or renewed, the sheet by hand and the script make the same changes in the
    same order, and leave the servers in the same state.
    """
    steps = begin(walk, pool, case, product=product)
    hand = by_hand(walk, steps, case)
    assert errors_of([run for runs in hand.values() for run in runs]) == []
    after_hand = walk.world()
    steps = begin(walk, pool, case, product=product)
    script = by_script(walk, steps, case)
    assert {run["code"] for runs in script.values() for run in runs} == {0}, all_lines(
        [run for runs in script.values() for run in runs]
    )
    after_script = walk.world()
    assert get_stable_state(after_hand) == get_stable_state(after_script)
    assert dates_of(after_hand) == dates_of(after_script)
    # A person starts a new pool of Skype for Business Server once, with a command of its own.
    for server, runs in script.items() if product == "lync2013" else ():
        assert changes_of(hand[server]) == changes_of(runs)
    walk.pass_time(OLD_END)
    assert list_differences(steps, walk.world()) == []
    assert services_to_restart(walk.world()) == []


def begin_join(walk, pool, **forms):
    """Return the steps of the last server of a pool, which joins the others. These are in use, with
    the certificates of the same plan.
    """
    rules = load_rules("lync2013")
    planned = plan_certificates(topology(front_end(4), *POOLS[pool]), rules)
    packages, pools = packages_of(planned), planned.topology.pools
    first = build_procedure(packages, rules, now=NOON, pools=pools)
    joins = POOLS[pool][-1]["server_fqdn"]
    walk.begin(world_of(first, in_use=False, **forms), first)
    for page in (page for page in servers_in_order(first) if page.server != joins):
        assert walk.run(page)["code"] == 0
        assert walk.run(page, "StartServices", answers="Y\n")["code"] == 0
    steps = build_procedure(packages, rules, now=NOON, pools=pools, cases={joins: "join"})
    return replace(steps, servers=tuple(page for page in steps.servers if page.server == joins))


@pytest.mark.parametrize("pool", POOLS)
def test_a_server_joins_by_sheet_and_by_script_alike(walk, pool):
    """A server of each role joins servers in use, by hand or by the script: it ends with the planned
    certificates, its services run, and the other servers keep their state.
    """
    ends = []
    for do in (by_hand, by_script):
        steps = begin_join(walk, pool)
        (page,) = steps.servers
        assert page.case == "join"
        others = get_stable_state(walk.world())
        runs = do(walk, steps, "new")[page.server]
        assert errors_of(runs) == []
        ends.append(get_stable_state(walk.world()))
        kept = others.keys() - {page.server, "places"}
        assert {name: ends[-1][name] for name in kept} == {name: others[name] for name in kept}
        assert list_differences(steps, walk.world()) == []
        assert walk.run(page, "Verify")["code"] == 0
    assert ends[0] == ends[1]


@pytest.mark.slow
@pytest.mark.parametrize("cell", sorted(DRAWN), ids=lambda cell: "-".join(CROSSING[cell]))
def test_sheet_and_script_agree_in_every_form(walk, cell):
    """Whatever Windows shows of a staged certificate, and in every culture, the sheet by hand and
    the script leave new, renewed, and joining servers in the same state.
    """
    pool, case, staged, culture = CROSSING[cell]
    form = {"staged": staged, "culture": culture, "use_form": ("", "urn:certref:")[cell % 2]}
    ends = []
    for do in (by_hand, by_script):
        steps = (
            begin_join(walk, pool, **form) if case == "join" else begin(walk, pool, case, **form)
        )
        runs = do(walk, steps, "new" if case == "join" else case)
        # The script warns of a rollover that it cannot see, and the sheet has no such row.
        every = [run for server in runs.values() for run in server]
        harm = [text for run in every for text in run["harm"]]
        assert (harm if do is by_script else errors_of(every)) == []
        ends.append(get_stable_state(walk.world()))
    assert ends[0] == ends[1]
    walk.pass_time(OLD_END)
    assert list_differences(steps, walk.world()) == []


@pytest.mark.parametrize("pool", ["FE", "Edge", "SE", "Mediation"])
def test_never_two_servers_of_a_pool_are_stopped(walk, pool):
    """In the order of the sheet, no server is drained before the other servers run again, and all
    Edge Servers have the A/V certificate before any of them is drained.
    """
    steps = begin(walk, pool, "renew")
    sheets = rows_of(steps)
    for server, rows in sheets.items():
        paste_rows(walk, server, rows[: is_before(rows, DRAIN)])
    world = walk.world()
    for name, server in world["servers"].items():
        for usage in ("AudioVideoAuthentication",):
            if usage in server["uses"]:
                (package,) = [
                    package
                    for page in steps.servers
                    if page.server == name
                    for package in page.packages
                    if usage in package.usages
                ]
                assert server["uses"][usage]["next"] == package.thumbprint
    for server, rows in sheets.items():
        start = is_before(rows, "Start-Cs")
        paste_rows(walk, server, rows[is_before(rows, DRAIN) : start])
        stopped = [
            name
            for name, state in walk.world()["servers"].items()
            if any(
                service["Status"] == "Stopped" and service["StartMode"] == "Auto"
                for service in state["services"].values()
            )
        ]
        assert stopped == [server]
        paste_rows(walk, server, rows[start:])


@pytest.mark.parametrize("pool", ["FE", "Edge", "SE"])
def test_after_a_failure_the_sheet_starts_and_goes_back_as_the_script_does(walk, pool):
    """If the first assignment behind the drain fails, the rows that start the services, and the
    rows of the way back, leave the server as the script with -StartServices and -Back does.
    """
    ends = []
    for is_by_hand in (True, False):
        steps = begin(walk, pool, "renew")
        page = steps.servers[-1]
        rows = rows_of(steps)[page.server]
        drain, start = is_before(rows, DRAIN), is_before(rows, "Start-Cs")
        back = rows_of(steps, "Back by hand")[page.server]
        if is_by_hand:
            assert errors_of(paste_rows(walk, page.server, rows[: drain + 1])) == []
            assert errors_of(paste_rows(walk, page.server, rows[start : start + 1])) == []
            started = get_stable_state(walk.world())
            runs = paste_rows(walk, page.server, rows[drain : drain + 1])
            runs += paste_rows(walk, page.server, back)
            runs += paste_rows(walk, page.server, rows[start : start + 1])
            assert errors_of(runs) == []
        else:
            at = {"command": "Set-CsCertificate", "kind": "fail"}
            staged = [step for step in page.steps if step.step.call == "roll"]
            if staged:  # The script stages first. The fault is for what follows.
                paste_rows(walk, page.server, rows[:drain])
            run = walk.run(page, "DrainServices", "TrustInstalled", fault=at)
            assert run["struck"]
            walk.run(page, "StartServices")
            started = get_stable_state(walk.world())
            run = walk.run(page, "Back", "DrainServices", "StartServices", answers="Y\n" * 3)
            assert run["code"] == 0, all_lines([run])
        ends.append((started, get_stable_state(walk.world())))
    assert ends[0][0] == ends[1][0]
    assert ends[0][1] == ends[1][1]


@pytest.mark.parametrize("product", ["lync2013", "sfb2015", "sfb2019", "sfbse"])
def test_sheet_asks_for_no_value_in_capitals(product):
    """No row that is printed tells the reader to replace a word in capitals."""
    for case in ("new", "renew"):
        for rows in POOLS.values():
            rules = load_rules(product)
            known = [line for line in rows if line["role"] in rules.roles]
            if not known:
                continue
            planned = plan_certificates(topology(*known), rules)
            packages = packages_of(planned, OLD_END if case == "renew" else None)
            steps = build_procedure(packages, rules, now=NOON, pools=planned.topology.pools)
            texts = [
                line.text
                for line in read_rows(to_html(steps))
                if not line.heading.startswith(("Notes", "Where each"))
            ]
            # "lyncnb deployed FOLDER" and the like are the planner's own commands.
            found = [text for text in texts if re.search(r"[Rr]eplace [A-Z]{3,}\b", text)]
            assert found == []


CORE = ("FrontEnd", "StandardEdition", "Edge", "Director", "Mediation", "PersistentChat", "SBA")


@pytest.mark.slow
@pytest.mark.parametrize("case", ["new", "renew"])
@pytest.mark.parametrize("role", CORE)
def test_sheet_and_script_end_alike_on_strange_deployments(walk, deployment, role, case):
    """On the first pool of each role in a strange deployment, the sheet by hand and the script end
    alike.
    """
    planned = deployment.plan()
    packages = packages_of(planned, OLD_END if case == "renew" else None)
    every = build_procedure(packages, planned.rules, now=NOON, pools=planned.topology.pools)
    pool = next((page.pool for page in every.servers if page.role == role), "")
    steps = replace(every, servers=tuple(page for page in every.servers if page.pool == pool))
    ends = []
    for do in (by_hand, by_script) if pool else ():
        walk.begin(world_of(steps, in_use=case == "renew"), steps)
        runs = [run for runs in do(walk, steps, case).values() for run in runs]
        ends.append(get_stable_state(walk.world()))
        assert errors_of(runs) == []
    assert ends[:1] == ends[1:]


NEIGHBOURS = {
    "ReverseProxy": row("rp01.contoso.net", "ReverseProxy"),
    "TrustedApplication": row("app01.contoso.net", "TrustedApplication", "app.contoso.net"),
    "OfficeWebApps": row("owas01.contoso.net", "OfficeWebApps", "owas.contoso.net"),
    "ExchangeUM": row("um01.contoso.net", "ExchangeUM"),
}


@pytest.mark.parametrize("role", NEIGHBOURS)
def test_sheet_and_script_end_alike_on_neighbors(walk, role):
    """The by-hand rows renew the certificate of a proxy, an application, or a farm as the script
    does.
    """
    rules = load_rules("lync2013")
    planned = plan_certificates(topology(front_end(1), NEIGHBOURS[role]), rules)
    # Without this answer, the sheet of a proxy does not list the commands of every product.
    answers = {"proxy_product": "iis"}
    every = build_procedure(packages_of(planned, OLD_END), rules, now=NOON, answers=answers)
    steps = replace(every, servers=tuple(page for page in every.servers if page.role == role))
    ends = []
    for is_by_hand in (True, False):
        walk.begin(world_of(every, in_use=True), steps)
        if is_by_hand:
            runs = by_hand(walk, steps, "renew").values()
            assert errors_of([run for server_runs in runs for run in server_runs]) == []
        else:
            for page in steps.servers:
                walk.take(page, "DrainServices", "StartServices", "TrustInstalled")
        ends.append(get_stable_state(walk.world()))
    assert ends[0] == ends[1]


def list_stopped(output, world, server):
    """Return the services in the output of a block that are stopped and not disabled."""
    services = world["servers"][server]["services"]
    return [
        name
        for name, status in re.findall(r"Name=(\w+); Status=(\w+)", "\n".join(output))
        if status == "Stopped" and services[name]["StartMode"] != "Disabled"
    ]


@pytest.mark.parametrize("pool", ["FE", "SE", "Edge", "Director", "Mediation", "Chat", "SBA"])
def test_expected_results_of_a_renewal_are_true_only_after_the_row(walk, pool):
    """In the order of the sheet, what a row expects is what its block shows, and the same look
    before the row shows something else.
    """
    steps = begin(walk, pool, "renew")
    seen = set()
    for page in steps.servers:
        new = {package.thumbprint for package in page.packages if package.shared_by != "deployment"}
        for line in rows_of(steps)[page.server]:
            blocks = [block for block in line.blocks if block[0] != SKIPPED[0]]
            if not blocks or blocks[-1][0].startswith(SKIPPED[1]):
                continue
            look = next((c for c in blocks[-1][::-1] if c.startswith("Get-Cs")), "")
            before = paste(walk, page.server, (look,))["output"] if look else []
            after = [text for block in blocks for text in paste(walk, page.server, block)["output"]]
            world = walk.world()
            if "Every Status is Stopped" in line.text:
                assert "Status=Running" in "\n".join(before)
                assert "Status=Running" not in "\n".join(after)
                seen.add("stopped")
            if "Assigned usages show the new thumbprints" in line.text:
                shown = set(re.findall(r"Thumbprint=(\w+)", "\n".join(after)))
                assert new <= shown
                assert not new <= set(re.findall(r"Thumbprint=(\w+)", "\n".join(before)))
                seen.add("assigned")
            if "All enabled Running" in line.text:
                assert list_stopped(before, world, page.server) != []
                assert list_stopped(after, world, page.server) == []
                seen.add("running")
            if "Shows nothing" in line.text:
                assert after == []
    assert seen == {"stopped", "assigned", "running"}
