"""Topologies of any size, for pictures, pages and growth tests: sites alike, or servers alone."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count, islice

from topologies import row, table

# Role, servers of the pool, and the columns that it fills, with {site} for the site's number.
_POOLS = (
    ("FrontEnd", "pool0", 4, {"web_external_fqdn": "web{site}-0.contoso.com"}),
    ("FrontEnd", "pool1", 4, {"web_external_fqdn": "web{site}-1.contoso.com"}),
    ("Director", "", 1, {"web_external_fqdn": "dir{site}.contoso.com"}),
    (
        *("Edge", "edgepool", 2),
        {
            "access_edge_fqdn": "sip{site}.contoso.com",
            "webconf_edge_fqdn": "wc{site}.contoso.com",
            "av_edge_fqdn": "av{site}.contoso.com",
        },
    ),
    ("Mediation", "medpool", 3, {}),
    ("PersistentChat", "chatpool", 2, {}),
    ("OfficeWebApps", "", 1, {}),
    ("ReverseProxy", "", 1, {}),
    ("SBA", "", 1, {}),
    ("Database", "", 1, {}),
)


def big_table(servers: int) -> bytes:
    """Make a CSV of so many servers, 20 a site."""
    return table(*islice(_rows(), servers))


def _rows() -> Iterator[dict[str, str]]:
    for site in count(1):
        for place, (role, pool, servers, cells) in enumerate(_POOLS):
            for number in range(servers):
                yield row(
                    f"s{site}-{place}-{number}.contoso.net",
                    role,
                    f"s{site}{pool}.contoso.net" if pool else "",
                    site=f"Site {site:02}",
                    **{key: value.format(site=site) for key, value in cells.items()},
                )


def standard_editions(servers: int, *, pooled: int = 0) -> bytes:
    """Make a CSV of servers that share nothing: each has a block of its own in the summary.

    ``pooled`` Mediation Servers of one pool follow, which share a block.
    """
    alone = (
        row(
            f"se{number:05}.contoso.com",
            "StandardEdition",
            web_external_fqdn=f"web{number:05}.contoso.com",
        )
        for number in range(servers)
    )
    names = (f"med{number:05}.contoso.com" for number in range(pooled))
    return table(*alone, *(row(name, "Mediation", "med.contoso.com") for name in names))
