"""``PlanOptions``: every setting that is not in the topology table, with its valid values."""

from __future__ import annotations

import functools
import re
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from ..base.certificate_fields import DistinguishedName, KeyParameters
from ..base.disk import files
from ..base.dns_name import DnsName
from ..base.pasted_text import BadName
from ..base.records import RecordReader, value_words
from ..base.renewal_days import RenewalTerms
from ..base.shown.languages import LANGUAGES
from ..base.shown.tables import Table, count_of, folded, paragraph, rows_to_html
from ..base.work_days import read_work_days
from ..errors import OptionsError, Problem
from ..rules.model import ISSUERS, LAYOUTS, PROFILES
from ..topology.columns import column
from .plan_toml import (
    ALL,
    OPTIONS_FILE,
    Option,
    options_file,
    raise_problems,
    read_plan_toml,
    values_in,
    write_plan_toml,
)

HASHES = ("sha256", "sha384", "sha512")
_KEY_CHOICES = ("RSA 2048", "RSA 3072", "RSA 4096", "ECDSA 256", "ECDSA 384", "ECDSA 521")
_CERTIFICATES, _KEY_GROUP = "Certificates", "Key and hash"
_SUBJECT_GROUP, _DATES = "Subject fields", "Dates and Windows"

#: The only description of every option, in the order of the file; forms sort them by group.
OPTIONS: Mapping[str, Option] = {
    # The module with the rules defines the choices.
    "product": Option(
        "", "product", "product whose rules are used", "Product", "choice", _CERTIFICATES
    ),
    "profile": Option(
        "", "profile", "default, or doc_example: Microsoft's examples as printed",
        "Rule profile", "choice", _CERTIFICATES, PROFILES,
    ),
    "lang": Option(
        "", "lang", "language of titles in the editor and the summary: en, or zh-TW",
        "Language of titles", "choice", _CERTIFICATES, LANGUAGES,
    ),
    "layout": Option(
        "", "layout", "combined: one certificate for Default and web; or separate",
        "Default and web certificates", "choice", _CERTIFICATES, LAYOUTS,
    ),
    "wildcard": Option(
        "", "wildcard", "true: wildcards for simple URLs and lyncdiscover names",
        "Wildcards for simple URLs", "flag", _CERTIFICATES,
    ),
    "autodiscover_https": Option(
        "", "autodiscover_https", "false: lyncdiscover only on port 80",
        "Autodiscover on port 443", "flag", _CERTIFICATES,
    ),
    "edge_member_names": Option(
        "", "edge_member_names", "true: server names on Edge internal",
        "Server names on Edge internal", "flag", _CERTIFICATES,
    ),
    "xmpp_host_names": Option(
        "", "xmpp_host_names", "true: xmpp.<domain> names on Edge external",
        "xmpp host names on Edge external", "flag", _CERTIFICATES,
    ),
    "separate_av_certificate": Option(
        "", "separate_av_certificate", "true: A/V Authentication gets its own certificate",
        "Separate certificate for A/V Authentication", "flag", _CERTIFICATES,
    ),
    "reverse_proxy_client_eku": Option(
        "", "reverse_proxy_client_eku", "true: client authentication on reverse proxies as well",
        "Client authentication on reverse proxies", "flag", _CERTIFICATES,
    ),
    "autodiscover_internal_extra_domains": Option(
        "", "autodiscover_internal_extra_domains", "more domains for lyncdiscoverinternal names",
        "Further internal Autodiscover domains", "list", _CERTIFICATES,
    ),
    "internal_only_sip_domains": Option(
        "", "internal_only_sip_domains", "SIP domains without names on Edge and reverse proxies",
        "SIP domains for internal use only", "list", _CERTIFICATES,
    ),
    "client_authentication": Option(
        "", "client_authentication",
        "pools whose certificates get client authentication, e.g. for a gateway that requires it",
        "Pools with client authentication", "list", _CERTIFICATES,
    ),
    "shared_certificate": Option(
        "", "shared_certificate",
        "Front End pools whose servers share one certificate with the names of all of them",
        "Front End pools with one certificate for all servers", "list", _CERTIFICATES,
    ),
    "at_set_up": Option(
        "", "at_set_up", "ids of certificates that are requested when their server is set up",
        "Requested at set-up",
    ),
    "planned_issue_date": Option(
        "", "planned_issue_date",
        "issue date, e.g. 2026-01-31; evaluated by its rules, changes no certificate",
        "Planned issue date", "date", _DATES,
    ),
    "validity_days": Option(
        "", "validity_days", "days to request; the CA's limit applies, changes no certificate",
        "Requested validity, days", "number", _DATES,
    ),
    "target_os": Option(
        "", "target_os", "Windows version of all servers; blank: as in the table",
        "Target OS of all servers", "choice", _DATES, ("", *column("target_os").choices),
    ),
    "hash": Option(
        "", "hash", "hash of the requests' signatures: sha256, sha384 or sha512",
        "Hash of the request", "choice", _KEY_GROUP, HASHES,
    ),
    "oldest_client": Option(
        "", "oldest_client",
        "oldest client, e.g. Windows 7; blank: the oldest that Microsoft lists for SHA-256",
        "Oldest client", "text", _KEY_GROUP,
    ),
    "key": Option(
        "key", "", "RSA with 2048, 3072 or 4096 bits; ECDSA with 256, 384 or 521",
        "Key", "choice", _KEY_GROUP, _KEY_CHOICES,
    ),
    "organization": Option(
        "subject", "organization", "O", "Organization (O)", "text", _SUBJECT_GROUP
    ),
    "organizational_unit": Option(
        "subject", "organizational_unit", "OU", "Organizational unit (OU)", "text", _SUBJECT_GROUP
    ),
    "locality": Option("subject", "locality", "L", "Locality (L)", "text", _SUBJECT_GROUP),
    "state": Option("subject", "state", "ST", "State or province (ST)", "text", _SUBJECT_GROUP),
    "country": Option(
        "subject", "country", "C, two capitals", "Country (C)", "text", _SUBJECT_GROUP
    ),
    "issuer": Option(
        "issuer", "", "internal or public, by usage or role; all = for the rest", "Issuer"
    ),
    "ca": Option(
        "ca", "", "name of the CA, by usage, role, internal or public; all = the rest", "Target CA"
    ),
    "validity": Option(
        "validity", "", "days to request, if internal and public differ: internal, public",
        "Requested validity by issuer, days",
    ),
    "lead_days": Option(
        "lead_days", "", "days from the order to the certificate: internal, public; all = both",
        "Days from order to certificate",
    ),
    "freezes": Option(
        "freezes", "",
        "name = days without work: 2026-12-18 to 2027-01-08, or each year 12-18 to 01-08",
        "Freeze",
    ),
    "windows": Option(
        "windows", "", "name = days: saturday, second saturday, last sunday, or as a freeze",
        "Maintenance window",
    ),
    "accepted": Option(
        "accepted", "", "code of a finding = why it is accepted", "Accepted finding"
    ),
    "accepted_until": Option(
        "accepted_until", "", "code = last day of the reason, e.g. 2027-01-31",
        "Accepted until",
    ),
    "accepted_for": Option(
        "accepted_for", "", "code = ids of the certificates or servers, or their beginnings",
        "Accepted for",
    ),
}  # fmt: skip
_TITLES = {
    "key": "Key of every certificate.",
    "subject": "Fields of the subject in addition to the name; blank fields are omitted.",
    "issuer": "The issuer. It overrides the issuer column of the table, which overrides the rules.",
    "ca": "The CA, for the summary and the submission.",
    "validity": "Days to request by issuer, instead of validity_days; changes no certificate.",
    "lead_days": "How many days a CA needs; for the forecast, changes no certificate.",
    "freezes": "Days without work; for the forecast, changes no certificate.",
    "windows": "Days for changes of servers (none: any day); only for the forecast.",
    "accepted_until": "Last day of a reason in [accepted], compared with the evaluation date.",
    "accepted_for": "What a reason in [accepted] is limited to; by default it applies to all.",
    "accepted": "Findings that stop neither the requests nor the issued certificates.",
}


def shown(value: object) -> object:
    """Format a value for a table: a section as ``key = value`` pairs."""
    if not isinstance(value, Mapping):
        return value
    return tuple(f"{key or ALL} = {item}" for key, item in value.items())


def options_in(document: Mapping[str, object], reader: RecordReader) -> dict[str, Any]:
    """Read the options of a parsed document; the reader gets every problem."""
    return values_in(document, reader, OPTIONS, _kinds())


@functools.cache
def _kinds() -> dict[str, Any]:
    """Return the type of each option."""
    return typing.get_type_hints(PlanOptions)


class _FromFile(Table):
    """Keeps the note about the file of the options; a changed copy has no note."""

    __slots__ = ("_found",)
    _found: str


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class PlanOptions(_FromFile):
    """The planner's settings, which a file ``plan.toml`` next to the table contains.

    Parameters
    ----------
    lang : str
        Language of titles in editor and summary; it does not affect the plan.
    product, profile, layout : str
        Rules to use; ``default`` or ``doc_example``; ``combined`` or ``separate``.
    wildcard, autodiscover_https, edge_member_names : bool
        Flags of name and certificate rules, see ``rules.model.known_flags``.
    xmpp_host_names, separate_av_certificate, reverse_proxy_client_eku : bool
        Likewise.
    autodiscover_internal_extra_domains : tuple of str
        Domains for ``lyncdiscoverinternal`` names in addition to the SIP domains.
    internal_only_sip_domains : tuple of str
        SIP domains that get no names on the certificates of Edge pools and reverse proxies.
    client_authentication : tuple of str
        Pools whose certificates get client authentication in addition to server authentication.
    shared_certificate : tuple of str
        Front End pools whose servers share one certificate, which has the names of all of them.
    at_set_up : tuple of str
        Ids of certificates that are planned, but not requested in advance.
    key : KeyParameters
        Default RSA, 2048 bits.
    hash : str
        Hash of the requests' signatures: sha256, sha384 or sha512.
    oldest_client : str
        Oldest operating system of clients, as the product lists it; "" means the oldest one.
    organization, organizational_unit, locality, state, country : str
        Additional fields of every subject.
    issuer : mapping of str to str
        By usage, by role, or "" for all: ``internal`` or ``public``.
    ca : mapping of str to str
        By usage, role, ``internal``, ``public``, or "" for all: the CA's name.
    planned_issue_date : date or None
        The day on which the CA is expected to issue.
    validity_days : int or None
        Days of validity to request. target_os : str Windows version of all servers; "" keeps the
        version of each row.
    validity : mapping of str to int
        By ``internal`` or ``public``: days of validity to request instead of ``validity_days``.
    lead_days : mapping of str to int
        ``internal``, ``public``, or "" for both: days from the order to the certificate.
    freezes, windows : mapping of str to str
        By name: days without any work, and the only days for changing servers.
    accepted : mapping of str to str
        By code of an accepted finding: the reason.
    accepted_until : mapping of str to date
        By code of an accepted finding: the last day of the acceptance.
    accepted_for : mapping of str to tuple of str
        By code of an accepted finding: the scope, as ids of certificates or servers or beginnings
        of ids.

    Raises
    ------
    OptionsError
        If a value is not valid for its option.
    """

    product: str = "lync2013"
    lang: str = "en"
    profile: str = "default"
    layout: str = "combined"
    wildcard: bool = False
    autodiscover_https: bool = True
    edge_member_names: bool = False
    xmpp_host_names: bool = False
    separate_av_certificate: bool = False
    reverse_proxy_client_eku: bool = False
    autodiscover_internal_extra_domains: tuple[str, ...] = ()
    internal_only_sip_domains: tuple[str, ...] = ()
    client_authentication: tuple[str, ...] = ()
    shared_certificate: tuple[str, ...] = ()
    at_set_up: tuple[str, ...] = ()
    key: KeyParameters = field(default_factory=KeyParameters)
    hash: str = "sha256"
    oldest_client: str = ""
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
    validity: Mapping[str, int] = field(default_factory=dict)
    lead_days: Mapping[str, int] = field(default_factory=dict)
    freezes: Mapping[str, str] = field(default_factory=dict)
    windows: Mapping[str, str] = field(default_factory=dict)
    accepted: Mapping[str, str] = field(default_factory=dict)
    accepted_until: Mapping[str, date] = field(default_factory=dict)
    accepted_for: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        problems: list[Problem] = []
        for check in self._checks():
            try:
                check()
            except OptionsError as error:
                problems.append(Problem(message=error.message, hint=error.hint))
        raise_problems(problems)

    def _checks(self) -> Iterator[Callable[[], None]]:
        """Yield the checks of the options, so that one error can list all problems."""
        for name, option in OPTIONS.items():
            if option.form == "choice" and name not in ("key", "product"):
                yield partial(_choice, name, getattr(self, name), option.choices)
        yield partial(_text, "product", self.product, required=True)
        yield partial(_text, "oldest_client", self.oldest_client)
        for item in fields(self):
            if item.type == "bool":
                yield partial(_flag, item.name, getattr(self, item.name))
            if OPTIONS[item.name].section == "subject":
                yield partial(_subject_field, item.name, getattr(self, item.name))
        yield partial(_key_parameters, self.key)
        yield partial(_day, self.planned_issue_date)
        yield partial(_days, self.validity_days)
        for name in _DOMAIN_LISTS:
            yield partial(self._keep_domains, name)
        yield self._keep_ids
        for name in ("issuer", "ca", "freezes", "windows", "accepted"):
            yield partial(self._keep_texts, name)
        yield self._keep_validity
        yield self._keep_lead_days
        yield self._read_work_days
        yield self._keep_limits

    def _keep_domains(self, name: str) -> None:
        self._keep(name, _domains(name, getattr(self, name)))

    def _keep_ids(self) -> None:
        if self.at_set_up and not _is_texts(self.at_set_up):
            _refuse("at_set_up", self.at_set_up, "a list of ids of certificates")
        self._keep("at_set_up", tuple(sorted(set(self.at_set_up))))

    def _keep_texts(self, name: str) -> None:
        texts = _texts_by_key(name, getattr(self, name))
        self._keep(name, texts)
        for key, text in texts.items():
            if name == "issuer":
                _choice(f"issuer.{key or ALL}", text, ISSUERS)
            elif name == "accepted" and not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", key):
                _refuse("accepted", key, "the code of a finding, e.g. name-is-internal")

    def _read_work_days(self) -> None:
        read_work_days(self.freezes, self.windows)

    @property
    def renewal_terms(self) -> RenewalTerms:
        """Lead times, freezes and windows, which determine when to renew."""
        return RenewalTerms(self.lead_days, read_work_days(self.freezes, self.windows))

    def validity_for(self, issuer: str) -> int | None:
        """Return the days of validity to request from an ``internal`` or a ``public`` CA."""
        return self.validity.get(issuer, self.validity_days)

    def _keep_validity(self) -> None:
        self._keep_days("validity", ISSUERS)
        for issuer, days in self.validity.items():
            _days(days, f"validity.{issuer}")

    def _keep_lead_days(self) -> None:
        self._keep_days("lead_days", ("", *ISSUERS))
        for issuer, days in self.lead_days.items():
            if type(days) is not int or not 0 <= days <= 366:
                _refuse(f"lead_days.{issuer or ALL}", days, "a whole number of days, at most 366")

    def _keep_days(self, name: str, keys: tuple[str, ...]) -> None:
        """Store numbers of days by issuer, in a fixed order."""
        days = getattr(self, name)
        if not isinstance(days, Mapping):
            _refuse(name, days, "a section of days by issuer")
        kept = {"" if key == ALL else key: days[key] for key in sorted(days)}
        for key in kept:
            if key not in keys:
                *first, last = (
                    key_ or ALL for key_ in (*ISSUERS, *(key for key in keys if not key))
                )
                _refuse(name, key or ALL, f"for {', '.join(first)} or {last}")
        self._keep(name, kept)

    def _keep_limits(self) -> None:
        for name in _LIMITS:
            values = getattr(self, name)
            if not isinstance(values, Mapping):
                _refuse(name, values, "a section by code")
            for code, value in values.items():
                if code not in self.accepted:
                    raise OptionsError(
                        f'option {name} names "{code}", but [accepted] has no reason for it',
                        hint=f'write under [accepted]: {code} = "why"',
                    )
                if name == "accepted_until":
                    _day(value, f"accepted_until.{code}")
                elif not _is_texts(value):
                    _refuse(f"accepted_for.{code}", value, "a list of ids")
            kept = {code: values[code] for code in sorted(values)}
            if name == "accepted_for":
                kept = {code: tuple(ids) for code, ids in kept.items()}
            self._keep(name, kept)

    def _keep(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)  # the frozen dataclass is still being created

    @classmethod
    def from_toml(cls, source: str | Path | bytes) -> PlanOptions:
        """Read ``plan.toml``.

        Parameters
        ----------
        source : path or bytes
            The file or its content.

        Returns
        -------
        PlanOptions
            Missing options have their defaults.

        Raises
        ------
        OptionsError
            If the file cannot be read, is not TOML, has an unknown key, or a wrong value.
        """
        name, data = "plan.toml", source
        if not isinstance(data, bytes):
            name = Path(data).name
            data = files.read_named(data, limit=_LARGEST, error=OptionsError)
        reader = RecordReader("")
        try:
            values = read_plan_toml(data, reader, OPTIONS, _kinds())
            if reader.problems and "accepted" not in values:
                # The error may be in their reasons.
                values = {key: value for key, value in values.items() if key not in _LIMITS}
            try:
                options = cls(**values)
            except OptionsError as error:
                reader.problems += error.problems or (
                    Problem(message=error.message, hint=error.hint),
                )
            raise_problems(reader.problems)
            return options
        except OptionsError as error:
            raise OptionsError(
                f"{name}: {error.message}", hint=error.hint, problems=error.problems
            ) from None

    @classmethod
    def beside(cls, table: str | Path) -> PlanOptions:
        """Read the options of a table from ``TABLE.plan.toml`` in the same folder.

        Parameters
        ----------
        table : path
            E.g. ``contoso.csv``, whose options are in ``contoso.plan.toml``. For ``topology.csv``
            it is also ``plan.toml``: the guide and scenarios write these two into one folder.

        Returns
        -------
        PlanOptions
            The defaults if the file does not exist. As the last line of a cell they show the file
            that was read or is missing.

        Raises
        ------
        OptionsError
            As for :meth:`from_toml`.
        """
        path = options_file(Path(table))
        if path.is_file():
            options = cls.from_toml(path)
            if options.product.endswith(".toml"):  # a custom product, relative to this folder
                options = replace(options, product=str(path.parent / options.product))
            note = f"Options from {path.name}"
        else:
            options, name = cls(), Path(table).name
            note = (
                f"{name} has no options file: {path.name} is not in its folder. The defaults "
                "apply, and the subjects have no organization, locality or country. Set them in "
                f"the tab Deployment of the editor, and save; or write {path.name}"
            )
            if (path.parent / OPTIONS_FILE).is_file():
                note += (
                    f". {OPTIONS_FILE} in that folder is not read, because it names no table; "
                    f"rename it to {path.name} if it belongs to {name}"
                )
        object.__setattr__(options, "_found", note)
        return options

    def to_toml(self) -> str:
        """Write ``plan.toml``: every option in a fixed order, each with a comment.

        Returns
        -------
        str
            Equal options have the same text; :meth:`from_toml` returns equal options.
        """
        return write_plan_toml(self._plain(), OPTIONS, _TITLES)

    def _headings(self) -> tuple[str, ...]:
        return _COLUMNS

    def _rows(self) -> list[tuple[object, ...]]:
        values = self._plain()
        return [(name, shown(values[name]), place.comment) for name, place in OPTIONS.items()]

    def _plain(self) -> dict[str, Any]:
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        return values | {"key": {"algorithm": self.key.algorithm, "bits": self.key.bits}}

    def _summary(self) -> str:
        different = count_of(len(self._different()), "option")
        return f"{getattr(self, '_found', 'Plan options')}: {different} set."

    def _different(self) -> list[tuple[object, ...]]:
        """Return the rows of the options that differ from their defaults."""
        default = dict(zip(OPTIONS, DEFAULT_OPTIONS._rows(), strict=True))
        return [row for row in self._rows() if row != default[str(row[0])]]

    def _repr_html_(self) -> str:
        rows, different = self._rows(), self._different()
        rest = [row for row in rows if row not in different]
        parts = [paragraph(self._summary())]
        parts += [rows_to_html(_COLUMNS, different)] if different else []
        title = f"Show the {count_of(len(rest), 'option')} that have the default"
        return "\n".join([*parts, folded(title, rows_to_html(_COLUMNS, rest))])


_COLUMNS = ("Option", "Value", "Meaning")
_DOMAIN_LISTS = (
    "autodiscover_internal_extra_domains", "internal_only_sip_domains", "client_authentication",
    "shared_certificate",
)  # fmt: skip
_LIMITS = ("accepted_until", "accepted_for")

# A plan.toml has a few kB; a larger file is something else.
_LARGEST = 1_000_000


def _refuse(name: str, value: object, allowed: str) -> NoReturn:
    raise OptionsError(f"option {name} is {value_words(value)}", hint=f"it must be {allowed}")


def _flag(name: str, value: object) -> None:
    if not isinstance(value, bool):
        _refuse(name, value, "true or false")


def _key_parameters(value: object) -> None:
    if not isinstance(value, KeyParameters):
        _refuse("key", value, "an algorithm and a number of bits")


def _day(value: object, name: str = "planned_issue_date") -> None:
    if value is not None and (not isinstance(value, date) or isinstance(value, datetime)):
        _refuse(name, value, "a date, e.g. 2026-01-31")


def _is_texts(value: object) -> bool:
    return (
        isinstance(value, (tuple, list))
        and bool(value)
        and all(isinstance(item, str) and item for item in value)
    )


def _days(value: object, name: str = "validity_days") -> None:
    if value is not None and (type(value) is not int or not 1 <= value <= 36500):
        _refuse(name, value, "a whole number of days, at least 1")


def _choice(name: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed or not isinstance(value, str):
        _refuse(name, value, "one of " + ", ".join(choice or '""' for choice in allowed))


def _text(name: str, value: object, *, required: bool = False) -> None:
    if not isinstance(value, str) or (required and not value.strip()):
        _refuse(name, value, "text" + (", not blank" if required else ""))


def _subject_field(name: str, value: Any) -> None:
    _text(name, value)
    try:
        written = (
            value.upper() if name == "country" and len(value) == 2 else value
        )  # a check reports that C=tw means TW
        replace(DistinguishedName(common_name=""), **{name: written})
    except ValueError as error:
        raise OptionsError(
            f"option {name}: {error}",
            hint="write it as it must appear in every subject, or remove it",
        ) from None


def _domains(name: str, values: object) -> tuple[DnsName, ...]:
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
        _text(f"{name}.{key or ALL}", value, required=True)
    # plan.toml uses "all"; a planner may use it in a notebook, too.
    return {"" if key == ALL else key: values[key] for key in sorted(values)}


DEFAULT_OPTIONS = PlanOptions()
