"""The scripts say what is left: stopped services, staged certificates, and how a run would end."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from deploy.test_core_walk import POOL, SWITCHES, begin_simulation
from deploy.walk import (
    OLD_END,
    STAGED,
    all_lines,
    assignments,
    certificates_by_setting,
    join_lines,
    old_thumbprint,
    servers_in_order,
    use_of,
)
from powershell_kit import needs_pwsh
from topologies import edge

from lyncnb.authorities.survey.server_reports import read_server_reports

pytestmark = needs_pwsh

STANDING = [
    ("lync2013", POOL, "Set-CsCertificate"),
    ("sfb2019", POOL, "Set-CsCertificate"),
    ("lync2013", (edge(1), edge(2)), "Set-CsCertificate"),
]
IDS = ["FE", "FE that fails over", "Edge"]
ADVICE = "run this script with -StartServices alone"


def running_services(walk, page):
    """Return the services of a server that run."""
    services = walk.world()["servers"][page.server]["services"]
    return {name for name, service in services.items() if service["Status"] == "Running"}


@pytest.mark.parametrize(("product", "rows", "command"), STANDING, ids=IDS)
@pytest.mark.parametrize("back", [False, True], ids=["change", "back"])
def test_advice_after_a_failure_starts_the_services(walk, product, rows, command, back):
    """If a command fails while the services are stopped, the switch that the script names starts
    the services, even if the command would still fail.
    """
    steps = begin_simulation(walk, *rows, product=product)
    # The last server does not stage the OAuth certificate, and the A/V certificate is staged, so
    # the first certificate is assigned behind the drain.
    page = steps.servers[-1]
    uses = walk.world()["servers"][page.server]["uses"]
    if "AudioVideoAuthentication" in uses:
        (package,) = [p for p in page.packages if "AudioVideoAuthentication" in p.usages]
        uses["AudioVideoAuthentication"] |= {
            "next": package.thumbprint,
            "since": (OLD_END - timedelta(hours=8)).isoformat(),
        }
        walk.set(page.server, uses=uses)
    before = running_services(walk, page)
    switches = SWITCHES
    if back:
        assert walk.run(page, *SWITCHES)["code"] == 0
        switches = ("Back", *SWITCHES)
    fault = {"command": command, "kind": "fail"}
    run = walk.run(page, *switches, fault=fault)
    assert (run["code"], ADVICE in join_lines(run)) == (1, True)
    assert running_services(walk, page) < before
    left = assignments(walk.world())
    run = walk.run(page, "StartServices", fault=fault)
    assert running_services(walk, page) == before, all_lines([run])
    assert run["struck"] == ""
    # The first command of the rollback failed, so the change is still complete.
    assert (run["code"], assignments(walk.world())) == (0 if back else 2, left)
    assert ("is not complete" in join_lines(run)) != back
    assert walk.run(page, *switches)["code"] == 0


def test_start_after_a_complete_drained_run_leaves_nothing(walk):
    """If the run with -DrainServices completed everything else, a run with -StartServices alone
    starts the services and ends with 0.
    """
    steps = begin_simulation(walk, edge(1), edge(2))
    page = steps.servers[0]
    run = walk.run(page, "DrainServices", "TrustInstalled")
    assert (run["code"], ADVICE in join_lines(run)) == (2, True)
    run = walk.run(page, "StartServices")
    assert run["code"] == 0, all_lines([run])
    assert {call.split()[0] for call in run["changes"]} == {"Start-CsWindowsService"}


@pytest.mark.parametrize("staged", STAGED)
@pytest.mark.parametrize("rows", [POOL, (edge(1), edge(2))], ids=["OAuth", "A/V"])
def test_going_back_ends_a_staging_that_is_not_shown(walk, staged, rows):
    """After -Back, no staged certificate takes over on its date, even if Get-CsCertificate does
    not show staged certificates.
    """
    steps = begin_simulation(walk, *rows, staged=staged)
    before = certificates_by_setting(walk.world())
    for page in servers_in_order(steps):
        walk.run(page, *SWITCHES)
    if staged == "hidden":
        run = walk.run(steps.servers[0], "Back", "Verify")
        assert (run["code"], "may still be staged" in join_lines(run)) == (1, True)
    for page in servers_in_order(steps):
        run = walk.run(page, "Back", *SWITCHES)
        assert run["code"] == 0, all_lines([run])
        again = walk.run(page, "Back", *SWITCHES)
        assert (again["code"], again["changes"]) == (0, [])
        assert walk.run(page, "Back", "Verify")["code"] == 0
    walk.pass_time(OLD_END)
    assert certificates_by_setting(walk.world()) == before


@pytest.mark.parametrize("staged", STAGED)
@pytest.mark.parametrize("rows", [POOL, (edge(1), edge(2))], ids=["OAuth", "A/V"])
def test_going_back_after_the_date_rolls_back(walk, tmp_path, staged, rows):
    """From the effective time, the new certificate signs tokens: -Back rolls over to the old one,
    and keeps the new one as the previous one, which validates these tokens.
    """
    steps = begin_simulation(walk, *rows, staged=staged)
    rolled = {
        (page.server, usage): (package, call.effective)
        for page in steps.servers
        for package in page.packages
        for call in package.calls
        if call.effective
        for usage in call.usages
    }
    for page in servers_in_order(steps):
        walk.run(page, *SWITCHES)
    walk.pass_time(max(time for _, time in rolled.values()) + timedelta(minutes=1))
    for page in servers_in_order(steps):
        path = tmp_path / f"{page.server}.json"
        walk.run(page, "Verify", report=str(path))
        assert {package.thumbprint for package in page.packages} == {
            text.upper() for text in read_server_reports([path])[0].thumbprints
        }
        run = walk.run(page, "Back", *SWITCHES)
        assert (run["code"], run["harm"]) == (0, []), all_lines([run])
        staging = [call for call in run["changes"] if " -Roll " in call]
        assert len(staging) == sum(server == page.server for server, _ in rolled), all_lines([run])
    moment = datetime.fromisoformat(walk.world()["now"])
    walk.pass_time(moment + timedelta(minutes=15))
    for page in servers_in_order(steps):
        again = walk.run(page, "Back", *SWITCHES)
        assert (again["code"], again["changes"]) == (0, []), all_lines([again])
        assert walk.run(page, "Back", "Verify")["code"] == 0
    for (server, usage), (package, _) in rolled.items():
        use = use_of(walk.world(), server, usage)
        assert (use["current"], use["next"], use["previous"]) == (
            old_thumbprint(package),
            "",
            package.thumbprint,
        )


def test_what_if_ends_as_the_run_would_end(walk):
    """With -WhatIf, the exit status is 1 if the run would stop, 2 if it would leave something for
    later, and 0 if it would complete.
    """
    steps = begin_simulation(walk, edge(1), edge(2))
    page = steps.servers[0]
    assert walk.run(page, "WhatIf", *SWITCHES)["code"] == 0
    assert walk.run(page, "WhatIf", "DrainServices", "TrustInstalled")["code"] == 2
    chain = f"chain/{page.issuers[0].thumbprint}.cer"
    walk.delete(page.server, chain)
    run = walk.run(page, "WhatIf", *SWITCHES)
    assert (run["code"], "WOULD STOP" in join_lines(run)) == (1, True)
    assert walk.run(page, *SWITCHES)["code"] == 1


def test_what_if_of_a_run_that_waits(walk):
    """With -WhatIf, the exit status is 2 if a certificate could not be assigned yet."""
    steps = begin_simulation(walk, edge(1), edge(2), rolls=False)
    page = steps.servers[0]
    run = walk.run(page, "WhatIf", *SWITCHES)
    assert (run["code"], "waits until" in join_lines(run)) == (2, True)
    assert walk.run(page, *SWITCHES)["code"] == 2


def test_service_that_was_stopped_before_is_named(walk):
    """The run and -Verify name a service that was stopped before the change, and leave it so."""
    steps = begin_simulation(walk, *POOL)
    page = steps.servers[0]
    services = walk.world()["servers"][page.server]["services"]
    services["RTCSRV"]["Status"] = "Stopped"
    walk.set(page.server, services=services)
    for switches in (SWITCHES, ("Verify",)):
        run = walk.run(page, *switches)
        assert run["code"] == 0, all_lines([run])
        assert "were not running before this change" in join_lines(run)
        assert "- RTCSRV" in join_lines(run)
    assert "RTCSRV" not in running_services(walk, page)


def test_service_that_does_not_start_keeps_no_other_stopped(walk):
    """If one service does not start, the script starts the others, and names the one."""
    steps = begin_simulation(walk, *POOL)
    page = steps.servers[-1]
    before = running_services(walk, page)
    run = walk.run(page, *SWITCHES, fault={"command": "Start-CsWindowsService", "kind": "fail"})
    assert (run["code"], run["struck"] != "") == (1, True), all_lines([run])
    (stopped,) = before - running_services(walk, page)
    assert f"{stopped} did not start" in join_lines(run)
    assert f"- {stopped}" in join_lines(run)


def test_services_start_if_the_record_was_renamed_after_the_drain(walk):
    """If the record is renamed while the services are stopped, as the script may advise, the next
    run starts the services that ran before the drain.
    """
    steps = begin_simulation(walk, edge(1), edge(2))
    page = steps.servers[0]
    before = running_services(walk, page)
    assert walk.run(page, "DrainServices", "TrustInstalled")["code"] == 2
    (record,) = [name for name in walk.read(page.server) if name.startswith("before-")]
    walk.delete(page.server, record)
    # Enable-CsReplica starts REPLICA, for example in Step 2 of the Deployment Wizard.
    services = walk.world()["servers"][page.server]["services"]
    services["REPLICA"]["Status"] = "Running"
    walk.set(page.server, services=services)
    run = walk.run(page, *SWITCHES)
    assert running_services(walk, page) == before, all_lines([run])
