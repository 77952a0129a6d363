"""Read the files in ``products/`` as ``Rules``, and reject unknown entries.

The rules of a product are one file, or a folder of files that form one document. lyncnb rejects
each invalid entry with its place (see ``rule_mistakes``), because a typing error must not become a
name on a certificate.
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

from ..base.arguments import check_type
from ..base.disk.files import read_specified_file
from ..base.records import (
    Placed,
    RecordReader,
    build_key_path,
    describe_value,
    get_position,
    make_named_field,
)
from ..base.toml_text import NotToml, parse_toml
from ..errors import Problem, RulesError
from ..topology.columns import (
    Column,
    Role,
    check_column,
    get_custom_columns,
    register_custom_columns,
    restore_custom_columns,
)
from .extending import extend_product
from .model import (
    CertificateRule,
    CheckRule,
    ClientRule,
    ConnectionRule,
    DestinationRule,
    NameRule,
    PartyRule,
    PortRule,
    RoleRule,
    Rules,
    TrustRule,
    UnseenRule,
    compute_digest_without_texts,
)
from .procedure import load_package_rules, load_procedure
from .rule_mistakes import (
    PRODUCT_NAME,
    check_certificates,
    check_checks,
    check_connections,
    check_destinations,
    check_names,
    check_ports,
    check_roles,
    check_trust_rules,
    check_words,
    list_ids,
)

#: The environment variable that contains the folder with custom products.
FOLDER = "LYNCNB_PRODUCTS"

# The custom product files that were read, by product name.
_custom_products: dict[str, Rules] = {}

# The largest number of characters of an invalid name that a message shows.
_SHOWN = 100

# The maximum size of a product in bytes. A product has about 300 kB, so anything much larger is not
# a product.
_LARGEST = 5_000_000

# The file in a product's folder that contains the name and the title of the product.
_HEAD = "product.toml"


def list_products() -> tuple[str, ...]:
    """Return the names of the built-in products in alphabetical order."""
    return tuple(
        sorted(
            entry.name.removesuffix(".toml")
            for entry in _get_products_folder().iterdir()
            if entry.name.endswith(".toml") or (entry / _HEAD).is_file()
        )
    )


def _get_products_folder() -> Traversable:
    return resources.files(__package__.rpartition(".")[0]) / "products"


def _list_files(product: str) -> dict[str, Traversable]:
    """Return the files of a built-in product by name, for example ``lync2013/roles.toml``."""
    folder = _get_products_folder() / product
    if not folder.is_dir():
        return {f"{product}.toml": _get_products_folder() / f"{product}.toml"}
    files = {file.name: file for file in folder.iterdir() if file.name.endswith(".toml")}
    return {f"{product}/{name}": files[name] for name in sorted(files)}


def read_product_texts(product: str) -> Mapping[str, str]:
    """Read the files of a built-in product, and return the texts by file name."""
    return {name: file.read_text(encoding="utf-8") for name, file in _list_files(product).items()}


def list_product_titles() -> Mapping[str, str]:
    """Return the titles of the built-in products, and of the custom products in use."""
    shipped = {product: _read_title(product) for product in list_products()}
    return {**shipped, **{product: rules.title for product, rules in _custom_products.items()}}


@cache
def _read_title(product: str) -> str:
    """Read the title from the top-level keys, which are above the first table in a file."""
    files = _list_files(product)
    head = files.get(f"{product}/{_HEAD}") or files[f"{product}.toml"]
    return str(parse_toml(head.read_text(encoding="utf-8").partition("\n[")[0])["title"])


def load_rules(product: str | os.PathLike[str] = "lync2013") -> Rules:
    """Load the rules of one product version.

    Parameters
    ----------
    product : str or path, optional
        One of ``products()``, or a custom product file such as ``mine.toml``. After a custom file
        was read, the product name in the file is also accepted. If the file is in the folder that
        ``LYNCNB_PRODUCTS`` names, the product name is enough.

    Returns
    -------
    Rules
        The validated, immutable rules. For a built-in product, the result is cached.

    Raises
    ------
    RulesError
        If the product does not exist, or its file is not valid.

    Notes
    -----
    Tables that are read later may contain the columns and roles that a custom product file adds.
    """
    check_type("load_rules: product", product, str, os.PathLike)
    name = os.fspath(product)
    if name in list_products():
        return _load_product(name)
    if name.endswith(".toml"):
        return _load_custom_rules(Path(name))
    if name in _custom_products:
        return _custom_products[name]
    folder = os.environ.get(FOLDER, "")
    if folder and re.fullmatch(r"[\w-]+", name):
        file = Path(folder) / f"{name}.toml"
        if file.is_file():
            return _load_custom_rules(file)
    raise RulesError(
        f'there are no rules for the product "{name}"',
        hint=f"the known products are {', '.join([*list_products(), *_custom_products])}. To "
        'use your own product, specify FILE.toml. In Python, first run ln.load_rules("FILE.toml"). '
        f"If {FOLDER} is set to the folder of the file, the product name is enough",
    )


def load_recorded_rules(product: str, *, sha256: str = "") -> Rules:
    """Load the rules of a product whose name comes from a file that others may have written.

    Parameters
    ----------
    product : str
        The name of a product, not a path. A file must not decide which other files are opened, and
        on Windows a path can refer to another computer.
    sha256 : str, optional
        The required SHA-256, as in ``Rules.file_sha256``. A blank value accepts any rules.

    Returns
    -------
    Rules
        The rules of the product.

    Raises
    ------
    RulesError
        If the name is not valid, the product does not exist, or its file differs.
    """
    if not PRODUCT_NAME.fullmatch(product):
        raise RulesError(
            f'"{product[:_SHOWN]}" is not a valid product name',
            hint="check the file. To use your own product, specify --product FILE.toml",
        )
    rules = load_rules(product)
    if sha256 and rules.file_sha256 != sha256:
        now = (
            f"the SHA-256 of its file is {rules.file_sha256}"
            if rules.file_sha256
            else "it is a built-in product of lyncnb"
        )
        raise RulesError(
            f'the product "{product}" has changed: {now}, but the folder was created with a file '
            f"that has the SHA-256 {sha256}",
            hint=(
                "compare the two product files first, because the commands in them run on your "
                "servers. Then use the file that the folder was created with, or request the "
                "plan again with the new file: lyncnb request TOPOLOGY FOLDER "
                "--product FILE.toml"
            ),
        )
    return rules


@cache
def _load_product(product: str) -> Rules:
    return parse_rules(read_product_texts(product), source=_get_source_name(product))


def _get_source_name(product: str) -> str:
    """Return the file or folder name of a built-in product, for messages."""
    name, *others = _list_files(product)
    return product if others else name


@cache
def _read_document(product: str) -> Mapping[str, object]:
    """Return the complete document of a built-in product, with the product that it extends."""
    reader = RecordReader(_get_source_name(product))
    document = _merge_with_base(_combine_files(read_product_texts(product), reader), reader)
    if reader.problems:
        raise RulesError(f"{reader.source} contains errors", problems=tuple(reader.problems))
    return document


def _load_custom_rules(path: Path) -> Rules:
    data = read_specified_file(path, limit=_LARGEST, error_class=RulesError)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise RulesError(
            f"{path}: the file is not UTF-8 text", hint="save the file as UTF-8"
        ) from None
    known_before = get_custom_columns()
    rules = parse_rules(text, source=path.name)
    if rules.product in list_products():
        restore_custom_columns(known_before)
        raise RulesError(
            f'the product name in {path.name} is "{rules.product}", which is a built-in product '
            "of lyncnb",
            hint="choose a different product name",
        )
    rules = replace(rules, file_sha256=hashlib.sha256(data).hexdigest(), path=os.fspath(path))
    _custom_products[rules.product] = rules
    return rules


def parse_rules(text: str | Mapping[str, str], *, source: str) -> Rules:
    """Parse the text of a product file, or the texts of a product folder.

    Parameters
    ----------
    text : str or mapping of str to str
        TOML text; a mapping contains texts by file name. The first lines of
        ``products/lync2013/product.toml`` describe the format. ``rules/extending.py`` describes a
        file that extends a built-in product.
    source : str
        The name of the file or folder, for messages.

    Returns
    -------
    Rules
        The validated rules. Every reference exists, and every placeholder and flag is known.

    Raises
    ------
    RulesError
        If the text has mistakes. The error lists each one with its place, for example
        ``certificate[3].source`` (counted from 0, as TOML tools do).
    """
    reader, known_before = RecordReader(source), get_custom_columns()
    texts = {source: text} if isinstance(text, str) else text
    document = _merge_with_base(_combine_files(texts, reader), reader)
    _register_additions(reader, document)
    rules = _build_rules(reader, document)
    if reader.problems:
        restore_custom_columns(known_before)
        raise RulesError(f"{source} contains errors", problems=tuple(reader.problems))
    return replace(rules, sha256=_compute_digest(document))


def _combine_files(texts: Mapping[str, str], reader: RecordReader) -> dict[str, object]:
    """Combine the files of a product into one document whose tables record their source files."""
    documents = {}
    for file, text in texts.items():
        try:
            documents[file] = parse_toml(text)
        except NotToml as error:
            raise RulesError(f"{file}: {error}", hint=error.hint) from None
    # With a single file, every message already contains the name of the file.
    if len(documents) == 1:
        return documents[file]
    combined = Placed({}, "")
    for file, document in documents.items():
        _add_table(combined, document, f"{file}: ", reader)
    return combined


def _add_table(
    document: Placed, table: Mapping[str, object], location: str, reader: RecordReader
) -> None:
    """Merge a table from another file of the product.

    Arrays are joined, and a value that already exists is an error.
    """
    for key, value in table.items():
        path, earlier = build_key_path(location, key), document.get(key)
        if _is_array(value) and (earlier is None or _is_array(earlier)):
            records = [Placed(entry, f"{path}[{n}]") for n, entry in enumerate(value)]
            document[key] = [*(earlier or []), *records]
        elif isinstance(value, Mapping) and isinstance(earlier, Placed | None):
            document[key] = earlier = Placed({}, path) if earlier is None else earlier
            _add_table(earlier, value, path, reader)
        elif earlier is None and (
            document.place == location or not any(map(_is_plain_value, document.values()))
        ):
            document[key], document.place = value, location
        else:
            first = earlier[0] if _is_array(earlier) else earlier
            file = get_position(first, document.place).partition(": ")[0]
            reader.problem(
                f"'{path}' is also in {file}",
                "put all values of a TOML table in one file. Only an array of tables, such as "
                "[[name]], can be split across several files",
            )


def _is_array(value: object) -> TypeGuard[list[Mapping[str, object]]]:
    return isinstance(value, list) and value != [] and all(isinstance(v, Mapping) for v in value)


def _is_plain_value(value: object) -> bool:
    return not isinstance(value, Mapping) and not _is_array(value)


# The tables that planning does not need.
_NOT_PLANNED = frozenset(
    (
        *("title", "words", "cited", "party", "connection", "trust"),
        *("port", "unseen", "pfx", "deploy"),
    )
)


def _compute_digest(document: Mapping[str, object]) -> str:
    """Return the SHA-256 of all values that affect plans and findings. Their order does not matter.

    The digest excludes texts for people (reasons, meanings, sources) and tables that are not needed
    for planning. If they change, an approved plan stays valid.
    """
    return compute_digest_without_texts(
        {key: value for key, value in document.items() if key not in _NOT_PLANNED}
    )


_TABLES = (
    *("product", "title", "role", "name", "certificate", "check", "party", "connection"),
    *("trust", "port", "unseen", "destination", "client", "pfx", "deploy", "topology", "words"),
)


def _merge_with_base(document: dict[str, object], reader: RecordReader) -> dict[str, object]:
    """Merge a document with the built-in product that it extends, if there is one."""
    base = document.get("extends")
    if base is None:
        return document
    if not isinstance(base, str) or base not in list_products() or base == document.get("product"):
        known = [name for name in list_products() if name != document.get("product")]
        reader.problem(
            f"'{build_key_path(get_position(document, ''), 'extends')}' must be another "
            "built-in product, "
            f"not {describe_value(base)}",
            f"the built-in products are: {', '.join(known)}",
        )
        return {key: value for key, value in document.items() if key in _TABLES}
    return extend_product(_read_document(base), _get_source_name(base), document, reader)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Topology:
    """The table ``[topology]`` of a product file, which defines additional roles and columns."""

    columns: tuple[Column, ...] = make_named_field("column", default=())
    roles: tuple[Role, ...] = make_named_field("role", default=())


def _register_additions(reader: RecordReader, document: Mapping[str, object]) -> None:
    """Register the additional columns and roles of a product."""
    before = len(reader.problems)
    additions = reader.record(_Topology, document.get("topology", {}), "topology")
    for index, column in enumerate(additions.columns if additions else ()):
        check_column(reader, f"topology.column[{index}]", column)
    if additions and len(reader.problems) == before:
        register_custom_columns(
            reader, str(document.get("product", "")), additions.columns, additions.roles
        )


def _build_rules(reader: RecordReader, document: Mapping[str, object]) -> Rules:
    names = reader.records(NameRule, document.get("name", []), "name")
    certificates = reader.records(CertificateRule, document.get("certificate", []), "certificate")
    roles = reader.records(RoleRule, document.get("role", []), "role")
    checks = reader.records(CheckRule, document.get("check", []), "check")
    parties = reader.records(PartyRule, document.get("party", []), "party")
    connections = reader.records(ConnectionRule, document.get("connection", []), "connection")
    trusts = reader.records(TrustRule, document.get("trust", []), "trust")
    ports = reader.records(PortRule, document.get("port", []), "port")
    unseen = reader.records(UnseenRule, document.get("unseen", []), "unseen")
    destinations = reader.records(DestinationRule, document.get("destination", []), "destination")
    clients = reader.records(ClientRule, document.get("client", []), "client")
    for records in (
        *(names, certificates, roles, parties, connections, trusts, ports, unseen),
        *(destinations, clients),
    ):
        reader.report_duplicates(records, "id")
    known = {kind: list_ids(document, kind) for kind in ("name", "role", "party", "connection")}
    check_names(reader, names)
    check_certificates(reader, certificates, names, known)
    check_connections(reader, connections, known)
    check_trust_rules(reader, trusts, known)
    check_ports(reader, ports, unseen, known)
    check_destinations(reader, destinations)
    check_roles(reader, roles, parties, known)
    check_checks(reader, checks)
    cited = document.get("cited")
    is_ours = isinstance(
        cited, tuple
    )  # A tuple results only from a merge, and the records in it have already been read.
    location = get_position(document, "")
    reader.reject_unknown_keys(location, document, (*_TABLES, "cited") if is_ours else _TABLES)
    title, product = (
        reader.value(str, document.get(key, ""), build_key_path(location, key), is_required=True)
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
        ports=tuple(ports.values()),
        unseen=tuple(unseen.values()),
        destinations=MappingProxyType({rule.id: rule for rule in destinations.values()}),
        clients=tuple(clients.values()),
        settings=MappingProxyType(
            {key: document[key] for key in ("pfx", "deploy") if key in document}
        ),
        words=_list_replacements(reader, document.get("words", {})),
        cited=cited if isinstance(cited, tuple) else (),
    )
    _check_pfx_and_deploy_tables(reader, rules)
    return rules


def _list_replacements(reader: RecordReader, replacements: object) -> tuple[Mapping[str, str], ...]:
    """Return the word replacements of a product. Those of its base product come first."""
    if isinstance(replacements, list):
        # The texts were validated when the product was merged with its base product.
        return tuple(replacements)
    return (reader.value(Mapping[str, str], replacements, "words") or {},) if replacements else ()


def _check_pfx_and_deploy_tables(reader: RecordReader, rules: Rules) -> None:
    """Validate the pfx and deploy settings of a product early, when the product is loaded."""
    for key, loader in (("pfx", load_package_rules), ("deploy", load_procedure)):
        if key not in rules.settings:
            continue
        try:
            loader(rules)
        except RulesError as error:
            first = Problem(message=error.message, hint=error.hint)
            problems = error.problems or (first,)
            reader.problems.extend(replace(problem, file=reader.source) for problem in problems)
