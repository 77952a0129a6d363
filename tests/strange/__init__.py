"""Define five deployments that are not like the sample, for statements that hold for any deployment.

Each deployment is a table next to this file, with its options as a planner would save them. The
sample has short names, a site in each row, and English titles, and therefore hides many mistakes.

``LYNCNB_STRANGE`` selects the deployments of a run: ``all``, a name, or a number, which is the seed
of a draw. By default, a run draws one deployment, and pytest prints the seed.
"""

from __future__ import annotations

import functools
import os
import random
from dataclasses import dataclass
from pathlib import Path

from places import DATA

from lyncnb.plan.model import CertificatePlan
from lyncnb.plan.options import PlanOptions
from lyncnb.plan.planner import plan_certificates
from lyncnb.rules.rule_files import load_rules
from lyncnb.topology.topology import read_topology

VARIABLE = "LYNCNB_STRANGE"
_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Deployment:
    """A table of servers with its options, and what the tests need to know about it."""

    name: str
    contains: str
    table: Path
    #: Whether the plan has no errors, so that requests can be written.
    is_complete: bool = True

    def __str__(self) -> str:
        return self.name

    @property
    def options(self) -> Path | None:
        """Return the path of the options file, or None if all options have their defaults."""
        path = self.table.with_suffix(".plan.toml")
        return path if path.is_file() else None

    @property
    def arguments(self) -> tuple[str, ...]:
        """Return the table and its options as a command expects them."""
        return (str(self.table), *(("--options", str(self.options)) if self.options else ()))

    def plan(self) -> CertificatePlan:
        """Return the plan of this deployment. The same plan is returned each time."""
        return _plan(self.table)


@functools.cache
def _plan(table: Path) -> CertificatePlan:
    options = PlanOptions.beside(table)
    rules = load_rules(options.product or "lync2013")
    return plan_certificates(read_topology(table), rules, options=options)


def _strange(name: str, contains: str, *, is_complete: bool = True) -> Deployment:
    return Deployment(name, contains, _FOLDER / f"{name}.csv", is_complete)


SAMPLE = Deployment("contoso", "the sample", DATA / "contoso.csv")
COMPLETE = (
    _strange(
        "long-names",
        "host names of 35 characters, and labels of 63 characters in a SIP domain, an alias and "
        "a further name; a long title and subject",
    ),
    _strange("eleven-pools", "no column and no option without which requests can be written"),
    _strange(
        "fifty-servers",
        "Skype for Business Server 2015 in three sites: paired pools, three Edge pools, a Director "
        "pool, branch appliances, Persistent Chat, Exchange with Outlook on the web, a farm of two "
        "servers, two reverse proxies, gateways, and a tenant",
    ),
    _strange(
        "one-server",
        "one Standard Edition server of Skype for Business Server 2019, an Edge Server with one "
        "external name, and a certificate for each usage",
    ),
    _strange(
        "zh-TW", "Chinese headings, sites, subjects and titles, and servers in a .local domain"
    ),
)
#: The pools of eleven-pools in the shortest table. The plan has errors, so it has no requests.
SHORTEST = _strange("four-columns", "only server, role, pool and SIP domains", is_complete=False)


def choose_deployments() -> list[Deployment]:
    """Return the deployments that ``LYNCNB_STRANGE`` selects, or the one that this run draws.

    The choice is kept in the environment, so that all processes of a run have the same tests.
    """
    choice = os.environ.setdefault(VARIABLE, str(random.SystemRandom().randrange(10**6)))
    if choice == "all":
        return [*COMPLETE]
    if choice.isdecimal():
        return [random.Random(int(choice)).choice(COMPLETE)]
    named = [deployment for deployment in COMPLETE if deployment.name == choice]
    if not named:
        names = ", ".join(deployment.name for deployment in COMPLETE)
        raise ValueError(f"{VARIABLE} is all, a number, or one of {names}, and not {choice}")
    return named


def choose_tables() -> list[Deployment]:
    """Return the selected deployments, and with eleven-pools also its shortest table."""
    chosen = choose_deployments()
    has_shortest = any(deployment.name == "eleven-pools" for deployment in chosen)
    return [*chosen, *([SHORTEST] if has_shortest else [])]
