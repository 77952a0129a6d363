"""A server that is added to a recorded deployment gets its own sheets, and no other server does."""

from __future__ import annotations

from datetime import UTC, date, datetime, time

import pandas as pd
import pytest
from cas.python_ca import PythonCa, pem
from folders import PASSPHRASE, issue_all, write
from strange import SAMPLE, choose_deployments

import lyncnb as ln
from lyncnb.deploy.checklist import list_all_sheets
from lyncnb.plan.planner import plan_certificates
from lyncnb.request_folder.bundle import open_requests
from lyncnb.topology.topology import read_topology

pytestmark = pytest.mark.usefixtures("quick_cipher")

FIRST, LATER, LAST = date(2026, 4, 7), date(2026, 9, 1), date(2026, 9, 2)


def answer(folder, ca, day):
    """Issue and package the certificates of the requests that have none."""
    bundle = open_requests(folder)
    waiting = {record.id for record in bundle.requests if record.issued is None}
    others = {record.id for record in bundle.requests} - waiting
    issued = issue_all(bundle, ca, skip=others, begins=datetime.combine(day, time(), UTC))
    path = folder.with_name(f"answers-{day}.pem")
    path.write_bytes(pem(*issued.values(), *ca.chain))
    received = ln.receive(folder, path, today=day)
    ln.write_pfx(received, passphrase=PASSPHRASE, today=day)
    return received


def add_servers(plan):
    """Return the plan with one more server in each pool that has a name of its own."""
    table = plan.topology.to_frame()
    names = table.get("pool_fqdn", table["server_fqdn"])
    pools = table[(names != "") & (names != table["server_fqdn"])]
    if pools.empty:
        return plan, set()
    rows = pools.drop_duplicates(["pool_fqdn", "role"], keep="last").copy()
    rows["server_fqdn"] = "z" + rows["server_fqdn"].astype(str)
    bigger = read_topology(pd.concat([table, rows]))
    return plan_certificates(bigger, plan.rules, options=plan.options), {*rows["server_fqdn"]}


@pytest.fixture(scope="module", params=[SAMPLE, *choose_deployments()], ids=str)
def joined(request, tmp_path_factory):
    """Return a recorded folder with servers that were added later, their names, and the CA."""
    plan = request.param.plan()
    folder, ca = tmp_path_factory.mktemp("joined") / "requests", PythonCa()
    write(plan, folder, today=FIRST)
    answer(folder, ca, FIRST)
    ln.deployed(folder, on=FIRST, today=FIRST)
    bigger, added = add_servers(plan)
    write(bigger, folder, today=LATER)
    return folder, added, ca, answer(folder, ca, LATER)


def test_an_added_server_gives_its_own_sheets_alone(joined):
    """After a recorded round, the servers that join have sheets, also in a pool whose shared
    certificate is in use. Another server has a sheet only if the new names change its certificate.
    What is in use is not reported as missing.
    """
    folder, added, _, received = joined
    steps = ln.deployment_steps(received, today=LATER)
    changed = {
        server
        for record in open_requests(folder).requests
        for server in record.plan.servers
        if record.generation > 1
    }
    cases = {page.server: page.case for page in steps.servers}
    assert {server for server, case in cases.items() if case == "join"} == added
    assert {*cases} - added == changed - added
    assert steps.missing == ()
    written = {path.relative_to(folder / "steps") for path in ln.write_steps(steps, folder)}
    for server in added:
        assert any(path.parts == (server, "install.ps1") for path in written), server
        assert any(path.name == f"{server}.html" for path in written), server


def test_a_renewal_at_the_same_time_is_no_renewal_for_the_added_server(joined):
    """If the shared certificate is renewed too, the added server still joins: its sheet replaces
    nothing, stages nothing, and has a page of its own beside the page of the pool.
    """
    folder, added, ca, _ = joined
    in_use = [record.id for record in open_requests(folder).requests if record.deployments]
    ln.renew(folder, *in_use, passphrase=PASSPHRASE, reason="all", today=LAST)
    steps = ln.deployment_steps(answer(folder, ca, LAST), today=LAST)
    cases = {page.server: page.case for page in steps.servers}
    assert {server for server, case in cases.items() if case == "join"} == added
    assert "renew" in cases.values()
    stems = [sheet.stem for sheet in list_all_sheets(steps)]
    assert len({*stems}) == len(stems)
    for page in steps.servers:
        if page.server in added:
            assert [package.old for package in page.packages if package.old] == []
            commands = "\n".join(line for step in page.every_step for line in step.commands)
            assert "-Roll" not in commands
            assert "-Previous" not in commands
