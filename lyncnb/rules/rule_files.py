"""Read ``products/`` as ``Rules``, and accept only the known vocabulary.

The rules of a product are data: one file, or a folder of files that form one document. lyncnb
rejects each invalid entry with its place (``rule_mistakes``), because a typo must not become a name
on a certificate.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from types import MappingProxyType
from typing import TypeGuard

from ..base.disk.files import read_named
from ..base.records import Placed, RecordReader, inside, named, place_of, value_words
from ..base.toml_text import NotToml, parse_toml
from ..errors import Problem, RulesError
from ..topology.columns import Column, Role, check_column, further, put_back, set_further
from .extending import extend
from .model import (
    CertificateRule,
    CheckRule,
    ClientRule,
    ConnectionRule,
    NameRule,
    PartyRule,
    RoleRule,
    Rules,
    TrustRule,
    digest_of_deciding,
)
from .procedure import load_procedure, package_rules
from .rule_mistakes import (
    PRODUCT_NAME,
    check_certificates,
    check_checks,
    check_connections,
    check_names,
    check_roles,
    check_trusts,
    check_words,
    ids_in,
)

#: The environment variable with the folder of custom products.
FOLDER = "LYNCNB_PRODUCTS"

# The custom files as last read, by product.
_own: dict[str, Rules] = {}

# Maximum number of characters of an invalid name in a message.
_SHOWN = 100

# A product has about 300 kB; a much larger file is something else.
_LARGEST = 5_000_000

# The file with name and title in the folder of a product.
_HEAD = "product.toml"


def products() -> tuple[str, ...]:
    """List the built-in products, in alphabetical order."""
    return tuple(
        sorted(
            entry.name.removesuffix(".toml")
            for entry in _shipped().iterdir()
            if entry.name.endswith(".toml") or (entry / _HEAD).is_file()
        )
    )


def _shipped() -> Traversable:
    return resources.files(__package__.rpartition(".")[0]) / "products"


def _files(product: str) -> dict[str, Traversable]:
    """Return the files of a built-in product by name, e.g. ``lync2013/roles.toml``."""
    folder = _shipped() / product
    if not folder.is_dir():
        return {f"{product}.toml": _shipped() / f"{product}.toml"}
    files = {file.name: file for file in folder.iterdir() if file.name.endswith(".toml")}
    return {f"{product}/{name}": files[name] for name in sorted(files)}


def product_texts(product: str) -> Mapping[str, str]:
    """Read the files of a built-in product: each text by its file name."""
    return {name: file.read_text(encoding="utf-8") for name, file in _files(product).items()}


def product_titles() -> Mapping[str, str]:
    """Return the titles of the built-in products, and of the custom ones in use."""
    shipped = {product: _title(product) for product in products()}
    return {**shipped, **{product: rules.title for product, rules in _own.items()}}


@cache
def _title(product: str) -> str:
    """Read the title from the top-level keys, which precede the first table of a file."""
    files = _files(product)
    head = files.get(f"{product}/{_HEAD}") or files[f"{product}.toml"]
    return str(parse_toml(head.read_text(encoding="utf-8").partition("\n[")[0])["title"])


def load_rules(product: str | os.PathLike[str] = "lync2013") -> Rules:
    """Read the rules of one product version.

    Parameters
    ----------
    product : str or path, optional
        One of ``products()``; or a custom file, ``mine.toml``, which is then also known by the name
        in it. For a file in the folder of the variable ``LYNCNB_PRODUCTS``, the name is enough.

    Returns
    -------
    Rules
        Checked and immutable; for a built-in product the same object each time.

    Raises
    ------
    RulesError
        If the product does not exist, or its file is invalid.

    Notes
    -----
    Tables that are read later may contain the columns and roles that a custom file adds.
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
        hint=f"the products are {', '.join([*products(), *_own])}; use your own product as"
        f" FILE.toml, or by its name if {FOLDER} is set to its folder",
    )


def rules_on_record(product: str, *, sha256: str = "") -> Rules:
    """Read the rules of the product in a file, which may be from somebody else.

    Parameters
    ----------
    product : str
        As for :func:`load_rules`, but only a name: a file must not decide which other files are
        opened, and on Windows a path can be on another computer.
    sha256 : str, optional
        The required SHA-256, as ``Rules.file_sha256``; blank accepts any.

    Returns
    -------
    Rules
        The rules of the product.

    Raises
    ------
    RulesError
        If it is not a name, the product does not exist, or its file differs.
    """
    if not PRODUCT_NAME.fullmatch(product):
        raise RulesError(
            f'"{product[:_SHOWN]}" is not a product name',
            hint="check the file. Use your own product with --product FILE.toml",
        )
    rules = load_rules(product)
    if sha256 and rules.file_sha256 != sha256:
        now = f"SHA-256 {rules.file_sha256}" if rules.file_sha256 else "a product of lyncnb"
        raise RulesError(
            f'the product "{product}" is {now}; the folder was made with SHA-256 {sha256}',
            hint="its commands run on servers: compare the two files. Use the file that the"
            " folder was made with, or request the plan again with the new file: lyncnb request"
            " TOPOLOGY FOLDER --product FILE.toml",
        )
    return rules


@cache
def _load(product: str) -> Rules:
    return parse_rules(product_texts(product), source=_source(product))


def _source(product: str) -> str:
    """Return the name of a built-in product's file or folder, for messages."""
    name, *others = _files(product)
    return product if others else name


@cache
def _whole(product: str) -> Mapping[str, object]:
    """Return the complete document of a built-in product, including the one that it extends."""
    reader = RecordReader(_source(product))
    document = _extended(_put_together(product_texts(product), reader), reader)
    if reader.problems:
        raise RulesError(f"{reader.source} has mistakes", problems=tuple(reader.problems))
    return document


def _load_own(path: Path) -> Rules:
    data = read_named(path, limit=_LARGEST, error=RulesError)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise RulesError(f"{path}: this is not UTF-8 text", hint="save it as UTF-8") from None
    known_before = further()
    rules = parse_rules(text, source=path.name)
    if rules.product in products():
        put_back(known_before)
        raise RulesError(
            f'{path.name} has the product name "{rules.product}", which is a product of lyncnb',
            hint="give it another name",
        )
    rules = replace(rules, file_sha256=hashlib.sha256(data).hexdigest())
    _own[rules.product] = rules
    return rules


def parse_rules(text: str | Mapping[str, str], *, source: str) -> Rules:
    """Read the text of a rule file, or the texts of a folder.

    Parameters
    ----------
    text : str or mapping of str to str
        TOML, see the first lines of ``products/lync2013/product.toml``, and of
        ``rules/extending.py`` for a file that extends a built-in product. A mapping contains texts
        by file name.
    source : str
        Name of the file or folder, for messages.

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
    reader, known_before = RecordReader(source), further()
    texts = {source: text} if isinstance(text, str) else text
    document = _extended(_put_together(texts, reader), reader)
    _take_columns(reader, document)
    rules = _rules(reader, document)
    if reader.problems:
        put_back(known_before)
        raise RulesError(f"{source} has mistakes", problems=tuple(reader.problems))
    return replace(rules, sha256=_digest(document))


def _put_together(texts: Mapping[str, str], reader: RecordReader) -> dict[str, object]:
    """Read the files of a product as one document, whose tables keep their file names."""
    documents = {}
    for file, text in texts.items():
        try:
            documents[file] = parse_toml(text)
        except NotToml as error:
            raise RulesError(f"{file}: {error}", hint=error.hint) from None
    if len(documents) == 1:  # every message already names the file
        return documents[file]
    whole = Placed({}, "")
    for file, document in documents.items():
        _add(whole, document, f"{file}: ", reader)
    return whole


def _add(whole: Placed, table: Mapping[str, object], where: str, reader: RecordReader) -> None:
    """Merge the table of another file: arrays are joined, a plain value may be in one file only."""
    for key, value in table.items():
        path, earlier = inside(where, key), whole.get(key)
        if _is_array(value) and (earlier is None or _is_array(earlier)):
            records = [Placed(entry, f"{path}[{n}]") for n, entry in enumerate(value)]
            whole[key] = [*(earlier or []), *records]
        elif isinstance(value, Mapping) and isinstance(earlier, Placed | None):
            whole[key] = earlier = Placed({}, path) if earlier is None else earlier
            _add(earlier, value, path, reader)
        elif earlier is None and (whole.place == where or not any(map(_is_plain, whole.values()))):
            whole[key], whole.place = value, where
        else:
            first = earlier[0] if _is_array(earlier) else earlier
            file = place_of(first, whole.place).partition(": ")[0]
            reader.problem(
                f"'{path}' conflicts with the content of {file}",
                "put the values of a table in one file; arrays such as [[name]] can be in several",
            )


def _is_array(value: object) -> TypeGuard[list[Mapping[str, object]]]:
    return isinstance(value, list) and value != [] and all(isinstance(v, Mapping) for v in value)


def _is_plain(value: object) -> bool:
    return not isinstance(value, Mapping) and not _is_array(value)


# The tables for work after planning and for display.
_NOT_PLANNED = frozenset(
    (
        *("title", "words", "cited", "party", "connection", "trust"),
        *("pfx", "deploy"),
    )
)


def _digest(document: Mapping[str, object]) -> str:
    """Return the SHA-256 of the values that decide a plan and its findings, in any order.

    It excludes texts for people (reasons, meanings, sources) and the tables for work after
    planning, so that their changes do not invalidate an approved plan.
    """
    return digest_of_deciding(
        {key: value for key, value in document.items() if key not in _NOT_PLANNED}
    )


_TABLES = (
    *("product", "title", "role", "name", "certificate", "check", "party", "connection"),
    *("trust", "client", "pfx", "deploy", "topology", "words"),
)


def _extended(document: dict[str, object], reader: RecordReader) -> dict[str, object]:
    """Merge a document with the built-in product that it extends, if any."""
    base = document.get("extends")
    if base is None:
        return document
    if not isinstance(base, str) or base not in products() or base == document.get("product"):
        known = [name for name in products() if name != document.get("product")]
        reader.problem(
            f"'{inside(place_of(document, ''), 'extends')}' must be another product of lyncnb,"
            f" not {value_words(base)}",
            f"known: {', '.join(known)}",
        )
        return {key: value for key, value in document.items() if key in _TABLES}
    return extend(_whole(base), _source(base), document, reader)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Topology:
    """The table ``[topology]``: additional roles and columns of a product's tables of servers."""

    columns: tuple[Column, ...] = named("column", default=())
    roles: tuple[Role, ...] = named("role", default=())


def _take_columns(reader: RecordReader, document: Mapping[str, object]) -> None:
    """Register the additional columns and roles of a product."""
    before = len(reader.problems)
    additions = reader.record(_Topology, document.get("topology", {}), "topology")
    for index, column in enumerate(additions.columns if additions else ()):
        check_column(reader, f"topology.column[{index}]", column)
    if additions and len(reader.problems) == before:
        set_further(reader, str(document.get("product", "")), additions.columns, additions.roles)


def _rules(reader: RecordReader, document: Mapping[str, object]) -> Rules:
    names = reader.records(NameRule, document.get("name", []), "name")
    certificates = reader.records(CertificateRule, document.get("certificate", []), "certificate")
    roles = reader.records(RoleRule, document.get("role", []), "role")
    checks = reader.records(CheckRule, document.get("check", []), "check")
    parties = reader.records(PartyRule, document.get("party", []), "party")
    connections = reader.records(ConnectionRule, document.get("connection", []), "connection")
    trusts = reader.records(TrustRule, document.get("trust", []), "trust")
    clients = reader.records(ClientRule, document.get("client", []), "client")
    for records in (names, certificates, roles, parties, connections, trusts, clients):
        reader.once(records, "id")
    known = {kind: ids_in(document, kind) for kind in ("name", "role", "party", "connection")}
    check_names(reader, names)
    check_certificates(reader, certificates, names, known)
    check_connections(reader, connections, known)
    check_trusts(reader, trusts, known)
    check_roles(reader, roles, parties, known)
    check_checks(reader, checks)
    cited = document.get("cited")
    is_ours = isinstance(cited, tuple)  # created when the two documents were merged
    where = place_of(document, "")
    reader.known(where, document, (*_TABLES, "cited") if is_ours else _TABLES)
    title, product = (
        reader.value(str, document.get(key, ""), inside(where, key), required=True)
        for key in ("title", "product")
    )
    check_words(reader, product or "", roles, certificates)
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
        clients=tuple(clients.values()),
        settings=MappingProxyType(
            {key: document[key] for key in ("pfx", "deploy") if key in document}
        ),
        words=_replacements(reader, document.get("words", {})),
        cited=cited if isinstance(cited, tuple) else (),
    )
    _check_settings(reader, rules)
    return rules


def _replacements(reader: RecordReader, words: object) -> tuple[Mapping[str, str], ...]:
    """Return the words of a product in order, those of the extended product first."""
    if isinstance(words, list):
        return tuple(words)  # read when the two documents were merged
    return (reader.value(Mapping[str, str], words, "words") or {},) if words else ()


def _check_settings(reader: RecordReader, rules: Rules) -> None:
    """Validate the tables that other commands need later, to report errors now."""
    for key, read in (("pfx", package_rules), ("deploy", load_procedure)):
        if key not in rules.settings:
            continue
        try:
            read(rules)
        except RulesError as error:
            first = Problem(message=error.message, hint=error.hint)
            problems = error.problems or (first,)
            reader.problems.extend(replace(problem, file=reader.source) for problem in problems)
