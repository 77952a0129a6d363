"""If a script fails at any command, no certificate is lost, and the next run reaches the planned
state.

LYNCNB_FAULTS sets how many faults are tried for each state of a server. The default is 4.
"""

from __future__ import annotations

import csv
import os
import random
from collections import defaultdict
from dataclasses import dataclass, replace
from functools import cache

import pytest
from deploy.walk import (
    CULTURES,
    NOON,
    OLD_END,
    WEB_CONFIG,
    Walk,
    all_lines,
    certificates_by_setting,
    get_stable_state,
    old_thumbprint,
    packages_of,
    stopped_services,
    world_of,
)
from places import DATA
from powershell_kit import Json, needs_pwsh
from topologies import DEPLOYMENT, OTHERS, csv_of, row

from lyncnb.deploy.server_steps import DeploymentSteps, ServerSteps
from lyncnb.deploy.steps import build_procedure
from lyncnb.plan.planner import plan_certificates
from lyncnb.rules.rule_files import load_rules
from lyncnb.topology.topology import read_topology

pytestmark = needs_pwsh

PRODUCTS = ("lync2013", "sfb2015", "sfb2019", "sfbse")
TABLES = ("contoso.csv", "litwareinc-global.csv", "single-server.csv", "others")
STATES = ("new", "standing", "gone back")
KINDS = ("break", "fail", "error", "nothing")
VIDEO_INTEROP = row("vis01.contoso.com", "VideoInterop", "vis.contoso.com")
FORMS = ("", "urn:certref:")
COUNT = int(os.environ.get("LYNCNB_FAULTS", "4"))
SWITCHES = ("DrainServices", "StartServices", "TrustInstalled")
# The largest number of commands that a script runs. Most scripts run half as many.
CALLS = 150
# For these roles, the steps depend on the settings of the servers. The values are the additional
# settings to test.
FORMS_OF_ROLES: dict[str, tuple[Json, ...]] = {
    "ReverseProxy": (
        {},
        {"bindings": {}},  # An administrator configures this product manually.
        {"bindings": {}, "applications": True},
    ),
    "OfficeWebApps": ({}, {"offloads": True}),
    "TrustedApplication": ({}, {"replica": False}),
    "ExchangeUM": ({}, {"routermode": "TCP"}),
    "ExchangeOWA": ({"exchangeversion": "15.0"}, {"exchangeversion": "15.2"}),
}


@dataclass(frozen=True, slots=True)
class Scene:
    """A server whose script contains steps that are not in the script of any earlier server in the
    list.
    """

    product: str
    table: str
    server: str
    role: str
    form: int


@cache
def deployment(product: str, table: str, *, in_use: bool) -> DeploymentSteps:
    """Return the deployment steps for a table, without the servers whose roles the product does not
    have.
    """
    rules = load_rules(product)
    if table == "others":
        rows = [DEPLOYMENT | OTHERS[0], *OTHERS[1:], VIDEO_INTEROP]
    else:
        rows = [*csv.DictReader((DATA / table).read_text("utf-8").splitlines())]
    known = csv_of([cells for cells in rows if cells["role"] in rules.roles])
    plan = plan_certificates(read_topology(known), rules)
    packages = packages_of(plan, OLD_END if in_use else None)
    return build_procedure(packages, rules, now=NOON)


def steps_of(page: ServerSteps) -> frozenset[object]:
    """Return the steps of a script without texts and sources, so that scripts can be compared."""
    every = (step.step for step in (*page.steps, *page.back))
    return frozenset(replace(s, title="", text="", source="", wizard="") for s in every)


@cache
def scenes() -> tuple[Scene, ...]:
    """Return a scene for each distinct deployment script and each variant of its server's role."""
    seen: set[frozenset[object]] = set()
    all_scenes = []
    for product in PRODUCTS:
        for table in TABLES:
            for page in deployment(product, table, in_use=True).servers:
                steps = steps_of(page)
                if steps not in seen:
                    seen.add(steps)
                    forms = range(len(FORMS_OF_ROLES.get(page.role, ({},))))
                    all_scenes += [Scene(product, table, page.server, page.role, n) for n in forms]
    return tuple(all_scenes)


class Stage:
    """The servers of a pool before a run, the script for one of them, and the expected final state."""

    def __init__(self, walk: Walk, scene: Scene, state: str, form: str) -> None:
        self.walk = walk
        self.name = f"{scene} {state} {form}"
        self.is_in_use = state != "new"
        self.switches = ("Back", *SWITCHES) if state == "gone back" else SWITCHES
        steps = deployment(scene.product, scene.table, in_use=self.is_in_use)
        self.page = next(page for page in steps.servers if page.server == scene.server)
        pool = tuple(page for page in steps.servers if page.pool == self.page.pool)
        self.steps = replace(steps, servers=pool, key_holders=())
        self._begin(scene, form)
        if state == "gone back":
            walk.day(self.steps, *SWITCHES)
        self.before = certificates_by_setting(walk.world())
        walk.save()
        self.calls = self.run({"at": 0})["calls"]
        self.expected = self.finish()

    def _begin(self, scene: Scene, form: str) -> None:
        culture = CULTURES[len(scene.server) % len(CULTURES)]
        world = world_of(self.steps, in_use=self.is_in_use, use_form=form, culture=culture)
        earlier = old_thumbprint(self.page.packages[0])
        changes = dict(FORMS_OF_ROLES.get(scene.role, ({},))[scene.form])
        if changes.get("applications"):
            addresses = [f"https://{name}/" for name in self.page.packages[0].san]
            changes["applications"] = {
                str(n): {"url": url, "thumbprint": earlier} for n, url in enumerate(addresses)
            }
        for server_state in world["servers"].values():
            server_state |= changes
        if self.is_in_use and changes.get("exchangeversion") == "15.2":
            parameters = [f"IMCertificateThumbprint={earlier}"]
            world["overrides"] = {"IM": {"name": "IM", "server": "", "parameters": parameters}}
        self.walk.begin(world, self.steps)
        if self.is_in_use and changes.get("exchangeversion") == "15.0":
            self.walk.configure(self.page.server, earlier)
        for page in self.steps.servers:
            # The farm setting of Office Web Apps and the setting override of Exchange are changed
            # only after every server has the certificate.
            if page.role in ("OfficeWebApps", "ExchangeOWA") and page != self.page:
                self.walk.run(page)

    def run(self, fault: Json) -> Json:
        """Run the script with a failure of one of its commands or file operations."""
        fault |= {"files": True}
        return self.walk.run(self.page, *self.switches, fault=fault, answers="Y\n" * 4)

    def finish(self) -> tuple[int, Json, str]:
        """Run the script until it succeeds, and return its exit status and the final state of the
        servers.
        """
        last = self.walk.take(self.page, *self.switches)
        config = self.walk.file(self.page.server, WEB_CONFIG)
        return last["code"], get_stable_state(self.walk.world()), config

    def problems(self, kind: str, position: int) -> list[str]:
        """Return the problems that exist after one command failed, and after the next run."""
        self.walk.restore()
        broken = self.run({"at": position, "kind": kind})
        middle = self.walk.world()
        outcome = self.finish()
        wrong = {
            "nothing was struck": not broken["struck"],
            f"harm {broken['harm']}": broken["harm"],
            "a place lost its certificate": self.before.keys()
            - certificates_by_setting(middle).keys(),
            "services are stopped without a word": not self._lists_stopped_services(broken, middle),
            f"the next run ended {outcome}, not {self.expected}": outcome != self.expected,
        }
        context = f"{self.name} {kind} at {position}, {broken['struck']}"
        output = all_lines([broken])
        return [f"{context}: {text}\n{output}" for text, is_so in wrong.items() if is_so]

    def _lists_stopped_services(self, run: Json, world: Json) -> bool:
        """Return whether a finished script lists all services that are still stopped."""
        is_stopped = stopped_services(world["servers"][self.page.server])
        text = all_lines([run])
        return (
            not (self.is_in_use and is_stopped and run["code"] >= 0)
            or "THESE SERVICES ARE STOPPED" in text
            or "The script cannot determine which services are running" in text
        )


def faults(state: str) -> dict[tuple[Scene, str], list[tuple[str, int]]]:
    """Return random commands that fail, each as a type of failure and the number of the command."""
    chance = random.Random(f"lyncnb {state}")
    kinds = [(scene, form, kind) for scene in scenes() for form in FORMS for kind in KINDS]
    faults_by_scene = defaultdict(list)
    for number in sorted(chance.sample(range(len(kinds) * CALLS), COUNT)):
        scene, form, kind = kinds[number // CALLS]
        faults_by_scene[scene, form].append((kind, number % CALLS))
    return faults_by_scene


@pytest.mark.parametrize("state", STATES)
def test_failure_of_any_command_loses_nothing(walk, state):
    """If a command fails or the script is stopped at a command, no certificate is lost, and the
    next run completes the change.
    """
    problems = []
    for (scene, form), drawn in faults(state).items():
        stage = Stage(walk, scene, state, form)
        for kind, position in drawn:
            problems += stage.problems(kind, 1 + position % stage.calls)
    assert problems == []
