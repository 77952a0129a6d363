"""Read the deployment procedure and the package rules of a product.

This module reads the table ``[deploy]`` of a product; ``deploy/fill_steps.py`` fills it in for a
server. The table contains:

- ``[[deploy.check]]``: a read-only query. It prints exactly one ``$true`` or ``$false``; an error,
  no output or any other output means "cannot tell", never "no". ``shows`` prints the actual state,
  ``when`` the time from which the result changes. ``passing``: only temporarily true, so
  ``-Verify`` omits it. ``script_only``: it uses functions of the script. ``after``: the check that
  must be true first; ``-WhatIf`` names the step that will make it true.
- ``[[deploy.place]]``: a place that uses a certificate (a usage, a farm, a service, a binding).
  ``read`` prints the current value, or nothing; ``set`` and ``roll`` (with ``$Date``) assign
  ``$Value``, ``clear`` removes the assignment, ``staged`` tests whether the new certificate waits
  there for its date. The script records all places before it changes anything, and restores them
  from that record. ``each`` prints one key for each of a server's places, which the other commands
  receive as ``$Key`` (an empty key adds nothing to the title). A place without ``read`` belongs to
  another product: people read, set and restore it by hand. ``restart``: services
  read the value when they start. ``for_deployment``: all servers share it. ``setting``: a value
  other than a certificate, which may have been ``new`` before the change.
- ``[[deploy.step]]``: one record, from which the sheet, the script, the order page, the checklist,
  the summary and ``--json`` are made. ``cases`` (new, renew, join), ``roles``, ``usages``, ``call``
  and ``when`` (facts that the plan decides, see ``FACTS``) say where the step applies: it is in
  every rendering or in none. ``only_if`` is decided by the script, and ``person`` is a question
  that only a person can answer, so the script never runs such a step. ``option`` is an answer in
  ``[procedure]`` of plan.toml, such as ``hybrid=yes``: with it, nobody asks, and with another
  answer the step or place is nowhere. ``unit`` is who does it once:
  each server, the pool, the deployment, or a team outside. ``stage`` is the time of the step, and
  with it the switch of the script that includes it. ``way_back``: the rollback has the step too.
  A step is done when all of ``holds`` are true. ``waits``: if one is not true, the run leaves the
  step for later and continues. ``needs``: if one is not true, the run stops. ``confirms``: if one
  is not true, the run asks a person. ``by_hand``: the script runs nothing, and stops until
  ``holds`` are true; without ``holds``, the step is on paper only. ``goes_on``: if ``holds`` are
  not true, the script warns and continues. ``minutes``: how long it repeats ``holds``. ``does``: an
  action of the script in addition to the commands: ``record`` all places, ``assign`` and
  ``roll`` (store the time), ``drain`` (stores which services ran), ``start`` (those that ran),
  ``set`` a place to ``new``, ``restore`` it. ``asks``: what a command prompts for, so paper shows
  it alone. A sheet shows ``title``, an instruction; ``expected``, its result; and ``caution``.
  ``text`` and ``source`` are on the screen only.
- ``[[deploy.run]]``: a row of a sheet about the script, or about what both ways need. ``switches``
  are those of the script, ``commands`` a look at the server.
- ``[[deploy.order]]``: a row of the order page. ``after`` are the rows that come first.
- ``[[deploy.task]]``: consecutive steps that name it as ``task`` are one item of a sheet.
- ``[[deploy.shell]]``: ``services`` lists the product's services with ``Name`` and ``Status``,
  ``start_service`` starts the service ``$Value``, ``commands`` must exist in the shell. The
  services ``ignored`` run without a certificate, so they do not show that the product runs.

A check may use these functions of the script: ``Test-Verified THUMBPRINT`` (one ``certutil
-verifystore``), ``Test-ServicesStopped``, ``Test-ServicesRun`` (``Get-NotRunning`` lists the
others), ``Test-ServicesLoaded`` (all started after the assignment of their certificate;
``Get-Stale`` lists the others), ``Test-RestartAhead``, ``Test-FailedOver``, ``Get-Places TITLE``,
``Get-InUse PLACE``, ``Get-Shown SERVER PORT NAME`` (the thumbprint that a client receives), and
``$ComputerName``. ``shows`` formats each time with ``Get-Utc TIME``: 2026-12-22 06:00 UTC.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from ..base.records import RecordReader, get_position, make_named_field
from ..errors import PackageError, RulesError
from .model import Rules

_Record = TypeVar("_Record")

#: The scopes of a step. A step runs once for each server, certificate, assignment call, usage,
#: setting, CA certificate in the trust plan, or certificate to request.
SCOPES = ("server", "certificate", "call", "usage", "place", "issuer", "request")

#: The cases of a server. "new" was installed and never started, "renew" is in use, and "join" is
#: new in a deployment that is in use. "request" is the case of a key on another computer.
CASES = ("new", "renew", "join", "request")

#: The stages of a step. "back" is the rollback, and "after" the time after the change. The script
#: runs the stages from "trust" to "verify". If a computer with the administrative tools has the
#: keys, "request" and "finish" come before. "set-up" is the setup of a server.
SCRIPTED = ("trust", "prepare", "change", "start", "verify")
STAGES = ("request", "finish", "set-up", "before", *SCRIPTED, "after", "back")

#: The stages whose steps do not belong to a server.
BEFORE = ("request", "finish", "set-up")

#: Who performs a step once.
UNITS = ("server", "pool", "deployment", "outside")

#: Facts that the plan decides: how many servers the pool has, whether this is its first one,
#: whether a CA is not trusted yet, or all are, whether the certificate in use is known, whether no
#: usage of it rolls over, whether its names differ, whether the paired pool comes first, whether
#: another server assigns the certificate of the deployment first, whether the role has services
#: that are drained and started, and whether keys must be in the product's provider.
FACTS = (
    *("several", "alone", "three", "first", "not-first", "new-ca", "known-ca", "old-known"),
    *(
        "old-unknown",
        "at-once",
        "renamed",
        "pair-second",
        "oauth-first",
        "oauth-here",
        "services",
        "no-services",
        "provider",
        "any-provider",
    ),
)

#: The questions that plan.toml can answer for the whole deployment, with their answers.
ANSWERS: Mapping[str, tuple[str, ...]] = {
    "hybrid": ("yes", "no"),
    "exchange_partner": ("yes", "no"),
    "gateways_tls": ("yes", "no"),
    "proxy_product": ("iis", "wap", "other"),
    "office_offloads": ("yes", "no"),
}

#: The actions that the script can perform in a step, in addition to the commands.
DEEDS = ("record", "assign", "roll", "drain", "start", "set", "restore")

#: The keys of a step that contain IDs of checks, in the order in which the script uses them.
QUESTIONS = ("only_if", "holds", "waits", "needs", "confirms")

#: The two ways to assign a certificate: immediately, or in addition to the current certificate
#: until a date.
CALLS = ("assign", "roll")

#: The columns of the summary that show the commands of a step.
COLUMNS = ("Import", "Assign")

PLACEHOLDER = re.compile(r"\{(\w+)\}")

# The placeholders of each scope, in the order of the documentation.
_SERVER = (
    *("server", "pool", "packages", "product", "folder", "record_path", "provider"),
    *("chain_folder", "oauth_server", "registrar", "first_server", "ports", "outside_ports"),
    *("backup_pool",),
)
_CERTIFICATE = (
    *_SERVER,
    *("package", "package_path", "thumbprint", "certificate_path", "friendly_name", "name"),
    *("types", "count", "servers", "key_holder", "answer", "answer_path", "answer_file", "san"),
    *("superseded", "old", "old_end", "old_path", "root_path"),
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
    "call": (*_CERTIFICATE, "lead_hours", "effective", "effective_words", "outage"),
    "usage": (*_CERTIFICATE, "type"),
    "place": (*_CERTIFICATE, "type", "place", "new", "effective_words"),
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
    """A read-only query on a server that returns yes, no, or unknown."""

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
    """A setting that refers to a certificate, with the commands to read, set, and clear it.

    ``new`` is the value after the change. ``scope`` is ``usage`` or ``certificate``. ``roles`` and
    ``usages`` limit the scope, as for a step.
    """

    id: str
    title: str
    scope: str
    source: str
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
    option: str = ""
    roles: tuple[str, ...] = ()
    usages: tuple[str, ...] = ()

    def applies(self, role: str, usages: tuple[str, ...]) -> bool:
        """Return whether the setting uses certificates with a role and usages."""
        if self.roles and role not in self.roles:
            return False
        return not self.usages or not set(self.usages).isdisjoint(usages)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A step of the deployment procedure, such as an import or a check.

    ``cases``, ``roles`` and ``usages`` limit its scope. If they are empty, the step applies
    everywhere.

    ``title`` says what to do, ``text`` explains how and why, ``wizard`` lists the pages of the
    product's wizard, ``commands`` are the same in PowerShell. ``call`` is one of ``CALLS`` or
    empty. ``places`` are those of a step with the scope ``place``. ``options`` are appended to the
    last command, each if its placeholder has a value. ``key_elsewhere``: only for a certificate
    whose key is not in the request folder. ``key_algorithm``: only for a certificate whose key has
    this algorithm. ``paper`` is false if only the script has the step. ``confirmed_by``: the run
    stops here without that switch. ``column`` is the column of the summary with the commands, or
    empty. ``effect`` says who is disconnected. The first lines of this file explain the rest.
    """

    id: str
    title: str
    scope: str
    source: str
    stage: str
    text: str = ""
    unit: str = "server"
    cases: tuple[str, ...] = ()
    when: tuple[str, ...] = ()
    person: str = ""
    option: str = ""
    way_back: bool = False
    asks: str = ""
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
    not_for: tuple[str, ...] = ()
    usages: tuple[str, ...] = ()
    call: str = ""
    without_usages: bool = False
    by_hand: bool = False
    goes_on: bool = False
    does: str = ""
    minutes: int = 0
    key_elsewhere: bool = False
    key_algorithm: str = ""
    paper: bool = True
    confirmed_by: str = ""
    column: str = ""
    task: str = ""
    expected: str = ""
    caution: str = ""
    effect: str = ""

    @property
    def is_scripted(self) -> bool:
        """Whether the script has the step: it changes or checks something on this server."""
        stages = (*SCRIPTED, "back", *BEFORE)
        is_here = self.unit == "server" and self.stage in stages and not self.person
        return is_here and bool(not self.by_hand or self.holds)

    def is_in_case(self, case: str) -> bool:
        """Return whether the step belongs to a case of a server."""
        return not self.cases or case in self.cases

    def applies(self, role: str, usages: tuple[str, ...]) -> bool:
        """Return whether the step applies to certificates with a role and usages."""
        if role in self.not_for or (self.roles and role not in self.roles):
            return False
        if self.without_usages:
            return not usages
        return not self.usages or not set(self.usages).isdisjoint(usages)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """An item on a sheet that combines several steps with a common result."""

    id: str
    title: str
    expected: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RollOver:
    """Usages for which the old and the new certificate can be in use at the same time.

    ``lead_hours`` is the minimum time between the start of the new certificate and the expiration
    of the old one. It is the lifetime of a token.
    """

    usages: tuple[str, ...]
    lead_hours: int
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Shell:
    """The shell for the commands of server roles, and the modules to load first.

    ``provider``: these roles can use an RSA key only in the provider of the package rules.
    """

    roles: tuple[str, ...]
    title: str
    modules: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    services: str = ""
    start_service: str = ""
    provider: bool = False
    ignored: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cmdlet:
    """A cmdlet in steps, with the parameters that steps use and the page that documents it.

    ``keys`` contains the keys that the command can create, such as ``RSA 2048``. It is empty if the
    command does not create a key.
    """

    name: str
    source: str
    parameters: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A row of a sheet that starts the script, or that looks at the server without changing it.

    ``section`` is ``day``, ``night`` or ``wrong``.
    """

    id: str
    section: str
    title: str
    expected: str
    cases: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    not_for: tuple[str, ...] = ()
    when: tuple[str, ...] = ()
    switches: str = ""
    commands: tuple[str, ...] = ()
    starts_script: bool = True
    asks: str = ""

    def applies(self, role: str, case: str, facts: Collection[str]) -> bool:
        """Return whether the sheet of a role has the row."""
        is_for_role = role not in self.not_for and (not self.roles or role in self.roles)
        return is_for_role and (not self.cases or case in self.cases) and {*self.when} <= {*facts}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A row of the order page: who does what, after which other rows.

    A row with ``roles`` stands once for each pool with one of them. ``text`` explains the order of
    the servers in a pool and the effects on users.
    """

    id: str
    who: str
    title: str
    source: str
    text: str = ""
    roles: tuple[str, ...] = ()
    cases: tuple[str, ...] = ()
    when: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    minutes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Procedure:
    """The deployment procedure of a product: all steps in order, with the data they need.

    ``folder`` is the folder for packages and scripts on a server.
    """

    folder: str
    steps: tuple[Step, ...] = make_named_field("step")
    checks: tuple[Check, ...] = make_named_field("check", default=())
    places: tuple[Place, ...] = make_named_field("place", default=())
    rolls: tuple[RollOver, ...] = make_named_field("roll", default=())
    shells: tuple[Shell, ...] = make_named_field("shell", default=())
    cmdlets: tuple[Cmdlet, ...] = make_named_field("cmdlet", default=())
    order: tuple[Stage, ...] = ()
    tasks: tuple[Task, ...] = make_named_field("task", default=())
    runs: tuple[Run, ...] = make_named_field("run", default=())

    def answer(self, answers: Mapping[str, str]) -> Procedure:
        """Return the procedure after the questions that plan.toml answers.

        What is left with an ``option`` depends on a question without an answer.
        """
        known = {f"{name}={answer}" for name, answer in answers.items()}

        def applies(record: Step | Place) -> bool:
            return record.option.partition("=")[0] not in answers

        steps = (replace(s, person="", option="") if s.option in known else s for s in self.steps)
        places = (replace(p, option="") if p.option in known else p for p in self.places)
        return replace(
            self, steps=tuple(filter(applies, steps)), places=tuple(filter(applies, places))
        )

    def find_roll_over(self, usage: str) -> RollOver | None:
        """Return the rollover rule for a usage, or None if rollover is not supported."""
        return next((roll for roll in self.rolls if usage in roll.usages), None)

    def can_create_key(self, key: str) -> bool:
        """Return whether every command that creates keys supports a type and size of key."""
        return all(key in cmdlet.keys for cmdlet in self.cmdlets if cmdlet.keys)

    def list_facts(self, role: str) -> frozenset[str]:
        """Return the facts about a role: whether it has services, and a provider for its keys."""
        shell = self.find_shell(role)
        services = "services" if shell and shell.services else "no-services"
        return frozenset((services, "provider" if shell and shell.provider else "any-provider"))

    def find_shell(self, role: str) -> Shell | None:
        """Return the shell in which to run the commands for a role."""
        return next((shell for shell in self.shells if role in shell.roles), None)


def load_procedure(rules: Rules) -> Procedure:
    """Read the ``[deploy]`` table of a product.

    Raises
    ------
    RulesError
        If the table is missing or has mistakes. The error lists each mistake with its place.
    """
    description = (
        "the table needs one [[deploy.step]] for each step, and one [[deploy.roll]] for each usage "
        "of a certificate"
    )
    return _read_table(rules, "deploy", Procedure, description, _check_table)


def _read_table(
    rules: Rules,
    name: str,
    kind: type[_Record],
    description: str,
    check: Callable[[RecordReader, _Record, Mapping[str, object]], None] = lambda *_: None,
) -> _Record:
    """Read a table in a product's rules, such as ``deploy``. ``description`` is for messages."""
    table = rules.settings.get(name)
    if not isinstance(table, Mapping):
        raise RulesError(
            f"The required table '{name}' is missing in the rules for {rules.product}",
            hint=description,
        )
    reader = RecordReader(rules.product)
    record = reader.record(kind, table, name)
    if record is not None:
        check(reader, record, table)
    if record is None or reader.problems:
        raise RulesError(
            f"the table '{name}' of {rules.product} contains errors",
            problems=tuple(reader.problems),
        )
    return record


def _check_table(reader: RecordReader, procedure: Procedure, table: Mapping[str, object]) -> None:
    """Report values in the table ``deploy`` that have the correct type but cannot work."""
    if not re.match(r"[A-Z]:\\.", procedure.folder):
        location = get_position(table, "deploy")
        reader.problem(f"'{location}.folder' is not a full path", r"write it as 'C:\certificates'")
    checks = {check.id: check for check in procedure.checks}
    tasks = {task.id: task for task in procedure.tasks}
    where_is = {kind: _list_positions(table, kind) for kind in ("step", "check", "place", "task")}
    for location, step in zip(where_is["step"], procedure.steps):
        reader.report_unknown_values(f"{location}.scope", (step.scope,), SCOPES, "scope")
        reader.report_unknown_values(f"{location}.stage", (step.stage,), STAGES, "stage")
        reader.report_unknown_values(f"{location}.unit", (step.unit,), UNITS, "unit")
        reader.report_unknown_values(f"{location}.cases", step.cases, CASES, "case")
        reader.report_unknown_values(f"{location}.when", step.when, FACTS, "fact")
        _check_option(reader, location, step.option)
        reader.report_unknown_values(f"{location}.call", (step.call,), ("", *CALLS), "kind of call")
        reader.report_unknown_values(f"{location}.column", (step.column,), ("", *COLUMNS), "column")
        reader.report_unknown_values(
            f"{location}.key_algorithm", (step.key_algorithm,), ("", "RSA", "ECDSA"), "algorithm"
        )
        reader.report_unknown_values(f"{location}.does", (step.does,), ("", *DEEDS), "deed")
        reader.report_unknown_values(f"{location}.task", (step.task,), {"": None, **tasks}, "task")
        reader.report_unknown_values(
            f"{location}.places", step.places, {p.id: p for p in procedure.places}, "place"
        )
        texts = [step.title, step.text, step.wizard, *step.commands, *step.options]
        texts += [step.expected, step.caution, step.person, step.effect]
        for key in QUESTIONS:
            reader.report_unknown_values(f"{location}.{key}", getattr(step, key), checks, "check")
            for check in (checks[name] for name in getattr(step, key) if name in checks):
                texts += [check.text, check.command, check.shows, check.when]
        used = {name for text in texts for name in PLACEHOLDER.findall(text)}
        placeholders = _GIVEN.get(step.scope, tuple(used))
        if step.stage == "finish":
            placeholders = (*placeholders, *_CERTIFICATE)
        reader.report_unknown_values(location, sorted(used), placeholders, "placeholder")
    for location, check in zip(where_is["check"], procedure.checks):
        reader.report_unknown_values(
            f"{location}.after", (check.after,), {"": None, **checks}, "check"
        )
    for location, place in zip(where_is["place"], procedure.places):
        reader.report_unknown_values(
            f"{location}.scope", (place.scope,), ("usage", "certificate"), "scope"
        )
        _check_option(reader, location, place.option)
        texts = [place.title, place.each, place.read, place.new, place.set, place.roll]
        texts += [place.clear, place.staged]
        used = {name for text in texts for name in PLACEHOLDER.findall(text)}
        reader.report_unknown_values(location, sorted(used), _GIVEN["usage"], "placeholder")
    for location, task in zip(where_is["task"], procedure.tasks):
        used = set(PLACEHOLDER.findall(task.title + task.expected))
        reader.report_unknown_values(location, sorted(used), _SERVER, "placeholder")
    for kind in where_is:
        records: tuple[Step | Check | Place | Task, ...] = getattr(procedure, f"{kind}s")
        reader.report_duplicates(dict(zip(where_is[kind], records)), "id")


def _check_option(reader: RecordReader, location: str, option: str) -> None:
    known = {"": None} | {f"{name}={a}": None for name, given in ANSWERS.items() for a in given}
    reader.report_unknown_values(f"{location}.option", (option,), known, "answer")


def _list_positions(table: Mapping[str, object], kind: str) -> list[str]:
    """Return the positions of the valid steps or checks in the table ``deploy``."""
    entries = table.get(kind, [])
    assert isinstance(entries, list)
    return [get_position(entry, f"deploy.{kind}[{index}]") for index, entry in enumerate(entries)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Encryption:
    """A type of encryption for PFX files, with the Windows Server versions that support it."""

    id: str
    title: str
    target_os: tuple[str, ...]
    why: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageRules:
    """The rules for packages of a product.

    ``provider`` is the Windows provider for RSA keys. ``elliptic_provider`` is the provider for
    elliptic curve keys.
    """

    provider: str
    source: str
    elliptic_provider: str = ""
    encryptions: tuple[Encryption, ...] = make_named_field("encryption")

    def find_provider(self, algorithm: str) -> str:
        """Return the Windows provider for keys of an algorithm, RSA or ECDSA."""
        return self.provider if algorithm == "RSA" else self.elliptic_provider

    def find_encryption(self, target_os: str) -> Encryption:
        """Return the encryption of packages for a Windows Server version.

        Raises
        ------
        PackageError
            If the version is unknown. The error lists the known versions.
        """
        for encryption in self.encryptions:
            if target_os in encryption.target_os:
                return encryption
        known = ", ".join(version for e in self.encryptions for version in e.target_os)
        raise PackageError(
            f'"{target_os}" is not a Windows Server version that lyncnb supports for packages',
            hint=f"use one of: {known}",
        )


def load_package_rules(rules: Rules) -> PackageRules:
    """Read the ``[pfx]`` table of a product.

    Raises
    ------
    RulesError
        If the table is missing or lacks a value.
    """
    description = (
        "the table contains the provider and one [[pfx.encryption]] for each Windows Server version"
    )
    return _read_table(rules, "pfx", PackageRules, description)
