"""Define ``PlanOptions``: all settings that are not in the table of servers."""

from __future__ import annotations

import functools
import os
import re
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from ..base.arguments import check_type
from ..base.certificate_fields import DistinguishedName, KeyParameters
from ..base.disk import files
from ..base.dns_name import DnsName
from ..base.pasted_text import BadName, shown
from ..base.records import RecordReader, describe_value
from ..base.renewal_days import RenewalTerms
from ..base.shown.languages import LANGUAGES
from ..base.shown.origin import Origin, read_source_date
from ..base.shown.tables import (
    Table,
    collapse_html,
    columns,
    format_count,
    format_paragraph,
    rows_to_html,
)
from ..base.work_days import read_work_days
from ..errors import OptionsError, Problem
from ..rules.model import ISSUERS, LAYOUTS, PROFILES
from ..rules.procedure import ANSWERS
from ..topology.columns import get_column
from .plan_toml import (
    ALL,
    OPTIONS_FILE,
    Option,
    build_options_path,
    format_plan_toml,
    raise_problems,
    read_option_values,
    read_plan_toml,
)

HASHES = ("sha256", "sha384", "sha512")
_KEY_CHOICES = ("RSA 2048", "RSA 3072", "RSA 4096", "ECDSA 256", "ECDSA 384", "ECDSA 521")
_CERTIFICATES, _KEY_GROUP = "Certificates", "Key and hash"
_SUBJECT_GROUP, _DATES = "Subject fields", "Dates and Windows"
_DOCUMENTS = "Documents"

#: The descriptions of all options, in the order of the file. Forms show the options in groups.
#: The key in ``[ca]`` for the CA that has no templates.
STAND_ALONE = "stand_alone"

OPTIONS: Mapping[str, Option] = {
    "title": Option(
        "", "title", ("name of the deployment, which every document shows; if blank, "
                     "documents show the name of the table"),
        "Name of the deployment", "text", _DOCUMENTS,
    ),
    "planner": Option(
        "", "planner", ("name and address of the person who plans the certificates; "
                       "every document shows them, for example Ana Li, ana@contoso.com"),
        "Planner", "text", _DOCUMENTS,
    ),
    # The values that the module ``rules.model`` defines.
    "product": Option(
        "", "product", "product whose certificate rules apply", "Product", "choice", _CERTIFICATES
    ),
    "profile": Option(
        "", "profile", "default, or doc_example to reproduce the examples in Microsoft's "
"documentation",
        "Rule profile", "choice", _CERTIFICATES, PROFILES,
    ),
    "lang": Option(
        "", "lang", "language of titles, errors, and checklists: en or zh-TW",
        "Language of titles", "choice", _CERTIFICATES, LANGUAGES,
    ),
    "layout": Option(
        "", "layout", ('"combined" to request one certificate for the Default and web usages, '
                       'or "separate" to request one for each usage'),
        "Default and web certificates", "choice", _CERTIFICATES, LAYOUTS,
    ),
    "wildcard": Option(
        "", "wildcard", "true to use wildcards for simple URLs and lyncdiscover names",
        "Wildcards for simple URLs", "flag", _CERTIFICATES,
    ),
    "autodiscover_https": Option(
        "", "autodiscover_https", "false if lyncdiscover is available only on port 80",
        "Autodiscover on port 443", "flag", _CERTIFICATES,
    ),
    "edge_member_names": Option(
        "", "edge_member_names", "true to add the server names to the internal Edge certificate",
        "Server names on the internal Edge certificate", "flag", _CERTIFICATES,
    ),
    "xmpp_host_names": Option(
        "", "xmpp_host_names", "true to add xmpp.<domain> names to the external Edge certificate",
        "XMPP host names on the external Edge certificate", "flag", _CERTIFICATES,
    ),
    "separate_av_certificate": Option(
        "", "separate_av_certificate", "true to request a separate certificate for A/V "
"Authentication",
        "Separate certificate for A/V Authentication", "flag", _CERTIFICATES,
    ),
    "reverse_proxy_client_eku": Option(
        "", "reverse_proxy_client_eku", ("true to include client authentication in the "
                                        "certificates of reverse proxies"),
        "Client authentication on reverse proxies", "flag", _CERTIFICATES,
    ),
    "autodiscover_internal_extra_domains": Option(
        "", "autodiscover_internal_extra_domains", ("additional domains with a "
                                                   "lyncdiscoverinternal name"),
        "Additional internal Autodiscover domains", "list", _CERTIFICATES,
    ),
    "internal_only_sip_domains": Option(
        "", "internal_only_sip_domains", ("SIP domains that Edge and reverse proxy "
                                         "certificates do not include"),
        "SIP domains for internal use only", "list", _CERTIFICATES,
    ),
    "client_authentication": Option(
        "", "client_authentication",
        ("pools whose certificates include client authentication, for example because a "
         "gateway requires it"),
        "Pools with client authentication", "list", _CERTIFICATES,
    ),
    "shared_certificate": Option(
        "", "shared_certificate",
        "Front End pools in which all servers share one certificate that contains the names of "
        "all servers",
        "Front End pools with one certificate for all servers", "list", _CERTIFICATES,
    ),
    "at_set_up": Option(
        "", "at_set_up", ("IDs of the certificates that you request when you set up the "
                         "servers"),
        "Requested during server setup",
    ),
    "planned_issue_date": Option(
        "", "planned_issue_date",
        ("date on which the CA is expected to issue the certificates, such as 2026-01-31. This "
         "date does not change the requests"),
        "Planned issue date", "date", _DATES,
    ),
    "validity_days": Option(
        "", "validity_days", ("validity period to request from the CA, in days, up to the CA's "
                              "limit. The request files do not contain this value"),
        "Requested validity (days)", "number", _DATES,
    ),
    "target_os": Option(
        "", "target_os", ("Windows Server version on all servers; if blank, the versions "
                         "in the table apply"),
        "Target OS of all servers", "choice", _DATES, ("", *get_column("target_os").choices),
    ),
    "hash": Option(
        "", "hash", "hash algorithm for the signature on the requests: sha256, sha384 or sha512",
        "Hash algorithm of the request", "choice", _KEY_GROUP, HASHES,
    ),
    "oldest_client": Option(
        "", "oldest_client",
        ("oldest version of the clients in use, for example Windows 7; if blank, the oldest "
        "version that Microsoft lists for SHA-256"),
        "Oldest client", "text", _KEY_GROUP,
    ),
    "key": Option(
        "key", "", "RSA with 2048, 3072 or 4096 bits, or ECDSA with 256, 384 or 521 bits",
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
        "subject", "country", "country code with two uppercase letters",
        "Country (C)", "text", _SUBJECT_GROUP,
    ),
    "issuer": Option(
        "issuer", "", ('internal or public, for each usage or role; the key "all" '
                      "applies to all other usages and roles"),
        "Issuer",
    ),
    "ca": Option(
        "ca", "", ("name of the CA for each usage or role, or for internal and public; "
                  'the key "all" applies in all other cases; the key "stand_alone" has the name of '
                  "an AD CS CA that has no templates"),
        "Target CA",
    ),
    "validity": Option(
        "validity", "", ("validity period to request, in days, if it differs for "
                        "internal and public certificates"),
        "Requested validity for each issuer (days)",
    ),
    "lead_days": Option(
        "lead_days", "", ("number of days that the CA needs after the order, for "
                         'internal and public certificates; the key "all" applies to '
                         "both"),
        "Lead time (days)",
    ),
    "freezes": Option(
        "freezes", "",
        ("name = dates on which no changes are allowed: 2026-12-18 to 2027-01-08, or "
        "12-18 to 01-08 for every year"),
        "Freeze",
    ),
    "windows": Option(
        "windows", "", "name = days on which changes are allowed: saturday, second saturday, "
"last sunday, or dates",
        "Maintenance window",
    ),
    "servers": Option(
        "servers", "",
        ("new if a server has never worked, or running if it is in use, for each server; the key "
         '"all" applies to all other servers. If a deployment is recorded, the record applies'),
        "Servers that are new or running",
    ),
    "procedure": Option(
        "procedure", "",
        ("answers that the steps would ask for: hybrid, exchange_partner, gateways_tls and "
         "office_offloads (yes or no), and proxy_product (iis, wap or other)"),
        "Answers for the steps",
    ),
    "accepted": Option(
        "accepted", "", "code of a finding = reason why you accept it", "Accepted finding"
    ),
    "accepted_until": Option(
        "accepted_until", "", ("code of a finding = last date on which you accept it, such as "
                               "2027-01-31"),
        "Accepted until",
    ),
    "accepted_for": Option(
        "accepted_for", "", ("code of a finding = IDs of the certificates or servers for which "
                             "you accept the finding (the first characters of an ID are "
                             "sufficient)"),
        "Accepted for",
    ),
}  # fmt: skip
_TITLES = {
    "key": "Key algorithm and size for all certificates.",
    "subject": "Subject fields in addition to the common name. lyncnb omits blank fields.",
    "issuer": "Issuer of the certificates. This section overrides the issuer column in the "
    "table and the rules.",
    "ca": "Name of the CA, for the summary and for the submission of requests.",
    "validity": (
        "Requested validity for each issuer. This section overrides "
        "validity_days and does not change the requests."
    ),
    "lead_days": "Number of days that a CA needs to issue a certificate. Only the forecast "
    "uses this section.",
    "freezes": "Change freezes. The forecast and the steps use this section.",
    "windows": (
        "Maintenance windows. The forecast and the steps use this section. Without a "
        "window, changes are allowed on all days."
    ),
    "servers": "Servers that are in use before the first certificate is recorded as deployed.",
    "procedure": "Answers for the steps. The steps ask for what is not here.",
    "accepted_until": (
        "Last date on which each acceptance in [accepted] applies. lyncnb "
        "compares this date with the evaluation date."
    ),
    "accepted_for": "Certificates and servers to which each acceptance in [accepted] applies; "
    "by default, all certificates and servers.",
    "accepted": (
        "Accepted findings. An accepted finding does not prevent you from "
        "creating requests or using issued certificates."
    ),
}


def format_option_value(value: object) -> object:
    """Format the value of an option for a table. A section is shown as ``key = value`` pairs."""
    if not isinstance(value, Mapping):
        return value
    return tuple(f"{key or ALL} = {item}" for key, item in value.items())


def read_options(document: Mapping[str, object], reader: RecordReader) -> dict[str, Any]:
    """Read a plan's options from a parsed TOML document. The reader collects all problems."""
    return read_option_values(document, reader, OPTIONS, _find_option_types())


@functools.cache
def _find_option_types() -> dict[str, Any]:
    """Return the Python type of each plan option."""
    return typing.get_type_hints(PlanOptions)


class _OptionsFileNote(Table):
    """A note about the options file. A changed copy of the options does not inherit the note."""

    __slots__ = ("_found",)
    _columns = columns(("Option", 0), ("Value", 1), ("Meaning", 2))
    _found: str


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class PlanOptions(_OptionsFileNote):
    """The options of a plan, which are stored in a file next to the table.

    Parameters
    ----------
    title, planner : str
        The names of the deployment and the planner in documents. They do not affect the plan.
    lang : str
        Language of titles, errors, and checklists. It does not affect the plan.
    product, profile, layout : str
        Product whose rules apply; ``default`` or ``doc_example``; ``combined`` or ``separate``.
    wildcard, autodiscover_https, edge_member_names : bool
        Flags for name and certificate rules (see ``rules.model.list_flags``).
    xmpp_host_names, separate_av_certificate, reverse_proxy_client_eku : bool
        Further flags for name and certificate rules.
    autodiscover_internal_extra_domains : tuple of str
        Domains with a ``lyncdiscoverinternal`` name in addition to the SIP domains.
    internal_only_sip_domains : tuple of str
        SIP domains that the certificates for Edge pools and reverse proxies do not include.
    client_authentication : tuple of str
        Pools whose certificates include client authentication in addition to server authentication.
    shared_certificate : tuple of str
        Front End pools in which all servers share one certificate that contains all their names.
    at_set_up : tuple of str
        Ids of certificates that are planned, but requested during server setup.
    key : KeyParameters or str
        Algorithm and size of the keys, such as ``ECDSA 256``; by default RSA with 2048 bits.
    hash : str
        Hash algorithm that signs the requests: sha256, sha384 or sha512.
    oldest_client : str
        Oldest client operating system, as in the product's list; "" means the oldest in the list.
    organization, organizational_unit, locality, state, country : str
        Additional fields in every subject.
    issuer : mapping of str to str
        ``internal`` or ``public``, for each usage or role, or "" for all.
    ca : mapping of str to str
        Name of the CA, for each usage, role, ``internal``, ``public``, or "" for all.
    planned_issue_date : date, str or None
        Date on which the CA is expected to issue.
    validity_days : int or None
        Number of days to request.
    target_os : str
        Windows Server version on all servers; "" keeps the version in each row.
    validity : mapping of str to int
        Number of days to request for ``internal`` or ``public``, instead of ``validity_days``.
    lead_days : mapping of str to int
        Number of days from order to issuance, for ``internal``, ``public``, or "" for both.
    freezes, windows : mapping of str to str
        Dates without changes, and the only days on which servers can be changed, each by name.
    servers : mapping of str to str
        ``new`` or ``running``, for each server, or "" for all. Only the deployment steps use it.
    procedure : mapping of str to str
        Answers to the questions of the deployment steps, such as ``hybrid``.
    accepted : mapping of str to str
        Reason for accepting a finding, by finding code.
    accepted_until : mapping of str to date
        Last date of the acceptance, by finding code.
    accepted_for : mapping of str to tuple of str
        Ids of the certificates or servers to which the acceptance applies, or the beginnings of
        ids,
        by finding code.

    Raises
    ------
    OptionsError
        If a value is not valid for its option.
    """

    title: str = ""
    planner: str = ""
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
    servers: Mapping[str, str] = field(default_factory=dict)
    procedure: Mapping[str, str] = field(default_factory=dict)
    accepted: Mapping[str, str] = field(default_factory=dict)
    accepted_until: Mapping[str, date] = field(default_factory=dict)
    accepted_for: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        problems: list[Problem] = []
        for check in self._list_checks():
            try:
                check()
            except OptionsError as error:
                problems.append(Problem(message=error.message, hint=error.hint))
        raise_problems(problems)

    def _list_checks(self) -> Iterator[Callable[[], None]]:
        """Yield functions that check the options, so that one error can list all problems."""
        for name, option in OPTIONS.items():
            if option.form == "choice" and name not in ("key", "product"):
                yield partial(_check_choice, name, getattr(self, name), option.choices)
        yield partial(_check_text, "product", self.product, is_required=True)
        for name in ("title", "planner", "oldest_client"):
            yield partial(_check_text, name, getattr(self, name))
        for item in fields(self):
            if item.type == "bool":
                yield partial(_check_flag, item.name, getattr(self, item.name))
            if OPTIONS[item.name].section == "subject":
                yield partial(_check_subject_field, item.name, getattr(self, item.name))
        yield self._store_key
        yield self._store_planned_issue_date
        yield partial(_check_days, self.validity_days)
        for name in _DOMAIN_LISTS:
            yield partial(self._store_domains, name)
        yield self._store_ids
        for name in ("issuer", "ca", "freezes", "windows", "servers", "procedure", "accepted"):
            yield partial(self._store_texts, name)
        yield self._store_validity
        yield self._store_lead_days
        yield self._read_work_days
        yield self._store_acceptance_limits

    def _store_key(self) -> None:
        key = parse_key(self.key)
        if not isinstance(key, KeyParameters):
            _reject_value("key", key, 'text with an algorithm and a size, such as "ECDSA 256"')
        self._store_value("key", key)

    def _store_planned_issue_date(self) -> None:
        day = parse_date("planned_issue_date", self.planned_issue_date)
        _check_date(day, "planned_issue_date")
        self._store_value("planned_issue_date", day)

    def _store_domains(self, name: str) -> None:
        self._store_value(name, _parse_domains(name, getattr(self, name)))

    def _store_ids(self) -> None:
        if self.at_set_up and not _is_text_list(self.at_set_up):
            _reject_value("at_set_up", self.at_set_up, "a list of certificate IDs")
        self._store_value("at_set_up", tuple(sorted(set(self.at_set_up))))

    def _store_texts(self, name: str) -> None:
        texts = _check_texts_by_key(name, getattr(self, name))
        self._store_value(name, texts)
        for key, text in texts.items():
            if name == "issuer":
                _check_choice(f"issuer.{key or ALL}", text, ISSUERS)
            elif name == "servers":
                _check_choice(f"servers.{key or ALL}", text, ("new", "running"))
            elif name == "procedure":
                _check_choice("procedure", key, tuple(ANSWERS))
                _check_choice(f"procedure.{key}", text, ANSWERS[key])
            elif name == "accepted" and not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", key):
                _reject_value("accepted", key, "the code of a finding, such as name-is-internal")

    def _read_work_days(self) -> None:
        read_work_days(self.freezes, self.windows)

    @property
    def renewal_terms(self) -> RenewalTerms:
        """The lead times, freezes, and maintenance windows that determine renewal dates."""
        return RenewalTerms(self.lead_days, read_work_days(self.freezes, self.windows))

    def validity_for(self, issuer: str) -> int | None:
        """Return the validity in days to request from an ``internal`` or ``public`` CA."""
        return self.validity.get(issuer, self.validity_days)

    def _store_validity(self) -> None:
        self._store_days_by_issuer("validity", ISSUERS)
        for issuer, days in self.validity.items():
            _check_days(days, f"validity.{issuer}")

    def _store_lead_days(self) -> None:
        self._store_days_by_issuer("lead_days", ("", *ISSUERS))
        for issuer, days in self.lead_days.items():
            if type(days) is not int or not 0 <= days <= 366:
                _reject_value(
                    f"lead_days.{issuer or ALL}", days, "a whole number of days from 0 to 366"
                )

    def _store_days_by_issuer(self, name: str, keys: tuple[str, ...]) -> None:
        """Store an option that contains a number of days for each issuer.

        Unknown issuers are rejected. The numbers are stored in a fixed order of issuers.
        """
        days = getattr(self, name)
        if not isinstance(days, Mapping):
            _reject_value(name, days, "a section with a number of days for each issuer")
        days_by_issuer = {"" if key == ALL else key: days[key] for key in sorted(days)}
        for key in days_by_issuer:
            if key not in keys:
                known = (*ISSUERS, *(ALL for known_key in keys if not known_key))
                _reject_value(name, key or ALL, " or ".join(map(shown, known)))
        self._store_value(name, days_by_issuer)

    def _store_acceptance_limits(self) -> None:
        for name in _LIMITS:
            values = getattr(self, name)
            if not isinstance(values, Mapping):
                _reject_value(name, values, "a section with a value for each code")
            for code, value in values.items():
                if code not in self.accepted:
                    raise OptionsError(
                        (
                            f'the option "{name}" contains "{code}", but the section '
                            "[accepted] has no reason for this code"
                        ),
                        hint=f'add this line under [accepted]: {code} = "your reason"',
                    )
                if name == "accepted_until":
                    _check_date(value, f"accepted_until.{code}")
                elif not _is_text_list(value):
                    _reject_value(
                        f"accepted_for.{code}", value, "a list of certificate IDs and server names"
                    )
            values_by_code = {code: values[code] for code in sorted(values)}
            if name == "accepted_for":
                values_by_code = {code: tuple(ids) for code, ids in values_by_code.items()}
            self._store_value(name, values_by_code)

    def _store_value(self, name: str, value: object) -> None:
        # The frozen dataclass is still being created, so setting a field is allowed.
        object.__setattr__(self, name, value)

    @classmethod
    def from_toml(cls, source: str | Path | bytes) -> PlanOptions:
        """Read the options of a plan from a TOML file.

        Parameters
        ----------
        source : path or bytes
            The file or its content.

        Returns
        -------
        PlanOptions
            The options. Missing options have their default values.

        Raises
        ------
        OptionsError
            If the file cannot be read, is not valid TOML, or contains an unknown key or invalid
            value.
        """
        check_type("PlanOptions.from_toml: source", source, str, os.PathLike, bytes)
        name, data = "plan.toml", source
        if not isinstance(data, bytes):
            name = Path(data).name
            data = files.read_specified_file(data, limit=_LARGEST, error_class=OptionsError)
        reader = RecordReader("")
        try:
            values = read_plan_toml(data, reader, OPTIONS, _find_option_types())
            if reader.problems and "accepted" not in values:
                # The values in the section may have caused the error, so the text of the error
                # contains the section.
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
        """Read the options for a table from ``TABLE.plan.toml`` in the same folder.

        Parameters
        ----------
        table : path
            The table, such as ``contoso.csv``, whose options are in ``contoso.plan.toml``. For
            ``topology.csv``, the file can also be ``plan.toml``, because the guide and scenarios
            write these two files to the same folder.

        Returns
        -------
        PlanOptions
            The options; the default options if the file does not exist. In a notebook, they show
            which
            file was read or is missing.

        Raises
        ------
        OptionsError
            As for :meth:`from_toml`.
        """
        check_type("PlanOptions.beside: table", table, str, os.PathLike)
        path = build_options_path(Path(table))
        if path.is_file():
            options = cls.from_toml(path)
            # The path of a custom product is relative to the folder of the table.
            if options.product.endswith(".toml"):
                options = replace(options, product=str(path.parent / options.product))
            note = f"Options from {path.name}"
        else:
            options, name = cls(), Path(table).name
            note = (
                f"the folder with {name} has no options file {path.name}, so the default "
                "options apply. The subjects have no organization, locality, or "
                "country. To set the options, use the Deployment tab in the editor and "
                f"save the plan, or create {path.name}"
            )
            if (path.parent / OPTIONS_FILE).is_file():
                note += (
                    f". lyncnb does not read {OPTIONS_FILE} in the same folder, because the "
                    f"file name does not match the table. If {OPTIONS_FILE} belongs to {name}, "
                    f"rename it to {path.name}"
                )
        object.__setattr__(options, "_found", note)
        return options

    def to_toml(self) -> str:
        """Return the content of ``plan.toml``: all options in a fixed order, with comments.

        Returns
        -------
        str
            TOML. Equal options result in the same text, and :meth:`from_toml` returns equal
            options.
        """
        return format_plan_toml(self._list_plain_values(), OPTIONS, _TITLES)

    def _list_items(self) -> list[tuple[object, ...]]:
        values = self._list_plain_values()
        return [
            (name, format_option_value(values[name]), option.comment)
            for name, option in OPTIONS.items()
        ]

    def _list_plain_values(self) -> dict[str, Any]:
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        return values | {"key": {"algorithm": self.key.algorithm, "bits": self.key.bits}}

    def _summarize(self) -> str:
        different = format_count(len(self._find_changed_rows()), "option")
        return f"{getattr(self, '_found', 'Plan options')}: {different} set."

    def _find_changed_rows(self) -> list[tuple[object, ...]]:
        """Return the table rows for options whose value is not the default."""
        default = dict(zip(OPTIONS, DEFAULT_OPTIONS._list_items(), strict=True))
        return [row for row in self._list_items() if row != default[str(row[0])]]

    def _repr_html_(self) -> str:
        rows, different = self._list_items(), self._find_changed_rows()
        default_rows = [row for row in rows if row not in different]
        parts = [format_paragraph(self._summarize())]
        parts += [rows_to_html(self._list_headings(), different)] if different else []
        title = f"Show {format_count(len(default_rows), 'option')} with default values"
        return "\n".join(
            [*parts, collapse_html(title, rows_to_html(self._list_headings(), default_rows))]
        )


_DOMAIN_LISTS = (
    "autodiscover_internal_extra_domains", "internal_only_sip_domains", "client_authentication",
    "shared_certificate",
)  # fmt: skip
_LIMITS = ("accepted_until", "accepted_for")

# The maximum size in bytes. An options file takes up only a few kB, so a larger file is not an
# options file.
_LARGEST = 1_000_000


def _reject_value(name: str, value: object, allowed_values: str) -> NoReturn:
    raise OptionsError(
        f'the option "{name}" is {describe_value(value)}', hint=f"use {allowed_values}"
    )


def _check_flag(name: str, value: object) -> None:
    if not isinstance(value, bool):
        _reject_value(name, value, "true or false")


_KEY_HINT = "enter the algorithm and the size of the key, for example RSA 3072 or ECDSA 256"


def parse_key(value: object) -> object:
    """Convert text such as ``ECDSA 256`` to a key algorithm and size. Keep any other value."""
    if not isinstance(value, str):
        return value
    match = re.fullmatch(r"\s*([A-Za-z]+)\s*-?\s*(\d+)\s*", value)
    if not match:
        raise OptionsError(
            f'the option "key": "{value}" is not a valid key algorithm and size',
            hint=_KEY_HINT,
        )
    try:
        return KeyParameters(algorithm=match[1].upper(), bits=int(match[2]))
    except ValueError as error:
        raise OptionsError(
            f'the option "key": "{value}" is not a valid key algorithm and size: {error}',
            hint=_KEY_HINT,
        ) from None


def parse_date(name: str, value: object) -> object:
    """Convert text such as ``2026-01-31``, or a datetime, to a date. Blank text means no date."""
    if isinstance(value, datetime):
        return value.date()
    if not isinstance(value, str):
        return value
    if not value.strip():
        return None
    try:
        return date.fromisoformat(value.strip())
    except ValueError:
        raise OptionsError(
            f'the option "{name}": "{value}" is not a date',
            hint="enter the date in the format 2026-01-31",
        ) from None


def _check_date(value: object, name: str) -> None:
    if value is not None and (not isinstance(value, date) or isinstance(value, datetime)):
        _reject_value(name, value, "a date, for example 2026-01-31")


def _is_text_list(value: object) -> bool:
    return (
        isinstance(value, (tuple, list))
        and bool(value)
        and all(isinstance(item, str) and item for item in value)
    )


def _check_days(value: object, name: str = "validity_days") -> None:
    if value is not None and (type(value) is not int or not 1 <= value <= 36500):
        _reject_value(name, value, "a whole number of days from 1 to 36,500")


def _check_choice(name: str, value: object, allowed_values: tuple[str, ...]) -> None:
    if value not in allowed_values or not isinstance(value, str):
        _reject_value(name, value, f"one of these values: {', '.join(map(shown, allowed_values))}")


def _check_text(name: str, value: object, *, is_required: bool = False) -> None:
    if not isinstance(value, str) or (is_required and not value.strip()):
        _reject_value(name, value, "text that is not blank" if is_required else "text")


def _check_subject_field(name: str, value: Any) -> None:
    _check_text(name, value)
    try:
        checked_value = (
            value.upper() if name == "country" and len(value) == 2 else value
            # A lowercase country code causes no error here. Another check reports it.
        )
        replace(DistinguishedName(common_name=""), **{name: checked_value})
    except ValueError as error:
        raise OptionsError(
            f'the option "{name}": {error}',
            hint=(
                "enter the value exactly as it must appear in every subject, or remove the option"
            ),
        ) from None


def _parse_domains(name: str, values: object) -> tuple[DnsName, ...]:
    if not isinstance(values, (tuple, list)) or not all(isinstance(v, str) for v in values):
        _reject_value(name, values, "a list of domain names")
    try:
        return tuple(dict.fromkeys(DnsName.parse(value) for value in values))
    except BadName as error:
        raise OptionsError(f'the option "{name}": {error.message}', hint=error.hint) from None


def _check_texts_by_key(name: str, values: object) -> dict[str, str]:
    if not isinstance(values, Mapping):
        _reject_value(name, values, "a section with a text value for each key")
    for key, value in values.items():
        _check_text(name, key)
        _check_text(f"{name}.{key or ALL}", value, is_required=True)
    # In plan.toml, the key "all" means all usages. In a notebook, "all" is also allowed.
    return {"" if key == ALL else key: values[key] for key in sorted(values)}


DEFAULT_OPTIONS = PlanOptions()


def build_table_origin(
    source: str,
    options: PlanOptions,
    *,
    domains: Sequence[str],
    judged_on: date | None = None,
    made_on: str = "",
) -> Origin:
    """Return the origin of a document about a table, such as its deployment and planner.

    A table without a file has the name of its first SIP domain.
    """
    table = re.split(r"[/\\]", source)[-1]
    if table.endswith(".json"):  # A saved plan does not record the name of its table.
        table = ""
    stem = table.rpartition(".")[0]
    return Origin(
        deployment=options.title or stem or (domains[0] if domains else table),
        planner=options.planner,
        table=table,
        made_on=made_on or read_source_date(),
        judged_on=judged_on,
        lang=options.lang,
    )
