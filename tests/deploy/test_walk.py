"""PowerShell runs the generated scripts on simulated servers, up to the planned state and back to
the old state.
"""

from __future__ import annotations

import os
import random
import re
from dataclasses import replace
from datetime import timedelta

import pytest
from deploy.walk import (
    CULTURES,
    END,
    NOON,
    OLD_END,
    STAGED,
    all_lines,
    assignments,
    certificates_of,
    chain_files,
    changes_after_trust,
    facts,
    join_lines,
    list_differences,
    old_thumbprint,
    packages_of,
    running,
    servers_in_order,
    services_to_restart,
    stopped_services,
    thumbprint_of,
    use_of,
    with_packages,
    world_of,
)
from places import DATA
from powershell_kit import needs_pwsh
from strange import VARIABLE
from topologies import OTHERS, front_end, plan, row

from lyncnb.authorities.survey.server_reports import read_server_reports
from lyncnb.deploy.server_steps import DeploymentSteps
from lyncnb.deploy.steps import build_procedure
from lyncnb.plan.planner import plan_certificates
from lyncnb.rules.rule_files import load_rules
from lyncnb.topology.topology import read_topology

pytestmark = needs_pwsh

RULES = load_rules()
FORMS = ["", "urn:certref:"]
# With LYNCNB_SAMPLES=1, the tests use all samples and the additional roles, test both formats of
# the property Use, and also reverse the changes.
SAMPLES = [*sorted(path.name for path in DATA.glob("*.csv")), "others"]
GO_BACK = SAMPLES
CASES = [
    (name, in_use, form, culture)
    for name in SAMPLES
    for in_use in (False, True)
    for form in FORMS
    for culture in CULTURES
]
if not os.environ.get("LYNCNB_SAMPLES"):
    GO_BACK = ["contoso.csv"]
    CASES = [
        ("single-server.csv", False, "", "fi-FI"),
        ("single-server.csv", True, "", "zh-TW"),
        ("others", False, "", "tr-TR"),
        ("others", True, "", "fa-IR"),
        ("contoso.csv", False, "", "th-TH"),
        ("contoso.csv", True, "urn:certref:", "fi-FI"),
    ]
BOTH = ("DrainServices", "StartServices", "TrustInstalled")


def plan_of(name: str):
    """Return the plan for a sample, or for the roles that no sample contains."""
    if name == "others":
        return plan(*OTHERS)
    return plan_certificates(read_topology(DATA / name), RULES)


def steps_of(
    name: str, *, rolls: bool, generation: int = 1, in_use: bool = False
) -> DeploymentSteps:
    """Return the deployment steps for a sample.

    With ``rolls``, the folder knows when the old certificates end. With ``in_use``, it knows only
    that the servers are in use.
    """
    packages = packages_of(plan_of(name), OLD_END if rolls else None, generation=generation)
    cases = running(packages) if in_use else None
    return build_procedure(packages, RULES, now=NOON, cases=cases)


def page_of(steps: DeploymentSteps, server: str):
    """Return the page for the server whose name starts with the given characters."""
    return next(page for page in steps.servers if page.server.startswith(server))


# The following tests run the scripts with the regional settings of other countries.

IN_FORCE = {
    "fi-FI": ["2026-11-24T13.02.03", "I", "ap."],
    "th-TH": ["2569-11-24T13:02:03", "I", "ก่อนเที่ยง"],
    "fa-IR": ["1405-09-03T13:02:03", "I", "قبل‌ازظهر"],
    "tr-TR": ["2026-11-24T13:02:03", "İ", "ÖÖ"],
    "zh-TW": ["2026-11-24T13:02:03", "I", "上午"],
}


@pytest.mark.parametrize("culture", CULTURES)
def test_a_culture_of_the_tests_is_in_force(walk, culture):
    """PowerShell knows the cultures of the following tests, and does not replace them by the
    invariant culture.
    """
    (answer,) = walk.ask({"moves": [{"culture": culture}]})
    assert answer == IN_FORCE[culture]


@pytest.mark.parametrize("culture", CULTURES)
@pytest.mark.parametrize("server", ["fe01", "edge01"])
def test_regional_settings_change_nothing(walk, culture, server):
    """With any regional settings, one run completes the change, a second run changes nothing, and
    the services have loaded the new certificates.
    """
    steps = steps_of("contoso.csv", rolls=True)
    page = page_of(steps, server)
    walk.begin(world_of(steps, in_use=True, culture=culture), steps)
    run = walk.run(page, *BOTH)
    assert (run["code"], run["harm"]) == (0, []), all_lines([run])
    assert services_to_restart(walk.world()) == []
    assert walk.run(page, *BOTH)["changes"] == []
    assert walk.run(page, "Verify")["code"] == 0
    (events,) = (text for name, text in walk.read(page.server).items() if "events-" in name)
    times = re.findall(r"^(2026-11-24T\d\d:\d\d:\d\dZ) .* \.$", events.strip("\ufeff"), re.M)
    assert len(times) == len(events.splitlines())
    assert walk.run(page, "Back", *BOTH)["code"] == 0


@pytest.mark.parametrize("culture", CULTURES)
def test_regional_settings_hide_no_stopped_service(walk, culture):
    """With any regional settings, a failure after the drain names the stopped services."""
    steps = steps_of("contoso.csv", rolls=True)
    page = page_of(steps, "fe02")
    walk.begin(world_of(steps, in_use=True, culture=culture), steps)
    fault = {"command": "Set-CsCertificate", "kind": "fail"}
    run = walk.run(page, *BOTH, fault=fault)
    assert run["code"] == 1
    assert stopped_services(walk.world()["servers"][page.server]) != []
    assert "THESE SERVICES ARE STOPPED" in all_lines([run])


# The following tests are about the final state of the servers.


@pytest.mark.slow
@pytest.mark.parametrize(("name", "in_use", "form", "culture"), CASES)
def test_every_server_ends_with_the_planned_certificates(walk, name, in_use, form, culture):
    """After one run of each script, the servers match the plan. A second run changes nothing, and
    -Back restores the old state.
    """
    steps = steps_of(name, rolls=in_use)
    walk.begin(world_of(steps, in_use=in_use, use_form=form, culture=culture), steps)
    before = assignments(walk.world())
    runs = walk.day(steps, *BOTH)
    assert {server: run["code"] for server, run in runs.items() if run["code"]} == {}
    assert [run["harm"] for run in runs.values() if run["harm"]] == []
    # All servers in a pool have the same steps, so the test repeats the steps on only one server of
    # each pool.
    pages = {page.pool: page for page in servers_in_order(steps)}.values()
    second_runs = [walk.take(page, *BOTH) for page in pages]
    assert [run["changes"] for run in second_runs if run["changes"]] == []
    walk.save()
    if in_use:
        walk.pass_time(OLD_END - timedelta(hours=1))
    world = walk.world()
    assert list_differences(steps, world) == []
    assert services_to_restart(world) == []
    for page in pages:
        run = walk.run(page, "Verify")
        assert (run["code"], run["changes"]) == (0, []), all_lines([run])
    walk.restore()
    if name in GO_BACK:
        restores_certificates(walk, steps, before, in_use=in_use)


def restores_certificates(walk, steps: DeploymentSteps, before, *, in_use: bool) -> None:
    """Run -Back on every server, and return whether each usage has its previous certificate again."""
    for page in servers_in_order(steps):
        run = walk.run(page, "Back", "RemoveGlobal", *BOTH, answers="Y\n" * 9)
        # A new farm has no previous certificate, so -Back keeps the new certificate.
        is_kept = page.role == "OfficeWebApps" and not in_use
        assert run["code"] == (2 if is_kept else 0), all_lines([run])
    world = walk.world()
    assert assignments(world) == before
    assert services_to_restart(world) == []
    if in_use:
        assert [
            stopped_services(server_state)
            for server_state in world["servers"].values()
            if stopped_services(server_state)
        ] == []


def test_going_back_after_a_second_renewal_restores_the_first(walk):
    """The script saves the old certificates before each change, so -Back after a second renewal
    restores the certificates of the first renewal.
    """
    first, second = (steps_of("contoso.csv", rolls=False, generation=n) for n in (1, 2))
    second = build_procedure(
        with_packages(second, in_use_until=END, not_after=END + timedelta(days=300)),
        RULES,
        now=END - timedelta(days=20),
    )
    world = world_of(first, in_use=False)
    for page in second.servers:
        for package in page.packages:
            world["certificates"] |= certificates_of(package)
    walk.begin(world, first)
    walk.day(first, *BOTH)
    after_first = assignments(walk.world())
    walk.pass_time(END - timedelta(days=20))
    walk.bring(second)
    runs = walk.day(second, *BOTH)
    assert {server: run["code"] for server, run in runs.items() if run["code"]} == {}
    assert assignments(walk.world()) != after_first
    for page in servers_in_order(second):
        run = walk.run(page, "Back", *BOTH)
        assert run["code"] == 0, all_lines([run])
        assert not [call for call in run["changes"] if call.startswith("Remove-CsCertificate")]
    assert assignments(walk.world()) == after_first


EARLIER = thumbprint_of("earlier")


def begin_with_two_certificates(walk, steps):
    """Start with an Edge Server whose A/V usage also shows the certificate that an earlier rollover
    has replaced. Both are in date.
    """
    world, page = world_of(steps, in_use=True), page_of(steps, "edge01")
    begins = (NOON - timedelta(days=400)).isoformat()
    world["certificates"][EARLIER] = {"name": "earlier", "begins": begins, "ends": END.isoformat()}
    world["servers"][page.server]["my"].append(EARLIER)
    world["servers"][page.server]["uses"]["AudioVideoAuthentication"]["previous"] = EARLIER
    walk.begin(world, steps)
    return page


@pytest.mark.parametrize("is_saved", [False, True], ids=["planned", "saved"])
def test_of_two_certificates_in_date_the_one_on_record_is_in_use(walk, is_saved):
    """If two certificates of a usage are in date, the script uses the one in the plan, or later the
    one in its file of old certificates.
    """
    steps = steps_of("contoso.csv", rolls=True)
    page = begin_with_two_certificates(walk, steps)
    if is_saved:
        assert walk.run(page, *BOTH, fault={"command": "Set-CsCertificate", "kind": "fail"})["code"]
        page = replace(page, places=tuple(replace(place, old="") for place in page.places))
    run = walk.run(page, *BOTH)
    assert run["code"] == 0, all_lines([run])
    (saved,) = (text for name, text in walk.read(page.server).items() if name[:7] == "before-")
    package = next(p for p in page.packages if "AudioVideoAuthentication" in p.usages)
    assert f'"AudioVideoAuthentication","{old_thumbprint(package)}"' in saved
    assert EARLIER not in saved


def test_two_certificates_in_date_stop_the_script_if_none_is_on_record(walk):
    """If nothing is on record and two certificates of a usage are in date, nothing is changed."""
    page = begin_with_two_certificates(walk, steps_of("contoso.csv", rolls=False, in_use=True))
    run = walk.run(page, *BOTH)
    assert (run["code"], run["changes"]) == (1, [])
    assert "cannot determine which certificate is in use for AudioVideo" in join_lines(run)


def assign_by_hand(walk, page) -> None:
    """Assign the new certificates of a server, as its sheet says, without a restart of services."""
    uses = walk.world()["servers"][page.server]["uses"]
    for package in page.packages:
        for usage in package.usages:
            if usage in uses:
                uses[usage]["current"] = package.thumbprint
    walk.set(page.server, uses=uses)


def test_pending_restart_is_reported_and_performed(walk):
    """If a certificate was assigned without draining the server, the script reports that a restart
    is necessary, and then restarts the services.
    """
    steps = steps_of("contoso.csv", rolls=True)
    walk.begin(world_of(steps, in_use=True), steps)
    page = page_of(steps, "fe01")
    assert walk.run(page, "Prepare", "TrustInstalled")["code"] == 0
    assign_by_hand(walk, page)
    assert services_to_restart(walk.world())
    run = walk.run(page, "Prepare", "TrustInstalled")
    assert (run["code"], run["changes"]) == (2, [])
    assert "Services still use the previous certificate" in all_lines([run])
    run = walk.run(page, "Verify")
    assert run["code"] == 1
    assert any(line.startswith("NO ") and "started after" in line for line in run["output"])
    run = walk.run(page, *BOTH)
    assert run["code"] == 0, all_lines([run])
    assert services_to_restart(walk.world()) == []
    assert walk.run(page, "Verify")["code"] == 0


@pytest.mark.parametrize("server", ["fe01", "edge01"])
def test_postponed_assignment_leaves_no_service_stopped(walk, server):
    """If the A/V or OAuth certificate cannot be assigned yet, the script shows when it can be
    assigned, and starts the stopped services again.
    """
    steps = steps_of("contoso.csv", rolls=False, in_use=True)
    walk.begin(world_of(steps, in_use=True), steps)
    page = page_of(steps, server)
    run = walk.run(page, *BOTH)
    assert run["code"] == 2
    assert "waits until 2026-12-2" in join_lines(run)
    assert "until 2026-12-22 14:00 UTC" in join_lines(run)
    assert run["harm"] == []
    assert stopped_services(walk.world()["servers"][page.server]) == []


@pytest.mark.parametrize("server", ["fe01", "edge01"])
def test_unverified_roll_over_leaves_no_service_stopped(walk, server):
    """If the script cannot verify a pending roll-over, it reports a warning and starts the
    services.
    """
    steps = steps_of("contoso.csv", rolls=True)
    walk.begin(world_of(steps, in_use=True, staged="hidden"), steps)
    page = page_of(steps, server)
    run = walk.run(page, *BOTH)
    assert run["code"] == 2, all_lines([run])
    text = join_lines(run)
    assert re.search(r"WARNING this is not true: [0-9A-F]{40} is staged for", text)
    assert re.search(r"Left for later: - this is not true: [0-9A-F]{40} is staged for", text)
    assert stopped_services(walk.world()["servers"][page.server]) == []
    walk.pass_time(OLD_END - timedelta(hours=1))
    assert list_differences(replace(steps, servers=(page,)), walk.world()) == []
    assert walk.run(page, "Verify")["code"] == 0


def test_script_assigns_the_oauth_certificate_before_the_services_start(walk):
    """On the first server of a new deployment, OAuth is assigned before any service starts. If the
    script does not see the assignment yet, it warns, starts the services, and checks it later.
    """
    steps = steps_of("contoso.csv", rolls=False)
    page = page_of(steps, "fe01")
    walk.begin(world_of(steps, in_use=False, staged="hidden") | {"delay": 60}, steps)
    run = walk.run(page, "StartServices", answers="Y\n")
    assert run["code"] == 2, all_lines([run])
    starts = [n for n, call in enumerate(run["changes"]) if call.startswith("Start-Cs")]
    assigns = [n for n, call in enumerate(run["changes"]) if "OAuthTokenIssuer" in call]
    assert assigns < starts
    assert stopped_services(walk.world()["servers"][page.server]) == []
    assert "is assigned to OAuthTokenIssuer in the whole deployment" in join_lines(run)
    walk.pass_time(NOON + timedelta(hours=2))
    second_run = walk.run(page, "StartServices", answers="Y\n")
    assert (second_run["code"], second_run["changes"]) == (0, [])


def test_roll_over_on_only_one_edge_server_is_reported(walk):
    """If only one of the Edge Servers in a pool rolled over, the script reports it on the date of
    the roll-over.
    """
    steps = steps_of("contoso.csv", rolls=True)
    walk.begin(world_of(steps, in_use=True), steps)
    walk.run(page_of(steps, "edge01"), *BOTH)
    walk.pass_time(OLD_END - timedelta(hours=1))
    usage = "AudioVideoAuthentication"
    used = {use_of(walk.world(), f"edge0{n}.contoso.net", usage)["current"] for n in (1, 2)}
    assert len(used) == 2
    text = join_lines(walk.run(page_of(steps, "edge02"), "Verify"))
    assert re.search(rf"NO [0-9A-F]{{40}} is (assigned to|staged for) {usage}", text)


def test_nothing_is_staged_for_a_time_that_has_passed(walk):
    """After the time of a roll-over, the script stops on a server that has not staged it, and
    changes nothing there.
    """
    steps = steps_of("contoso.csv", rolls=True)
    walk.begin(world_of(steps, in_use=True), steps)
    page = page_of(steps, "edge02")
    (time,) = {call.effective for p in page.packages for call in p.calls if call.effective}
    walk.pass_time(time + timedelta(minutes=1))
    run = walk.run(page, *BOTH)
    assert run["code"] == 1
    assert "the time at which AudioVideoAuthentication changes" in join_lines(run)
    assert not [change for change in run["changes"] if "-Roll" in change]
    assert stopped_services(walk.world()["servers"][page.server]) == []
    assert run["harm"] == []


def test_report_lists_the_certificates_in_use(walk, tmp_path):
    """The report of a script lists the certificates in use before the change, and the new
    certificates after it.
    """
    steps = steps_of("contoso.csv", rolls=False, in_use=True)
    walk.begin(world_of(steps, in_use=True), steps)
    page, path = page_of(steps, "fe02"), tmp_path / "fe02.json"
    for run, find_thumbprint in (
        (walk.run(page, "Verify", report=str(path)), old_thumbprint),
        (None, _thumbprint),
    ):
        if run is None:
            assert walk.run(page, *BOTH)["code"] == 0
            run = walk.run(page, "Verify", report=str(path))
        assert run["changes"] == []
        (report,) = read_server_reports([path])
        expected = {find_thumbprint(package).casefold() for package in page.packages}
        assert (report.server, set(report.thumbprints)) == (page.server, expected)


def _thumbprint(package):
    """Return the thumbprint of the certificate in a package."""
    return package.thumbprint


def test_a_report_replaces_no_other_file(walk, tmp_path):
    """The script writes a report only with -Verify, and does not overwrite an existing file."""
    steps = steps_of("contoso.csv", rolls=False, in_use=True)
    walk.begin(world_of(steps, in_use=True), steps)
    page, path = page_of(steps, "fe02"), tmp_path / "fe02.json"
    run = walk.run(page, report=str(path))
    assert (run["code"], run["changes"], path.exists()) == (1, [], False)
    path.write_text("notes")
    run = walk.run(page, "Verify", report=str(path))
    assert "is not a report from this script" in join_lines(run)
    assert (run["code"], path.read_text()) == (1, "notes")


NEW_SERVERS = ("dir01", "edge01", "fe01", "fe02", "med01", "chat01")


@pytest.mark.parametrize("server", NEW_SERVERS)
@pytest.mark.parametrize("by_hand", [False, True], ids=["new", "assigned by hand"])
def test_replica_alone_is_no_running_server(walk, server, by_hand):
    """On a new server, only REPLICA and W3SVC run: -Verify says that the services are not running
    until the script has started all of them.
    """
    steps = steps_of("contoso.csv", rolls=False)
    page = page_of(steps, server)
    world = world_of(steps, in_use=False)
    if by_hand:  # Somebody assigned the new certificates in the wizard, and started nothing.
        for package in page.packages:
            if package.shared_by != "deployment":
                state = world["servers"][page.server]
                state["my"].append(package.thumbprint)
                state["keys"].append(package.thumbprint)
                use = {"current": package.thumbprint, "next": "", "since": None, "previous": ""}
                state["uses"] |= {usage: dict(use) for usage in package.usages}
    walk.begin(world, steps)
    assert walk.run(page, "TrustInstalled")["code"] in (0, 1)  # OAuth waits for the services.
    assert stopped_services(walk.world()["servers"][page.server]) == ["RTCSRV"]
    run = walk.run(page, "Verify")
    assert (run["code"], facts(run)["theLyncServer2013servicesarerunning"]) == (1, "NO")
    run = walk.run(page, *BOTH, answers="Y\n" * 2)
    assert (run["code"], run["harm"]) == (0, []), all_lines([run])
    assert stopped_services(walk.world()["servers"][page.server]) == []
    run = walk.run(page, "Verify")
    assert (run["code"], facts(run)["theLyncServer2013servicesarerunning"]) == (0, "yes")


def test_stopped_service_is_not_restarted(walk):
    """If a service was stopped before the change, it stays stopped, and no step waits for it."""
    steps = steps_of("contoso.csv", rolls=True)
    world = world_of(steps, in_use=True)
    page = page_of(steps, "fe02")
    world["servers"][page.server]["services"]["RTCSRV"]["Status"] = "Stopped"
    walk.begin(world, steps)
    assert walk.run(page, *BOTH)["code"] == 0
    assert stopped_services(walk.world()["servers"][page.server]) == ["RTCSRV"]


def test_services_that_are_stopping_are_drained(walk):
    """The script stops services in the state StopPending or Paused before it assigns a certificate."""
    steps = steps_of("contoso.csv", rolls=True)
    world = world_of(steps, in_use=True)
    page = page_of(steps, "fe02")
    for name, state in (("RTCSRV", "StopPending"), ("REPLICA", "Paused"), ("W3SVC", "Stopped")):
        world["servers"][page.server]["services"][name]["Status"] = state
    walk.begin(world, steps)
    run = walk.run(page, "DrainServices", "TrustInstalled")
    stops = [n for n, call in enumerate(run["changes"]) if call.startswith("Stop-Cs")]
    assigns = [n for n, call in enumerate(run["changes"]) if call.startswith("Set-Cs")]
    assert stops[0] < assigns[0]
    assert "THESE SERVICES ARE STOPPED" in all_lines([run])
    assert run["code"] == 2


# In the following tests, a command fails, or the administrator answers a question.


def test_failed_read_is_not_saved_as_an_empty_list(walk):
    """If Get-CsCertificate fails, the script does not save an empty list of old certificates, and
    -Back removes nothing.
    """
    steps = steps_of("contoso.csv", rolls=True)
    page = page_of(steps, "edge01")
    for kind in ("fail", "error"):
        walk.begin(world_of(steps, in_use=True), steps)
        before = assignments(walk.world())
        run = walk.run(page, *BOTH, fault={"at": 1, "kind": kind})
        assert (run["code"], changes_after_trust(run)) == (1, [])
        assert not [name for name in walk.read(page.server) if name.startswith("before-")]
        assert walk.run(page, "Back", *BOTH)["code"] == 1
        assert assignments(walk.world()) == before


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: "",
        lambda text: text.replace('"Place","Value"', '"Use";"Thumbprint"'),
        lambda text: text.replace(",", ";"),
        lambda text: text[: len(text) // 2],
        lambda text: text.replace('"Internal"', '"AccessEdgeExternal"'),
    ],
    ids=["empty", "foreign header", "semicolons", "half", "two rows"],
)
def test_back_stops_if_the_file_of_old_certificates_is_damaged(walk, spoil):
    """If the file with the old certificates is damaged, -Back assigns nothing and stops no service.
    The script reads the whole file before any other step.
    """
    steps = steps_of("contoso.csv", rolls=True)
    page = page_of(steps, "edge01")
    walk.begin(world_of(steps, in_use=True), steps)
    walk.run(page, *BOTH)
    ((name, text),) = [f for f in walk.read(page.server).items() if f[0].startswith("before-")]
    walk.write(page.server, name, spoil(text))
    run = walk.run(page, "Back", *BOTH)
    assert (run["code"], run["changes"]) == (1, []), all_lines([run])


def test_going_back_stops_if_the_old_certificates_are_locked(walk):
    """If another program locks the file with the old certificates, -Back changes nothing. After the
    file is released, -Back works.
    """
    steps = steps_of("contoso.csv", rolls=True)
    page = page_of(steps, "fe02")
    walk.begin(world_of(steps, in_use=True), steps)
    before = assignments(walk.world())
    assert walk.run(page, *BOTH)["code"] == 0
    (name,) = (name for name in walk.read(page.server) if name.startswith("before-"))
    walk.lock(page.server, name)
    for switches in (BOTH, ("Back", *BOTH)):
        run = walk.run(page, *switches)
        assert (run["code"], run["changes"]) == (1, []), all_lines([run])
        assert name in join_lines(run)
    walk.unlock()
    run = walk.run(page, "Back", *BOTH)
    assert run["code"] == 0, all_lines([run])
    assert assignments(walk.world()) == before


@pytest.mark.parametrize("problem", ["gone", "expired", "no key"])
def test_unusable_old_certificate_stops_going_back(walk, problem):
    """If an old certificate is missing or expired, or has no key, -Back reports it and changes
    nothing.
    """
    steps = steps_of("contoso.csv", rolls=True)
    page = page_of(steps, "edge01")
    walk.begin(world_of(steps, in_use=True), steps)
    walk.run(page, *BOTH)
    server_state = walk.world()["servers"][page.server]
    lost = old_thumbprint(page.packages[0])
    if problem == "gone":
        walk.set(page.server, my=[t for t in server_state["my"] if t != lost])
    elif problem == "no key":
        walk.set(page.server, keys=[t for t in server_state["keys"] if t != lost])
    else:
        walk.pass_time(OLD_END + timedelta(hours=1))
    run = walk.run(page, "Back", *BOTH)
    assert (run["code"], run["changes"]) == (1, []), all_lines([run])
    assert lost in all_lines([run])


def test_going_back_requires_stopped_services(walk):
    """Services continue to use the current certificate while they run, so -Back requires
    -DrainServices.
    """
    steps = steps_of("contoso.csv", rolls=True)
    page = page_of(steps, "fe02")
    walk.begin(world_of(steps, in_use=True), steps)
    walk.run(page, *BOTH)
    run = walk.run(page, "Back")
    assert (run["code"], run["changes"]) == (1, [])
    assert "-Back -DrainServices -StartServices" in join_lines(run)


def test_a_wrong_ca_file_is_not_installed(walk):
    """The script does not install a CA certificate file whose thumbprint differs from the plan."""
    steps = steps_of("contoso.csv", rolls=True)
    page = page_of(steps, "rp01")
    walk.begin(world_of(steps, in_use=True), steps)
    for name in ca_certificate_paths(page):
        walk.write(page.server, name, "0" * 40)
    run = walk.run(page)
    assert run["code"] == 1
    assert walk.world()["servers"][page.server]["root"] == []


@pytest.mark.parametrize(
    ("issuer", "thumbprints", "found"),
    [
        ("CN=Fabrikam Root CA", ["F" * 40], "Found: CN=Fabrikam CA 0"),  # an intermediate
        (None, ["F" * 40] * 2, "Found: Twice: CN=Fabrikam CA 0"),
        (None, [f"{n:040X}" for n in range(0xF00, 0xF00 + 101)], "Found: More than 100: 10"),
    ],
    ids=["intermediate", "twice", "many"],
)
def test_untidy_root_store_must_be_confirmed(walk, issuer, thumbprints, found):
    """If an intermediate certificate, a duplicate, or more than 100 certificates are in the root
    store, the script shows them, and stops services only after the administrator confirms that the
    script may continue.
    """
    steps = steps_of("contoso.csv", rolls=True)
    page = page_of(steps, "fe02")
    world = world_of(steps, in_use=True)
    known = world["certificates"][page.issuers[0].thumbprint]
    for number, thumbprint in enumerate(dict.fromkeys(thumbprints)):
        world["certificates"][thumbprint] = known | {
            "name": f"Fabrikam CA {number}",
            "issuer": issuer,
        }
    world["servers"][page.server]["root"] = thumbprints
    walk.begin(world, steps)
    before = assignments(walk.world())
    run = walk.run(page, *BOTH, answers="N\n")
    assert run["code"] == 1
    text = join_lines(run)
    assert "WARNING this is not true: Trusted Root Certification Authorities contains only" in text
    assert text.index(found) < text.index("Import FrontEnd-fe02")
    assert "You answered No. Not confirmed: Trusted Root Certification Authorities" in text
    assert assignments(walk.world()) == before
    assert stopped_services(walk.world()["servers"][page.server]) == []
    run = walk.run(page, *BOTH, answers="Y\n")
    assert run["code"] == 2, all_lines([run])
    assert (
        "Left for later: - this is not true: Trusted Root Certification Authorities"
        in join_lines(run)
    )
    assert list_differences(replace(steps, servers=(page,)), walk.world()) == []


def ca_certificate_paths(page):
    """Return the paths of the CA certificate files that the steps on a page install."""
    return [f"chain/{issuer.thumbprint}.cer" for issuer in page.issuers]


def test_answering_no_ends_the_run(walk):
    """With -Confirm, the run ends if the administrator answers No to a step."""
    steps = steps_of("contoso.csv", rolls=True)
    page = page_of(steps, "fe02")
    walk.begin(world_of(steps, in_use=True), steps)
    before = assignments(walk.world())
    count = sum(step.title.startswith(("Record", "Import")) for step in page.steps)
    run = walk.run(page, "Confirm", *BOTH, answers="Y\n" * count + "N\n" * 9)
    assert run["code"] == 1
    assert "You answered No" in all_lines([run])
    assert assignments(walk.world()) == before
    assert stopped_services(walk.world()["servers"][page.server]) == []


def test_what_if_and_verify_change_nothing(walk):
    """With -WhatIf or -Verify, the script changes nothing, writes no file, and does not announce
    which services would stop.
    """
    steps = steps_of("contoso.csv", rolls=True)
    walk.begin(world_of(steps, in_use=True), steps)
    for page in servers_in_order(steps):
        files = walk.read(page.server)
        for switch in ("WhatIf", "Verify"):
            run = walk.run(page, switch, *BOTH)
            assert run["changes"] == [], page.server
            assert max(len(line) for line in run["output"] if ":\\" not in line) < 80
            assert "STOPPED" not in all_lines([run]), all_lines([run])
        assert walk.read(page.server) == files


def test_what_if_assumes_that_earlier_steps_succeeded(walk):
    """With -WhatIf, the script assumes that earlier steps succeeded, so it does not warn that a
    certificate is missing if an earlier step imports it.
    """
    steps = steps_of("contoso.csv", rolls=True)
    page = page_of(steps, "fe01")
    walk.begin(world_of(steps, in_use=True), steps)
    run = walk.run(page, "WhatIf", *BOTH)
    assert "WARNING" not in all_lines([run])
    number = {step.step.id: step.number for step in page.steps}
    text = join_lines(run)
    later = f"can be checked after step {number['import']}"
    assert text.count(later) == sum(step.step.id == "check" for step in page.steps)
    assert f"would be done {number['start-services']}. Start the services" in text
    assert f"can be checked after step {number['start-services']}" in text
    assert "already done" not in text[text.index("Start the services") :]
    run = walk.run(page, "WhatIf", "DrainServices", "StartServices")
    text = join_lines(run)
    assert text.index("WOULD STOP") < text.index("confirmed with -TrustInstalled that every server")
    assert text.endswith("Nothing was changed. First complete the step.")
    run = walk.run(page, "WhatIf", "DrainServices", "TrustInstalled")
    text = join_lines(run)
    assert f"not requested {number['start-services']}. Start the services" in text
    assert f"Found: step {number['drain-front-end']} stops the services" in text


def test_host_without_a_console_is_rejected(walk):
    """Without a console, certutil cannot prompt for the password, so the script stops before any
    change.
    """
    steps = steps_of("single-server.csv", rolls=False)
    (page,) = steps.servers
    walk.begin(world_of(steps, in_use=False), steps)
    run = walk.run(page, "StartServices", otherhost=True)
    assert (run["code"], run["changes"]) == (1, [])
    assert (
        "The script needs a PowerShell console, because certutil prompts for a password. This is Default Host"
        in join_lines(run)
    )
    for switch in ("WhatIf", "Verify"):
        run = walk.run(page, switch, otherhost=True)
        assert "console is needed" not in join_lines(run)
    assert walk.run(page, "StartServices")["code"] == 0


# In the following tests, the keys are on other computers.


def complete_first_request(walk, pending):
    """Run the script that completes the first request. If `pending` is false, the computer has no
    pending request.
    """
    packages = packages_of(plan_of("single-server.csv"), key_holder="tools01.contoso.net")
    steps = build_procedure(packages, RULES, now=NOON)
    page = steps.key_holders[0]
    (package,) = page.packages
    world = world_of(steps, in_use=False)
    if not pending:
        world["servers"]["tools01.contoso.net"]["pending"] = []
    walk.begin(world)
    answer = {f"certificates/{package.id}.cer": package.thumbprint}
    files = chain_files() | answer
    walk.ask({"moves": [{"write": "tools01.contoso.net", "files": files}]})
    return walk.run(page, on="tools01.contoso.net"), package


def test_key_on_another_computer_is_exported_there(walk):
    """On the computer with the key, the script combines the key with the issued certificate and
    exports both.
    """
    run, package = complete_first_request(walk, pending=True)
    assert run["code"] == 0, all_lines([run])
    assert walk.read("tools01.contoso.net")[package.file].strip() == package.thumbprint


def test_certificate_on_the_wrong_computer_is_reported(walk):
    """If the certificate is copied to a computer that does not have its private key, the script
    stops with an error message.
    """
    run, package = complete_first_request(walk, pending=False)
    assert run["code"] == 1
    assert "not on this computer" in join_lines(run)
    assert package.file not in walk.read("tools01.contoso.net")


# The following tests use two random deployments. With LYNCNB_WALKS=200, they use two hundred.

ROLES = [
    *("FrontEnd", "Director", "Edge", "Mediation", "PersistentChat", "ReverseProxy"),
    *("OfficeWebApps", "ExchangeUM", "TrustedApplication", "SBA"),
]
WALKS = int(os.environ.get("LYNCNB_WALKS", "2"))


def random_rows(chance: random.Random):
    """Return table rows for one Front End pool and for random pools of random roles and sizes."""
    rows = [front_end(9)]
    for role in chance.sample(ROLES, chance.choice([1, 1, 2])):
        cells = {"web_external_fqdn": f"web{role.lower()}.contoso.com"}
        cells = cells if role in ("FrontEnd", "Director") else {}
        if role == "Edge":
            cells = {"access_edge_fqdn": "sip.contoso.com", "webconf_edge_fqdn": "wc.contoso.com"}
        for number in range(chance.randint(1, 2)):
            server = f"{role.lower()}{number}.contoso.com"
            rows.append(row(server, role, f"{role.lower()}pool.contoso.com", **cells))
    return rows


def renewals(planned, chance: random.Random, *, in_use: bool, servers=None):
    """Return the deployment steps and the dates of four successive renewals.

    The renewals are of all certificates, all again, some of them, and all once more. A renewal is
    four weeks before the first certificate in use ends. The renewal of some is much earlier. The
    steps are those of the given servers, or of all.
    """
    ends_by_id = {package.id: OLD_END for package in packages_of(planned) if in_use}
    known: dict[str, str] = {}  # The first certificates are not on record.
    day = NOON
    for generation, kind in enumerate(("first", "all", "some", "second"), 1):
        if kind != "first":
            day = min(ends_by_id.values()) - timedelta(days=180 if kind == "some" else 28)
        packages = packages_of(
            planned,
            generation=generation,
            start=day - timedelta(days=1),
            end=day + timedelta(days=365),
        )
        if kind == "some":
            packages = chance.sample(packages, max(1, len(packages) // 2))
        packages = [
            replace(
                package,
                in_use_until=ends_by_id.get(package.id),
                old=known.get(package.id, ""),
            )
            for package in packages
        ]
        ends_by_id |= {package.id: package.not_after for package in packages}
        known |= {package.id: package.thumbprint for package in packages}
        cases = running(packages) if in_use or kind != "first" else None
        steps = build_procedure(packages, planned.rules, now=day, cases=cases)
        if servers is not None:
            kept = tuple(page for page in steps.servers if page.server in servers)
            steps = replace(steps, servers=kept)
        yield kind, day, steps


def needlessly_repeated_steps(page, before: dict[str, str], run) -> list[str]:
    """Return the steps that a run performed although all their checks were true before the run."""
    text = join_lines(run)
    wrong = []
    for step in page.steps:
        lasting = ["".join(check.text.split()) for check in step.holds if not check.passing]
        was_true = [before.get(fact) == "yes" for fact in lasting]
        # The check of the drain step passes before the drain, and again after the services start.
        is_taken = f"running {step.name}" in text and step.step.does not in ("start", "drain")
        if is_taken and was_true and all(was_true):
            wrong.append(f"{page.server}: {step.title}")
    return wrong


@pytest.mark.parametrize("number", range(WALKS))
def test_random_deployments(walk, number):
    """Each of four successive renewals of a random deployment reaches the planned state, and can be
    reversed.
    """
    chance = random.Random(f"lyncnb {number}")
    walk_renewals(walk, plan(*random_rows(chance)), chance, str(number))


def test_strange_deployments(walk, deployment):
    """Each of four successive renewals of a strange deployment reaches the planned state, and can
    be reversed. A run with a seed draws a tenth of the pools.
    """
    seed = os.environ[VARIABLE]
    chance = random.Random(f"lyncnb {deployment.name} {seed}")
    planned = deployment.plan()
    pools = sorted({c.pool for c in planned.certificates if c.pool})
    if seed.isdecimal():
        pools = chance.sample(pools, 1 + len(pools) // 10)
    servers = {server for c in planned.certificates if c.pool in pools for server in c.servers}
    walk_renewals(walk, planned, chance, f"{deployment.name} {seed}", servers)


def walk_renewals(walk, planned, chance: random.Random, case: str, servers=None) -> None:
    """Walk four successive renewals of a plan, each forward, back, and forward again."""
    in_use = chance.random() < 0.5
    changes = list(renewals(planned, chance, in_use=in_use, servers=servers))
    form, staged = chance.choice(FORMS), chance.choice(STAGED)
    culture = chance.choice(CULTURES)
    world = world_of(changes[0][2], in_use=in_use, use_form=form, staged=staged, culture=culture)
    for _, _, steps in changes:
        for page in steps.servers:
            for package in page.packages:
                world["certificates"] |= certificates_of(package)
    walk.begin(world)
    for kind, day, steps in changes:
        walk.pass_time(day)
        walk.bring(steps)
        walk_one_change(walk, steps, kind, f"{case} {kind} {form} {staged} {culture}")


def walk_one_change(walk, steps: DeploymentSteps, kind: str, case: str) -> None:
    """Run the scripts of a renewal, go back, and run the scripts again.

    Compare with the plan and with the previous state.
    """
    before = assignments(walk.world())
    running = {
        name
        for name, server_state in walk.world()["servers"].items()
        if not stopped_services(server_state)
    }
    facts_before = {p.server: facts(walk.run(p, "Verify")) for p in steps.servers}
    runs = walk.day(steps, *BOTH)
    text = f"{case}\n{all_lines(runs)}"
    assert [run["harm"] for run in runs.values() if run["harm"]] == [], text
    assert {run["code"] for run in runs.values()} <= {0, 2}, text
    after = assignments(walk.world())
    assert set(before) <= set(after), text
    assert services_to_restart(walk.world()) == [], text
    for page in steps.servers:
        assert (
            needlessly_repeated_steps(page, facts_before[page.server], runs[page.server]) == []
        ), text
    walk.save()
    backs = {p.server: walk.run(p, "Back", *BOTH, answers="Y\n" * 9) for p in steps.servers}
    text += f"\nback\n{all_lines(backs)}"
    assert [run["harm"] for run in backs.values() if run["harm"]] == [], text
    restored = {k: v for k, v in assignments(walk.world()).items() if k[0] != "deployment"}
    assert restored == {k: v for k, v in before.items() if k[0] != "deployment"}, text
    if kind != "first":
        assert assignments(walk.world()) == before, text
        assert "Remove-CsCertificate" not in str([run["changes"] for run in backs.values()]), text
    assert services_to_restart(walk.world()) == [], text
    assert {
        n
        for n, server_state in walk.world()["servers"].items()
        if not stopped_services(server_state)
    } >= running, text
    walk.restore()
    ends = [p.in_use_until for s in steps.servers for p in s.packages if p.in_use_until]
    if ends:
        walk.pass_time(max(ends) - timedelta(hours=1))
    assert list_differences(steps, walk.world()) == [], text
    for page in steps.servers:
        run = walk.run(page, "Verify")
        assert run["code"] == 0, f"{text}\nverify\n{all_lines([run])}"


def test_internal_servers_come_before_edge_servers():
    """In the order of work, every Front End Server comes before the first Edge Server."""
    roles = [server.role for server in servers_in_order(steps_of("contoso.csv", rolls=False))]
    assert max(n for n, role in enumerate(roles) if role == "FrontEnd") < roles.index("Edge")
    assert roles[-1] == "ReverseProxy"
