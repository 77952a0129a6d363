"""The changed deployment procedure of a product: its steps, as its rules say them.

Which step is for which role and usage, its words, wizard page, commands and source are data
(``[[deploy.step]]``); this file reads them and fills them in.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from ..base.toml_records import TomlReader, named
from ..errors import PackageError, RulesError
from .model import Rules

#: What a step may stand for: once on each server, or once for each certificate there.
SCOPES = ("server", "certificate")

_PLACEHOLDERS = (
    *("server", "pool", "package", "types", "thumbprint", "friendly_name", "provider"),
    "effective",
)
_PLACEHOLDER = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step; ``roles`` and ``usages`` narrow where it is taken (empty: everywhere).

    ``text`` says what to do and why, ``wizard`` the pages of the Deployment Wizard, ``commands``
    the same in PowerShell. Placeholders: server, pool, package, types, thumbprint,
    friendly_name, provider, effective (date and time of a roll-over).
    """

    id: str
    title: str
    scope: str
    text: str
    source: str
    wizard: str = ""
    commands: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    usages: tuple[str, ...] = ()
    without_usages: bool = False

    def applies(self, role: str, usages: tuple[str, ...]) -> bool:
        """Whether the step is for a certificate of this role and these usages."""
        if self.roles and role not in self.roles:
            return False
        if self.without_usages:
            return not usages
        return not self.usages or not set(self.usages).isdisjoint(usages)


@dataclass(frozen=True, slots=True, kw_only=True)
class RollOver:
    """Usages that keep the present certificate until a date, and how long ahead to set it."""

    usages: tuple[str, ...]
    lead_hours: int
    identity: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """One call of ``Set-CsCertificate``: usages that are assigned together."""

    usages: tuple[str, ...]
    roll: RollOver | None = None

    @property
    def identity(self) -> str:
        """Give the ``-Identity`` of the call; "" for the server's own."""
        return self.roll.identity if self.roll else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Procedure:
    """All steps of a product in order, and its roll-overs."""

    steps: tuple[Step, ...]
    rolls: tuple[RollOver, ...]

    def assignments(self, usages: tuple[str, ...]) -> tuple[Assignment, ...]:
        """Split a certificate's usages into calls: those that roll over go by themselves."""
        rest = tuple(u for u in usages if all(u not in roll.usages for roll in self.rolls))
        calls = [Assignment(usages=rest)] if rest else []
        for roll in self.rolls:
            rolled = tuple(u for u in usages if u in roll.usages)
            if rolled:
                calls.append(Assignment(usages=rolled, roll=roll))
        return tuple(calls)


def load_procedure(rules: Rules) -> Procedure:
    """Read the ``[deploy]`` table of a product.

    Raises
    ------
    RulesError
        If it is missing, or a step lacks a value, or has an unknown key, scope or placeholder.
    """
    table = rules.settings.get("deploy")
    if not isinstance(table, Mapping):
        raise RulesError(
            f"Missing required table 'deploy' in {rules.product}.toml",
            hint="it has one [[deploy.step]] for each step and one [[deploy.roll]] for each usage",
        )
    steps = tuple(
        _read(Step, entry, f"deploy.step[{number}]", rules)
        for number, entry in enumerate(table.get("step", ()))
    )
    rolls = tuple(
        _read(RollOver, entry, f"deploy.roll[{number}]", rules)
        for number, entry in enumerate(table.get("roll", ()))
    )
    for number, step in enumerate(steps):
        _check(step, f"deploy.step[{number}]", rules)
    return Procedure(steps=steps, rolls=rolls)


def _read(kind: type, entry: Mapping[str, object], where: str, rules: Rules):
    values = {k: tuple(v) if isinstance(v, list | tuple) else v for k, v in entry.items()}
    try:
        return kind(**values)
    except TypeError as error:
        raise RulesError(
            f"{rules.product}.toml: '{where}' is not complete: {error}",
            hint=f"its keys are {', '.join(kind.__slots__)}",
        ) from None


def _check(step: Step, where: str, rules: Rules) -> None:
    if step.scope not in SCOPES:
        raise RulesError(
            f"{rules.product}.toml: '{where}.scope' is \"{step.scope}\"",
            hint=f"use one of: {', '.join(SCOPES)}",
        )
    for text in (step.text, step.wizard, *step.commands):
        for name in _PLACEHOLDER.findall(text):
            if name not in _PLACEHOLDERS:
                raise RulesError(
                    f"{rules.product}.toml: '{where}' has the placeholder {{{name}}}",
                    hint=f"use one of: {', '.join(_PLACEHOLDERS)}",
                )


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
    """How a product's packages are made. ``provider`` is the Windows CSP that holds the key."""

    provider: str
    source: str
    encryptions: tuple[Encryption, ...] = named("encryption")

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
    table = rules.settings.get("pfx")
    if not isinstance(table, Mapping):
        raise RulesError(
            f"Missing required table 'pfx' in {rules.product}.toml",
            hint="it names the provider and one [[pfx.encryption]] for each Windows Server version",
        )
    reader = TomlReader(f"{rules.product}.toml")
    packages = reader.record(PackageRules, table, "pfx")
    if packages is None:
        raise RulesError(
            f"the table 'pfx' of {rules.product}.toml has mistakes",
            problems=tuple(reader.problems),
        )
    return packages
