"""``Packages``: what packaging a request folder came to, as a table, a text and a document."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .base.tables import DataFrame, rows_to_html, to_frame
from .passwords import LIST
from .request_folder.bundle import RequestBundle

_COLUMNS = (
    *("Package", "Servers", "Type", "For Windows Server", "Encryption", "Friendly name"),
    *("Done", "Why"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """One package, or why there is none.

    ``action`` is ``written``, ``kept`` (it was there already), ``deployed`` (its key was removed
    because its servers have it) or ``refused``.
    """

    request_id: str
    file: str
    servers: tuple[str, ...]
    usages: tuple[str, ...]
    target_os: str
    encryption: str
    friendly_name: str
    action: str
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Packages:
    """What packaging a request folder came to."""

    bundle: RequestBundle
    packages: tuple[Package, ...]

    @property
    def exit_status(self) -> int:
        """0 if everything planned is packaged, 1 if something could not be."""
        return int(any(package.action == "refused" for package in self.packages))

    def counts(self) -> dict[str, int]:
        """Count the packages by what was done; ``deployed`` only where there are any."""
        actions = [package.action for package in self.packages]
        shown = ("written", "kept", "refused", *(["deployed"] if "deployed" in actions else []))
        return {action: actions.count(action) for action in shown}

    def _rows(self) -> Iterator[tuple[object, ...]]:
        for p in self.packages:
            yield (
                *(p.file or p.request_id, p.servers, p.usages, p.target_os, p.encryption),
                *(p.friendly_name, p.action, p.why),
            )

    def to_frame(self) -> DataFrame:
        """Return the packages as a DataFrame, one row each, eight columns."""
        return to_frame(_COLUMNS, self._rows())

    def _repr_html_(self) -> str:
        return rows_to_html(_COLUMNS, list(self._rows()), caption=self.summary())

    def __repr__(self) -> str:
        return self.summary()

    def summary(self) -> str:
        """Say in a sentence what was done."""
        counts = ", ".join(f"{number} {action}" for action, number in self.counts().items())
        return f"Packages: {counts}; passwords in {LIST}, encrypted"

    def to_text(self) -> str:
        """Write everything as plain lines, for a terminal."""
        lines = [self.summary()]
        for p in self.packages:
            if not p.file:
                lines.append(f"not packaged: {p.request_id}: {p.why}")
            else:
                lines.append(f"{p.action}: {p.file} ({p.encryption}, for {p.target_os}; {p.why})")
        return "\n".join(lines)

    def to_document(self) -> dict[str, object]:
        """Return the packages as plain JSON values."""
        names = ("request_id", "file", "target_os", "encryption", "friendly_name", "action", "why")
        return {
            "format": "lyncnb-packages/1",
            "packages": [
                {name: getattr(p, name) for name in names}
                | {"servers": list(p.servers), "usages": list(p.usages)}
                for p in self.packages
            ],
        }
