"""Compare two planned certificates that have the same request ID."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..base.planned_entry import PlannedEntry, PlannedKey

#: The fields whose change requires a new certificate.
CONTENT = ("subject", "san", "eku", "key", "hash")
#: The fields whose changes lyncnb reports and records, without requesting a new certificate.
ABOUT = ("servers", "site", "pool", "usages", "issuer", "shared_by", "exportable", "at_set_up")


def list_entry_differences(
    old: PlannedEntry, new: PlannedEntry, names: Sequence[str] = CONTENT
) -> tuple[str, ...]:
    """Return the differences between two planned certificates, field by field.

    Parameters
    ----------
    old, new : PlannedEntry
        Entries of the same request id.
    names : sequence of str, optional
        The fields to compare; by default those of the certificate.

    Returns
    -------
    tuple of str
        E.g. ``("san: + lyncdiscover.fabrikam.com", "hash: sha1 -> sha256")``; empty if equal.
    """
    differences = []
    for name in names:
        before, after = getattr(old, name), getattr(new, name)
        if before != after:
            differences.append(f"{name}: {_describe_difference(before, after)}")
    return tuple(differences)


def _describe_difference(old_value: object, new_value: object) -> str:
    if isinstance(old_value, tuple) and isinstance(new_value, tuple):
        steps = [f"+ {value}" for value in new_value if value not in old_value]
        steps += [f"- {value}" for value in old_value if value not in new_value]
        return ", ".join(steps) or f"another order ({', '.join(map(str, new_value))})"
    if isinstance(old_value, PlannedKey | None) and isinstance(new_value, PlannedKey | None):
        old_value, new_value = _list_key_fields(old_value), _list_key_fields(new_value)
    if isinstance(old_value, Mapping) and isinstance(new_value, Mapping):
        names = [*new_value, *(name for name in old_value if name not in new_value)]
        return ", ".join(
            f"{name} {_format_value(old_value.get(name))} -> {_format_value(new_value.get(name))}"
            for name in names
            if old_value.get(name) != new_value.get(name)
        )
    return f"{_format_value(old_value)} -> {_format_value(new_value)}"


def _list_key_fields(key: PlannedKey | None) -> Mapping[str, object]:
    return {"algorithm": key.algorithm, "bits": key.bits} if key else {}


def _format_value(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return "(none)" if value in (None, "") else str(value)
