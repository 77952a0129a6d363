"""What the CA's administrators read: the page, the summary and the list of names of one part.

The words are data (``authorities/handover_wording.toml``); everything that comes from a topology is
escaped on its way to a page and neutralised on its way to a spreadsheet.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from importlib.resources import files as package_files
from typing import ClassVar

from ..base.certificate_fields import NAMES_HEADING
from ..base.pasted_text import shown
from ..base.planned_entry import PlannedEntry
from ..base.records import RecordReader, Told
from ..base.shown.html_page import render
from ..base.shown.tables import count_of
from ..base.toml_text import NotToml, parse_toml
from ..errors import OptionsError, RulesError
from ..request_folder.generations import ToRevoke
from ..request_folder.request_record import RequestRecord
from ..rules.ca_rules import ca_rules

COLUMNS = (
    *("Request", "Role", "Site", "Pool", "Servers", "Type", "Subject name"),
    *(NAMES_HEADING, "Names", "EKU", "Key", "Hash", "CSR file", "SHA-256 of the CSR"),
    "No.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part(Told):
    r"""The requests for one CA under one template.

    ``issuer`` is internal or public, ``ca`` the CA's name where one was given, ``folder`` the
    part's place inside the package. ``template`` and ``config`` (``host\CA name``) are those of
    an AD CS CA; ``config`` is empty where ``submit.cmd`` asks for it. ``revoke`` are certificates
    that the CA is to revoke now.
    """

    told: ClassVar = (
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
    config: str = ""
    revoke: tuple[ToRevoke, ...] = ()


def part_folder(issuer: str, ca: str, taken: Container[str]) -> str:
    """Name the folder of a part inside the package, safe on Windows and not in `taken`."""
    slug = re.sub(r"[^a-z0-9]+", "-", ca.casefold()).strip("-")[:60]
    name = f"{issuer}-{slug}" if slug else issuer
    number = 1
    while name in taken:
        number += 1
        name = f"{name.rsplit('_', 1)[0]}_{number}"
    return name


def request_rows(records: Iterable[RequestRecord]) -> Iterator[tuple[object, ...]]:
    """Yield one row per request, fifteen values as :data:`COLUMNS` names them."""
    for record in records:
        plan = record.plan
        subject = ", ".join(f"{name}={value}" for name, value in plan.subject.items())
        yield (
            *(record.id, plan.role, plan.site, plan.pool, plan.servers),
            *(plan.usages, subject, plan.san, len(plan.san)),
            *(plan.eku, _key_text(plan)),
            *(plan.hash, record.files.csr, record.csr_sha256, record.number or ""),
        )


def _key_text(plan: PlannedEntry) -> str:
    return f"{plan.key.algorithm} {plan.key.bits}" if plan.key else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """What the page says to the people of one kind of CA.

    ``submit_asks`` and ``submit_names`` say where the requests go: one of them is a step's
    ``{target}``. ``before`` is what the template and the CA must give, ``replaced`` what becomes of
    the certificates that these replace, ``compromised`` how one is revoked at once.
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
    compromised: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wordings:
    """What ``handover_wording.toml`` holds."""

    internal: Wording
    public: Wording

    def of(self, issuer: str) -> Wording:
        """Return the words for a kind of CA."""
        return self.public if issuer == "public" else self.internal


def parse_wordings(text: str) -> Wordings:
    """Read the text of ``handover_wording.toml``.

    Raises
    ------
    RulesError
        With every mistake, e.g. of ``internal.steps``.
    """
    name = "handover_wording.toml"
    try:
        reader = RecordReader(name)
        wordings = reader.record(Wordings, parse_toml(text))
    except NotToml as error:
        raise RulesError(f"{name}: {error}", hint=error.hint) from None
    if wordings is None:
        raise RulesError(f"{name} has errors", problems=tuple(reader.problems))
    return wordings


@cache
def _wordings() -> Wordings:
    path = package_files(__package__) / "handover_wording.toml"
    return parse_wordings(path.read_text(encoding="utf-8"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Cover:
    """Who sends the requests, until when the certificates are needed, and for what product.

    ``rolled`` are the usages whose old certificate stays in use beside the new one. ``today`` is
    the day from which on the limits count that the page names; left out, that of the CA rules.
    """

    sender: str = ""
    needed_by: date | None = None
    today: date | None = None
    product: str = ""
    rolled: frozenset[str] = frozenset()
    said: Callable[[str], str] = str  # a note in the product's own words
    source: Callable[[str], str] = str  # a source, by the product's own document


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestLine:
    """One request as the page shows it."""

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
    """A request that was superseded before the CA issued a certificate for it."""

    request: str
    sha256: str
    day: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplacedLine:
    """A certificate of an earlier generation, and what is to become of it."""

    request: str
    serial: str
    valid_until: str
    what: str


def part_page(part: Part, *, cover: Cover) -> str:
    """Write the page for a CA's people: from whom, what to do, every request, what to send back.

    Parameters
    ----------
    part : Part
        n requests of one CA.
    cover : Cover
        Sender, date and product.

    Returns
    -------
    str
        An HTML page that needs no other file.
    """
    words = _wordings().of(part.issuer)
    today = cover.today or ca_rules().as_of
    filled = {
        "template": part.template,
        "requests": count_of(len(part.requests), "certificate request"),
        "product": cover.product,
        "config": part.config or r"HOST\CA NAME",
        "lifetimes": _lifetimes(part.ca, today),
        "wildcards": _wildcards(today),
    }
    filled["target"] = _filled(words.submit_names if part.config else words.submit_asks, filled)
    acme = {"title": words.acme_title, "steps": words.acme}
    return render(
        "authorities/handover.html.j2",
        title=_title(part, words),
        sender=cover.sender,
        needed_by=cover.needed_by,
        product=cover.product,
        sites=list(dict.fromkeys(r.plan.site for r in part.requests if r.plan.site)),
        intro=[_filled(line, filled) for line in words.intro],
        before=[cover.said(_filled(line, filled)) for line in words.before],
        steps=[_filled(step, filled) for step in words.steps],
        others=[acme] if words.acme else [],
        back=[_filled(line, filled) for line in words.back],
        rows=[_request_line(record, words, filled) for record in part.requests],
        revoke=[_revoke_line(one, words, filled) for one in part.revoke],
        withdrawn=list(_withdrawn(part.requests)),
        replaced=[_filled(line, filled) for line in words.replaced],
        old=list(_replaced(part.requests, words, filled, cover.rolled)),
        notes=[cover.said(_filled(note, filled)) for note in words.notes],
        sources=list(dict.fromkeys(map(cover.source, words.sources))),
    )


def _title(part: Part, words: Wording) -> str:
    title = words.title if part.requests else "Certificates to revoke now"
    return f"{title}: {part.ca}" if part.ca else title


def _revoke_line(one: ToRevoke, words: Wording, filled: Mapping[str, str]) -> ReplacedLine:
    how = _filled(words.compromised, {**filled, "serial": one.serial})
    return ReplacedLine(
        request=one.request_id,
        serial=one.serial,
        valid_until=one.not_after[:10],
        what=f"{one}. {how}",
    )


def _withdrawn(records: Iterable[RequestRecord]) -> Iterator[WithdrawnLine]:
    """Yield the requests that were given up while they may have been with the CA."""
    for record in records:
        for old in reversed(record.archived):
            if old.issued is None and old.csr_sha256 and not old.purged_at:
                yield WithdrawnLine(
                    request=record.id, sha256=old.csr_sha256, day=old.superseded_at[:10]
                )


def _lifetimes(ca: str, today: date) -> str:
    """Say how long a public certificate may be valid, from a day on."""
    rules = ca_rules()
    steps = [(day, limit.value) for day, limit in rules.smallest("validity-days", ca=ca) if limit]
    days = max((day, value) for day, value in steps if day <= today)[1]
    words = f"A certificate is valid for at most {days} days"
    for day, value in steps:
        if day > today and value != days:
            days = value
            words += f", or at most {value} days if it is issued on {day} or later"
    return f"{words}."


def _wildcards(today: date) -> str:
    """Say which methods a public CA may use to validate a wildcard, from a day on."""
    last: dict[str, date] = {}
    for method in ca_rules().methods:
        end = method.until or date.max
        if not method.only_the_name_itself and end > today:
            last[method.by] = max(end - timedelta(days=1), last.get(method.by, date.min))
    always = date.max - timedelta(days=1)
    latest_first = sorted(last.items(), key=lambda item: (-item[1].toordinal(), item[0]))
    words = [by if end == always else f"{by} until {end}" for by, end in latest_first]
    return f"A wildcard name can be validated by {', '.join(words[:-1])} or {words[-1]}."


def _replaced(
    records: Iterable[RequestRecord],
    words: Wording,
    filled: Mapping[str, str],
    rolled: frozenset[str],
) -> Iterator[ReplacedLine]:
    """Yield the certificates of earlier generations, the latest of each request first."""
    for record in records:
        for old in reversed(record.archived):
            if old.issued is not None and old.revocation is None:
                text = words.revoke if rolled.isdisjoint(record.plan.usages) else words.keep
                yield ReplacedLine(
                    request=record.id,
                    serial=old.issued.serial,
                    valid_until=old.issued.not_after[:10],
                    what=_filled(text, {**filled, "serial": old.issued.serial}),
                )


def _request_line(record: RequestRecord, words: Wording, filled: Mapping[str, str]) -> RequestLine:
    plan = record.plan
    subject = ", ".join(f"{name}={value}" for name, value in plan.subject.items())
    asked = words.validity_asked.replace("{days}", f"{record.validity_days:,}")
    values = {
        **filled,
        "names": "one name" if len(plan.san) == 1 else f"{len(plan.san)} names",
        "eku": ", ".join(plan.eku),
        "key": _key_text(plan),
        "hash": plan.hash,
        "validity": asked if record.validity_days else words.validity_open,
    }
    how = [_filled(line, values) for line in words.how]
    if any(name.startswith("*.") for name in (*plan.san, plan.common_name)):
        how.append(words.how_wildcard)
    if "clientAuth" in plan.eku:
        how.append(words.how_client)
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


def _filled(text: str, values: Mapping[str, str]) -> str:
    for name, value in values.items():
        text = text.replace("{" + name + "}", value)
    return text


def name_lines(records: Iterable[RequestRecord]) -> bytes:
    """List the names of each request on one line, to be pasted into a portal."""
    lines = [
        f"{f'No. {record.number}: ' if record.number else ''}{record.files.csr}\r\n"
        f"{', '.join(record.plan.san)}\r\n"
        for record in records
    ]
    return "\r\n".join(lines).encode()


# The submission lines for AD CS, as a batch file that can be read before it is run.
#
# The boundary for text on its way to a Windows command line: certreq splits ``-attrib`` at a
# literal ``\n``, so a template's name could smuggle in attributes of its own, and cmd expands
# ``%`` even between quotes. Only plain letters, digits and a few signs pass.

_TEMPLATE = re.compile(r"[A-Za-z0-9 ._-]{1,64}")
# The display name of the template that every AD CS has, and the name that certreq takes. Display
# names are unique in a forest, so no template of one's own has it.
_DISPLAY_NAMES = {"web server": "WebServer"}
_CONFIG = re.compile(r"[A-Za-z0-9.-]{1,255}\\[A-Za-z0-9 ._()-]{1,64}")
_STEM = re.compile(r"[A-Za-z0-9-]{1,200}")


def check_template(template: str) -> None:
    """Reject a template name that could be anything else on a command line.

    Raises
    ------
    OptionsError
        Unless it is made of letters, digits, blanks, dots, underscores and hyphens; or if it is
        the display name of a template whose name is another one.
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
            hint="use the template's name, not its display name, e.g. WebServer",
        )


_LONGEST_SENDER = 200


def check_sender(sender: str) -> None:
    """Reject a sender that is not one line of text.

    Raises
    ------
    OptionsError
        If it has a line break or another control character, or is longer than 200 characters.
    """
    if len(sender) > _LONGEST_SENDER or not all(sign.isprintable() for sign in sender):
        raise OptionsError(
            f"{shown(sender)} is not a valid sender",
            hint="use one line of text, e.g. Ana Li, Contoso IT, ana@contoso.com",
        )


def check_config(config: str) -> None:
    r"""Refuse a CA's configuration string that is not ``host\CA name``; empty is good.

    Raises
    ------
    OptionsError
        If a sign in it means something to cmd or certreq.
    """
    if config and not _CONFIG.fullmatch(config):
        raise OptionsError(
            f"{shown(config)} is not a valid configuration string of an AD CS CA",
            hint="use the form that certutil shows, e.g. ca01.contoso.com\\Contoso Issuing CA 1",
        )


def submit_script(stems: Iterable[str], *, template: str, config: str = "") -> bytes:
    """Write ``submit.cmd``: submits each request once, and fetches what is issued later.

    Parameters
    ----------
    stems : iterable of str
        n names of files in ``csr`` without ``.csr``; the answers are called the same.
    template, config : str
        Checked by :func:`check_template` and :func:`check_config`. Without a configuration
        string the script asks for the CA, once.

    Returns
    -------
    bytes
        ASCII with CRLF. A request with a number at the CA is never submitted again; one whose
        submission gave no number only after a question.

    Notes
    -----
    Source: Microsoft, certreq (-submit, -retrieve, -attrib, -config). The names travel inside the
    CSR, so there is no ``SAN:`` attribute.
    """
    check_template(template)
    check_config(config)
    calls = []
    for stem in stems:
        if not _STEM.fullmatch(stem):
            raise OptionsError(
                f"{shown(stem)} is not a valid name for a request file",
                hint="use only the request files that lyncnb wrote",
            )
        calls.append(f'call :request "{stem}"')
    # What a person types is expanded only after its line is parsed (delayed expansion).
    script = (package_files(__package__) / "submit.cmd").read_text(encoding="ascii")
    values = {"template": template, "config": config, "calls": "\n".join(calls)}
    return _filled(script, values).replace("\n", "\r\n").encode("ascii")
