"""The record of a planned certificate in request folders, saved plans and plan documents.

All of them use the same record, so that lyncnb compares an issued certificate with the same entry,
wherever it is stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Annotated, ClassVar

from .dns_name import is_host_name
from .records import BLANK_IS_NONE, SINCE_2, Check, Line, Text, matching, number_in, others_field

ID_PATTERN = "[A-Za-z0-9][A-Za-z0-9-]{0,200}"
# An id becomes a file name, so an edited manifest must not lead to a file outside the folder.
Id = Annotated[str, Check("a request id", matching(ID_PATTERN))]
# A server's name becomes the name of its page and script.
Host = Annotated[str, Check("a host name such as fe01.contoso.com", is_host_name)]
# The folder inside a package for a CA is named after it.
Issuer = Annotated[str, Check("internal or public", ("internal", "public", "").__contains__)]
Bits = Annotated[int, number_in(0, 1 << 20)]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedKey:
    """Algorithm and size of a requested key pair; an adopted key may have any size."""

    algorithm: Line
    bits: Bits
    others: Mapping[str, object] = others_field()


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedEntry:
    """A certificate's entry of the plan document (``lyncnb-plan/1``), without its reasons.

    ``subject`` has the short names of RFC 4514 (CN, O, …). An entry that comes
    only from a CSR has blank values for everything else; ``key`` is None if even the CSR is gone.
    ``at_set_up``: the certificate is requested when its server is set up, so lyncnb delivers
    nothing.
    """

    # An entry without a plan has all keys, with blank values for what only a plan contains.
    whole: ClassVar = True

    id: Id
    role: Line = ""
    site: Text = ""
    pool: Line = ""
    servers: tuple[Host, ...] = ()
    usages: tuple[Line, ...] = ()
    subject: Mapping[Line, Line] = field(default_factory=dict)
    san: tuple[Line, ...] = ()
    eku: tuple[Line, ...] = ()
    issuer: Issuer = ""
    key: Annotated[PlannedKey | None, BLANK_IS_NONE] = None
    hash: Line = ""
    shared_by: Line = ""
    exportable: bool = True
    at_set_up: bool = field(default=False, metadata=SINCE_2)
    others: Mapping[str, object] = others_field()

    @property
    def common_name(self) -> str:
        """The subject's common name, "" if there is none."""
        return self.subject.get("CN", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedEntry(PlannedEntry):
    """A certificate's entry of a saved plan: ``reasons`` are the rules of its names, by name."""

    keeps_others: ClassVar = False

    ca: Text = ""
    target_os: Text = ""
    reasons: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def planned(self) -> PlannedEntry:
        """The part of it that a request folder also records."""
        names = (item.name for item in fields(PlannedEntry))
        return PlannedEntry(**{name: getattr(self, name) for name in names})
