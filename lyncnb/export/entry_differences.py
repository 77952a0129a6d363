"""Compare two entries of the plan document that have the same request id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..base.planned_entry import PlannedEntry, PlannedKey

#: Fields whose change requires a new certificate. Other changes are only reported and recorded.
CONTENT = ("subject", "san", "eku", "key", "hash")
#: Fields whose change is only reported and recorded.
ABOUT = ("servers", "site", "pool", "usages", "issuer", "shared_by", "exportable", "at_set_up")


def entry_differences(
    old: PlannedEntry, new: PlannedEntry, names: Sequence[str] = CONTENT
) -> tuple[str, ...]:
    """Return field by field how two entries of the plan document differ.

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
    found = []
    for name in names:
        before, after = getattr(old, name), getattr(new, name)
        if before != after:
            found.append(f"{name}: {_describe_difference(before, after)}")
    return tuple(found)


def _describe_difference(before: object, after: object) -> str:
    if isinstance(before, tuple) and isinstance(after, tuple):
        steps = [f"+ {value}" for value in after if value not in before]
        steps += [f"- {value}" for value in before if value not in after]
        return ", ".join(steps) or f"another order ({', '.join(map(str, after))})"
    if isinstance(before, PlannedKey | None) and isinstance(after, PlannedKey | None):
        before, after = _list_key_fields(before), _list_key_fields(after)
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        names = [*after, *(name for name in before if name not in after)]
        return ", ".join(
            f"{name} {_format_value(before.get(name))} -> {_format_value(after.get(name))}"
            for name in names
            if before.get(name) != after.get(name)
        )
    return f"{_format_value(before)} -> {_format_value(after)}"


def _list_key_fields(key: PlannedKey | None) -> Mapping[str, object]:
    return {"algorithm": key.algorithm, "bits": key.bits} if key else {}


def _format_value(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return "(none)" if value in (None, "") else str(value)
