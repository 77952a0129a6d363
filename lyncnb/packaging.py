"""Which encryption a package needs, as the product's rules say; many packages at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .errors import PackageError, RulesError
from .keys import read_pkcs8
from .passphrase import Secret
from .pkcs12 import PfxContent, build_pfx
from .rules import Rules


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
    encryptions: tuple[Encryption, ...]

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One package to make; ``key`` is PKCS #8 DER in the clear, so it has no repr."""

    content: PfxContent
    key: bytes
    password: Secret

    def __repr__(self) -> str:
        return f"Task({self.content.friendly_name!r}, key=***)"


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
    try:
        encryptions = tuple(
            Encryption(**{**entry, "target_os": tuple(entry["target_os"])})
            for entry in table["encryption"]
        )
        return PackageRules(provider=table["provider"], encryptions=encryptions)
    except (KeyError, TypeError) as error:
        raise RulesError(
            f"the table 'pfx' of {rules.product}.toml is not complete: {error}",
            hint="each [[pfx.encryption]] has id, title, target_os, why and source",
        ) from None


def make_packages(tasks: Sequence[Task], *, workers: int | None = None) -> list[bytes]:
    """Make n packages, in the order of the tasks."""
    return [_make(task) for task in tasks]


def _make(task: Task) -> bytes:
    return build_pfx(task.content, read_pkcs8(task.key), task.password)
