"""The changed deployment procedure of a product, and its packages, as its rules define them.

The table ``[deploy]`` of a product is read here; ``deploy/fill_steps.py`` fills it in for a server.
Its words:

- ``[[deploy.check]]``: a question that changes nothing. It prints exactly one ``$true`` or
  ``$false``; an error, nothing or anything else means "cannot tell", never "no". ``shows`` prints
  what was found instead, ``when`` the time from which the answer changes. ``passing``: true for
  a moment only, so ``-Verify`` leaves it out. ``script_only``: asks functions of the script.
  ``after``: the check that must be true before this one has an answer; ``-WhatIf`` names the step
  that will make it true.
- ``[[deploy.place]]``: where a certificate is in use (a usage, a farm, a service, a binding).
  ``read`` prints what it uses now, or nothing; ``set`` and ``roll`` (with ``$Date``) assign
  ``$Value``, ``clear`` takes the assignment away, ``staged`` says whether the new certificate
  waits there for its date. The script writes a record of all places before it changes anything,
  and goes back by it. ``each``: a server has several of them, or none; it prints one key for each,
  which the other commands have as ``$Key`` (an empty key adds nothing to the title). A place
  without ``read`` belongs to another product: it is read, set and given back by hand. ``outside``
  says how another computer sees what it uses; the sheet says it at each step of the place.
  ``restart``: services read it when they start. ``for_deployment``: all servers share it.
  ``setting``: no certificate but a value that goes with one, and may have been ``new`` before.
- ``[[deploy.step]]``: ``only_if`` says where it is taken. It is done when all of ``holds`` are
  true. ``waits``: if one is not true, the run leaves the step for later and continues. ``needs``:
  if one is not true, the run stops. ``confirms``: if one is not true, a person is asked.
  ``by_hand``: the script runs nothing and stops until ``holds`` are true. ``goes_on``: where they
  are not true, the script warns and continues. ``minutes``: how long ``holds`` are asked again.
  ``does``: what the script does more than the commands: ``record`` all places, ``assign`` (keeps
  the time), ``drain`` (keeps which services ran), ``start`` (those that ran), ``set`` a place to
  ``new``, ``restore`` it.
  ``phase = "both"``: on the day and on the way back. ``confirmed_by``: the run stops here without
  that switch. ``trust``: the step is one of those that ``-TrustOnly`` takes.
- ``[[deploy.shell]]``: ``services`` lists the product's services with ``Name`` and ``Status``,
  ``start_service`` starts the one called ``$Value``, ``commands`` must exist there.

A check may ask the script: ``Test-Key PATH``, ``Test-ServicesStopped``, ``Test-ServicesRun``
(``Get-NotRunning`` names the others), ``Test-ServicesLoaded`` (all started after their certificate
was assigned; ``Get-Stale`` names the others), ``Test-RestartAhead``, ``Test-FailedOver``,
``Get-Places TITLE``, ``Get-InUse PLACE``, ``Get-Shown SERVER PORT NAME`` (the thumbprint that a
client is shown), and ``$ComputerName``.
``shows`` prints each time by ``Get-Utc TIME``: 2026-12-22 06:00 UTC.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from ..base.records import RecordReader, named, place_of
from ..errors import PackageError, RulesError
from .model import Rules

_Record = TypeVar("_Record")

#: What a step is taken once for: each server, each certificate there, each call that assigns some
#: of its usages, each usage, each place, each CA certificate that the trust plan puts there, and
#: each certificate to request.
SCOPES = ("server", "certificate", "call", "usage", "place", "issuer", "request")

#: When: on the day, once the old certificate has ended, to go back (or both on the day and then);
#: and before the day, where keys are on a computer with the administrative tools: the request, and
#: once the CA has issued; and at the set-up of a server.
PHASES = ("day", "later", "back", "both", "request", "finish", "set-up")

#: The phases that have steps of no server.
BEFORE = ("request", "finish", "set-up")

#: The switches of a script for optional actions.
SWITCHES = ("StartServices", "DrainServices", "TrustInstalled")

#: What the script does at a step, more than its commands.
DEEDS = ("record", "assign", "drain", "start", "set", "restore")

#: The keys of a step that name checks, in the order in which the script asks them.
QUESTIONS = ("only_if", "holds", "waits", "needs", "confirms")

#: How a call assigns: immediately, or in addition to the present certificate until a date.
CALLS = ("assign", "roll")

#: The columns of the summary that show a step's commands.
COLUMNS = ("Import", "Assign")

PLACEHOLDER = re.compile(r"\{(\w+)\}")

# The placeholders that a scope gives, in the order in which they are explained.
_SERVER = ("server", "pool", "packages", "product", "folder", "record_path", "provider")
_CERTIFICATE = (
    *_SERVER,
    *("package", "package_path", "thumbprint", "certificate_path", "friendly_name", "name"),
    *("types", "count", "servers", "key_holder", "answer", "answer_path", "san", "ports"),
    "superseded",
)
_ISSUER = (
    *_SERVER,
    "subject",
    "issuer_thumbprint",
    "issuer_sha256",
    "store",
    "chain_path",
    "issuer_path",
    "needed_for",
)
_GIVEN = {
    "server": _SERVER,
    "certificate": _CERTIFICATE,
    "call": (*_CERTIFICATE, "lead_hours", "effective", "effective_words", "old_end", "outage"),
    "usage": (*_CERTIFICATE, "type"),
    "place": (*_CERTIFICATE, "type", "place", "new"),
    "issuer": _ISSUER,
    "request": (
        *("server", "servers", "pool", "product", "folder", "types", "friendly_name", "name"),
        *("names", "san", "hash", "issuer", "key_bits", "key_algorithm", "client_eku", "request"),
        *(
            "request_path",
            "new_path",
            "template",
            "organization",
            "unit",
            "city",
            "state",
            "country",
        ),
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A question to a server that changes nothing there: yes, no, or cannot tell."""

    id: str
    text: str
    command: str
    source: str
    shows: str = ""
    when: str = ""
    passing: bool = False
    script_only: bool = False
    after: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a certificate is in use: how to read it there, to set it and to take it away.

    ``new`` is what it uses after the change. ``scope`` is ``usage`` or ``certificate``; ``roles``
    and ``usages`` narrow it as they do a step.
    """

    id: str
    title: str
    scope: str
    source: str
    outside: str
    read: str = ""
    each: str = ""
    new: str = "{thumbprint}"
    set: str = ""
    roll: str = ""
    clear: str = ""
    staged: str = ""
    restart: bool = False
    for_deployment: bool = False
    setting: bool = False
    roles: tuple[str, ...] = ()
    usages: tuple[str, ...] = ()

    def applies(self, role: str, usages: tuple[str, ...]) -> bool:
        """Whether a certificate of this role and these usages is in use there."""
        if self.roles and role not in self.roles:
            return False
        return not self.usages or not set(self.usages).isdisjoint(usages)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step; ``roles`` and ``usages`` narrow where it is taken (empty: everywhere).

    ``text`` says what to do and why, ``wizard`` the pages of the product's own wizard,
    ``commands`` the same in PowerShell. ``when_asked``: the switch of the script without which it
    runs none. ``call`` is one of ``CALLS`` or empty. ``places`` are those of a step with the scope
    ``place``. ``options`` end the last command, each if its placeholder has a value.
    ``key_elsewhere``: only for a certificate whose key is not in the request folder. ``column`` is
    that of the summary which shows the commands, or empty. The first lines of this file explain
    the rest.
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
    waits: tuple[str, ...] = ()
    confirms: tuple[str, ...] = ()
    places: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    usages: tuple[str, ...] = ()
    call: str = ""
    without_usages: bool = False
    by_hand: bool = False
    goes_on: bool = False
    does: str = ""
    minutes: int = 0
    key_elsewhere: bool = False
    when_asked: str = ""
    confirmed_by: str = ""
    trust: bool = False
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
    """Usages whose old and new certificates can both be in use until the old one expires.

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
    commands: tuple[str, ...] = ()
    services: str = ""
    start_service: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cmdlet:
    """A command that steps use, the parameters that they give it, and the page that has them.

    ``keys`` are those that it can make, such as ``RSA 2048``; none: it makes no key.
    """

    name: str
    source: str
    parameters: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
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
    places: tuple[Place, ...] = named("place", default=())
    rolls: tuple[RollOver, ...] = named("roll", default=())
    shells: tuple[Shell, ...] = named("shell", default=())
    cmdlets: tuple[Cmdlet, ...] = named("cmdlet", default=())
    order: tuple[Stage, ...] = ()

    def roll_of(self, usage: str) -> RollOver | None:
        """Give how a usage rolls over, if it can."""
        return next((roll for roll in self.rolls if usage in roll.usages), None)

    def makes_key(self, key: str) -> bool:
        """Whether every command that makes keys can make this one."""
        return all(key in cmdlet.keys for cmdlet in self.cmdlets if cmdlet.keys)

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
    check: Callable[[RecordReader, _Record, Mapping[str, object]], None] = lambda *_: None,
) -> _Record:
    """Read one of a product's tables that other commands ask for; ``what`` is in it, in words."""
    table = rules.settings.get(name)
    if not isinstance(table, Mapping):
        raise RulesError(
            f"Missing required table '{name}' in the rules of {rules.product}", hint=what
        )
    reader = RecordReader(rules.product)
    record = reader.record(kind, table, name)
    if record is not None:
        check(reader, record, table)
    if record is None or reader.problems:
        raise RulesError(
            f"the table '{name}' of {rules.product} has mistakes",
            problems=tuple(reader.problems),
        )
    return record


def _check(reader: RecordReader, procedure: Procedure, table: Mapping[str, object]) -> None:
    """Report valid but meaningless values, with their place in the table ``deploy``."""
    if not re.match(r"[A-Z]:\\.", procedure.folder):
        where = place_of(table, "deploy")
        reader.problem(f"'{where}.folder' is not a full path", r"write it as 'C:\certificates'")
    checks = {check.id: check for check in procedure.checks}
    where_is = {kind: _places(table, kind) for kind in ("step", "check", "place")}
    for where, step in zip(where_is["step"], procedure.steps):
        reader.among(f"{where}.scope", (step.scope,), SCOPES, "scope")
        reader.among(f"{where}.phase", (step.phase,), PHASES, "phase")
        reader.among(f"{where}.call", (step.call,), ("", *CALLS), "kind of call")
        reader.among(f"{where}.column", (step.column,), ("", *COLUMNS), "column")
        for key in ("when_asked", "confirmed_by"):
            reader.among(f"{where}.{key}", (getattr(step, key),), ("", *SWITCHES), "switch")
        reader.among(f"{where}.does", (step.does,), ("", *DEEDS), "deed")
        reader.among(f"{where}.places", step.places, {p.id: p for p in procedure.places}, "place")
        texts = [step.title, step.text, step.wizard, *step.commands, *step.options]
        for key in QUESTIONS:
            reader.among(f"{where}.{key}", getattr(step, key), checks, "check")
            for check in (checks[name] for name in getattr(step, key) if name in checks):
                texts += [check.text, check.command, check.shows, check.when]
        used = {name for text in texts for name in PLACEHOLDER.findall(text)}
        given = _GIVEN.get(step.scope, tuple(used))
        if step.phase == "finish":
            given = (*given, *_CERTIFICATE)
        reader.among(where, sorted(used), given, "placeholder")
    for where, check in zip(where_is["check"], procedure.checks):
        reader.among(f"{where}.after", (check.after,), {"": None, **checks}, "check")
    for where, place in zip(where_is["place"], procedure.places):
        reader.among(f"{where}.scope", (place.scope,), ("usage", "certificate"), "scope")
        texts = [place.title, place.each, place.read, place.new, place.set, place.roll]
        texts += [place.clear, place.staged, place.outside]
        used = {name for text in texts for name in PLACEHOLDER.findall(text)}
        reader.among(where, sorted(used), _GIVEN["usage"], "placeholder")
    for kind in where_is:
        records: tuple[Step | Check | Place, ...] = getattr(procedure, f"{kind}s")
        reader.once(dict(zip(where_is[kind], records)), "id")


def _places(table: Mapping[str, object], kind: str) -> list[str]:
    """Say where the steps or checks of the table stand, each read without a problem."""
    entries = table.get(kind, [])
    assert isinstance(entries, list)
    return [place_of(entry, f"deploy.{kind}[{index}]") for index, entry in enumerate(entries)]


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
            f'"{target_os}" is not a Windows Server version for which lyncnb makes packages',
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
