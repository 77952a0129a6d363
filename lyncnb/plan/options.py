"""``PlanOptions``: every choice that the topology table does not hold, and ``plan.toml``."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import date, datetime
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import tomli_w

from ..base import tables
from ..base.certificate_fields import DistinguishedName, KeyParameters
from ..base.dns_name import DnsName
from ..base.pasted_text import BadName
from ..errors import OptionsError
from ..rules.model import ISSUERS, LAYOUTS, PROFILES
from ..topology.columns import column

# The file ``plan.toml``: where each plan option stands in it, read and written.
#
# Knows names and places, not what a value may be: that is for ``options.py`` to say.


class Place(NamedTuple):
    """Where an option stands: its section, its key there, and what a planner reads beside it."""

    section: str
    key: str  # "": the option is the whole section
    comment: str


#: Place of every option, in the order of writing.
PLACES: Mapping[str, Place] = {
    "product": Place("", "product", "product whose rules are used"),
    "profile": Place("", "profile", "default, or doc_example: Microsoft's examples as printed"),
    "layout": Place("", "layout", "combined: one certificate for Default and web; or separate"),
    "wildcard": Place("", "wildcard", "true: wildcards for simple URLs and lyncdiscover names"),
    "autodiscover_https": Place("", "autodiscover_https", "false: lyncdiscover only on port 80"),
    "edge_member_names": Place("", "edge_member_names", "true: server names on Edge internal"),
    "xmpp_host_names": Place("", "xmpp_host_names", "true: xmpp.<domain> names on Edge external"),
    "reverse_proxy_client_eku": Place(
        "", "reverse_proxy_client_eku", "true: client authentication on reverse proxies as well"
    ),
    "autodiscover_internal_extra_domains": Place(
        "", "autodiscover_internal_extra_domains", "more domains for lyncdiscoverinternal names"
    ),
    "planned_issue_date": Place("", "planned_issue_date", "day of issue, e.g. 2026-01-31"),
    "validity_days": Place("", "validity_days", "days of validity to ask for"),
    "target_os": Place("", "target_os", "Windows version of all servers; blank: as in the table"),
    "hash": Place("", "hash", "hash of the requests' signatures: sha256, sha384 or sha512"),
    "key": Place("key", "", "RSA with 2048, 3072 or 4096 bits; ECDSA with 256, 384 or 521"),
    "organization": Place("subject", "organization", "O"),
    "organizational_unit": Place("subject", "organizational_unit", "OU"),
    "locality": Place("subject", "locality", "L"),
    "state": Place("subject", "state", "ST"),
    "country": Place("subject", "country", "C, two capitals"),
    "issuer": Place("issuer", "", "internal or public, by usage or role; all = for the rest"),
    "ca": Place("ca", "", "name of the CA, by usage, role, internal or public; all = the rest"),
    "accepted": Place("accepted", "", "code of a finding = why it is accepted"),
}
_TITLES = {
    "key": "Key of every certificate.",
    "subject": "Fields of the subject beside the name; blank ones are left out.",
    "issuer": "Who issues. This beats the table's column issuer, which beats the rules.",
    "ca": "Which CA issues, for summary and submission.",
    "accepted": "Findings that do not stop the requests.",
}
_ALL = "all"  # how the key "" (no usage in particular) is written


def read_plan_toml(source: str | Path | bytes) -> dict[str, Any]:
    """Read the options that a file sets.

    Parameters
    ----------
    source : path or bytes
        The file, or what is in it.

    Returns
    -------
    dict
        Values by option; ``key`` and the other sections are dicts.

    Raises
    ------
    OptionsError
        If the file cannot be read, is not TOML, or has an unknown key.
    """
    try:
        data = source if isinstance(source, bytes) else Path(source).read_bytes()
        document = tomllib.loads(data.decode("utf-8-sig"))
    except OSError as error:
        raise OptionsError(
            f"{source} cannot be read: {error.strerror}", hint="look at the path and its rights"
        ) from None
    except UnicodeDecodeError:
        raise OptionsError("this is not UTF-8 text", hint="save it as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise OptionsError(
            f"this is not TOML: {error}", hint='texts stand in quotes: hash = "sha256"'
        ) from None
    return _values_in(document)


def write_plan_toml(values: Mapping[str, Any]) -> str:
    """Write options, every one in its place with a comment.

    Parameters
    ----------
    values : mapping
        Values by option, as :func:`read` gives them; None is written as a comment.

    Returns
    -------
    str
        The same values give the same text.
    """
    lines = ["# Choices for a certificate plan that the topology table does not hold.", ""]
    section = ""
    for name, place in PLACES.items():
        value = values[name]
        if place.section != section:
            section = place.section
            lines += ["", f"# {_TITLES[section]}"]
            lines += [f"# {place.comment}"] if not place.key else []
            lines.append(f"[{section}]")
        if not place.key:
            lines += [_toml_line(key or _ALL, item) for key, item in value.items()]
        elif value is None:
            lines.append(f"# {place.key} =  # {place.comment}")
        else:
            lines.append(f"{_toml_line(place.key, value)}  # {place.comment}")
    return "\n".join(lines) + "\n"


def shown(value: object) -> object:
    """Give a value as a table shows it: a section as ``key = value`` pairs."""
    if not isinstance(value, Mapping):
        return value
    return tuple(f"{key or _ALL} = {item}" for key, item in value.items())


def _values_in(document: dict[str, Any]) -> dict[str, Any]:
    by_place = {(place.section, place.key): name for name, place in PLACES.items()}
    sections = {place.section for place in PLACES.values() if place.section}
    values: dict[str, Any] = {}
    for top, value in document.items():
        if top in sections and not isinstance(value, dict):
            raise OptionsError(f"{top} is {value!r}", hint=f"write [{top}] on a line of its own")
        if ("", top) in by_place:
            values[top] = tuple(value) if isinstance(value, list) else value
        elif (top, "") in by_place:
            values[top] = {"" if key == _ALL else key: item for key, item in value.items()}
        elif top in sections:
            for key, item in value.items():
                if (top, key) not in by_place:
                    _refuse_unknown(f"{top}.{key}")
                values[by_place[top, key]] = item
        else:
            _refuse_unknown(top)
    return values


def _refuse_unknown(key: str) -> NoReturn:
    """Refuse a key and name the one that was perhaps meant, in whatever section it stands."""
    known = {p.key: f"{p.section}.{p.key}".lstrip(".") for p in PLACES.values() if p.key}
    known |= {p.section: f"[{p.section}]" for p in PLACES.values() if not p.key}
    written = key.rpartition(".")[2].lower()
    close = [name for name in known if name.startswith(written)]
    close = close or difflib.get_close_matches(written, known, n=1)
    hint = f"did you mean {known[close[0]]}?" if close else f"known: {', '.join(known.values())}"
    raise OptionsError(f'there is no option "{key}"', hint=hint)


def _toml_line(key: str, value: object) -> str:
    """Write one key and its value as TOML, on one line."""
    name = tomli_w.dumps({key: 0}).removesuffix(" = 0\n")
    return f"{name} = {_toml(value)}"


def _toml(value: object) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return tomli_w.dumps({"v": value}).removeprefix("v = ").removesuffix("\n")


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
            values: dict[str, Any] = read_plan_toml(source)
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
        return write_plan_toml(self._plain())

    def rows(self) -> list[tuple[object, ...]]:
        """List the options, one row each: option, value, meaning."""
        values = self._plain()
        return [(name, shown(values[name]), place.comment) for name, place in PLACES.items()]

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
