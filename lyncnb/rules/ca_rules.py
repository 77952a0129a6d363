"""What CAs and returned certificates are judged by: data (``returned_rules.toml``) to findings."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files as package_files
from typing import Protocol

from ..errors import RulesError
from .findings import Finding
from .model import CheckRule

Difference = tuple[str, str]  # code, message


class Planned(Protocol):
    """What the checks need to know of a planned certificate."""

    @property
    def id(self) -> str:
        """Its id, which findings are about."""

    @property
    def role(self) -> str:
        """The server role that it is for."""

    @property
    def issuer(self) -> str:
        """``internal`` or ``public``."""


@cache
def _document() -> Mapping[str, object]:
    path = package_files(__package__) / "returned_rules.toml"
    return tomllib.loads(path.read_text(encoding="utf-8"))


@cache
def returned_checks() -> Mapping[str, CheckRule]:
    """Return the checks of returned certificates, by code.

    Raises
    ------
    RulesError
        If the data file has a mistake; it names the place.
    """
    return read_checks(_document()["check"])


def read_checks(entries: Iterable[Mapping[str, object]]) -> Mapping[str, CheckRule]:
    """Read the ``[[check]]`` tables of ``rules/returned_rules.toml``.

    Raises
    ------
    RulesError
        If a field is missing or unknown, a severity is none, or a code stands twice.
    """
    checks: dict[str, CheckRule] = {}
    for place, entry in enumerate(entries):
        where = f"rules/returned_rules.toml, check[{place}]"
        try:
            values = {key: tuple(v) if isinstance(v, list) else v for key, v in entry.items()}
            rule = CheckRule(**values)
        except TypeError as error:
            raise RulesError(f"{where}: {error}", hint="see the other checks") from None
        if rule.severity not in ("error", "warning", "notice"):
            raise RulesError(
                f"{where}: {rule.severity!r} is no severity", hint="error, warning or notice"
            )
        if rule.code in checks:
            raise RulesError(f"{where}: {rule.code!r} stands twice", hint="keep one of them")
        checks[rule.code] = rule
    return checks


def finding(code: str, about: str, message: str) -> Finding:
    """Make a finding of a code of ``rules/returned_rules.toml``.

    Parameters
    ----------
    code : str
        A code of the file.
    about : str
        Id of a request, or name of a returned file.
    message : str
        What was found, with the value.
    """
    rule = returned_checks()[code]
    return Finding(
        code=code,
        severity=rule.severity,
        about=about,
        message=message,
        hint=rule.hint,
        source=rule.source,
    )


def findings(entry: Planned, differences: Iterable[Difference]) -> tuple[Finding, ...]:
    """Make findings about one planned certificate; checks that are not asked of it are left out.

    Parameters
    ----------
    entry : Planned
        The planned certificate.
    differences : iterable of (code, message)
        What was found.
    """
    kept = []
    for code, message in differences:
        rule = returned_checks()[code]
        if rule.issuers and entry.issuer not in rule.issuers:
            continue
        if rule.roles and entry.role not in rule.roles:
            continue
        kept.append(finding(code, entry.id, message))
    return tuple(dict.fromkeys(kept))
