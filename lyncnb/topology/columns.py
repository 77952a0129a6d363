"""Define the columns in a topology table, and the spellings of roles.

All code that reads, edits, or shows the table uses this module. No other module contains headings
or aliases.
"""

from __future__ import annotations

import difflib
import functools
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..base.records import RecordReader, describe_value, make_named_field
from ..base.shown.languages import LANGUAGES, translate_title
from ..base.toml_text import NotToml, parse_toml
from ..errors import RulesError

_DATA = Path(__file__).with_name("column_rules.toml")
# The minimum similarity of a heading. A heading of 6 letters may have 1 wrong letter, and a heading
# of 14 letters may have 2, but "notes" does not match "site".
_NEARLY = 0.85
_NEAR_ROLE, _ONE_ROLE = 0.5, 0.75  # The similarity of a role to offer, and of the only one.
# What says nothing about a role at the end of a normalized role, or at its start in French.
_ANY_SERVER = re.compile(r"(?:servers?|srv|pool)\Z|\Aserveurs?(?:de)?")
_SCOPES = ("server", "pool", "site", "deployment")
_KINDS = (
    *("fqdn", "fqdn_list", "fqdn_list_by_usage", "url", "url_list", "bool", "text", "role"),
    *("choice", "issuer"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column in the topology table.

    ``scope`` is ``server``, ``pool``, ``site`` (for the deployment, or different for each site), or
    ``deployment``. ``kind`` is ``fqdn``, ``fqdn_list``, ``fqdn_list_by_usage``, ``url``,
    ``url_list``, ``bool``, ``text``, ``role``, ``choice``, or ``issuer``. ``roles`` lists the roles
    that use the column; if empty, all roles do. With ``or_pool_name``, a blank cell means the pool
    name. ``title``, ``help``, and ``example`` are for users.
    """

    name: str
    title: str
    scope: str
    kind: str
    help: str
    example: str = ""
    default: str = ""
    roles: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    variants: tuple[str, ...] = ()
    choice_aliases: Mapping[str, str] = field(default_factory=dict, hash=False)
    dropped: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    last_aliases: tuple[str, ...] = ()
    wildcard: bool = False
    single_label: bool = False
    required: bool = False
    or_pool_name: bool = False

    @property
    def is_list(self) -> bool:
        """Whether a cell can contain several values."""
        return self.kind in ("fqdn_list", "fqdn_list_by_usage", "url_list")

    def is_used_by(self, role: str) -> bool:
        """Return whether the column applies to servers with a role."""
        return not self.roles or role in self.roles


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """A server role that the topology table can contain.

    ``certificates`` is False for a role that needs no certificate. Servers with a ``partner`` role
    are
    not part of the Lync topology, so they can also have other roles in other pools.
    """

    id: str
    title: str
    aliases: tuple[str, ...] = ()
    certificates: bool = True
    partner: bool = False


def list_topology_columns() -> tuple[Column, ...]:
    """Return the columns that lyncnb supports, in the order in which it writes them."""
    return tuple(_list_columns().values())


def list_topology_roles() -> tuple[Role, ...]:
    """Return the roles that the table can contain, in the order in which pools are sorted."""
    return tuple(_list_roles().values())


def get_column(name: str) -> Column:
    """Return the column with the given name. Aliases are not allowed."""
    return _list_columns()[name]


def get_example_server() -> str:
    """Return the template's example server, which identifies the example row in a table."""
    return get_column("server_fqdn").example


def list_pool_name_columns() -> tuple[Column, ...]:
    """Return the columns that contain host names of a pool.

    Rules use the names of these columns as placeholders.
    """
    return tuple(
        c for c in list_topology_columns() if c.scope == "pool" and c.kind.startswith("fqdn")
    )


def list_flag_columns() -> tuple[Column, ...]:
    """Return the yes/no columns of pools. Rules use the names of these columns as flags."""
    return tuple(c for c in list_topology_columns() if c.scope == "pool" and c.kind == "bool")


def map_role_positions() -> Mapping[str, int]:
    """Return the position of each role in the order in which pools are sorted."""
    return _number_roles()


def find_role(text: str) -> str | None:
    """Return the ID of a role from its ID or an alias. For an unknown role, return None."""
    return map_role_spellings().get(normalize_heading(text))


def find_nearest_roles(text: str) -> tuple[tuple[str, ...], bool]:
    """Return the roles that an unknown text can mean, and whether the first one is certain."""
    # "FE Servers" is a Front End Server. Letter by letter, it is nearest to a file server.
    key = _ANY_SERVER.sub("", normalize_heading(text))
    if role := find_role(key):
        return (role,), True
    spellings = map_role_spellings()
    # Some planners write all roles of a server, or several names of one role, into the cell.
    parts = [find_role(part) for part in re.split(r"[/,;+&|]", text)]
    named = list(dict.fromkeys(role for role in parts if role))
    near = difflib.get_close_matches(key, spellings, n=9, cutoff=_NEAR_ROLE)
    certain = {spellings[k] for k in difflib.get_close_matches(key, near, n=9, cutoff=_ONE_ROLE)}
    if len(certain) == 1 and not named:
        return tuple(certain), True
    return tuple(dict.fromkeys([*named, *(spellings[k] for k in near)])), len(named) == 1


def normalize_heading(text: str) -> str:
    """Normalize a heading or role.

    Letter case, spaces, ``_``, ``-``, and full width are ignored.
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    # Find the characters to remove in the set of distinct characters. This is fast even if a file
    # is not a table and has one very long heading.
    without = {
        c for c in set(folded) if c in "_-" or c.isspace() or unicodedata.category(c) == "Cf"
    }
    return folded.translate(dict.fromkeys(map(ord, without)))


def find_column_names(headings: Iterable[str]) -> tuple[str, ...]:
    """Return the column name for each heading of a table.

    Parameters
    ----------
    headings : iterable of str
        n headings as in the table.

    Returns
    -------
    tuple of str
        n names. A heading without a known column is unchanged. If two headings mean the same
        column,
        its name appears twice.
    """
    headings = list(headings)
    by_key = _map_headings_to_columns()
    keys = [normalize_heading(heading) for heading in headings]
    names = [by_key.get(key) for key in keys]
    for index, key in enumerate(keys):
        if names[index] is None:
            candidates = _map_last_aliases_to_columns().get(key, ())
            names[index] = next((name for name in candidates if name not in names), None)
    return tuple(name or heading for name, heading in zip(names, headings))


def find_nearest_column(heading: str) -> str | None:
    """Return the column with a similar heading, such as ``autologon`` for ``autlogon``."""
    keys = {
        **{key: names[0] for key, names in _map_last_aliases_to_columns().items()},
        **_map_headings_to_columns(),
    }
    return _find_nearest(heading, keys)


def find_misspelled_column(name: str) -> str | None:
    """Return the column whose name is almost the given name, such as ``role`` for ``rolle``.

    Other headings of a column do not count: ``server_os`` is not a misspelled ``server``.
    """
    names = {normalize_heading(column.name): column.name for column in list_topology_columns()}
    is_heading = find_column_names([name])[0] in names.values()
    return None if is_heading else _find_nearest(name, names)


def _find_nearest(heading: str, names: Mapping[str, str]) -> str | None:
    # Other languages have the same word with accents, such as the French "Rôle".
    letters = unicodedata.normalize("NFD", heading)
    plain = "".join(letter for letter in letters if not unicodedata.combining(letter))
    similar = difflib.get_close_matches(normalize_heading(plain), names, n=1, cutoff=_NEARLY)
    return names[similar[0]] if similar else None


def normalize_spelling(column: Column, text: str) -> str:
    """Convert a text to lowercase, and replace variants of letters with the first variant."""
    text = text.casefold()
    for letters in column.variants:
        for letter in letters[1:]:
            text = text.replace(letter, letters[0])
    return text


def find_choice(column: Column, text: str) -> str | None:
    """Return the choice that a text means, such as ``2012R2`` for ``Windows Server 2012 R2``."""
    words = re.split(r"[\s_-]+", unicodedata.normalize("NFKC", text).casefold())
    key = "".join(word for word in words if word not in column.dropped)
    known = {choice.casefold(): choice for choice in column.choices}
    return {**column.choice_aliases, **known}.get(key)


@dataclass(frozen=True, slots=True, kw_only=True)
class _ColumnRules:
    """The content of ``column_rules.toml``."""

    columns: tuple[Column, ...] = make_named_field("column")
    roles: tuple[Role, ...] = make_named_field("role")


def parse_column_rules(text: str) -> _ColumnRules:
    """Parse the text of ``column_rules.toml``.

    Raises
    ------
    RulesError
        If the text has errors. The message lists every error with its place, such as
        ``column[3].help``.
    """
    try:
        reader = RecordReader(_DATA.name)
        rules = reader.record(_ColumnRules, parse_toml(text))
    except NotToml as error:
        raise RulesError(f"{_DATA.name}: {error}", hint=error.hint) from None
    for index, facts in enumerate(rules.columns if rules else ()):
        check_column(reader, f"column[{index}]", facts)
    if rules is None or reader.problems:
        raise RulesError(f"the file {_DATA.name} contains errors", problems=tuple(reader.problems))
    return rules


def check_column(reader: RecordReader, path: str, column_values: Column) -> None:
    """Report a column's invalid name, scope, or type, with its location in the file."""
    # Rules use the column name as a placeholder, so the name must be a valid identifier.
    if not re.fullmatch(r"[a-z][a-z_]*", column_values.name):
        reader.problem(
            f"'{path}.name' is {describe_value(column_values.name)}",
            "use only lowercase letters and '_'",
        )
    reader.report_unknown_values(f"{path}.scope", (column_values.scope,), _SCOPES, "scope")
    reader.report_unknown_values(f"{path}.kind", (column_values.kind,), _KINDS, "kind")


# The columns and roles that custom products add, by product.
_further: dict[str, _ColumnRules] = {}


def register_custom_columns(
    reader: RecordReader, product: str, columns: tuple[Column, ...], roles: tuple[Role, ...]
) -> None:
    """Register the columns and roles of a product, and remove its earlier columns and roles.

    Parameters
    ----------
    reader : RecordReader
        The reader, which collects a problem for each name or spelling that is already in use. If
        there are problems, nothing is registered.
    product : str
        The product.
    columns : tuple of Column
        The columns, which must have the scope of a pool. lyncnb defines all other columns.
    roles : tuple of Role
        The roles, which follow the roles that lyncnb defines.
    """
    other_products = {name: rules for name, rules in _further.items() if name != product}
    if not columns and not roles and len(other_products) == len(_further):
        return
    restore_custom_columns(other_products)
    before = len(reader.problems)
    texts: dict[str, set[str]] = {
        "column": {*_map_headings_to_columns(), *_map_last_aliases_to_columns()},
        "role": {*map_role_spellings()},
    }
    for index, facts in enumerate(columns):
        path = f"topology.column[{index}]"
        reader.report_unknown_values(
            f"{path}.scope",
            (facts.scope,),
            ("pool",),
            ("a valid scope for a column that a product adds"),
        )
        reader.report_unknown_values(
            f"{path}.roles", facts.roles, [r.id for r in (*_list_roles().values(), *roles)], "role"
        )
    new: list[tuple[str, str, tuple[str, ...]]] = [
        *(
            ("column", column.name, (column.title, *column.aliases, *column.last_aliases))
            for column in columns
        ),
        *(("role", role.id, (role.title, *role.aliases)) for role in roles),
    ]
    counts = {"column": 0, "role": 0}
    for kind, name, others in new:
        keys = {normalize_heading(text) for text in (name, *others)}
        for text in sorted(keys & texts[kind]):
            reader.problem(
                (
                    f"'topology.{kind}[{counts[kind]}]' is \"{text}\", but another {kind} "
                    "already has this name, title, or alias"
                ),
                "choose another name, title, or alias",
            )
        texts[kind] |= keys
        counts[kind] += 1
    if len(reader.problems) == before:
        restore_custom_columns(
            {**other_products, product: _ColumnRules(columns=columns, roles=roles)}
        )


def get_custom_columns() -> dict[str, _ColumnRules]:
    """Return the columns and roles that products have added, so that they can be restored later."""
    return dict(_further)


def restore_custom_columns(custom_columns: dict[str, _ColumnRules]) -> None:
    """Restore the columns and roles that :func:`get_custom_columns` returned earlier."""
    _further.clear()
    _further.update(custom_columns)
    for known in (
        _list_columns,
        _list_roles,
        _number_roles,
        map_role_spellings,
        _map_headings_to_columns,
        _map_last_aliases_to_columns,
    ):
        known.cache_clear()


@functools.cache
def _load_rules() -> _ColumnRules:
    return parse_column_rules(_DATA.read_text(encoding="utf-8"))


@functools.cache
def _list_columns() -> dict[str, Column]:
    known = (_load_rules(), *_further.values())
    return {facts.name: facts for rules in known for facts in rules.columns}


@functools.cache
def _list_roles() -> dict[str, Role]:
    return {role.id: role for rules in (_load_rules(), *_further.values()) for role in rules.roles}


@functools.cache
def _number_roles() -> dict[str, int]:
    return {role: position for position, role in enumerate(_list_roles())}


@functools.cache
def map_role_spellings() -> Mapping[str, str]:
    """Map each spelling of a role, normalized by :func:`normalize_heading`, to the role ID."""
    return {
        normalize_heading(text): role.id
        for role in _list_roles().values()
        for text in (*_translate_title(role.title), role.id, role.title, *role.aliases)
    }


@functools.cache
def _map_headings_to_columns() -> dict[str, str]:
    return {
        normalize_heading(text): column.name
        for column in _list_columns().values()
        for text in (*_translate_title(column.title), column.name, column.title, *column.aliases)
    }


def _translate_title(title: str) -> list[str]:
    """Return a title in every language, so that lyncnb can read tables with translated headings."""
    return [translate_title(title, language) for language in LANGUAGES]


@functools.cache
def _map_last_aliases_to_columns() -> dict[str, list[str]]:
    columns_by_key: dict[str, list[str]] = {}
    for column in _list_columns().values():
        for text in column.last_aliases:
            columns_by_key.setdefault(normalize_heading(text), []).append(column.name)
    return columns_by_key
