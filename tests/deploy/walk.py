"""An administrator who follows our steps on simulated servers, line by line or by the script.

Reads the data of the steps (texts, commands, checks), never PowerShell's own rules: what a command
does is ``simulated_servers``'s, what a check asks is here, by its id.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache

from cas.python_ca import PythonCa, der
from deploy.simulated_servers import (
    COMMANDS,
    Computer,
    Harm,
    Use,
    World,
    export_csv,
    literals,
    one,
    read_time,
)
from powershell_kit import Command, commands

from lyncnb.authorities.decoding import decode
from lyncnb.deploy.fill_steps import store_of
from lyncnb.deploy.server_steps import (
    DeploymentSteps,
    FilledCheck,
    ServerPackage,
    ServerStep,
    ServerSteps,
)
from lyncnb.plan.model import CertificatePlan
from lyncnb.plan.plan_json import plan_document

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
END = datetime(2027, 11, 24, 12, tzinfo=UTC)
OLD_END = datetime(2026, 12, 22, 14, tzinfo=UTC)


class Stuck(Exception):
    """A step's need does not hold, or what should hold after it does not."""


@cache
def chains():
    """Give the certificates of two authorities, inside and outside, issuer first."""
    made = {}
    for kind, title in (("internal", "Contoso"), ("public", "Fabrikam")):
        authority = PythonCa(title)
        made[kind] = tuple(decode(der(c)).certificates[0] for c in authority.chain)
    return made


def packages_of(
    plan: CertificatePlan, in_use_until: datetime | None = None, key_holder: str = ""
) -> list[ServerPackage]:
    """Give the packages that a plan comes to, with thumbprints made up.

    With ``key_holder`` the keys of all that have a usage were born on that computer.
    """
    made = []
    for number, entry in enumerate(plan_document(plan)["certificates"]):
        made.append(
            ServerPackage(
                id=entry["id"],
                role=entry["role"],
                pool=entry["pool"],
                servers=tuple(entry["servers"]),
                usages=tuple(entry["usages"]),
                shared_by=entry["shared_by"],
                issuer=entry["issuer"],
                name=entry["subject"]["CN"],
                file=f"{entry['id']}.pfx",
                sha256=f"{number:064x}",
                friendly_name=f"{entry['subject']['CN']} {number}",
                thumbprint=f"{number + 1:040X}",
                not_before=NOON - timedelta(days=1),
                not_after=END,
                path=chains()[entry["issuer"]],
                in_use_until=in_use_until,
                key_holder=key_holder if entry["usages"] else "",
            )
        )
    return made


def old(thumbprint: str) -> str:
    """Give the thumbprint of the certificate that one replaces."""
    return "0D" + thumbprint[2:]


def world_of(steps: DeploymentSteps, *, in_use: bool) -> World:
    """Give fresh servers, or servers that use certificates which end on ``OLD_END``."""
    world = World({}, {}, {}, NOON)
    for server in steps.servers:
        # The services of a new server were never started.
        has_services = any("Start-CsWindowsService" in step.commands for step in server.steps)
        here = Computer(server.server, pool=server.pool, running=in_use or not has_services)
        world.computers[server.server] = here
        for package in server.packages:
            world.names[package.thumbprint] = package.friendly_name
            world.ends[package.thumbprint] = package.not_after
            before = old(package.thumbprint)
            world.ends[before] = OLD_END
            world.names[before] = f"old {package.friendly_name}"
            if not in_use:
                continue
            here.my.add(before)
            owner = world.everywhere if package.shared_by == "deployment" else here.uses
            owner.update({usage: Use(current=before) for usage in package.usages})
            if package.role == "OfficeWebApps":
                here.farm = world.names[before]
            if package.role == "ExchangeUM":
                here.um_mode, here.exchange = "Dual", {"UM": before, "SMTP": before, "IIS": before}
        if has_services and in_use:
            here.loaded = {usage: use.current for usage, use in here.uses.items()}
    for page in steps.key_holders:
        (package,) = page.packages
        name = package.key_holder
        holder = world.computers.setdefault(name, Computer(name, pool=name))
        holder.pending.add(package.thumbprint)
        world.computers[page.server] = holder  # a page of this computer, under its own name
        world.ends[package.thumbprint] = package.not_after
    return world


# What each check asks, of the quoted texts of its command.
Asked = Callable[[World, Computer, list[str], str], bool]


def _noted(here: Computer, texts: list[str], usage: str) -> str:
    (path,) = [text for text in texts if text.endswith(".csv")][:1]
    return dict(here.notes.get(path, [])).get(usage, "")


def _thumbprints(world: World, here: Computer, usages: Iterable[str]) -> list[str]:
    found = [world.use(here, usage) for usage in usages]
    return [use.current for use in found if use]


def _usages(texts: list[str]) -> list[str]:
    return [text for text in texts if re.fullmatch("[A-Z][A-Za-z]+", text)]


def _hex(texts: list[str]) -> str:
    return next(text for text in texts if re.fullmatch("[0-9A-F]{40}", text))


def _no_other(world: World, here: Computer, texts: list[str], command: str) -> bool:
    hours = int(re.search(r"AddHours\((\d+)\)", command)[1])
    others = [t for t in _thumbprints(world, here, _usages(texts)) if t != _hex(texts)]
    return all(world.ends[t] <= world.now + timedelta(hours=hours) for t in others)


def _long_enough(world: World, here: Computer, texts: list[str], command: str) -> bool:
    hours = int(re.search(r"AddHours\((\d+)\)", command)[1])
    since = read_time(next(text for text in texts if re.match(r"\d{4}-", text)))
    others = [t for t in _thumbprints(world, here, _usages(texts)) if t != _hex(texts)]
    return any(world.ends[t] >= since + timedelta(hours=hours) for t in others)


def _rolled(world: World, here: Computer, texts: list[str], command: str) -> bool:
    uses = [world.use(here, usage) for usage in _usages(texts)]
    return all(use and _hex(texts) in (use.current, use.next) for use in uses)


def _ended(world: World, here: Computer, texts: list[str], command: str) -> bool:
    before = [_noted(here, texts, usage) for usage in _usages(texts)]
    return all(world.ends[thumbprint] < world.now for thumbprint in before if thumbprint)


ASKED: dict[str, Asked] = {
    "package-here": lambda w, h, t, c: t[0] in h.files,
    "noted": lambda w, h, t, c: t[0] in h.notes,
    "issuer-installed": lambda w, h, t, c: (
        t[0].rpartition("\\")[2] in (h.root if "\\Root\\" in t[0] else h.ca)
    ),
    "root-store-clean": lambda w, h, t, c: all(x in _self_signed() for x in h.root),
    "answer-here": lambda w, h, t, c: t[0] in h.files,
    "in-store": lambda w, h, t, c: t[0].rpartition("\\")[2] in h.my,
    "key-linked": lambda w, h, t, c: t[0].rpartition("\\")[2] in h.my,
    "provider-right": lambda w, h, t, c: t[0] not in h.elsewhere,
    "provider-wrong": lambda w, h, t, c: t[0] in h.elsewhere,
    "chain-trusted": lambda w, h, t, c: bool(h.root),
    "assigned": lambda w, h, t, c: _thumbprints(w, h, _usages(t)).count(_hex(t)) >= len(_usages(t)),
    "no-other-in-use": _no_other,
    "in-use-long-enough": _long_enough,
    "rolled": _rolled,
    "services-running": lambda w, h, t, c: h.running,
    "services-up": lambda w, h, t, c: h.running,
    "drained": lambda w, h, t, c: not h.running,
    "other-in-use": lambda w, h, t, c: any(x != _hex(t) for x in _thumbprints(w, h, _usages(t))),
    "pool-ready": lambda w, h, t, c: all(one.running for one in w.pool_of(h) if one is not h),
    "previous-ended": _ended,
    "was-in-use": lambda w, h, t, c: bool(_noted(h, t, t[-1])),
    "was-not-in-use": lambda w, h, t, c: t[0] in h.notes and not _noted(h, t, t[-1]),
    "as-before": lambda w, h, t, c: _thumbprints(w, h, [t[0]]) == [_noted(h, t, t[0])],
    "not-assigned": lambda w, h, t, c: not _thumbprints(w, h, [t[0]]),
    "farm-absent": lambda w, h, t, c: h.farm is None,
    "farm-stands": lambda w, h, t, c: h.farm is not None,
    "farm-noted": lambda w, h, t, c: bool(h.notes.get(t[0])),
    "farm-named": lambda w, h, t, c: h.farm == t[0],
    "um-dual": lambda w, h, t, c: h.um_mode == "Dual",
    "um-enabled": lambda w, h, t, c: h.exchange.get("UM") == _hex(t),
    "owa-names-certificate": lambda w, h, t, c: h.owa == _hex(t),
}


@cache
def _self_signed() -> frozenset[str]:
    return frozenset(c.thumbprint for chain in chains().values() for c in chain if c.is_self_issued)


@cache
def _lines(text: str) -> tuple[Command, ...]:
    return tuple(commands(text))


@dataclass
class Administrator:
    """Follows the steps, and is called away after so many commands."""

    world: World
    patience: int = 1_000_000
    done: int = 0

    def asks(self, here: Computer, check: FilledCheck) -> bool:
        """Ask a server what a check asks."""
        return ASKED[check.id](self.world, here, literals(check.command), check.command)

    def wrong(self, here: Computer, checks: Iterable[FilledCheck]) -> FilledCheck | None:
        """Give the first of some checks that does not hold."""
        return next((check for check in checks if not self.asks(here, check)), None)

    def walk_key_holders(self, steps: DeploymentSteps) -> None:
        """Take the pages of the computers that have keys, before the day."""
        for page in steps.key_holders:
            for step in page.steps:
                self.take(page, step)

    def walk(self, steps: DeploymentSteps, section: str = "steps") -> None:
        """Take a section of every server's steps, in the evening's order."""
        for server in in_order(steps):
            for step in getattr(server, section):
                self.take(server, step)

    def take(self, server: ServerSteps, step: ServerStep) -> None:
        """Take a step as the script does: look, do, look again."""
        here = self.world.computers[server.server]
        if step.step.id == "drain-front-end" and len(self.world.pool_of(here)) == 1:
            return  # its words say so: a pool of one can spare nobody, so nobody asks for it
        if step.step.id == "restart-edge":
            return  # it is for XMPP, which no sample has
        if self.wrong(here, step.only_if):
            return
        if step.holds and not self.wrong(here, step.holds):
            return
        if (wrong := self.wrong(here, step.needs)) is not None:
            raise Stuck(f"{server.server}: {step.step.id}: {wrong.id}")
        self.by_hand(server, here, step)
        self.type(here, step.commands, may_remove=step.step.phase == "back")
        if (wrong := self.wrong(here, step.holds)) is not None:
            raise Stuck(f"{server.server}: after {step.step.id}: {wrong.id}")

    def by_hand(self, server: ServerSteps, here: Computer, step: ServerStep) -> None:
        """Do what a step says in words alone."""
        folder = "C:\\certificates\\"
        if step.step.id == "bring-package":
            for package in server.packages:
                if not package.key_holder:
                    here.files[folder + package.file] = package.thumbprint
                elif package.file in self.world.carried:
                    here.files[folder + package.file] = self.world.carried[package.file]
            bring_chains(here)
        elif step.step.id == "finish-where":
            (package,) = server.packages
            here.files[f"{folder}{package.id}.cer"] = package.thumbprint
            bring_chains(here)
        elif step.step.id == "finish-carry":
            (package,) = server.packages
            self.world.carried[package.file] = here.files[folder + package.file]
        elif step.step.id == "bind-reverse-proxy":
            here.listener = server.packages[0].thumbprint
        elif step.step.id == "exchange-owa-config":
            here.owa = server.packages[0].thumbprint

    def type(self, here: Computer, lines: tuple[str, ...], *, may_remove: bool) -> None:
        """Type a step's lines, as long as there is patience."""
        variables: dict[str, str] = {}
        for line in lines:
            if self.done >= self.patience:
                raise KeyboardInterrupt
            self.done += 1
            if match := re.match(r"(\$\w+) = (.*)", line):
                variables[match[1]] = one(match[2])
                continue
            found, before = _lines(line), set(assignments(self.world))
            for command in found:
                if "$_.Thumbprint" in command.parameters.values() and not um_before(here):
                    continue  # it stands after a pipe that gives nothing
                values = {
                    name: self.value(here, text, variables)
                    for name, text in command.parameters.items()
                }
                if command.name == "Export-Csv":
                    export_csv(self.world, here, command, found[0].name)
                else:
                    COMMANDS[command.name](self.world, here, replace(command, parameters=values))
            if (gone := before - set(assignments(self.world))) and not may_remove:
                raise Harm(f"without a certificate: {sorted(gone)}")
            if self.world.assigned_once:
                raise Harm(f"tokens were cut off: {sorted(self.world.assigned_once)}")

    def value(self, here: Computer, text: str, variables: dict[str, str]) -> str:
        """Work out an argument: a variable, or what was written down before."""
        if text in variables:
            return variables[text]
        if text == "$_.Thumbprint":
            return um_before(here)
        if text.startswith("(Import-Csv"):
            path, *usage = literals(text)
            rows = dict(here.notes[path])
            return f"'{rows[usage[0]] if usage else rows['CertificateName']}'"
        return text


def bring_chains(here: Computer) -> None:
    """Copy the certificates of all CAs to a computer."""
    for issuers in chains().values():
        for issuer in issuers:
            path = f"C:\\certificates\\chain\\{issuer.thumbprint}.cer"
            here.files[path] = issuer.thumbprint


def um_before(here: Computer) -> str:
    """Give the certificate that Exchange used for UM when that was written down."""
    rows = dict(row for rows in here.notes.values() for row in rows)
    return rows.get("UM", "")


def in_order(steps: DeploymentSteps) -> Iterator[ServerSteps]:
    """Give the servers in the order of one evening."""
    places = {role: number for number, place in enumerate(steps.order) for role in place.roles}
    return iter(sorted(steps.servers, key=lambda server: places.get(server.role, 99)))


def wrongs(steps: DeploymentSteps, world: World) -> list[str]:
    """Tell what is not as planned: every usage of every server, stores, services of others."""
    found = []
    for server in steps.servers:
        here = world.computers[server.server]
        for package in server.packages:
            if package.thumbprint not in here.my:
                found.append(f"{server.server}: {package.file} is not in its store")
            for usage in package.usages:
                use = world.use(here, usage)
                if use is None or use.current != package.thumbprint or use.next:
                    found.append(f"{server.server}: {usage} has {use}")
            for issuer in package.path:
                store = here.root if store_of(issuer) == "Root" else here.ca
                if issuer.thumbprint not in store:
                    found.append(f"{server.server}: does not know {issuer.thumbprint}")
            if package.role == "OfficeWebApps" and here.farm != package.friendly_name:
                found.append(f"{server.server}: the farm has {here.farm}")
            if package.role == "ExchangeUM" and here.exchange.get("UM") != package.thumbprint:
                found.append(f"{server.server}: UM has {here.exchange}")
            if package.role == "ExchangeOWA" and here.owa != package.thumbprint:
                found.append(f"{server.server}: Outlook Web App has {here.owa}")
            if package.role == "ReverseProxy" and here.listener != package.thumbprint:
                found.append(f"{server.server}: the listener has {here.listener}")
        if not here.running:
            found.append(f"{server.server}: services are stopped")
        if here.root - _self_signed():
            found.append(f"{server.server}: an intermediate is in Root")
    return found


def stale(world: World) -> list[str]:
    """Name the servers whose services run with another certificate than the assigned one."""
    return [
        f"{here.name}: {usage} runs with {thumbprint}"
        for here in world.computers.values()
        for usage, thumbprint in here.loaded.items()
        if here.running and (use := here.uses.get(usage)) and use.current != thumbprint
    ]


def tokens_agree(steps: DeploymentSteps, world: World) -> list[str]:
    """Name the pools whose servers make A/V tokens with different certificates."""
    pools: dict[str, set[str]] = {}
    for server in steps.servers:
        use = world.computers[server.server].uses.get("AudioVideoAuthentication")
        if use is not None:
            pools.setdefault(server.pool, set()).add(use.current)
    return [pool for pool, used in pools.items() if len(used) > 1]


def assignments(world: World) -> dict[tuple[str, str], str]:
    """Give what every usage has, to compare before and after."""
    found = {
        (name, usage): use.current
        for name, here in world.computers.items()
        for usage, use in here.uses.items()
        if use.current
    }
    return found | {
        ("global", usage): u.current for usage, u in world.everywhere.items() if u.current
    }
