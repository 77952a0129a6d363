"""On simulated servers with the core roles, the scripts install trusted CAs, fail over, and restore
the old certificates.
"""

from __future__ import annotations

import pytest
from deploy.walk import (
    NOON,
    OLD_END,
    all_lines,
    assignments,
    join_lines,
    list_differences,
    old_thumbprint,
    packages_of,
    running,
    servers_in_order,
    services_to_restart,
    stopped_services,
    use_of,
    world_of,
)
from powershell_kit import needs_pwsh
from topologies import edge, front_end, plan, row, topology

from lyncnb.deploy.checklist import to_markdown
from lyncnb.deploy.steps import build_procedure
from lyncnb.plan.options import PlanOptions
from lyncnb.plan.planner import plan_certificates
from lyncnb.rules.rule_files import load_rules

pytestmark = needs_pwsh

SWITCHES = ("DrainServices", "StartServices", "TrustInstalled")
MEDIATION = row("med01.contoso.net", "Mediation", "med.contoso.net")
POOL = (front_end(1), front_end(2), front_end(3))


def begin_simulation(walk, *rows, product="lync2013", in_use=True, rolls=True, **changes):
    """Start the simulation with the servers in a table, and return the deployment steps. The
    servers are new, or already use certificates. Without ``rolls``, nothing about these is known.
    """
    rules = load_rules(product)
    planned = plan_certificates(topology(*rows), rules)
    end = OLD_END if in_use and rolls else None
    packages = packages_of(planned, end)
    cases = running(packages) if in_use else None
    steps = build_procedure(packages, rules, now=NOON, cases=cases)
    walk.begin(world_of(steps, in_use=in_use) | changes, steps)
    return steps


def changes_by(run, *names):
    """Return the changes that the given commands made in a run of a script."""
    return [call for call in run["changes"] if call.startswith(names)]


def stop_services(walk, steps, *servers):
    """Stop every service on the given servers."""
    for page in steps.servers:
        if page.server.startswith(servers):
            services = walk.world()["servers"][page.server]["services"]
            for service in services.values():
                service["Status"] = "Stopped"
            walk.set(page.server, services=services)


# The following tests are about installing trusted CAs before certificates are assigned.


@pytest.mark.slow
@pytest.mark.parametrize("rows", [POOL, (edge(1), edge(2)), (MEDIATION,)], ids=["FE", "Edge", "MS"])
def test_running_server_needs_confirmed_trust_before_assignment(walk, rows):
    """Without -TrustInstalled, the script on a running server imports certificates, including CA
    certificates, but assigns nothing and stops no service.
    """
    steps = begin_simulation(walk, *rows)
    page = steps.servers[0]
    before = assignments(walk.world())
    run = walk.run(page, "DrainServices", "StartServices")
    assert run["code"] == 1
    assert "with -TrustInstalled" in join_lines(run)
    assert changes_by(run, "Set-Cs", "Stop-Cs", "Remove-Cs") == []
    assert assignments(walk.world()) == before
    assert walk.run(page, *SWITCHES)["code"] == 0


def test_trust_only_installs_only_ca_certificates(walk):
    """With -TrustOnly, the script changes only the CA certificate stores of new and running
    servers, and does not save the current assignments.
    """
    steps = begin_simulation(walk, *POOL, edge(1), MEDIATION)
    for page in servers_in_order(steps):
        run = walk.run(page, "TrustOnly")
        assert run["code"] == 0, all_lines([run])
        assert run["changes"] == changes_by(run, "certutil -addstore")
        assert not [name for name in walk.read(page.server) if name.startswith("before-")]
        assert walk.world()["servers"][page.server]["root"]


def test_new_server_needs_no_confirmation(walk):
    """No service runs on a new server, so the script does not ask whether the other servers trust
    the CAs.
    """
    steps = begin_simulation(walk, *POOL[:2], in_use=False)
    assert walk.run(steps.servers[0], "StartServices")["code"] == 0


# The following tests check whether a pool is ready for a server to be stopped.


def test_unknown_upgrade_domain_needs_confirmation(walk):
    """If the script cannot read the state of an upgrade domain, it asks the administrator whether
    to continue.

    Yes continues, and No ends before any service stops.
    """
    steps = begin_simulation(walk, *POOL, nodomain=True)
    page = steps.servers[1]
    run = walk.run(page, *SWITCHES, answers="N\n" * 3)
    assert (run["code"], changes_by(run, "Stop-Cs", "Set-Cs")) == (1, [])
    assert "does not show the upgrade domain" in join_lines(run)
    assert walk.run(page, *SWITCHES, answers="Y\n" * 3)["code"] == 0


def test_an_upgrade_domain_that_is_not_ready_stops_before_the_drain(walk):
    """If the upgrade domain of a server is not ready, the script ends before it stops a service,
    even if the pool is ready.
    """
    steps = begin_simulation(walk, *POOL, notready=True)
    run = walk.run(steps.servers[1], *SWITCHES, answers="Y\n" * 3)
    assert (run["code"], changes_by(run, "Stop-Cs", "Set-Cs")) == (1, [])
    assert "This is not true: the pool can run without ee02.contoso.com" in join_lines(run)


def test_only_front_end_server_stops_without_a_check(walk):
    """If a pool has only one server, the pool can never be ready for a stop, so the script does not
    check its state.
    """
    steps = begin_simulation(walk, front_end(1))
    run = walk.run(steps.servers[0], *SWITCHES)
    assert run["code"] == 0, all_lines([run])
    assert len(changes_by(run, "Stop-CsWindowsService")) == 1


@pytest.mark.parametrize("product", ["lync2013", "sfb2015"])
def test_going_back_does_not_wait_for_a_broken_pool(walk, product):
    """If the pool does not become ready, the script with -Back asks for confirmation, stops the
    services, and restores the old certificate.
    """
    steps = begin_simulation(walk, *POOL, product=product)
    before = assignments(walk.world())
    page = steps.servers[0]
    assert walk.run(page, *SWITCHES)["code"] == 0
    stop_services(walk, steps, "ee02", "ee03")
    run = walk.run(page, "Back", *SWITCHES, answers="Y\n" * 5)
    assert run["code"] == 0, all_lines([run])
    assert len(changes_by(run, "Stop-CsWindowsService")) == 1
    assert {k: v for k, v in assignments(walk.world()).items() if k[0] == page.server} == {
        k: v for k, v in before.items() if k[0] == page.server
    }


# The following tests are about Skype for Business Server 2015 and later.


@pytest.mark.parametrize("product", ["sfb2015", "sfb2019", "sfbse"])
def test_front_end_servers_fail_over_and_back(walk, product):
    """Each Front End Server is failed over and failed back instead of stopped, and has the planned
    certificates at the end.
    """
    steps = begin_simulation(walk, *POOL, product=product)
    for page in servers_in_order(steps):
        run = walk.run(page, *SWITCHES)
        assert run["code"] == 0, all_lines([run])
        assert run["harm"] == []
        assert len(changes_by(run, "Invoke-CsComputerFailOver")) == 1
        assert len(changes_by(run, "Invoke-CsComputerFailBack")) == 1
        assert changes_by(run, "Stop-Cs", "Start-Cs") == []
    walk.pass_time(OLD_END)
    world = walk.world()
    assert list_differences(steps, world) == []
    assert services_to_restart(world) == []
    for page in steps.servers:
        run = walk.run(page, "Verify")
        assert run["code"] == 0, all_lines([run])


def test_going_back_fails_over_where_the_pool_is_whole(walk):
    """If all servers in the pool are running, the script with -Back fails the server over before it
    restores the certificate, and then fails it back.
    """
    steps = begin_simulation(walk, *POOL, product="sfb2015")
    page = steps.servers[1]
    before = assignments(walk.world())
    assert walk.run(page, *SWITCHES)["code"] == 0
    run = walk.run(page, "Back", *SWITCHES)
    assert run["code"] == 0, all_lines([run])
    assert len(changes_by(run, "Invoke-CsComputerFailOver")) == 1
    assert len(changes_by(run, "Invoke-CsComputerFailBack")) == 1
    assert assignments(walk.world()) == before
    assert stopped_services(walk.world()["servers"][page.server]) == []


def test_missing_replicas_stop_before_the_fail_over(walk):
    """If Get-CsPoolFabricState shows a missing replica, the script does not fail over and assigns
    nothing.
    """
    steps = begin_simulation(walk, *POOL, product="sfb2015")
    stop_services(walk, steps, "ee03")
    run = walk.run(steps.servers[1], *SWITCHES)
    assert (run["code"], changes_by(run, "Invoke-Cs", "Set-Cs", "Stop-Cs")) == (1, [])
    assert "shows no missing replicas in" in join_lines(run)


def test_a_fail_back_that_timed_out_is_repeated(walk):
    """If a failback timed out and the services are still disabled, the next run repeats the
    failback and starts no service itself.
    """
    steps = begin_simulation(walk, *POOL, product="sfb2015")
    page = steps.servers[0]
    run = walk.run(page, "DrainServices", "TrustInstalled")
    assert run["code"] == 2
    # The services are disabled, and not only stopped.
    assert stopped_services(walk.world()["servers"][page.server]) == []
    run = walk.run(page, *SWITCHES)
    assert run["code"] == 0, all_lines([run])
    assert changes_by(run, "Start-Cs") == []
    assert len(changes_by(run, "Invoke-CsComputerFailBack")) == 1
    assert services_to_restart(walk.world()) == []


@pytest.mark.parametrize(("rows", "started"), [(POOL, True), (POOL[:2], False)], ids=["3", "2"])
def test_new_pool_of_three_is_started_with_start_cspool(walk, rows, started):
    """For a new pool of three servers, the sheet has Start-CsPool, and the script starts nothing.

    A pool of two starts server by server.
    """
    steps = begin_simulation(walk, *rows, product="sfb2015", in_use=False)
    assert ("Start-CsPool -PoolFqdn 'eepool.contoso.com'" in to_markdown(steps)) == started
    run = walk.run(steps.servers[0])
    assert changes_by(run, "Start-Cs") == []


@pytest.mark.parametrize("product", ["lync2013", "sfb2019"])
def test_an_external_certificate_alone_restarts_the_edge_services(walk, product):
    """If only an external certificate changes, the script restarts the Edge services, even if the
    server has no XMPP service.
    """
    steps = begin_simulation(walk, edge(1), edge(2), product=product)
    page = steps.servers[0]
    run = walk.run(page, *SWITCHES)
    assert run["code"] == 0, all_lines([run])
    assert len(changes_by(run, "Stop-CsWindowsService")) == 1
    assert changes_by(run, "Start-CsWindowsService")
    assert services_to_restart(walk.world()) == []


def test_separate_av_certificate_rolls_over(walk):
    """A separate A/V certificate rolls over on its date, and the other external usages get their
    certificate immediately.
    """
    planned = plan(edge(1), edge(2), options=PlanOptions(separate_av_certificate=True))
    steps = build_procedure(packages_of(planned, OLD_END), load_rules("lync2013"), now=NOON)
    walk.begin(world_of(steps, in_use=True), steps)
    page = steps.servers[0]
    of_usage = {usage: package for package in page.packages for usage in package.usages}
    apart, together = of_usage["AudioVideoAuthentication"], of_usage["AccessEdgeExternal"]
    assert apart.usages == ("AudioVideoAuthentication",)
    assert of_usage["DataEdgeExternal"] == together != apart
    for edge_page in steps.servers:
        assert walk.run(edge_page, *SWITCHES)["code"] == 0
    world = walk.world()
    used = use_of(world, page.server, "AudioVideoAuthentication")
    assert (used["current"], used["next"]) == (old_thumbprint(apart), apart.thumbprint)
    assert use_of(world, page.server, "AccessEdgeExternal")["current"] == together.thumbprint
    walk.pass_time(OLD_END)
    assert list_differences(steps, walk.world()) == []
    assert walk.run(page, "Verify")["code"] == 0


# The following test is about Mediation Servers.


def test_a_running_mediation_server_is_not_restarted(walk):
    """The sheet of a running Mediation Server does not mention a restart, because only a new
    server is restarted.
    """
    steps = begin_simulation(walk, MEDIATION)
    assert "Restart-Computer" not in to_markdown(steps)
    steps = begin_simulation(walk, MEDIATION, in_use=False)
    assert "Restart-Computer" in to_markdown(steps)
