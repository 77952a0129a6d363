"""Our own steps, walked over simulated servers: they lead where the plan says, and back again."""

from __future__ import annotations

import copy
import os
from dataclasses import replace
from datetime import timedelta

import pytest
from deploy.simulated_servers import COMMANDS, CommandFailed, Harm
from deploy.walk import (
    ASKED,
    NOON,
    OLD_END,
    Administrator,
    Stuck,
    assignments,
    in_order,
    packages_of,
    stale,
    tokens_agree,
    world_of,
    wrongs,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from places import DATA
from topologies import edge, front_end, plan, row

from lyncnb.deploy.server_steps import DeploymentSteps
from lyncnb.deploy.steps import procedure_of
from lyncnb.plan.planner import plan_certificates
from lyncnb.rules.procedure import load_procedure
from lyncnb.rules.rule_files import load_rules
from lyncnb.topology.topology import read_topology

RULES = load_rules()
SAMPLES = sorted(path.name for path in DATA.glob("*.csv"))
# Every other role, which the samples leave out.
OTHERS = [
    front_end(1),
    front_end(2),
    row("um01.contoso.com", "ExchangeUM"),
    row("owa01.contoso.com", "ExchangeOWA"),
    row("owas01.contoso.com", "OfficeWebApps", "owas.contoso.com"),
    row("owas02.contoso.com", "OfficeWebApps", "owas.contoso.com"),
    row("app01.contoso.com", "TrustedApplication", "apps.contoso.com"),
    row("app02.contoso.com", "TrustedApplication", "apps.contoso.com"),
    row("sba01.contoso.com", "SBA"),
    edge(1),
    edge(2),
]


def steps_of(name: str, *, rolls: bool) -> DeploymentSteps:
    """Give the steps of a sample; with ``rolls`` its servers use certificates that end soon."""
    made = (
        plan(*OTHERS) if name == "others" else plan_certificates(read_topology(DATA / name), RULES)
    )
    packages = packages_of(made, OLD_END if rolls else None)
    return procedure_of(packages, RULES, now=NOON)


def walked(steps: DeploymentSteps, *, in_use: bool):
    """Take the steps of the day; where something rolls, let its time come."""
    world = world_of(steps, in_use=in_use)
    Administrator(world).walk(steps)
    if in_use:
        world.pass_time(OLD_END - timedelta(hours=1))
    return world


@pytest.fixture(params=[*SAMPLES, "others"])
def sample(request):
    """Give the name of each sample in turn."""
    return request.param


@pytest.mark.parametrize("in_use", [False, True], ids=["new", "in use"])
def test_every_server_ends_with_the_planned_certificates(sample, in_use):
    """After the day each usage of each server has its certificate, and each chain its store."""
    steps = steps_of(sample, rolls=in_use)
    world = walked(steps, in_use=in_use)
    assert wrongs(steps, world) == []
    assert tokens_agree(steps, world) == []


@pytest.mark.parametrize("in_use", [False, True], ids=["new", "in use"])
def test_twice_changes_nothing(sample, in_use):
    """Taken again right away, the steps leave everything as it is."""
    steps = steps_of(sample, rolls=in_use)
    world = world_of(steps, in_use=in_use)
    Administrator(world).walk(steps)
    before = copy.deepcopy(world)
    Administrator(world).walk(steps)
    for name, here in world.computers.items():
        there = before.computers[name]
        # The packages are brought once more; that is all.
        assert replace(here, files={}) == replace(there, files={}), name
    assert world.everywhere == before.everywhere


@pytest.mark.parametrize("in_use", [False, True], ids=["new", "in use"])
@pytest.mark.parametrize("name", ["contoso.csv", "single-server.csv", "others"])
def test_interrupted_anywhere_it_ends_the_same(name, in_use):
    """Broken off after any command and begun again, the walk ends where it would have ended."""
    steps = steps_of(name, rolls=in_use)
    whole = walked(steps, in_use=in_use)
    counted = Administrator(world_of(steps, in_use=in_use))
    counted.walk(steps)
    for patience in range(counted.done):
        world = world_of(steps, in_use=in_use)
        with pytest.raises(KeyboardInterrupt):
            Administrator(world, patience=patience).walk(steps)
        Administrator(world).walk(steps)
        if in_use:
            world.pass_time(OLD_END - timedelta(hours=1))
        assert assignments(world) == assignments(whole), patience
        assert wrongs(steps, world) == []


@pytest.mark.parametrize("in_use", [False, True], ids=["new", "in use"])
def test_the_way_back_ends_where_it_began(sample, in_use):
    """After the day and the way back every usage has what it had, also in the midst of a roll."""
    steps = steps_of(sample, rolls=in_use)
    world = world_of(steps, in_use=in_use)
    before = assignments(world)
    farms = {name: here.farm for name, here in world.computers.items() if here.farm}
    Administrator(world).walk(steps)
    Administrator(world).walk(steps, "back")
    assert assignments(world) == before
    for name, farm in farms.items():
        assert world.computers[name].farm == farm
    Administrator(world).walk(steps, "back")
    assert assignments(world) == before


def test_services_run_with_what_is_assigned(sample):
    """On servers in use they are stopped and started: on the day, and on the way back."""
    steps = steps_of(sample, rolls=True)
    world = world_of(steps, in_use=True)
    before = {name: here.loaded for name, here in world.computers.items()}
    Administrator(world).walk(steps)
    assert stale(world) == []
    assert any(here.loaded != before[name] for name, here in world.computers.items())
    Administrator(world).walk(steps, "back")
    assert stale(world) == []
    assert {name: here.loaded for name, here in world.computers.items()} == before


def test_the_deployments_certificate_alone():
    """OAuth renewed by itself is written down, rolled over and taken back like all others."""
    made = plan_certificates(read_topology(DATA / "contoso.csv"), RULES)
    packages = [p for p in packages_of(made, OLD_END) if p.shared_by == "deployment"]
    steps = procedure_of(packages, RULES, now=NOON)
    (server,) = steps.servers
    assert (server.role, server.shell.title) != ("Deployment", "")
    world = world_of(steps, in_use=True)
    before = assignments(world)
    Administrator(world).walk(steps)
    back = copy.deepcopy(world)
    Administrator(back).walk(steps, "back")
    assert assignments(back) == before
    world.pass_time(OLD_END - timedelta(hours=1))
    assert wrongs(steps, world) == []


def test_later_waits_for_the_end(sample):
    """What forgets the old certificate is stuck until it has ended, and harms nobody after."""
    steps = steps_of(sample, rolls=True)
    if not any(server.later for server in steps.servers):
        pytest.fail("no sample is without something that rolls over")
    world = walked(steps, in_use=True)
    with pytest.raises(Stuck, match="previous-ended"):
        Administrator(world).walk(steps, "later")
    world.pass_time(OLD_END + timedelta(minutes=1))
    Administrator(world).walk(steps, "later")
    assert wrongs(steps, world) == []
    uses = [u for here in world.computers.values() for u in here.uses.values()]
    assert [use for use in (*uses, *world.everywhere.values()) if use.previous] == []


@pytest.mark.parametrize("name", ["contoso.csv", "others"])
def test_a_certificate_that_the_folder_did_not_know_stops_the_walk(name):
    """Where A/V is in use and the steps would assign at once, they stop before any harm."""
    steps = steps_of(name, rolls=False)
    world = world_of(steps, in_use=True)
    with pytest.raises(Stuck, match="no-other-in-use"):
        Administrator(world).walk(steps)
    assert world.assigned_once == set()


# ---- keys that were born elsewhere


def elsewhere(key_holder: str, *, rolls: bool = False) -> DeploymentSteps:
    """Give the steps of the sample whose keys were born on one computer."""
    made = plan_certificates(read_topology(DATA / "contoso.csv"), RULES)
    packages = packages_of(made, OLD_END if rolls else None, key_holder)
    return procedure_of(packages, RULES, now=NOON)


# A computer with the tools, and a server of the deployment that made the requests itself.
HOLDERS = ["tools01.contoso.net", "edge01.contoso.net"]


@pytest.mark.parametrize("key_holder", HOLDERS)
@pytest.mark.parametrize("in_use", [False, True], ids=["new", "in use"])
def test_keys_born_elsewhere_reach_their_servers(key_holder, in_use):
    """Finished and exported where they are, they are imported and assigned as any other."""
    steps = elsewhere(key_holder, rolls=in_use)
    world = world_of(steps, in_use=in_use)
    with pytest.raises(Stuck, match="package-here"):
        Administrator(copy.deepcopy(world)).walk(steps)
    one = Administrator(world)
    one.walk_key_holders(steps)
    one.walk_key_holders(steps)  # again it changes nothing
    one.walk(steps)
    if in_use:
        world.pass_time(OLD_END - timedelta(hours=1))
    assert wrongs(steps, world) == []
    assert tokens_agree(steps, world) == []
    assert world.computers[key_holder].pending == set()


def test_an_interrupted_export_ends_the_same():
    """Broken off after any command on the computer that has the keys, it goes on."""
    steps = elsewhere("tools01.contoso.net")
    counted = Administrator(world_of(steps, in_use=False))
    counted.walk_key_holders(steps)
    for patience in range(counted.done):
        world = world_of(steps, in_use=False)
        with pytest.raises(KeyboardInterrupt):
            Administrator(world, patience=patience).walk_key_holders(steps)
        Administrator(world).walk_key_holders(steps)
        Administrator(world).walk(steps)
        assert wrongs(steps, world) == []


def test_an_answer_taken_to_another_computer_is_found():
    """The key is where the request was made, and nowhere else."""
    steps = elsewhere("tools01.contoso.net")
    world = world_of(steps, in_use=False)
    world.computers["tools01.contoso.net"].pending.clear()
    with pytest.raises(CommandFailed, match="is not on tools01"):
        Administrator(world).walk_key_holders(steps)


# ---- seeded wrong steps: the walk must find each


def changed(steps: DeploymentSteps, change) -> DeploymentSteps:
    """Give the steps with those of each server's day changed."""
    servers = [replace(one, steps=tuple(change(one, list(one.steps)))) for one in steps.servers]
    return replace(steps, servers=tuple(servers))


def bare(step):
    """Give a step without its checks, as a list that is followed with eyes closed."""
    return replace(step, only_if=(), needs=(), holds=())


def test_assigning_before_the_import_is_found():
    """A step that assigns what is not in the store yet fails."""

    def change(server, steps):
        assign = [bare(step) for step in steps if step.step.id == "assign"]
        place = next((n for n, step in enumerate(steps) if step.step.id.startswith("import")), 0)
        rest = [step for step in steps if step.step.id != "assign"]
        return rest[:place] + assign + rest[place:]

    wrong = changed(steps_of("contoso.csv", rolls=False), change)
    with pytest.raises(CommandFailed, match="is not in the store"):
        walked(wrong, in_use=False)


def test_removing_as_a_step_is_found():
    """A step of the day that takes an assignment away leaves somebody without."""

    def change(server, steps):
        removing = [bare(step) for step in server.back if step.step.id == "back-remove"]
        return steps + [replace(s, step=replace(s.step, phase="day")) for s in removing]

    steps = changed(steps_of("contoso.csv", rolls=False), change)
    with pytest.raises(Harm, match="without a certificate"):
        walked(steps, in_use=False)


def test_a_roll_on_one_edge_server_only_is_found():
    """When the date comes the servers of the pool make tokens with different certificates."""

    def change(server, steps):
        return [
            step
            for step in steps
            if server.server != "edge02.contoso.net" or step.step.id != "roll-over-av"
        ]

    steps = changed(steps_of("contoso.csv", rolls=True), change)
    world = walked(steps, in_use=True)
    assert tokens_agree(steps, world) == ["edgepool01.contoso.net"]
    assert any("AudioVideoAuthentication" in wrong for wrong in wrongs(steps, world))


def test_draining_a_second_front_end_is_found():
    """While one server of a pool is stopped the steps stop before another one; eyes closed: harm."""

    def unstarted(server, steps):
        return [step for step in steps if step.step.id != "start-front-end"]

    def blindly(server, steps):
        return [
            bare(step) if step.step.id == "drain-front-end" else step
            for step in unstarted(server, steps)
        ]

    sample = steps_of("contoso.csv", rolls=True)
    steps = changed(sample, unstarted)
    with pytest.raises(Stuck, match="pool-ready"):
        Administrator(world_of(steps, in_use=True)).walk(steps)
    steps = changed(sample, blindly)
    with pytest.raises(Harm, match="no server of eepool01"):
        Administrator(world_of(steps, in_use=True)).walk(steps)


def test_an_edge_server_that_is_not_restarted_is_found():
    """Without a stop and a start the services of a server in use keep the old certificate."""

    def change(server, steps):
        return [step for step in steps if step.step.id != "drain-edge"]

    world = world_of(sample := changed(steps_of("contoso.csv", rolls=True), change), in_use=True)
    Administrator(world).walk(sample)
    assert {line.partition(":")[0] for line in stale(world)} == {
        "edge01.contoso.net",
        "edge02.contoso.net",
    }


def test_assigning_at_once_what_should_roll_is_found():
    """Without its check, the step that assigns A/V at once cuts tokens off."""

    def change(server, steps):
        return [bare(step) if step.step.id == "assign-av" else step for step in steps]

    steps = changed(steps_of("contoso.csv", rolls=False), change)
    world = world_of(steps, in_use=True)
    world.everywhere.clear()
    with pytest.raises(Harm, match="tokens were cut off"):
        Administrator(world).walk(steps)


def test_a_key_in_the_wrong_provider_is_imported_again():
    """A package whose key Windows put into a Key Storage Provider is mended before it is assigned."""
    steps = steps_of("single-server.csv", rolls=False)
    world = world_of(steps, in_use=False)
    (server,) = steps.servers
    here = world.computers[server.server]
    here.elsewhere |= {package.thumbprint for package in server.packages}
    Administrator(world).walk(steps)
    assert here.elsewhere == set()
    assert wrongs(steps, world) == []


def test_no_block_of_commands_does_harm_when_it_is_pasted_whole():
    """Each block of the day, pasted with eyes closed after the day, breaks nothing in use."""
    for name in ("contoso.csv", "others"):
        steps = steps_of(name, rolls=False)
        world = walked(steps, in_use=False)
        before = assignments(world)
        for server in in_order(steps):
            for step in server.steps:
                if step.only_if:
                    continue  # the line above says for whom it is
                try:
                    Administrator(world).type(
                        world.computers[server.server], step.commands, may_remove=False
                    )
                except CommandFailed:
                    continue  # an error is seen
        assert assignments(world) == before


def test_the_model_knows_every_command_and_every_check():
    """Whatever a step prints or asks has a meaning here, so that nothing is passed over."""
    procedure = load_procedure(RULES)
    shown = {"Export-Csv", "Format-List", "Out-String", "Select-String", "Get-UMService"}
    shown |= {"Request-CsCertificate", "Get-CsComputer"}  # long before the day
    before = [step for step in procedure.steps if step.phase == "request"]
    asked = {name for step in before for name in step.only_if + step.needs + step.holds}
    assert {cmdlet.name for cmdlet in procedure.cmdlets} <= set(COMMANDS) | shown
    assert {check.id for check in procedure.checks} == set(ASKED) | asked


ROLES = ["FrontEnd", "Director", "Edge", "Mediation", "PersistentChat", "ReverseProxy"]


@settings(max_examples=int(os.environ.get("LYNCNB_WALKS", "20")))
@given(
    st.lists(
        st.tuples(st.sampled_from(ROLES), st.integers(1, 3)),
        min_size=1,
        max_size=5,
        unique_by=lambda pool: pool[0],
    ),
    st.booleans(),
)
def test_random_deployments(pools, in_use):
    """Pools of any roles and sizes end with their certificates and go back to where they were."""
    rows = [front_end(9)]
    for role, size in pools:
        for number in range(size):
            server = f"{role.lower()}{number}.contoso.com"
            cells = {"web_external_fqdn": f"web{role.lower()}.contoso.com"}
            cells = cells if role in ("FrontEnd", "Director") else {}
            if role == "Edge":
                cells = {
                    "access_edge_fqdn": "sip.contoso.com",
                    "webconf_edge_fqdn": "wc.contoso.com",
                }
            rows.append(row(server, role, f"{role.lower()}pool.contoso.com", **cells))
    packages = packages_of(plan(*rows), OLD_END if in_use else None)
    steps = procedure_of(packages, RULES, now=NOON)
    world = world_of(steps, in_use=in_use)
    before = assignments(world)
    Administrator(world).walk(steps)
    Administrator(copy_world := copy.deepcopy(world)).walk(steps, "back")
    assert assignments(copy_world) == before
    if in_use:
        world.pass_time(OLD_END - timedelta(hours=1))
    assert wrongs(steps, world) == []
    assert tokens_agree(steps, world) == []


def test_servers_inside_come_before_the_edge():
    """In the evening's order every Front End Server is done before the first Edge Server."""
    roles = [server.role for server in in_order(steps_of("contoso.csv", rolls=False))]
    assert max(n for n, role in enumerate(roles) if role == "FrontEnd") < roles.index("Edge")
    assert roles[-1] == "ReverseProxy"
