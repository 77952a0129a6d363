"""Define ``PlanOptions``: all settings that are not in the table of servers."""

from __future__ import annotations

import os
import re
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import date
from pathlib import Path
from typing import Annotated, Any

from ..base.arguments import check_type
from ..base.certificate_fields import KeyParameters
from ..base.disk import files
from ..base.records import RecordReader
from ..base.renewal_days import RenewalTerms
from ..base.request_content import HASHES
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
from ..base.toml_text import NotToml, parse_toml
from ..base.work_days import read_work_days
from ..errors import OptionsError, Problem
from ..rules.model import ISSUERS, LAYOUTS, PROFILES
from ..topology.columns import get_column
from .option_kinds import (
    ALL,
    DATES,
    DOCUMENTS,
    KEY_GROUP,
    Answers,
    CertificateIds,
    Choice,
    Day,
    DayByCode,
    Days,
    DaysByIssuer,
    Domains,
    Flag,
    IdsByCode,
    Key,
    Option,
    Product,
    Reasons,
    SubjectField,
    Text,
    Texts,
    WorkDaysByName,
)
from .plan_toml import (
    OPTIONS_FILE,
    build_options_path,
    format_plan_toml,
    raise_problems,
    read_option_values,
)

#: The key in ``[ca]`` for the CA that has no templates.
STAND_ALONE = "stand_alone"


def format_option_value(value: object) -> object:
    """Format the value of an option for a table. A section is shown as ``key = value`` pairs."""
    if not isinstance(value, Mapping):
        return value
    return tuple(f"{key or ALL} = {item}" for key, item in value.items())


class _OptionsFileNote(Table):
    """A note about the options file. A changed copy of the options does not inherit the note."""

    __slots__ = ("_found",)
    _columns = columns(("Option", 0), ("Value", 1), ("Meaning", 2))
    _found: str


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class PlanOptions(_OptionsFileNote):
    """The options of a plan, which are stored in a file next to the table.

    Each field has its type, its default, and an ``Option`` with its description and its check. The
    fields are in the order of ``plan.toml``. A section is a mapping, in which the key "" means all.

    Raises
    ------
    OptionsError
        If a value is not valid for its option.
    """

    title: Annotated[
        str,
        Text(
            comment="name of the deployment, which every document shows; if blank, documents show "
            "the name of the table",
            label="Name of the deployment",
            group=DOCUMENTS,
        ),
    ] = ""
    planner: Annotated[
        str,
        Text(
            comment="name and address of the person who plans the certificates; every document "
            "shows them, for example Ana Li, ana@contoso.com",
            label="Planner",
            group=DOCUMENTS,
        ),
    ] = ""
    product: Annotated[
        str, Product(comment="product whose certificate rules apply", label="Product")
    ] = "lync2013"
    profile: Annotated[
        str,
        Choice(
            comment="default, or doc_example to reproduce the examples in Microsoft's "
            "documentation",
            label="Rule profile",
            choices=PROFILES,
        ),
    ] = "default"
    lang: Annotated[
        str,
        Choice(
            comment="language of titles, errors, and checklists: en or zh-TW",
            label="Language of titles",
            choices=LANGUAGES,
        ),
    ] = "en"
    layout: Annotated[
        str,
        Choice(
            comment='"combined" to request one certificate for the Default and web usages, or '
            '"separate" to request one for each usage',
            label="Default and web certificates",
            choices=LAYOUTS,
        ),
    ] = "combined"
    wildcard: Annotated[
        bool,
        Flag(
            comment="true to use wildcards for simple URLs and lyncdiscover names",
            label="Wildcards for simple URLs",
        ),
    ] = False
    autodiscover_https: Annotated[
        bool,
        Flag(
            comment="false if lyncdiscover is available only on port 80",
            label="Autodiscover on port 443",
        ),
    ] = True
    edge_member_names: Annotated[
        bool,
        Flag(
            comment="true to add the server names to the internal Edge certificate",
            label="Server names on the internal Edge certificate",
        ),
    ] = False
    xmpp_host_names: Annotated[
        bool,
        Flag(
            comment="true to add xmpp.<domain> names to the external Edge certificate",
            label="XMPP host names on the external Edge certificate",
        ),
    ] = False
    separate_av_certificate: Annotated[
        bool,
        Flag(
            comment="true to request a separate certificate for A/V Authentication",
            label="Separate certificate for A/V Authentication",
        ),
    ] = False
    reverse_proxy_client_eku: Annotated[
        bool,
        Flag(
            comment="true to include client authentication in the certificates of reverse proxies",
            label="Client authentication on reverse proxies",
        ),
    ] = False
    autodiscover_internal_extra_domains: Annotated[
        tuple[str, ...],
        Domains(
            comment="additional domains with a lyncdiscoverinternal name",
            label="Additional internal Autodiscover domains",
        ),
    ] = ()
    internal_only_sip_domains: Annotated[
        tuple[str, ...],
        Domains(
            comment="SIP domains that Edge and reverse proxy certificates do not include",
            label="SIP domains for internal use only",
        ),
    ] = ()
    client_authentication: Annotated[
        tuple[str, ...],
        Domains(
            comment="pools whose certificates include client authentication, for example because "
            "a gateway requires it",
            label="Pools with client authentication",
        ),
    ] = ()
    shared_certificate: Annotated[
        tuple[str, ...],
        Domains(
            comment="Front End pools in which all servers share one certificate that contains the "
            "names of all servers",
            label="Front End pools with one certificate for all servers",
        ),
    ] = ()
    at_set_up: Annotated[
        tuple[str, ...],
        CertificateIds(
            comment="IDs of the certificates that you request when you set up the servers",
            label="Requested during server setup",
        ),
    ] = ()
    planned_issue_date: Annotated[
        date | None,
        Day(
            comment="date on which the CA is expected to issue the certificates, such as "
            "2026-01-31. This date does not change the requests",
            label="Planned issue date",
        ),
    ] = None
    validity_days: Annotated[
        int | None,
        Days(
            comment="validity period to request from the CA, in days, up to the CA's limit. The "
            "request files do not contain this value",
            label="Requested validity (days)",
        ),
    ] = None
    target_os: Annotated[
        str,
        Choice(
            comment="Windows Server version on all servers; if blank, the versions in the table "
            "apply",
            label="Target OS of all servers",
            choices=("", *get_column("target_os").choices),
            group=DATES,
        ),
    ] = ""
    hash: Annotated[
        str,
        Choice(
            comment="hash algorithm for the signature on the requests: sha256, sha384 or sha512",
            label="Hash algorithm of the request",
            choices=HASHES,
            group=KEY_GROUP,
        ),
    ] = "sha256"
    oldest_client: Annotated[
        str,
        Text(
            comment="oldest version of the clients in use, for example Windows 7; if blank, the "
            "oldest version that Microsoft lists for SHA-256",
            label="Oldest client",
            group=KEY_GROUP,
        ),
    ] = ""
    key: Annotated[
        KeyParameters,
        Key(
            comment="RSA with 2048, 3072 or 4096 bits, or ECDSA with 256, 384 or 521 bits",
            label="Key",
            title="Key algorithm and size for all certificates.",
        ),
    ] = field(default_factory=KeyParameters)
    organization: Annotated[
        str,
        SubjectField(
            comment="O",
            label="Organization (O)",
            title="Subject fields in addition to the common name. lyncnb omits blank fields.",
        ),
    ] = ""
    organizational_unit: Annotated[
        str, SubjectField(comment="OU", label="Organizational unit (OU)")
    ] = ""
    locality: Annotated[str, SubjectField(comment="L", label="Locality (L)")] = ""
    state: Annotated[str, SubjectField(comment="ST", label="State or province (ST)")] = ""
    country: Annotated[
        str, SubjectField(comment="country code with two uppercase letters", label="Country (C)")
    ] = ""
    issuer: Annotated[
        Mapping[str, str],
        Texts(
            comment='internal or public, for each usage or role; the key "all" applies to all '
            "other usages and roles",
            label="Issuer",
            title="Issuer of the certificates. This section overrides the issuer column in the "
            "table and the rules.",
            choices=ISSUERS,
        ),
    ] = field(default_factory=dict)
    ca: Annotated[
        Mapping[str, str],
        Texts(
            comment="name of the CA for each usage or role, or for internal and public; the key "
            '"all" applies in all other cases; the key "stand_alone" has the name of an '
            "AD CS CA that has no templates",
            label="Target CA",
            title="Name of the CA, for the summary and for the submission of requests.",
        ),
    ] = field(default_factory=dict)
    validity: Annotated[
        Mapping[str, int],
        DaysByIssuer(
            comment="validity period to request, in days, if it differs for internal and public "
            "certificates",
            label="Requested validity for each issuer (days)",
            title="Requested validity for each issuer. This section overrides validity_days and "
            "does not change the requests.",
        ),
    ] = field(default_factory=dict)
    lead_days: Annotated[
        Mapping[str, int],
        DaysByIssuer(
            comment="number of days that the CA needs after the order, for internal and public "
            'certificates; the key "all" applies to both',
            label="Lead time (days)",
            title="Number of days that a CA needs to issue a certificate. Only the forecast "
            "uses this section.",
            choices=(*ISSUERS, ALL),
        ),
    ] = field(default_factory=dict)
    freezes: Annotated[
        Mapping[str, str],
        WorkDaysByName(
            comment="name = dates on which no changes are allowed: 2026-12-18 to 2027-01-08, or "
            "12-18 to 01-08 for every year",
            label="Freeze",
            title="Change freezes. The forecast and the steps use this section.",
        ),
    ] = field(default_factory=dict)
    windows: Annotated[
        Mapping[str, str],
        WorkDaysByName(
            comment="name = days on which changes are allowed: saturday, second saturday, last "
            "sunday, or dates",
            label="Maintenance window",
            title="Maintenance windows. The forecast and the steps use this section. Without a "
            "window, changes are allowed on all days.",
        ),
    ] = field(default_factory=dict)
    servers: Annotated[
        Mapping[str, str],
        Texts(
            comment="new if a server has never worked, or running if it is in use, for each "
            'server; the key "all" applies to all other servers. If a deployment is '
            "recorded, the record applies",
            label="Servers that are new or running",
            title="Servers that are in use before the first certificate is recorded as deployed.",
            choices=("new", "running"),
        ),
    ] = field(default_factory=dict)
    procedure: Annotated[
        Mapping[str, str],
        Answers(
            comment="answers that the steps would ask for: hybrid, exchange_partner, gateways_tls "
            "and office_offloads (yes or no), and proxy_product (iis, wap or other)",
            label="Answers for the steps",
            title="Answers for the steps. The steps ask for what is not here.",
        ),
    ] = field(default_factory=dict)
    accepted: Annotated[
        Mapping[str, str],
        Reasons(
            comment="code of a finding = reason why you accept it",
            label="Accepted finding",
            title="Accepted findings. An accepted finding does not prevent you from creating "
            "requests or using issued certificates.",
        ),
    ] = field(default_factory=dict)
    accepted_until: Annotated[
        Mapping[str, date],
        DayByCode(
            comment="code of a finding = last date on which you accept it, such as 2027-01-31",
            label="Accepted until",
            title="Last date on which each acceptance in [accepted] applies. lyncnb compares "
            "this date with the evaluation date.",
        ),
    ] = field(default_factory=dict)
    accepted_for: Annotated[
        Mapping[str, tuple[str, ...]],
        IdsByCode(
            comment="code of a finding = IDs of the certificates or servers for which you accept "
            "the finding (the first characters of an ID are sufficient)",
            label="Accepted for",
            title="Certificates and servers to which each acceptance in [accepted] applies; by "
            "default, all certificates and servers.",
        ),
    ] = field(default_factory=dict)

    def __post_init__(self) -> None:
        problems: list[Problem] = []
        for name, option in OPTIONS.items():
            try:
                value = option.check(option, name, getattr(self, name))
                # The frozen dataclass is still being created, so setting a field is allowed.
                object.__setattr__(self, name, value)
                if name in _LIMITS:
                    self._check_limits(name)
            except OptionsError as error:
                problems.append(Problem(message=error.message, hint=error.hint))
        raise_problems(problems)

    def _check_limits(self, name: str) -> None:
        for code in getattr(self, name):
            if code not in self.accepted:
                raise OptionsError(
                    f'the option "{name}" contains "{code}", but the section [accepted] has no '
                    "reason for this code",
                    hint=f'add this line under [accepted]: {code} = "your reason"',
                )

    @property
    def renewal_terms(self) -> RenewalTerms:
        """The lead times, freezes, and maintenance windows that determine renewal dates."""
        work = read_work_days(self.freezes, self.windows)
        return RenewalTerms(self.lead_days, work, first_issue=self.planned_issue_date)

    def validity_for(self, issuer: str) -> int | None:
        """Return the validity in days to request from an ``internal`` or ``public`` CA."""
        return self.validity.get(issuer, self.validity_days)

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
            values = read_option_values(parse_toml(data), reader, OPTIONS)
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
        except NotToml as error:
            raise OptionsError(f"{name}: {error}", hint=error.hint) from None
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
        return format_plan_toml(self._list_plain_values(), OPTIONS)

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


#: All options, in the order of the file. Forms show the options in groups.
OPTIONS: Mapping[str, Option] = {
    item.name: hint.__metadata__[0].of_field(item.name, hint.__origin__)
    for hints in [typing.get_type_hints(PlanOptions, include_extras=True)]
    for item in fields(PlanOptions)
    for hint in [hints[item.name]]
}
_LIMITS = ("accepted_until", "accepted_for")

# The maximum size in bytes. An options file takes up only a few kB, so a larger file is not an
# options file.
_LARGEST = 1_000_000

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
