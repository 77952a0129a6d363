"""A model of what certificate commands do to servers: stores, assignments, a clock.

Written from the pages that document the commands, one function a command, the page in its
docstring; it knows nothing of lyncnb's steps. A command that the pages say would fail raises
``CommandFailed``; one that would cut people off while it works raises ``Harm``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from powershell_kit import Command

GLOBAL = "OAuthTokenIssuer"
#: How long a token lives that was made with the certificate (page on staging with -Roll).
TOKEN_HOURS = {"AudioVideoAuthentication": 8, GLOBAL: 24}


class CommandFailed(Exception):
    """The command would end with an error."""


class Harm(Exception):
    """The command would do what it says, and somebody would notice."""


@dataclass
class Use:
    """What one usage has: ``next`` takes over at ``since``, and the present one is then kept."""

    current: str = ""
    next: str = ""
    since: datetime | None = None
    previous: str = ""


@dataclass
class Computer:
    """One server: certificates by thumbprint and store, files by path, services, settings."""

    name: str
    my: set[str] = field(default_factory=set)
    pending: set[str] = field(default_factory=set)  # whose key was born here, unanswered
    elsewhere: set[str] = field(default_factory=set)  # whose key is in a Key Storage Provider
    root: set[str] = field(default_factory=set)
    ca: set[str] = field(default_factory=set)
    files: dict[str, str] = field(default_factory=dict)  # path: thumbprint of what is in it
    notes: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    uses: dict[str, Use] = field(default_factory=dict)
    running: bool = True
    loaded: dict[str, str] = field(default_factory=dict)  # what its services read as they started
    pool: str = ""
    um_mode: str = "TCP"
    exchange: dict[str, str] = field(default_factory=dict)
    farm: str | None = None  # friendly name; None: in no farm
    owa: str = ""
    listener: str = ""


@dataclass
class World:
    """All servers, what is global, when certificates end, and the present."""

    computers: dict[str, Computer]
    ends: dict[str, datetime]
    names: dict[str, str]  # friendly name by thumbprint
    now: datetime
    everywhere: dict[str, Use] = field(default_factory=dict)
    carried: dict[str, str] = field(default_factory=dict)  # thumbprints by package, on their way
    assigned_once: set[tuple[str, str]] = field(default_factory=set)

    def pool_of(self, computer: Computer) -> list[Computer]:
        """Give every server of a computer's pool, itself too."""
        return [one for one in self.computers.values() if one.pool == computer.pool]

    def uses(self, computer: Computer, scope: str, usage: str) -> dict[str, Use]:
        """Give where a scope keeps a usage: on the computer, or for the deployment."""
        if scope.lower() == "global":
            return self.everywhere
        if usage == GLOBAL:
            return self.everywhere if scope else computer.uses
        return computer.uses

    def use(self, computer: Computer, usage: str) -> Use | None:
        """Give what a usage has, wherever it is kept, as Get-CsCertificate shows it."""
        found = computer.uses.get(usage) or self.everywhere.get(usage)
        return found if found and found.current else None

    def pass_time(self, to: datetime) -> None:
        """Let the clock run: what waits takes over, what has ended breaks what leans on it."""
        self.now = to
        owners = [c.uses for c in self.computers.values()] + [self.everywhere]
        for uses in owners:
            for usage, use in uses.items():
                if use.since is not None and use.since <= to:
                    old_end = self.ends[use.current]
                    if old_end < use.since + timedelta(hours=TOKEN_HOURS.get(usage, 0)):
                        raise Harm(f"{usage}: the old certificate ended before its tokens did")
                    use.previous, use.current = use.current, use.next
                    use.next, use.since = "", None


def literals(text: str) -> list[str]:
    """Give the quoted texts of an argument."""
    return [found.replace("''", "'") for found in re.findall(r"'((?:[^']|'')*)'", text)]


def one(text: str) -> str:
    """Give the only text of an argument."""
    return literals(text)[0] if literals(text) else text


def import_cs_certificate(world: World, here: Computer, command: Command) -> None:
    """Put a package into the computer's store; it is assigned to nothing.

    An answer without a key joins the one that was born here, and no other.

    Microsoft, Import-CsCertificate, 2025-08-01.
    """
    path = one(command.parameters["-Path"])
    if not re.match(r"[A-Z]:\\", path) or path not in here.files:
        raise CommandFailed(f"{path}: no such file")
    if path.endswith(".cer"):
        if here.files[path] not in here.pending | here.my:
            raise CommandFailed(f"the key of {path} is not on {here.name}")
    elif "-Password" not in command.parameters:
        raise CommandFailed("the package has a password")
    here.my.add(here.files[path])
    here.pending.discard(here.files[path])


def set_cs_certificate(world: World, here: Computer, command: Command) -> None:
    """Assign a certificate of the local store, at once or beside the present one until a date.

    Microsoft, Set-CsCertificate, 2025-08-01; Microsoft, Staging A/V and OAuth certificates using
    -Roll in Set-CsCertificate, 2014-07-23.
    """
    thumbprint = one(command.parameters["-Thumbprint"])
    if thumbprint not in here.my:
        raise CommandFailed(f"{thumbprint} is not in the store of {here.name}")
    if ("-Roll" in command.parameters) != ("-EffectiveDate" in command.parameters):
        raise CommandFailed("-Roll needs -EffectiveDate")
    scope = command.parameters.get("-Identity", "")
    for usage in literals(command.parameters["-Type"]):
        uses = world.uses(here, one(scope), usage)
        use = uses.setdefault(usage, Use())
        if "-Roll" in command.parameters:
            if not use.current:
                raise CommandFailed(f"{usage} has nothing to roll over from")
            use.next, use.since = thumbprint, read_time(command.parameters["-EffectiveDate"])
        else:
            hours = TOKEN_HOURS.get(usage, 0)
            replaced = use.current if use.current != thumbprint and not use.next else ""
            if replaced and hours and world.ends[replaced] > world.now + timedelta(hours=hours):
                world.assigned_once.add((here.name, usage))
            use.current, use.next, use.since, use.previous = thumbprint, "", None, ""


def remove_cs_certificate(world: World, here: Computer, command: Command) -> None:
    """Take an assignment away, or the one before; on this computer unless -Identity says global.

    Microsoft, Remove-CsCertificate, 2025-08-01.
    """
    scope = one(command.parameters.get("-Identity", ""))
    for usage in literals(command.parameters["-Type"]):
        use = world.uses(here, scope, usage).get(usage)
        if use is None:
            continue
        if "-Previous" in command.parameters:
            if use.previous and world.ends[use.previous] > world.now:
                raise Harm(f"{usage}: tokens of the previous certificate are still about")
            use.previous = ""
        else:
            use.current = use.next = use.previous = ""
            use.since = None


def certutil(world: World, here: Computer, command: Command) -> None:
    """Import a package, or add to, delete from or show a store of the computer.

    Microsoft, certutil (Windows commands), 2017-10-16.
    """
    words = [*command.parameters.values(), *command.others]
    if "-addstore" in command.parameters:
        store, path = one(command.parameters["-addstore"]), one(command.others[0])
        if path not in here.files:
            raise CommandFailed(f"{path}: no such file")
        (here.root if store == "Root" else here.ca).add(here.files[path])
    elif "-importpfx" in command.parameters:
        path = next(one(word) for word in words if ".pfx" in word)
        if path not in here.files:
            raise CommandFailed(f"{path}: no such file")
        here.my.add(here.files[path])
        if "-csp" in command.parameters:
            here.elsewhere.discard(here.files[path])
    elif "-exportPFX" in command.parameters:
        thumbprint, path = (one(word) for word in command.others[:2])
        if thumbprint not in here.my:
            raise CommandFailed(f"{thumbprint} is not in the store of {here.name}")
        here.files[path] = thumbprint
    elif "-delstore" in command.parameters:
        thumbprint = one(command.others[0])
        if any(thumbprint in (use.current, use.next) for use in here.uses.values()):
            raise Harm(f"{thumbprint} is in use on {here.name}")
        here.my.discard(thumbprint)


def start_services(world: World, here: Computer, command: Command) -> None:
    """Start every service of the product here, which reads its certificates then (inferred).

    Microsoft, Start-CsWindowsService, 2025-08-01.
    """
    if not here.running:
        here.loaded = {usage: use.current for usage, use in here.uses.items() if use.current}
    here.running = True


def stop_services(world: World, here: Computer, command: Command) -> None:
    """Stop every service of the product here; with -Graceful once its requests have ended.

    Microsoft, Stop-CsWindowsService, 2025-08-01.
    """
    here.running = False
    pool = world.pool_of(here)
    if "-Graceful" in command.parameters and len(pool) > 1 and not any(o.running for o in pool):
        raise Harm(f"no server of {here.pool} runs")


def new_farm(world: World, here: Computer, command: Command) -> None:
    """Make a farm with a certificate of the store. Microsoft, New-OfficeWebAppsFarm, 2026-04-27."""
    if here.farm is not None:
        raise CommandFailed("this server is in a farm already")
    if not {"-InternalURL", "-ExternalURL"} & set(command.parameters):
        raise CommandFailed("a farm needs a URL")
    here.farm = ""
    set_farm(world, here, command)


def set_farm(world: World, here: Computer, command: Command) -> None:
    """Name the certificate of a standing farm. Microsoft, Set-OfficeWebAppsFarm, 2026-04-27."""
    if here.farm is None:
        raise CommandFailed("this server is in no farm")
    name = one(command.parameters["-CertificateName"])
    if not any(world.names.get(thumbprint) == name for thumbprint in here.my):
        raise CommandFailed(f"no certificate has the friendly name {name}")
    here.farm = name


def set_um(world: World, here: Computer, command: Command) -> None:
    """Set how Unified Messaging starts. Microsoft, Set-UMService, 2026-05-15."""
    here.um_mode = command.parameters["-UMStartupMode"]


def enable_exchange(world: World, here: Computer, command: Command) -> None:
    """Use a certificate for services; for UM only in a mode with TLS.

    Microsoft, Enable-ExchangeCertificate, 2026-05-15.
    """
    thumbprint = one(command.parameters["-Thumbprint"])
    if thumbprint not in here.my:
        raise CommandFailed(f"{thumbprint} is not in the store of {here.name}")
    for service in literals(command.parameters["-Services"]):
        if service == "UM" and here.um_mode not in ("TLS", "Dual"):
            raise CommandFailed("UM does not start with TLS")
        here.exchange[service] = thumbprint


def export_csv(world: World, here: Computer, command: Command, first: str) -> None:
    """Write what the first command of the line gives. Microsoft, Export-Csv, 2025-12-27."""
    path = one(command.parameters["-Path"])
    if path in here.notes:
        if "-NoClobber" in command.parameters:
            raise CommandFailed(f"{path} is there already")
        raise Harm(f"{path}: what was in use before is forgotten")
    if first == "Get-CsCertificate":
        uses = {**world.everywhere, **here.uses}
        rows = [(usage, use.current) for usage, use in uses.items() if use.current]
    elif first == "Get-OfficeWebAppsFarm":
        rows = [("CertificateName", here.farm)] if here.farm else []
    else:
        rows = list(here.exchange.items())
    here.notes[path] = rows


def remove_item(world: World, here: Computer, command: Command) -> None:
    """Delete a file. Microsoft, Remove-Item, 2026-08-10."""
    here.files.pop(one(command.parameters["-LiteralPath"]), None)


def nothing(world: World, here: Computer, command: Command) -> None:
    """Leave certificates alone: the command reads, shows, or is about something else."""


Effect = Callable[[World, Computer, Command], None]
COMMANDS: dict[str, Effect] = {
    "Import-CsCertificate": import_cs_certificate,
    "Set-CsCertificate": set_cs_certificate,
    "Remove-CsCertificate": remove_cs_certificate,
    "certutil": certutil,
    "Start-CsWindowsService": start_services,
    "Stop-CsWindowsService": stop_services,
    "New-OfficeWebAppsFarm": new_farm,
    "Set-OfficeWebAppsFarm": set_farm,
    "Set-UMService": set_um,
    "Enable-ExchangeCertificate": enable_exchange,
    "Remove-Item": remove_item,
    **dict.fromkeys(
        (
            *("Get-CsCertificate", "Get-CsWindowsService", "Get-ExchangeCertificate"),
            *("Get-CsPoolUpgradeReadinessState", "Format-List", "Out-String"),
            *("Get-OfficeWebAppsFarm", "Get-OwaVirtualDirectory", "Get-OwaMailboxPolicy"),
            *("Get-ChildItem", "Get-Item", "Get-Date", "Select-Object", "Where-Object"),
            *("ForEach-Object", "Import-Csv", "New-Object", "Read-Host", "Test-Path"),
            *("Restart-Computer", "Restart-Service", "Set-UMCallRouterSettings"),
            *("Set-ExecutionPolicy", "Set-OwaVirtualDirectory", "Set-OwaMailboxPolicy"),
            r"C:\Windows\System32\Inetsrv\Appcmd.exe",
        ),
        nothing,
    ),
}


def read_time(text: str) -> datetime:
    """Read a time as [datetime]::ParseExact does with K: a Z is UTC, and so is this computer."""
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
