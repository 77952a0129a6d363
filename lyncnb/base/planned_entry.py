"""Define the record of a planned certificate in request folders and saved plans.

Plan documents use the same record, so that lyncnb can compare an issued certificate with
all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Annotated, ClassVar

from .dns_name import is_host_name
from .records import (
    BLANK_IS_NONE,
    SINCE_2,
    Check,
    Line,
    Text,
    build_range_check,
    make_unknown_keys_field,
    match_pattern,
)

ID_PATTERN = "[A-Za-z0-9][A-Za-z0-9-]{0,200}"
# The pattern for request IDs. Because an ID is also a file name, an ID in an altered manifest must
# not refer to a file outside the folder.
Id = Annotated[str, Check("a request id", match_pattern(ID_PATTERN))]
# The pattern for server names. The name of a server is used in the file names of its page and its
# script.
Host = Annotated[str, Check("a host name such as fe01.contoso.com", is_host_name)]
# The valid issuers. In the package for a CA, the issuer is the name of a folder.
Issuer = Annotated[str, Check("internal or public", ("internal", "public", "").__contains__)]
Bits = Annotated[int, build_range_check(0, 1 << 20)]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedKey:
    """The algorithm and size of the requested key pair.

    Keys for imported requests can have any size.
    """

    algorithm: Line
    bits: Bits
    others: Mapping[str, object] = make_unknown_keys_field()


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedEntry:
    """The entry for a certificate in a plan document (``lyncnb-plan/1``), without the reasons.

    ``subject`` uses the short names from RFC 4514 (CN, O, …). If lyncnb has only the CSR, all other
    values are blank. ``key`` is None if the CSR is also missing. ``at_set_up`` is true if the
    certificate is requested during server setup, so that lyncnb creates no request.
    """

    # The keys that every JSON file with certificates contains. Without a plan, their values are
    # blank.
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
    others: Mapping[str, object] = make_unknown_keys_field()

    @property
    def common_name(self) -> str:
        """The common name in the subject of the certificate, or blank if there is none."""
        return self.subject.get("CN", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedEntry(PlannedEntry):
    """A certificate in a saved plan. ``reasons`` contains the rules for each of its names."""

    keeps_others: ClassVar = False

    ca: Text = ""
    target_os: Text = ""
    reasons: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def planned(self) -> PlannedEntry:
        """The values of this entry that a request folder also records."""
        names = (item.name for item in fields(PlannedEntry))
        return PlannedEntry(**{name: getattr(self, name) for name in names})


def list_importing_servers(servers: Iterable[str], shared_by: str) -> tuple[str, ...]:
    """Return the servers that import a certificate.

    A certificate that the whole deployment shares (OAuth) replicates, so one server imports it.
    """
    sorted_servers = tuple(sorted(servers))
    return sorted_servers[:1] if shared_by == "deployment" else sorted_servers
