"""Read a product file that extends another product and contains only the differences.

``extends = "lync2013"`` inherits every table of that product. The file can change them as follows:

* A record with a known id changes the keys that it contains. A new record is added at the end, or
  ``after = "ID"``. An array of records without ids (``deploy.shell`` …) is replaced completely.
* ``[without]`` removes records by id, for example ``role = ["PersistentChat"]``, and all records
  that are only about a removed role or name.
* ``like = "ID"`` in a ``[[role]]`` applies everything about the other role to the new role.
* ``[words]`` replaces words in the inherited texts. ``[sources]`` contains the corresponding
  documents for this product.

lyncnb marks an inherited source as inferred if it names the other product, so that nobody mistakes
a page about one product for a page about another.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from ..base.records import Placed, RecordReader, build_key_path, get_position
from .model import replace_documents, replace_words

#: The type of a table in a TOML document.
Toml: TypeAlias = Mapping[str, object]

# The key that identifies the records in each array.
_IDENTITY = {
    **dict.fromkeys(("role", "name", "certificate", "party", "connection", "trust"), "id"),
    **dict.fromkeys(("port", "unseen", "destination", "client"), "id"),
    **dict.fromkeys(("pfx.encryption", "deploy.step", "deploy.check", "deploy.place"), "id"),
    **dict.fromkeys(("deploy.task", "deploy.run", "deploy.order"), "id"),
    "check": "code",
    "deploy.cmdlet": "name",
}
# The keys that contain lists of IDs of other records, with the types of these records. A record is
# removed if one of its lists in _WHOLE becomes empty.
_LISTS = {
    **dict.fromkeys(("roles", "speakers", "listeners"), ("role", "party")),
    **dict.fromkeys(("not_for", "hosted_by", "needed_by"), ("role",)),
    **dict.fromkeys(("names", "anchors", "subject_alt_name"), ("name",)),
    **dict.fromkeys(("only_if", "holds", "waits", "needs", "confirms"), ("deploy.check",)),
    "places": ("deploy.place",),
    "connections": ("connection",),
}
_WHOLE = ("roles", "speakers", "listeners", "names", "needed_by", "connections", "places")
# lyncnb first removes the records that depend on removed roles, and then all records that refer to
# removed records.
_ABOUT_ROLES = ("connection", "deploy.place")
_COPIED_LISTS = ("roles", "not_for")
_OWN = ("extends", "without", "words", "sources")


def extend_product(
    base_document: Toml, base_source: str, document: Toml, reader: RecordReader
) -> dict[str, object]:
    """Merge a product document with the product that it extends.

    Parameters
    ----------
    base_document : mapping
        The complete document of the other product.
    base_source : str
        The name of that product's file, for messages.
    document : mapping
        The differences, with the key ``extends``.
    reader : RecordReader
        The reader that collects problems, such as an id, word, or source that the other product
        does not have.

    Returns
    -------
    dict
        The complete document. Each record keeps its place in a file.
    """
    tables = {
        key: _read_table(reader, document.get(key, {}), key)
        for key in ("without", "words", "sources")
    }
    wording = _Wording(
        tables["words"], tables["sources"], title=str(base_document.get("title", ""))
    )
    words, earlier = base_document.get("words", []), base_document.get("cited")
    inherited = {
        key: value for key, value in base_document.items() if key not in ("words", "cited")
    }
    merged_document = _inherit_value(inherited, base_source, wording)
    for kind in ("words", "sources"):
        for unused in sorted(tables[kind].keys() - wording.used):
            location = build_key_path(get_position(document[kind], kind), unused)
            reader.problem(f"'{location}' is not in {base_source}", "check the spelling")
    location = get_position(document.get("without"), "without")
    _remove_records(merged_document, tables["without"], location, reader, base_source)
    _copy_role_lists(merged_document, document, reader)
    for key, value in document.items():
        if key not in _OWN:
            merged_document[key] = _apply_changes(merged_document.get(key), value, key, reader)
    merged_document["words"] = [*(words if isinstance(words, list) else [words]), tables["words"]]
    # The function extend_product stores its own values as tuples. No value from a TOML file is a
    # tuple, so the two kinds of values cannot be confused.
    this = (wording.title, tables["sources"])
    merged_document.setdefault("cited", (*(earlier if isinstance(earlier, tuple) else ()), this))
    return merged_document


def _read_table(reader: RecordReader, value: object, location: str) -> dict[str, Any]:
    if isinstance(value, Mapping):
        kind: Any = str if location != "without" else tuple[str, ...]
        path = get_position(value, location)
        values = {
            key: reader.value(kind, item, build_key_path(path, key)) for key, item in value.items()
        }
        return {key: item for key, item in values.items() if item}
    reader.problem(f"'{location}' is not a table", f"write [{location}] on a separate line")
    return {}


# --- The following functions adapt inherited records.


@dataclass(slots=True)
class _Wording:
    """Replacements that adapt texts and sources from another product to the current product."""

    words: Mapping[str, str]
    sources: Mapping[str, str]
    title: str  # The title of the product that is extended.
    used: set[str] = field(default_factory=set)

    def adapt_text(self, text: str) -> str:
        """Replace words of the base product in a text with those of the product that extends it."""
        self.used.update(old for old in self.words if old in text)
        return replace_words(text, self.words)

    def adapt_source(self, text: str) -> str:
        """Adapt a source to the product: replace its document, or mark the source as inferred."""
        return "; ".join(map(self._replace_document, text.split("; ")))

    def _replace_document(self, text: str) -> str:
        source, document = replace_documents(text, self.sources, self.title)
        if document:
            self.used.add(document)
        return source


def _inherit_value(base: Toml, source: str, wording: _Wording) -> dict[str, object]:
    def adapt_value(value: object, key: str, location: str) -> object:
        if isinstance(value, str):
            return wording.adapt_source(value) if key == "source" else wording.adapt_text(value)
        if isinstance(value, list):
            return [
                Placed(table, _format_location(item, source, f"{location}[{index}]"))
                if isinstance(table := adapt_value(item, key, f"{location}[{index}]"), dict)
                else table
                for index, item in enumerate(value)
            ]
        if isinstance(value, Mapping):
            return {
                name: adapt_value(item, name, f"{location}.{name}") for name, item in value.items()
            }
        return value

    return {key: adapt_value(value, key, key) for key, value in base.items()}


def _format_location(entry: object, source: str, location: str) -> str:
    path = get_position(entry, location)
    return path if ": " in path else f"{source}: {path}"


# --- The following functions remove records, and copy the records of one role for another role.


def _find_arrays(document: Toml) -> Iterable[tuple[str, list[Placed]]]:
    """Yield each array of tables in a document, such as ``deploy.step``, with the records."""
    for key, value in document.items():
        if isinstance(value, Mapping):
            yield from ((f"{key}.{name}", records) for name, records in _find_arrays(value))
        elif isinstance(value, list) and all(isinstance(item, Placed) for item in value):
            yield key, value


def _remove_records(
    document: Toml,
    ids_to_remove: Mapping[str, Iterable[str]],
    location: str,
    reader: RecordReader,
    source: str,
) -> None:
    removed: dict[str, set[object]] = {kind: set() for kind in _IDENTITY}
    arrays = dict(_find_arrays(document))
    reader.report_unknown_values(location, ids_to_remove, _IDENTITY, "kind of record")
    for kind in ids_to_remove.keys() & _IDENTITY.keys():
        known = {record[_IDENTITY[kind]] for record in arrays.get(kind, [])}
        ids = ids_to_remove[kind]
        reader.report_unknown_values(
            f"{location}.{kind}", ids, sorted(map(str, known)), f"{kind} in {source}"
        )
        removed[kind] |= known.intersection(ids)
    before = _find_used_names(arrays)
    certificates = arrays.get("certificate", [])
    certificates[:] = [c for c in certificates if c["role"] not in removed["role"]]
    removed["name"] |= before - _find_used_names(arrays)
    for kind, records in sorted(arrays.items(), key=lambda item: item[0] not in _ABOUT_ROLES):
        key = _IDENTITY.get(kind, "")
        remaining = [
            record
            for record in records
            if record.get(key) not in removed.get(kind, ()) and _remove_ids(record, removed)
        ]
        if kind in _ABOUT_ROLES:
            removed[kind] |= {record[key] for record in records} - {
                record[key] for record in remaining
            }
        records[:] = remaining


def _find_used_names(arrays: Mapping[str, list[Placed]]) -> set[object]:
    return {
        name
        for record in arrays.get("certificate", [])
        for name in (record["subject_name"], *record["subject_alt_name"])  # type: ignore[misc]
    }


def _remove_ids(record: Placed, removed_ids: Mapping[str, set[object]]) -> bool:
    """Remove IDs from a record's lists, and return whether the record still applies to anything."""
    for key, kinds in _LISTS.items():
        value = record.get(key)
        if isinstance(value, list) and value:
            record[key] = [
                id_ for id_ in value if all(id_ not in removed_ids[kind] for kind in kinds)
            ]
            if key in _WHOLE and not record[key]:
                return False
    return True


def _copy_role_lists(document: Toml, extension: Toml, reader: RecordReader) -> None:
    roles = extension.get("role", [])
    if not isinstance(roles, list):
        return
    known = sorted(str(record["id"]) for record in dict(_find_arrays(document)).get("role", []))
    for index, role in enumerate(roles):
        if not isinstance(role, Mapping) or "like" not in role:
            continue
        location = get_position(role, f"role[{index}]")
        reader.report_unknown_values(f"{location}.like", (str(role["like"]),), known, "role")
        for _, records in _find_arrays(document):
            for role_ids in (record.get(key) for record in records for key in _COPIED_LISTS):
                if isinstance(role_ids, list) and role["like"] in role_ids:
                    role_ids.insert(role_ids.index(role["like"]) + 1, role.get("id"))


# --- The following functions apply changes to records.


def _apply_changes(base: object, value: object, path: str, reader: RecordReader) -> object:
    """Apply the values of an extending rule file to a key or table of the base file."""
    if isinstance(value, Mapping) and isinstance(base, Mapping):
        return {
            **base,
            **{
                key: _apply_changes(base.get(key), item, f"{path}.{key}", reader)
                for key, item in value.items()
            },
        }
    if path in _IDENTITY and isinstance(base, list) and isinstance(value, list):
        return _merge_records(base, value, path, reader)
    return value


def _merge_records(
    base: list[object], records: list[object], path: str, reader: RecordReader
) -> list[object]:
    """Change records by ID, and add new records."""
    key = _IDENTITY[path]
    merged = list(base)
    ids = [record.get(key) if isinstance(record, Mapping) else None for record in merged]
    seen_ids: set[object] = set()
    for index, record in enumerate(records):
        if not isinstance(record, Mapping):
            merged.append(
                record
            )  # Invalid records are reported later, when lyncnb creates objects from them.
            ids.append(None)
            continue
        identity = record.get(key)
        table = Placed(record, get_position(record, f"{path}[{index}]"))
        after = table.pop("after", None)
        table.pop("like", None)
        if after is not None:
            reader.report_unknown_values(
                f"{table.place}.after", (str(after),), [str(i) for i in ids], path
            )
        if identity in ids and identity not in seen_ids:
            position = ids.index(identity)
            before = merged[position]
            assert isinstance(before, Mapping)
            merged[position] = Placed({**before, **table}, table.place)
        else:
            position = ids.index(after) + 1 if after in ids else len(merged)
            merged.insert(position, table)
            ids.insert(position, identity)
        seen_ids.add(identity)
    return merged
