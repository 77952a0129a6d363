"""What the summary says about importing and assigning a certificate: data of the product."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Command(NamedTuple):
    """How one certificate gets onto a server, and into use there."""

    import_text: str
    assign_text: str


class CommandTable:
    """The entries of ``[[summary.command]]`` in a product's rules; the first that fits counts.

    ``roles`` and ``usages`` of an entry narrow what it fits. In its texts ``{id}`` and ``{usages}``
    stand for those of the certificate; there are no other placeholders.

    Parameters
    ----------
    settings : Mapping
        ``Rules.settings``; without such entries both texts are blank.
    """

    def __init__(self, settings: Mapping[str, object]) -> None:
        summary = settings.get("summary")
        entries = summary.get("command", ()) if isinstance(summary, Mapping) else ()
        self._entries: tuple[Mapping[str, object], ...] = tuple(entries)
        self._found: dict[tuple[str, tuple[str, ...]], Command] = {}

    def find(self, role: str, usages: tuple[str, ...], certificate_id: str) -> Command:
        """Give the texts for one certificate."""
        command = self._found.get((role, usages))
        if command is None:
            command = self._found[role, usages] = self._first(role, usages)
        return Command(
            command.import_text.replace("{id}", certificate_id),
            command.assign_text.replace("{id}", certificate_id),
        )

    def _first(self, role: str, usages: tuple[str, ...]) -> Command:
        usages_text = ",".join(usages)
        for entry in self._entries:
            roles, asked = _texts(entry.get("roles")), _texts(entry.get("usages"))
            if (not roles or role in roles) and (not asked or asked & set(usages)):
                return Command(
                    str(entry.get("import", "")).replace("{usages}", usages_text),
                    str(entry.get("assign", "")).replace("{usages}", usages_text),
                )
        return Command("", "")


def _texts(value: object) -> frozenset[str]:
    return frozenset(map(str, value)) if isinstance(value, (list, tuple)) else frozenset()
