"""What the summary says about importing and assigning a certificate: data of the product."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..rules.model import SummaryCommand


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
    entries : sequence of SummaryCommand
        ``Rules.summary``; without any both texts are blank.
    """

    def __init__(self, entries: Sequence[SummaryCommand]) -> None:
        self._entries = entries
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
            if (not entry.roles or role in entry.roles) and (
                not entry.usages or not set(entry.usages).isdisjoint(usages)
            ):
                return Command(
                    entry.import_text.replace("{usages}", usages_text),
                    entry.assign_text.replace("{usages}", usages_text),
                )
        return Command("", "")
