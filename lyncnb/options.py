"""``PlanOptions``: every choice that the topology table does not hold, and ``plan.toml``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import date, datetime
from pathlib import Path
from typing import Any, NoReturn

from . import plan_toml
from .base import tables
from .base.certificate_fields import DistinguishedName, KeyParameters
from .base.dns_name import DnsName
from .base.pasted_text import BadName
from .errors import OptionsError
from .rules.model import ISSUERS, LAYOUTS, PROFILES
from .topology.columns import column

HASHES = ("sha256", "sha384", "sha512")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanOptions:
    """Choices of the planner. As a file it is ``plan.toml``, beside the table.

    Parameters
    ----------
    product, profile, layout : str
        Rules to use; ``default`` or ``doc_example``; ``combined`` or ``separate``.
    wildcard, autodiscover_https, edge_member_names : bool
        Flags that name and certificate rules ask for, see ``rules.FLAGS``.
    xmpp_host_names, reverse_proxy_client_eku : bool
        Likewise.
    autodiscover_internal_extra_domains : tuple of str
        Domains for ``lyncdiscoverinternal`` names beside the SIP domains.
    key : KeyParameters
        Default RSA, 2048 bits.
    hash : str
        Of the requests' signatures: sha256, sha384 or sha512.
    organization, organizational_unit, locality, state, country : str
        Further fields of every subject.
    issuer : mapping of str to str
        By usage, by role, or "" for all: ``internal`` or ``public``.
    ca : mapping of str to str
        By usage, role, ``internal``, ``public``, or "" for all: the CA's name.
    planned_issue_date : date or None
        When the CA is to issue.
    validity_days : int or None
        Days of validity to ask for.
    target_os : str
        Windows version of all servers; "" leaves each row's own.
    accepted : mapping of str to str
        Code of an accepted finding: why.

    Raises
    ------
    OptionsError
        If a value is none that the option can have.
    """

    product: str = "lync2013"
    profile: str = "default"
    layout: str = "combined"
    wildcard: bool = False
    autodiscover_https: bool = True
    edge_member_names: bool = False
    xmpp_host_names: bool = False
    reverse_proxy_client_eku: bool = False
    autodiscover_internal_extra_domains: tuple[str, ...] = ()
    key: KeyParameters = field(default_factory=KeyParameters)
    hash: str = "sha256"
    organization: str = ""
    organizational_unit: str = ""
    locality: str = ""
    state: str = ""
    country: str = ""
    issuer: Mapping[str, str] = field(default_factory=dict)
    ca: Mapping[str, str] = field(default_factory=dict)
    planned_issue_date: date | None = None
    validity_days: int | None = None
    target_os: str = ""
    accepted: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _choice("profile", self.profile, PROFILES)
        _choice("layout", self.layout, LAYOUTS)
        _choice("hash", self.hash, HASHES)
        _choice("target_os", self.target_os, ("", *column("target_os").choices))
        _text("product", self.product, required=True)
        for item in fields(self):
            if item.type == "bool" and not isinstance(getattr(self, item.name), bool):
                _refuse(item.name, getattr(self, item.name), "true or false")
        if not isinstance(self.key, KeyParameters):
            _refuse("key", self.key, "an algorithm and a number of bits")
        for name in ("organization", "organizational_unit", "locality", "state", "country"):
            _subject_field(name, getattr(self, name))
        day, days = self.planned_issue_date, self.validity_days
        if day is not None and (not isinstance(day, date) or isinstance(day, datetime)):
            _refuse("planned_issue_date", day, "a date, e.g. 2026-01-31")
        if days is not None and (type(days) is not int or not 1 <= days <= 36500):
            _refuse("validity_days", days, "a whole number of days, at least 1")
        domains = self.autodiscover_internal_extra_domains
        self._keep("autodiscover_internal_extra_domains", _domains(domains))
        for name in ("issuer", "ca", "accepted"):
            self._keep(name, _texts_by_key(name, getattr(self, name)))
        for key, issuer in self.issuer.items():
            _choice(f"issuer.{key or 'all'}", issuer, ISSUERS)
        for code in self.accepted:
            if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", code):
                _refuse("accepted", code, "the code of a finding, e.g. name-is-internal")

    def _keep(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)  # the dataclass is frozen; this is its own making

    @classmethod
    def from_toml(cls, source: str | Path | bytes) -> PlanOptions:
        """Read ``plan.toml``.

        Parameters
        ----------
        source : path or bytes
            The file, or what is in it.

        Returns
        -------
        PlanOptions
            What the file leaves out has its default.

        Raises
        ------
        OptionsError
            If the file cannot be read, is not TOML, has an unknown key, or a wrong value.
        """
        name = "plan.toml" if isinstance(source, bytes) else Path(source).name
        try:
            values: dict[str, Any] = plan_toml.read(source)
            if "key" in values:
                values["key"] = _key(values["key"])
            return cls(**values)
        except OptionsError as error:
            raise OptionsError(f"{name}: {error.message}", hint=error.hint) from None

    def to_toml(self) -> str:
        """Write ``plan.toml``: every option in a fixed order, each with a comment.

        Returns
        -------
        str
            The same options give the same text; :meth:`from_toml` gives equal options back.
        """
        return plan_toml.write(self._plain())

    def rows(self) -> list[tuple[object, ...]]:
        """List the options, one row each: option, value, meaning."""
        values = self._plain()
        return [
            (name, plan_toml.shown(values[name]), place.comment)
            for name, place in plan_toml.PLACES.items()
        ]

    def _plain(self) -> dict[str, Any]:
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        return values | {"key": {"algorithm": self.key.algorithm, "bits": self.key.bits}}

    def to_frame(self) -> tables.DataFrame:
        """Give the options as a DataFrame of n rows, one per option, 3 columns of text."""
        return tables.to_frame(_COLUMNS, self.rows())

    def _repr_html_(self) -> str:
        return tables.rows_to_html(_COLUMNS, self.rows(), caption="Plan options")


_COLUMNS = ("Option", "Value", "Meaning")


def _key(values: dict[str, Any]) -> KeyParameters:
    """Make key parameters of the section; the size is the algorithm's smallest if left out."""
    for name in sorted(values.keys() - {"algorithm", "bits"}):
        raise OptionsError(f'there is no option "key.{name}"', hint="known: algorithm, bits")
    algorithm = values.get("algorithm", "RSA")
    try:
        return KeyParameters(
            algorithm=algorithm, bits=values.get("bits", 256 if algorithm == "ECDSA" else 2048)
        )
    except (ValueError, TypeError) as error:
        raise OptionsError(
            f"option key: {error}", hint="RSA has 2048, 3072 or 4096 bits, ECDSA 256, 384 or 521"
        ) from None


def _refuse(name: str, value: object, allowed: str) -> NoReturn:
    raise OptionsError(f"option {name} is {value!r}", hint=f"it must be {allowed}")


def _choice(name: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed or not isinstance(value, str):
        _refuse(name, value, "one of " + ", ".join(choice or '""' for choice in allowed))


def _text(name: str, value: object, *, required: bool = False) -> None:
    if not isinstance(value, str) or (required and not value.strip()):
        _refuse(name, value, "a text" + (", not blank" if required else ""))


def _subject_field(name: str, value: object) -> None:
    _text(name, value)
    try:
        DistinguishedName(common_name="", **{name: value})
    except ValueError as error:
        raise OptionsError(
            f"option {name}: {error}",
            hint="write it as it is to stand in every subject, or leave it out",
        ) from None


def _domains(values: object) -> tuple[DnsName, ...]:
    name = "autodiscover_internal_extra_domains"
    if not isinstance(values, (tuple, list)) or not all(isinstance(v, str) for v in values):
        _refuse(name, values, "a list of domain names")
    try:
        return tuple(dict.fromkeys(DnsName.parse(value) for value in values))
    except BadName as error:
        raise OptionsError(f"option {name}: {error.message}", hint=error.hint) from None


def _texts_by_key(name: str, values: object) -> dict[str, str]:
    if not isinstance(values, Mapping):
        _refuse(name, values, "a section of texts by key")
    for key, value in values.items():
        _text(name, key)
        _text(f"{name}.{key or 'all'}", value, required=True)
    # "all" is how plan.toml writes it; a planner may write the same in a notebook.
    return {"" if key == "all" else key: values[key] for key in sorted(values)}


DEFAULT_OPTIONS = PlanOptions()
