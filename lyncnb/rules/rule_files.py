"""``products/*.toml`` to ``Rules``: nothing but what the vocabulary knows gets in.

What a product asks of each role is data. This file refuses whatever does not fit its form and
says where: a typo must not become a name on a certificate.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import cache
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from ..base.certificate_fields import EXTENDED_KEY_USAGES
from ..base.files import read_named
from ..base.toml_records import NotToml, TomlReader, named, parse_toml, value_words
from ..errors import Problem, RulesError
from ..topology.columns import Column, Role, check_column, further, put_back, set_further
from .extending import extend
from .model import (
    ISSUERS,
    LAYOUTS,
    OUT_OF_SCOPE,
    PROFILES,
    REACHES,
    SEVERITIES,
    TEMPLATE,
    ZONES,
    CertificateRule,
    CheckRule,
    ConnectionRule,
    NameRule,
    PartyRule,
    RoleRule,
    Rules,
    SummaryCommand,
    TrustRule,
    known_flags,
    placeholders,
)
from .procedure import load_procedure, package_rules

#: Names the folder in which products of one's own are looked for by their names.
FOLDER = "LYNCNB_PRODUCTS"

# Of files of one's own, as they were read last: by the product that each is about.
_own: dict[str, Rules] = {}

# Of a text that is no name, in a message.
_SHOWN = 100

# A rule file has some 200 kB; what is larger is something else.
_LARGEST = 5_000_000


def products() -> tuple[str, ...]:
    """Name the products whose rules the package holds, in alphabetical order."""
    folder = resources.files(__package__.rpartition(".")[0]) / "products"
    return tuple(sorted(f.name[:-5] for f in folder.iterdir() if f.name.endswith(".toml")))


def product_titles() -> Mapping[str, str]:
    """Give the title of each product that the package holds, and of those of one's own in use."""
    shipped = {product: _title(product) for product in products()}
    return {**shipped, **{product: rules.title for product, rules in _own.items()}}


@cache
def _title(product: str) -> str:
    """Read a title from the head of a file: what belongs to no table stands before the first."""
    return str(parse_toml(_text(product).partition("\n[")[0])["title"])


def load_rules(product: str | os.PathLike[str] = "lync2013") -> Rules:
    """Read what one product version asks of each role.

    Parameters
    ----------
    product : str or path, optional
        One of ``products()``; or a file of one's own, ``mine.toml``, from then on also known by
        the name in it. In a folder that the variable ``LYNCNB_PRODUCTS`` names, the name is enough.

    Returns
    -------
    Rules
        Checked and immutable; for a product of the package the same object each time.

    Raises
    ------
    RulesError
        If there is no such product, or its file is wrong.

    Notes
    -----
    Columns and roles that a file of one's own adds are known to whoever reads a table afterwards.
    """
    name = os.fspath(product)
    if name in products():
        return _load(name)
    if name.endswith(".toml"):
        return _load_own(Path(name))
    if name in _own:
        return _own[name]
    folder = os.environ.get(FOLDER, "")
    if folder and re.fullmatch(r"[\w-]+", name):
        file = Path(folder) / f"{name}.toml"
        if file.is_file():
            return _load_own(file)
    raise RulesError(
        f'there are no rules for a product "{name}"',
        hint=f"the products are {', '.join([*products(), *_own])}; one of your own is given as"
        f" FILE.toml, or by name if {FOLDER} names its folder",
    )


def rules_on_record(product: str) -> Rules:
    """Read the rules of a product that a file names, which somebody else may have written.

    Parameters
    ----------
    product : str
        As for :func:`load_rules`, but a name alone: no file decides what else is opened here, and
        on Windows a path can be on another machine.

    Returns
    -------
    Rules
        Of that product.

    Raises
    ------
    RulesError
        If it is no name, or there is no such product.
    """
    if not _PRODUCT.fullmatch(product):
        raise RulesError(
            f'"{product[:_SHOWN]}" is no name of a product',
            hint="was the file altered? A product of one's own is given by --product FILE.toml",
        )
    return load_rules(product)


@cache
def _load(product: str) -> Rules:
    return parse_rules(_text(product), source=f"{product}.toml")


def _text(product: str) -> str:
    file = resources.files(__package__.rpartition(".")[0]) / "products" / f"{product}.toml"
    return file.read_text(encoding="utf-8")


@cache
def _document(product: str) -> Mapping[str, object]:
    """Give the whole document of a product of the package, with what it extends."""
    reader = TomlReader(f"{product}.toml")
    document = _extended(parse_toml(_text(product)), reader)
    if reader.problems:
        raise RulesError(f"{product}.toml has mistakes", problems=tuple(reader.problems))
    return document


def _load_own(path: Path) -> Rules:
    try:
        text = read_named(path, limit=_LARGEST, error=RulesError).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise RulesError(f"{path}: this is not UTF-8 text", hint="save it as UTF-8") from None
    known_before = further()
    rules = parse_rules(text, source=path.name)
    if rules.product in products():
        put_back(known_before)
        raise RulesError(
            f'{path.name} calls its product "{rules.product}", which is one of lyncnb\'s',
            hint="give it a name of its own",
        )
    _own[rules.product] = rules
    return rules


def parse_rules(text: str, *, source: str) -> Rules:
    """Read the text of a rule file.

    Parameters
    ----------
    text : str
        TOML, see the first lines of ``products/lync2013.toml``, and of ``rules/extending.py``
        for a file that extends a product of the package.
    source : str
        Name of the file, for messages.

    Returns
    -------
    Rules
        Checked: every reference resolves, every placeholder and flag is known.

    Raises
    ------
    RulesError
        With every mistake of the file, each with its place, e.g. ``certificate[3].source``
        (counted from 0, as TOML tools do).
    """
    try:
        document = parse_toml(text)
    except NotToml as error:
        raise RulesError(f"{source}: {error}", hint=error.hint) from None
    reader, known_before = TomlReader(source), further()
    document = _extended(document, reader)
    _take_columns(reader, document)
    rules = _rules(reader, document)
    if reader.problems:
        put_back(known_before)
        raise RulesError(f"{source} has mistakes", problems=tuple(reader.problems))
    return replace(rules, sha256=_digest(document))


# Of a name: who needs it, and what breaks; of a file, which documents it cites. No plan is other
# for it, and no approved plan void.
_TOLD_ONLY = ("clients", "without", "cited")


def _digest(document: Mapping[str, object]) -> str:
    """Give the SHA-256 of what rules say: of values, not of comments, order or line ends.

    What is only told of names, and decides nothing, is left out.
    """

    def plain(value: object) -> object:
        return dict(value) if isinstance(value, Mapping) else str(value)

    names = document.get("name")
    deciding = [
        {key: value for key, value in name.items() if key not in _TOLD_ONLY}
        for name in (names if isinstance(names, list) else ())
    ]
    rest = {key: value for key, value in document.items() if key not in _TOLD_ONLY}
    whole = json.dumps({**rest, "name": deciding}, sort_keys=True, default=plain)
    return hashlib.sha256(whole.encode("ascii")).hexdigest()


_TABLES = (
    *("product", "title", "role", "name", "certificate", "check", "party", "connection"),
    *("trust", "summary", "pfx", "deploy", "topology", "words"),
)


def _extended(document: dict[str, object], reader: TomlReader) -> dict[str, object]:
    """Put a document together with the product of the package that it extends, if it does."""
    base = document.get("extends")
    if base is None:
        return document
    if not isinstance(base, str) or base not in products() or base == document.get("product"):
        known = [name for name in products() if name != document.get("product")]
        reader.problem(
            f"'extends' must be another product of lyncnb, not {value_words(base)}",
            f"known: {', '.join(known)}",
        )
        return {key: value for key, value in document.items() if key in _TABLES}
    return extend(_document(base), f"{base}.toml", document, reader)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Topology:
    """The table ``[topology]``: what a product's tables of servers may hold besides."""

    columns: tuple[Column, ...] = named("column", default=())
    roles: tuple[Role, ...] = named("role", default=())


def _take_columns(reader: TomlReader, document: Mapping[str, object]) -> None:
    """Have tables of servers know the columns and roles that a product brings along."""
    before = len(reader.problems)
    found = reader.record(_Topology, document.get("topology", {}), "topology")
    for index, column in enumerate(found.columns if found else ()):
        check_column(reader, f"topology.column[{index}]", column)
    if found and len(reader.problems) == before:
        set_further(reader, str(document.get("product", "")), found.columns, found.roles)


def _rules(reader: TomlReader, document: Mapping[str, object]) -> Rules:
    names = reader.records(NameRule, document.get("name", []), "name")
    certificates = reader.records(CertificateRule, document.get("certificate", []), "certificate")
    roles = reader.records(RoleRule, document.get("role", []), "role")
    checks = reader.records(CheckRule, document.get("check", []), "check")
    parties = reader.records(PartyRule, document.get("party", []), "party")
    connections = reader.records(ConnectionRule, document.get("connection", []), "connection")
    trusts = reader.records(TrustRule, document.get("trust", []), "trust")
    for records in (names, certificates, roles, parties, connections, trusts):
        reader.once(records, "id")
    known = {kind: _ids(document, kind) for kind in ("name", "role", "party", "connection")}
    _check_names(reader, names)
    _check_certificates(reader, certificates, names, known)
    _check_connections(reader, connections, known)
    _check_trusts(reader, trusts, known)
    _check_roles(reader, roles, parties, known)
    check_checks(reader, checks)
    cited = document.get("cited")
    is_ours = isinstance(cited, tuple)  # made where the two were put together
    reader.known("", document, (*_TABLES, "cited") if is_ours else _TABLES)
    title, product = (
        reader.value(str, document.get(key, ""), key, required=True) for key in ("title", "product")
    )
    _check_tokens(reader, product or "", roles, certificates)
    rules = Rules(
        product=product,
        title=title,
        roles=MappingProxyType({role.id: role for role in roles.values()}),
        names=MappingProxyType({name.id: name for name in names.values()}),
        certificates=tuple(certificates.values()),
        checks=MappingProxyType({check.code: check for check in checks.values()}),
        parties=MappingProxyType({party.id: party for party in parties.values()}),
        connections=tuple(connections.values()),
        trusts=tuple(trusts.values()),
        settings=MappingProxyType(
            {key: document[key] for key in ("pfx", "deploy") if key in document}
        ),
        summary=_summary(reader, document.get("summary", {})),
        words=_words(reader, document.get("words", {})),
        cited=cited if isinstance(cited, tuple) else (),
    )
    _check_settings(reader, rules)
    return rules


def _words(reader: TomlReader, words: object) -> tuple[Mapping[str, str], ...]:
    """Give the words of a product in turn: those of what it extends first."""
    if isinstance(words, list):
        return tuple(words)  # read where the two were put together
    return (reader.value(Mapping[str, str], words, "words") or {},) if words else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Summary:
    """The table ``[summary]``."""

    commands: tuple[SummaryCommand, ...] = named("command", default=())


def _summary(reader: TomlReader, table: object) -> tuple[SummaryCommand, ...]:
    summary = reader.record(_Summary, table, "summary")
    return summary.commands if summary else ()


def _check_settings(reader: TomlReader, rules: Rules) -> None:
    """Read the tables that other commands ask for later: a typing error there is told now."""
    for key, read in (("pfx", package_rules), ("deploy", load_procedure)):
        if key not in rules.settings:
            continue
        try:
            read(rules)
        except RulesError as error:
            told = Problem(message=error.message, file=reader.source, hint=error.hint)
            reader.problems.extend(error.problems or (told,))


class _Coded(Protocol):
    """What every kind of check says of itself."""

    @property
    def code(self) -> str:
        """Its code."""

    @property
    def severity(self) -> str:
        """Error, warning or notice."""


class _Dated(Protocol):
    """What holds for a time."""

    @property
    def effective(self) -> date | None:
        """The first day on which it holds; None: always did."""

    @property
    def until(self) -> date | None:
        """The first day on which it holds no more; None: without end."""


def check_checks(reader: TomlReader, checks: Mapping[str, CheckRule]) -> None:
    """Refuse checks that say what no check can say, by their place in the file."""
    check_codes(reader, checks)
    check_periods(reader, checks)
    for where, check in checks.items():
        reader.among(f"{where}.issuers", check.issuers, ISSUERS, "issuer")


def check_codes(reader: TomlReader, checks: Mapping[str, _Coded]) -> None:
    """Refuse codes that are there twice or misspelt, severities and periods that there are not."""
    reader.once(checks, "code")
    for where, check in checks.items():
        reader.among(f"{where}.severity", (check.severity,), SEVERITIES, "severity")
        if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", check.code):
            reader.problem(
                f"'{where}.code' is \"{check.code}\"", hint="write it as words-with-hyphens"
            )


def check_periods(reader: TomlReader, rules: Mapping[str, _Dated]) -> None:
    """Refuse rules that end before they begin, by their place in the file."""
    for where, rule in rules.items():
        if rule.effective and rule.until and rule.effective >= rule.until:
            reader.problem(f"'{where}.until' is not after 'effective'", "leave one of them out")


def _check_names(reader: TomlReader, names: Mapping[str, NameRule]) -> None:
    known, flags = placeholders(), known_flags()
    for where, name in names.items():
        match = TEMPLATE.fullmatch(name.template)
        if match is None:
            reader.problem(
                f"'{where}.template' is \"{name.template}\"",
                hint="lower case letters, digits, '-', '.', and at most one {placeholder}",
            )
        elif match[2]:
            reader.among(f"{where}.template", (match[2],), known, "placeholder")
        for condition in ("if_all", "if_any", "unless"):
            reader.among(f"{where}.{condition}", getattr(name, condition), flags, "flag")


# What becomes a part of file names and scripts: one word, so that it leads nowhere else.
_PRODUCT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9]*")


def _check_tokens(
    reader: TomlReader,
    product: str,
    roles: Mapping[str, RoleRule],
    certificates: Mapping[str, CertificateRule],
) -> None:
    if product and not _PRODUCT.fullmatch(product):
        reader.problem(f"'product' is {value_words(product)}", "letters, digits, '-' and '_'")
    words = {f"{where}.id": role.id for where, role in roles.items()}
    for where, rule in certificates.items():
        words[f"{where}.role"] = rule.role
        words |= {f"{where}.usages[{n}]": usage for n, usage in enumerate(rule.usages)}
    for where, word in words.items():
        if not _WORD.fullmatch(word):
            reader.problem(f"'{where}' is {value_words(word)}", "one word of letters and digits")


def _ids(document: Mapping[str, object], kind: str) -> list[str]:
    """Give the ids of an array's records, also of those that have mistakes of their own."""
    records = document.get(kind, [])
    found = (
        [one.get("id") for one in records if isinstance(one, Mapping)]
        if isinstance(records, list)
        else []
    )
    return sorted(one for one in found if isinstance(one, str))


def _check_certificates(
    reader: TomlReader,
    certificates: Mapping[str, CertificateRule],
    names: Mapping[str, NameRule],
    known: Mapping[str, list[str]],
) -> None:
    name_ids, role_ids, flags = known["name"], known["role"], known_flags()
    for where, rule in certificates.items():
        shared = rule.issue_per == "deployment"
        used = (rule.subject_name, *rule.subject_alt_name)
        ekus = (*rule.extended_key_usage, *sum(rule.extended_key_usage_if.values(), ()))
        for key, values, words, what in (
            ("subject_name", (rule.subject_name,), name_ids, "name"),
            ("subject_alt_name", rule.subject_alt_name, name_ids, "name"),
            ("role", () if shared else (rule.role,), role_ids, "role"),
            ("needed_by", rule.needed_by, role_ids, "role"),
            ("if_all", rule.if_all, flags, "flag"),
            ("extended_key_usage_if", tuple(rule.extended_key_usage_if), flags, "flag"),
            ("extended_key_usage", ekus, EXTENDED_KEY_USAGES, "key usage"),
            ("issuer", (rule.issuer,), ISSUERS, "issuer"),
            ("layout", (rule.layout,), ("", *LAYOUTS), "layout"),
            ("profiles", rule.profiles, PROFILES, "profile"),
            ("issue_per", (rule.issue_per,), OUT_OF_SCOPE, "value"),
        ):
            reader.among(f"{where}.{key}", values, words, what)
        _check_scope(reader, where, rule, [n for n in names.values() if n.id in used])


def _check_scope(
    reader: TomlReader, where: str, rule: CertificateRule, names: list[NameRule]
) -> None:
    """Refuse names that a certificate for many cannot have, e.g. the one server's."""
    for name in names:
        placeholder = name.parts[1]
        if placeholder.startswith(OUT_OF_SCOPE.get(rule.issue_per, ())):
            reader.problem(
                f"'{where}' is issued per {rule.issue_per} and cannot use the name "
                f'"{name.id}" with {{{placeholder}}}'
            )
    if (rule.issue_per == "deployment") != bool(rule.needed_by):
        reader.problem(f"'{where}.needed_by' goes with issue_per = \"deployment\" and only there")


def _check_connections(
    reader: TomlReader,
    connections: Mapping[str, ConnectionRule],
    known: Mapping[str, list[str]],
) -> None:
    roles, speakers, flags = known["role"], known["role"] + known["party"], known_flags()
    for where, rule in connections.items():
        reader.among(f"{where}.speakers", rule.speakers, speakers, "role or party")
        reader.among(f"{where}.listeners", rule.listeners, roles, "role")
        reader.among(f"{where}.names", rule.names, known["name"], "name")
        reader.among(f"{where}.reach", (rule.reach,), REACHES, "reach")
        reader.among(f"{where}.if_all", rule.if_all, flags, "flag")


def _check_trusts(
    reader: TomlReader, trusts: Mapping[str, TrustRule], known: Mapping[str, list[str]]
) -> None:
    for where, rule in trusts.items():
        reader.among(f"{where}.connections", rule.connections, known["connection"], "connection")
        reader.among(f"{where}.roles", rule.roles, known["role"], "role")
        if bool(rule.connections) == bool(rule.roles):
            reader.problem(f"'{where}' is about connections or about roles", "name one of the two")
        for key in ("speaker_eku", "listener_eku"):
            reader.among(f"{where}.{key}", getattr(rule, key), EXTENDED_KEY_USAGES, "usage")


def _check_roles(
    reader: TomlReader,
    roles: Mapping[str, RoleRule],
    parties: Mapping[str, PartyRule],
    known: Mapping[str, list[str]],
) -> None:
    for where, role in roles.items():
        reader.among(f"{where}.hosted_by", role.hosted_by, known["role"], "role")
    zones = {where: role.zone for where, role in roles.items()}
    zones |= {where: party.zone for where, party in parties.items()}
    for where, zone in zones.items():
        reader.among(f"{where}.zone", (zone,), ZONES, "zone")
