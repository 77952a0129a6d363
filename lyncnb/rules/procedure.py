"""The changed deployment procedure of a product, and its packages, as its rules say them.

Which step is for which role and usage, its words, wizard page, commands, checks and source are
data (``[deploy]``); this file reads them and refuses what does not fit. ``deploy/fill_steps.py``
fills them in.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from ..base.toml_records import TomlReader, named, place_of
from ..errors import PackageError, RulesError
from .model import Rules

_Record = TypeVar("_Record")

#: What a step is taken once for: each server, each certificate there, each call that assigns some
#: of its usages, each usage, each CA certificate that the trust plan puts there, and each
#: certificate that is to be requested.
SCOPES = ("server", "certificate", "call", "usage", "issuer", "request")

#: When: on the day, once the old certificate has ended, to undo; and before the day, where keys are
#: born on a computer with the administrative tools: the request, and once the CA has answered.
PHASES = ("day", "later", "back", "request", "finish", "set-up")

#: The phases that have steps of no server.
BEFORE = ("request", "finish", "set-up")

#: What a script is told to do only when asked, by its switches.
SWITCHES = ("StartServices", "DrainServices")

#: How a call assigns: at once, or beside the present certificate until a date.
CALLS = ("assign", "roll")

#: The columns of the summary that show a step's commands.
COLUMNS = ("Import", "Assign")

PLACEHOLDER = re.compile(r"\{(\w+)\}")

# The placeholders that a scope gives, in the order in which they are explained.
_SERVER = ("server", "pool", "packages", "product", "folder", "note_path", "provider")
_CERTIFICATE = (
    *_SERVER,
    *("package", "package_path", "thumbprint", "certificate_path", "friendly_name", "name"),
    *("types", "count", "servers", "key_holder", "answer", "answer_path"),
)
_ISSUER = (*_SERVER, "subject", "store", "chain_path", "issuer_path", "needed_for")
_GIVEN = {
    "server": _SERVER,
    "certificate": _CERTIFICATE,
    "call": (*_CERTIFICATE, "lead_hours", "effective", "effective_words", "old_end"),
    "usage": (*_CERTIFICATE, "type"),
    "issuer": _ISSUER,
    "request": (
        *("server", "servers", "pool", "product", "folder", "types", "friendly_name", "name"),
        *("names", "san", "hash", "issuer", "key_bits", "key_algorithm", "client_eku", "request"),
        *("request_path", "template", "organization", "unit", "city", "state", "country"),
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A question to a server that changes nothing there.

    ``text`` is what should hold. ``command`` is PowerShell that gives true or false; one that
    fails gives false. ``shows`` gives what is there instead, for a table.
    """

    id: str
    text: str
    command: str
    source: str
    shows: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step; ``roles`` and ``usages`` narrow where it is taken (empty: everywhere).

    ``text`` says what to do and why, ``wizard`` the pages of the product's own wizard,
    ``commands`` the same in PowerShell. ``only_if``, ``needs`` and ``holds`` are ids of checks:
    the step is not for this server unless the first hold; it may be done once the second hold,
    and is done when the third do. ``by_hand``: the script shows the commands and runs none.
    ``when_asked``: the switch of the script without which it runs none. ``call`` is one of
    ``CALLS`` or empty. ``options`` end the last command, each if its placeholder has a value.
    ``key_elsewhere``: only for a certificate whose key is not in the request folder. ``column`` is
    that of the summary which shows the commands, or empty.
    """

    id: str
    title: str
    scope: str
    text: str
    source: str
    phase: str = "day"
    wizard: str = ""
    commands: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    only_if: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    holds: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    usages: tuple[str, ...] = ()
    call: str = ""
    without_usages: bool = False
    by_hand: bool = False
    key_elsewhere: bool = False
    when_asked: str = ""
    column: str = ""

    def applies(self, role: str, usages: tuple[str, ...]) -> bool:
        """Whether the step is for a certificate of this role and these usages."""
        if self.roles and role not in self.roles:
            return False
        if self.without_usages:
            return not usages
        return not self.usages or not set(self.usages).isdisjoint(usages)


@dataclass(frozen=True, slots=True, kw_only=True)
class RollOver:
    """Usages whose present certificate may stay in use beside the new one until it ends.

    ``lead_hours`` is how long before that end the new one takes effect: the lifetime of a token.
    """

    usages: tuple[str, ...]
    lead_hours: int
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Shell:
    """Where a role's commands run, and what has to be loaded there first."""

    roles: tuple[str, ...]
    title: str
    modules: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cmdlet:
    """A command that steps use, the parameters that they give it, and the page that has them."""

    name: str
    source: str
    parameters: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A kind of server in the order of one evening.

    ``text`` says how the servers of a pool follow one another and what users notice.
    """

    roles: tuple[str, ...]
    title: str
    text: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Procedure:
    """All steps of a product in order, and what they lean on.

    ``folder`` is where packages and scripts lie on a server.
    """

    folder: str
    steps: tuple[Step, ...] = named("step")
    checks: tuple[Check, ...] = named("check", default=())
    rolls: tuple[RollOver, ...] = named("roll", default=())
    shells: tuple[Shell, ...] = named("shell", default=())
    cmdlets: tuple[Cmdlet, ...] = named("cmdlet", default=())
    order: tuple[Place, ...] = ()

    def roll_of(self, usage: str) -> RollOver | None:
        """Give how a usage rolls over, if it can."""
        return next((roll for roll in self.rolls if usage in roll.usages), None)

    def shell_of(self, role: str) -> Shell | None:
        """Give where the commands of a role run."""
        return next((shell for shell in self.shells if role in shell.roles), None)


def load_procedure(rules: Rules) -> Procedure:
    """Read the ``[deploy]`` table of a product.

    Raises
    ------
    RulesError
        If it is missing; with every mistake of it, each with its place.
    """
    what = "it has one [[deploy.step]] for each step and one [[deploy.roll]] for each usage"
    return _read(rules, "deploy", Procedure, what, _check)


def _read(
    rules: Rules,
    name: str,
    kind: type[_Record],
    what: str,
    check: Callable[[TomlReader, _Record, Mapping[str, object]], None] = lambda *_: None,
) -> _Record:
    """Read one of a product's tables that other commands ask for; ``what`` is in it, in words."""
    table = rules.settings.get(name)
    if not isinstance(table, Mapping):
        raise RulesError(f"Missing required table '{name}' in {rules.product}.toml", hint=what)
    reader = TomlReader(f"{rules.product}.toml")
    record = reader.record(kind, table, name)
    if record is not None:
        check(reader, record, table)
    if record is None or reader.problems:
        raise RulesError(
            f"the table '{name}' of {rules.product}.toml has mistakes",
            problems=tuple(reader.problems),
        )
    return record


def _check(reader: TomlReader, procedure: Procedure, table: Mapping[str, object]) -> None:
    """Refuse what has the right kind and means nothing, by its place in the table ``deploy``."""
    if not re.match(r"[A-Z]:\\.", procedure.folder):
        reader.problem("'deploy.folder' is no full path", r"write it as 'C:\certificates'")
    checks = {check.id: check for check in procedure.checks}
    places = {kind: _places(table, kind) for kind in ("step", "check")}
    for where, step in zip(places["step"], procedure.steps):
        reader.among(f"{where}.scope", (step.scope,), SCOPES, "scope")
        reader.among(f"{where}.phase", (step.phase,), PHASES, "phase")
        reader.among(f"{where}.call", (step.call,), ("", *CALLS), "kind of call")
        reader.among(f"{where}.column", (step.column,), ("", *COLUMNS), "column")
        reader.among(f"{where}.when_asked", (step.when_asked,), ("", *SWITCHES), "switch")
        texts = [step.title, step.text, step.wizard, *step.commands, *step.options]
        for key in ("only_if", "needs", "holds"):
            reader.among(f"{where}.{key}", getattr(step, key), checks, "check")
            for check in (checks[name] for name in getattr(step, key) if name in checks):
                texts += [check.text, check.command, check.shows]
        used = {name for text in texts for name in PLACEHOLDER.findall(text)}
        given = _GIVEN.get(step.scope, tuple(used))
        if step.phase == "finish":
            given = (*given, *_CERTIFICATE)
        reader.among(where, sorted(used), given, "placeholder")
    for kind in ("step", "check"):
        records: tuple[Step | Check, ...] = getattr(procedure, f"{kind}s")
        reader.once(dict(zip(places[kind], records)), "id")


def _places(table: Mapping[str, object], kind: str) -> list[str]:
    """Say where the steps or checks of the table stand, each read without a problem."""
    entries = table.get(kind, [])
    assert isinstance(entries, list)
    return [place_of(entry, f"deploy.{kind}", index) for index, entry in enumerate(entries)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Encryption:
    """One way to encrypt a PFX, and the Windows Server versions it is for."""

    id: str
    title: str
    target_os: tuple[str, ...]
    why: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageRules:
    """How a product's packages are made.

    ``provider`` is the Windows provider that holds an RSA key, ``elliptic_provider`` the one that
    holds an elliptic curve key.
    """

    provider: str
    source: str
    elliptic_provider: str = ""
    encryptions: tuple[Encryption, ...] = named("encryption")

    def provider_for(self, algorithm: str) -> str:
        """Give the provider that can hold a key of an algorithm, RSA or ECDSA."""
        return self.provider if algorithm == "RSA" else self.elliptic_provider

    def encryption_for(self, target_os: str) -> Encryption:
        """Give the encryption that a Windows Server version can read.

        Raises
        ------
        PackageError
            If the version is unknown; names the known ones.
        """
        for encryption in self.encryptions:
            if target_os in encryption.target_os:
                return encryption
        known = ", ".join(version for e in self.encryptions for version in e.target_os)
        raise PackageError(
            f'"{target_os}" is no Windows Server version that packages are made for',
            hint=f"use one of: {known}",
        )


def package_rules(rules: Rules) -> PackageRules:
    """Read the ``[pfx]`` table of a product.

    Raises
    ------
    RulesError
        If the product has none, or it lacks a value.
    """
    what = "it names the provider and one [[pfx.encryption]] for each Windows Server version"
    return _read(rules, "pfx", PackageRules, what)
