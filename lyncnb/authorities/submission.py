"""Write documents for the administrators of a CA: a page, a summary, and a list of names.

The texts are data (``authorities/handover_wording.toml``). All values from a topology are escaped
for the page and neutralized for the spreadsheet.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from importlib.resources import files as package_files
from typing import ClassVar

from ..base.certificate_fields import NAMES_HEADING, format_rfc4514
from ..base.dns_name import DnsName
from ..base.pasted_text import shown
from ..base.planned_entry import PlannedEntry
from ..base.records import JsonSerializable, RecordReader
from ..base.shown.frames import Kind
from ..base.shown.html_page import render_template
from ..base.shown.origin import UNKNOWN, Origin
from ..base.shown.tables import columns, format_count
from ..base.toml_text import NotToml, parse_toml
from ..errors import OptionsError, RulesError
from ..request_folder.generations import REVOCATION_REASONS, ToRevoke
from ..request_folder.request_record import ArchivedGeneration, RequestRecord
from ..rules.ca_rules import load_ca_rules

#: The columns of the table of requests for a CA.
COLUMNS = columns(
    ("Certificate", "id"),
    ("Role", "plan.role"),
    ("Site", "plan.site"),
    ("Pool", "plan.pool"),
    ("Servers", "plan.servers"),
    ("Type", "plan.usages"),
    ("Subject", lambda record: format_rfc4514(record.plan.subject.items())),
    (NAMES_HEADING, "plan.san"),
    ("SAN count", lambda record: len(record.plan.san), Kind.COUNT),
    ("EKU", "plan.eku"),
    ("Key", lambda record: _format_key(record.plan)),
    ("Hash", "plan.hash"),
    ("CSR file", "files.csr"),
    ("SHA-256 of the CSR", "csr_sha256"),
    ("No.", lambda record: record.number or "", Kind.COUNT),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part(JsonSerializable):
    r"""The requests to submit to one CA with one template.

    ``issuer`` is internal or public, ``ca`` is the CA's name if known, and ``folder`` is the folder
    for these requests in the package. ``template`` and ``config`` (``host\CA name``) apply to an AD
    CS CA. If ``config`` is empty, ``submit.cmd`` asks for it. ``revoke`` lists certificates that
    the CA must revoke now.
    """

    json_keys: ClassVar = (
        "issuer",
        "ca",
        "folder",
        "requests=requests.id",
        "revoke=revoke.request_id,serial,reason",
    )

    folder: str
    issuer: str
    ca: str
    requests: tuple[RequestRecord, ...]
    template: str = ""
    is_stand_alone: bool = False
    config: str = ""
    revoke: tuple[ToRevoke, ...] = ()


def choose_part_folder(issuer: str, ca: str, used_names: Container[str]) -> str:
    """Return the name of a folder for one CA's requests in the package.

    The name is valid on Windows and not in ``taken``.
    """
    slug = re.sub(r"[^a-z0-9]+", "-", ca.casefold()).strip("-")[:60]
    name = f"{issuer}-{slug}" if slug else issuer
    number = 1
    while name in used_names:
        number += 1
        name = f"{name.rsplit('_', 1)[0]}_{number}"
    return name


def _format_key(plan: PlannedEntry) -> str:
    return f"{plan.key.algorithm} {plan.key.bits}" if plan.key else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """The texts on the page for one type of CA.

    ``submit_asks`` and ``submit_names`` describe where to submit the requests. One of them replaces
    ``{target}`` in a step. ``before`` lists the requirements for the template and the CA.
    ``replaced`` describes what to do with replaced certificates. ``revoke_now`` describes how to
    revoke a certificate immediately.
    """

    title: str
    intro: tuple[str, ...]
    steps: tuple[str, ...]
    back: tuple[str, ...]
    how: tuple[str, ...]
    how_wildcard: str
    how_client: str
    validity_asked: str
    validity_open: str
    notes: tuple[str, ...]
    sources: tuple[str, ...]
    acme_title: str = ""
    acme: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    submit_asks: str = ""
    submit_names: str = ""
    replaced: tuple[str, ...] = ()
    revoke: str = ""
    keep: str = ""
    revoke_now: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wordings:
    """The content of ``handover_wording.toml``."""

    internal: Wording
    stand_alone: Wording
    public: Wording

    def find_wording(self, part: Part) -> Wording:
        """Return the texts on the page for one type of CA."""
        if part.issuer == "public":
            return self.public
        return self.stand_alone if part.is_stand_alone else self.internal


def parse_handover_wording(text: str) -> Wordings:
    """Parse ``handover_wording.toml``.

    Raises
    ------
    RulesError
        If the file has errors; the error lists all of them, for example in ``internal.steps``.
    """
    name = "handover_wording.toml"
    try:
        reader = RecordReader(name)
        document = parse_toml(text)
        internal, own = document.get("internal"), document.get("stand_alone")
        if isinstance(internal, dict) and isinstance(own, dict):
            # The other texts are the same for each kind of AD CS.
            document = {**document, "stand_alone": {**internal, **own}}
        wordings = reader.record(Wordings, document)
    except NotToml as error:
        raise RulesError(f"{name}: {error}", hint=error.hint) from None
    if wordings is None:
        raise RulesError(f"{name} has errors", problems=tuple(reader.problems))
    return wordings


@cache
def _read_wordings() -> Wordings:
    path = package_files(__package__) / "handover_wording.toml"
    return parse_handover_wording(path.read_text(encoding="utf-8"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Cover:
    """The sender of the requests, the date when certificates are needed, and the product.

    ``origin`` contains the deployment, the planner, and the table. ``rolled`` lists the usages for
    which the old and the new certificate are used together. ``today`` is the date for the limits on
    the page. The default is the date of the CA rules. ``is_compared`` is false if lyncnb did not
    compare the requests with their keys.
    """

    sender: str = ""
    needed_by: date | None = None
    today: date | None = None
    product: str = ""
    rolled: frozenset[str] = frozenset()
    origin: Origin = UNKNOWN
    said: Callable[[str], str] = (
        # The product names in the texts, each with the corresponding name of the current product.
        str
    )
    # A function that replaces each source in the texts with the corresponding document about the
    # current product.
    source: Callable[[str], str] = str
    is_compared: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestLine:
    """The values of one request that the page for the CA's administrators shows."""

    number: int
    file: str
    servers: tuple[str, ...]
    site: str
    subject: str
    names: tuple[str, ...]
    sha256: str
    how: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawnLine:
    """A request that was superseded before the CA issued its certificate."""

    request: str
    sha256: str
    day: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplacedLine:
    """A certificate for an earlier generation of a request, with the action that it requires."""

    request: str
    serial: str
    valid_until: str
    what: str


_NOT_COMPARED = (
    "lyncnb did not compare these requests with their private keys, because it did not have the "
    "passphrase of the request folder."
)


def write_part_page(part: Part, *, cover: Cover) -> str:
    """Return the page for the administrators of the CA.

    Parameters
    ----------
    part : Part
        n requests for one CA.
    cover : Cover
        The sender, the date and the product.

    Returns
    -------
    str
        An HTML page that needs no other file.
    """
    words = _read_wordings().find_wording(part)
    today = cover.today or load_ca_rules().as_of
    filled = {
        "template": part.template,
        "requests": format_count(len(part.requests), "certificate request"),
        "product": cover.product,
        "config": part.config or r"HOST\CA NAME",
        "lifetimes": _describe_lifetimes(part.ca, today),
        "wildcards": _describe_wildcards(part.ca, today),
    }
    filled["target"] = _fill_placeholders(
        words.submit_names if part.config else words.submit_asks, filled
    )
    acme_only = part.issuer == "public" and load_ca_rules().is_acme_only(part.ca)
    has_choice = bool(words.acme) and not acme_only
    acme = {"title": words.acme_title, "steps": words.acme}
    return render_template(
        "authorities/handover.html.j2",
        title=_build_title(part, words),
        sender=cover.sender,
        running=cover.origin.one_line_text,
        origin=list(cover.origin.facts()),
        needed_by=cover.needed_by,
        product=cover.product,
        sites=list(dict.fromkeys(r.plan.site for r in part.requests if r.plan.site)),
        intro=[_fill_placeholders(line, filled) for line in words.intro],
        before=[cover.said(_fill_placeholders(line, filled)) for line in words.before],
        steps=[
            _fill_placeholders(step, filled) for step in (words.acme if acme_only else words.steps)
        ],
        others=[acme] if has_choice else [],
        back=[_fill_placeholders(line, filled) for line in words.back],
        rows=[
            _build_request_line(record, words, filled, _find_requested_days(part, record, today))
            for record in part.requests
        ],
        domains=list(_list_domains(part, today)),
        revoke=[_build_revoke_line(certificate, words, filled) for certificate in part.revoke],
        revoke_reasons=sorted({certificate.reason for certificate in part.revoke}),
        withdrawn=list(_list_withdrawn_requests(part.requests)),
        replaced=[
            _fill_placeholders(line, filled)
            for line in words.replaced
            if not all(map(_get_deadline, _list_old_generations(part.requests)))
        ],
        old=list(_list_replaced_certificates(part.requests, words, filled, cover.rolled)),
        notes=[
            *(cover.said(_fill_placeholders(note, filled)) for note in words.notes),
            *(() if cover.is_compared or not part.requests else (_NOT_COMPARED,)),
        ],
        sources=list(dict.fromkeys(map(cover.source, words.sources))),
    )


def _build_title(part: Part, words: Wording) -> str:
    title = words.title if part.requests else "Certificates to revoke now"
    return f"{title}: {part.ca}" if part.ca else title


def _build_revoke_line(
    certificate: ToRevoke, wording: Wording, texts: Mapping[str, str]
) -> ReplacedLine:
    reason = certificate.reason
    code = REVOCATION_REASONS.get(reason, REVOCATION_REASONS["unspecified"])
    values = {"serial": certificate.serial, "reason": reason, "reason_code": str(code)}
    how = _fill_placeholders(wording.revoke_now, {**texts, **values})
    return ReplacedLine(
        request=certificate.request_id,
        serial=certificate.serial,
        valid_until=certificate.not_after[:10],
        what=f"{certificate}. {how}",
    )


def _list_withdrawn_requests(records: Iterable[RequestRecord]) -> Iterator[WithdrawnLine]:
    """Yield the superseded requests that were possibly sent to the CA."""
    for record in records:
        for generation in reversed(record.archived):
            if generation.issued is None and generation.csr_sha256 and not generation.purged_at:
                yield WithdrawnLine(
                    request=record.id,
                    sha256=generation.csr_sha256,
                    day=generation.superseded_at[:10],
                )


def _find_requested_days(part: Part, record: RequestRecord, today: date) -> int:
    return load_ca_rules().limit_validity(
        record.validity_days, today, issuer=part.issuer, ca=part.ca
    )


def _describe_lifetimes(ca: str, today: date) -> str:
    """Describe the maximum validity of a public certificate, now and in the future."""
    rules = load_ca_rules()
    steps = [
        (day, limit.value)
        for day, limit in rules.list_smallest_limits("validity-days", ca=ca)
        if limit
    ]
    days = max((day, value) for day, value in steps if day <= today)[1]
    words = [f"A certificate is valid for at most {days} days"]
    for day, value in steps:
        if day > today and value != days:
            days = value
            words.append(f"at most {value} days if it is issued on {day} or later")
    return f"{', or '.join(words)}."


def _list_validation_types(ca: str, today: date, *, validates_only_one_name: bool) -> list[str]:
    """Describe the types of domain control validation for a public CA, with their end dates."""
    last: dict[str, date] = {}
    acme_only = load_ca_rules().is_acme_only(ca)
    for method in load_ca_rules().methods:
        if acme_only and not method.acme:
            continue
        end = method.until or date.max
        if method.only_the_name_itself == validates_only_one_name and end > today:
            last[method.by] = max(end - timedelta(days=1), last.get(method.by, date.min))
    always = date.max - timedelta(days=1)
    latest_first = sorted(last.items(), key=lambda item: (-item[1].toordinal(), item[0]))
    return [by if end == always else f"{by} until {end}" for by, end in latest_first]


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainLine:
    """A domain that a public CA validates, the names in it, and the types of validation."""

    domain: str
    names: tuple[str, ...]
    methods: str


def _list_domains(part: Part, today: date) -> Iterator[DomainLine]:
    """Yield each domain that the CA must validate, or each name if the CA validates every name."""
    if part.issuer != "public":
        return
    each_name = load_ca_rules().validates_each_name(part.ca)
    names: dict[str, set[str]] = {}
    for record in part.requests:
        for name in map(DnsName, record.plan.san):
            domain = name.removeprefix("*.") if each_name else str(name.registered_domain or name)
            names.setdefault(domain, set()).add(str(name))
    domain_methods, single = (
        "; ".join(_list_validation_types(part.ca, today, validates_only_one_name=is_single))
        for is_single in (False, True)
    )
    for domain, domain_names in sorted(names.items()):
        is_wildcard = any(name.startswith("*.") for name in domain_names)
        methods = domain_methods
        if single and not is_wildcard:
            methods = f"{domain_methods}; to validate each name separately: {single}"
        yield DomainLine(domain=domain, names=tuple(sorted(domain_names)), methods=methods)


def _describe_wildcards(ca: str, today: date) -> str:
    """Describe the methods by which a public CA may validate a wildcard name."""
    *others, last = _list_validation_types(ca, today, validates_only_one_name=False)
    methods = f"{', '.join(others)} or {last}" if others else f"{last} only"
    return f"The CA can validate a wildcard name by {methods}."


def _list_replaced_certificates(
    records: Iterable[RequestRecord],
    wording: Wording,
    texts: Mapping[str, str],
    rollover_usages: frozenset[str],
) -> Iterator[ReplacedLine]:
    """Yield the certificates for earlier generations. The latest of each request comes first."""
    for record in records:
        is_rolled = not rollover_usages.isdisjoint(record.plan.usages)
        for generation in _list_old_generations([record]):
            assert generation.issued is not None
            text = wording.keep if is_rolled else wording.revoke
            if deadline := _get_deadline(generation):
                text = _UNTIL.format(deadline=deadline)
            yield ReplacedLine(
                request=record.id,
                serial=generation.issued.serial,
                valid_until=generation.issued.not_after[:10],
                what=_fill_placeholders(text, {**texts, "serial": generation.issued.serial}),
            )


_UNTIL = (
    "The servers use the certificate until {deadline} at the latest, because the CA announced its "
    "revocation. Do not revoke it before."
)


def _list_old_generations(records: Iterable[RequestRecord]) -> Iterator[ArchivedGeneration]:
    """Yield the earlier generations with a certificate that nobody asked to revoke."""
    for record in records:
        for generation in reversed(record.archived):
            if generation.issued is not None and generation.revocation is None:
                yield generation


def _get_deadline(generation: ArchivedGeneration) -> str:
    return generation.issued.replace_by if generation.issued is not None else ""


def _build_request_line(
    record: RequestRecord, wording: Wording, texts: Mapping[str, str], requested_days: int
) -> RequestLine:
    plan = record.plan
    subject = ", ".join(f"{name}={value}" for name, value in plan.subject.items())
    validity = wording.validity_asked.replace("{days}", f"{requested_days:,}")
    values = {
        **texts,
        "names": "one name" if len(plan.san) == 1 else f"{len(plan.san)} names",
        "eku": ", ".join(plan.eku),
        "key": _format_key(plan),
        "hash": plan.hash,
        "validity": validity if requested_days else wording.validity_open,
    }
    how = [_fill_placeholders(line, values) for line in wording.how]
    wildcards = {name for name in (*plan.san, plan.common_name) if name.startswith("*.")}
    if wildcards:
        count = format_count(len(wildcards), "wildcard name")
        how.append(_fill_placeholders(wording.how_wildcard, {"wildcard_names": count}))
    if "clientAuth" in plan.eku:
        how.append(wording.how_client)
    return RequestLine(
        number=record.number,
        file=record.files.csr,
        servers=plan.servers,
        site=plan.site,
        subject=subject,
        names=plan.san,
        sha256=record.csr_sha256,
        how=tuple(how),
    )


def _fill_placeholders(text: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        text = text.replace("{" + name + "}", value)
    return text


def list_name_lines(records: Iterable[RequestRecord]) -> bytes:
    """Return the names in each request on one line, which you can paste into a CA's portal."""
    lines = [
        f"{f'No. {record.number}: ' if record.number else ''}{record.files.csr}\r\n"
        f"{', '.join(record.plan.san)}\r\n"
        for record in records
    ]
    return "\r\n".join(lines).encode()


# The script that submits requests to AD CS is a batch file, so administrators can read it before
# they run it. Its values may contain only letters, digits and a few other characters, for two
# reasons: certreq splits ``-attrib`` at a literal ``\n``, so a template name could add attributes,
# and cmd expands ``%`` even in quotes.

_TEMPLATE = re.compile(r"[A-Za-z0-9 ._-]{1,64}")
# AD CS shows the first name for its default template, and certreq uses the second one. Display
# names are unique in a forest, so no custom template can have the same display name.
_DISPLAY_NAMES = {"web server": "WebServer"}
_CONFIG = re.compile(r"[A-Za-z0-9.-]{1,255}\\[A-Za-z0-9 ._()-]{1,64}")
_STEM = re.compile(r"[A-Za-z0-9-]{1,200}")


def check_template_name(template: str) -> None:
    """Raise an error if the Windows command line could misinterpret a template name.

    Raises
    ------
    OptionsError
        If the name has characters other than letters, digits, blanks, dots, underscores and
        hyphens, or if it is the display name of a template.
    """
    name = _DISPLAY_NAMES.get(template.casefold())
    if name:
        raise OptionsError(
            f"{shown(template)} is the display name of a certificate template",
            hint=f"use the template's name instead: {name}",
        )
    if not _TEMPLATE.fullmatch(template) or template != template.strip():
        raise OptionsError(
            f"{shown(template)} is not a valid certificate template name",
            hint="use the template's name, not its display name, for example WebServer",
        )


_LONGEST_SENDER = 200


def check_sender_text(sender: str) -> None:
    """Raise an error if a sender is not a single line of text.

    Raises
    ------
    OptionsError
        If the sender contains a control character, such as a line break, or has more than 200
        characters.
    """
    if len(sender) > _LONGEST_SENDER or not all(sign.isprintable() for sign in sender):
        raise OptionsError(
            f"{shown(sender)} is not a valid sender",
            hint="use one line of text, for example Ana Li, Contoso IT, ana@contoso.com",
        )


def check_ca_config(config: str) -> None:
    r"""Raise an error if a configuration string is not blank and not of the form ``host\CA name``.

    Raises
    ------
    OptionsError
        If a character has a special meaning for cmd or certreq.
    """
    if config and not _CONFIG.fullmatch(config):
        raise OptionsError(
            f"{shown(config)} is not a valid configuration string of an AD CS CA",
            hint="use the form that certutil shows, for example ca01.contoso.com\\Contoso CA 1",
        )


def build_submit_script(
    file_stems: Iterable[str], *, template: str | None, config: str = ""
) -> bytes:
    """Return ``submit.cmd``, a script that submits each request once and retrieves certificates.

    Parameters
    ----------
    file_stems : iterable of str
        n names of files in ``csr`` without ``.csr``; the output files have the same names.
    template, config : str
        Checked by :func:`check_template_name` and :func:`check_ca_config`. A stand-alone CA has no
        template. Without a configuration string, the script asks once for the CA.

    Returns
    -------
    bytes
        ASCII text with CRLF line ends. If the CA has assigned a number to a request, the script
        never submits the request again. Otherwise, it asks for confirmation first.

    Notes
    -----
    Source: Microsoft, certreq (-submit, -retrieve, -attrib, -config). The CSR contains the names,
    so there is no ``SAN:`` attribute.
    """
    if template is not None:
        check_template_name(template)
    check_ca_config(config)
    calls = []
    for stem in file_stems:
        if not _STEM.fullmatch(stem):
            raise OptionsError(
                f"{shown(stem)} is not a valid name for a request file",
                hint="use only the request files that lyncnb wrote",
            )
        calls.append(f'call :request "{stem}"')
    # With delayed expansion, cmd parses the line first, and inserts the user's input afterwards.
    script = (package_files(__package__) / "submit.cmd").read_text(encoding="ascii")
    if template is None:
        script = script.replace(' -attrib "CertificateTemplate:!TEMPLATE!"', "")
        script = script.replace('set "TEMPLATE={template}"\n', "")
    values = {"template": template or "", "config": config, "calls": "\n".join(calls)}
    return _fill_placeholders(script, values).replace("\n", "\r\n").encode("ascii")
