"""What the summary says about importing and assigning a certificate: data of the product."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from .plan import PlannedCertificate


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
        self._entries = tuple(dict(settings.get("summary", {})).get("command", ()))
        self._found: dict[tuple[str, tuple[str, ...]], Mapping[str, object]] = {}

    def find(self, certificate: PlannedCertificate) -> Command:
        """Give the texts for one certificate."""
        key = (certificate.role, certificate.usages)
        entry = self._found.get(key)
        if entry is None:
            entry = self._found[key] = self._first(certificate)
        return Command(
            _filled(str(entry.get("import", "")), certificate),
            _filled(str(entry.get("assign", "")), certificate),
        )

    def _first(self, certificate: PlannedCertificate) -> Mapping[str, object]:
        for entry in self._entries:
            roles, usages = entry.get("roles", ()), entry.get("usages", ())
            if (not roles or certificate.role in roles) and (
                not usages or set(usages) & set(certificate.usages)
            ):
                return entry
        return {}


def _filled(template: str, certificate: PlannedCertificate) -> str:
    return template.replace("{id}", certificate.id).replace(
        "{usages}", ",".join(certificate.usages)
    )
