"""Create topologies of any size, for tests of pictures, of pages, and of how the run time grows."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count, islice

from topologies import row, table

# Each entry contains the role, the number of servers in the pool, and the columns to fill in.
# {site} stands for the number of the site.
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
    """Return a CSV table with the given number of servers, 20 for each site."""
    return table(*islice(_list_rows(), servers))


def _list_rows() -> Iterator[dict[str, str]]:
    for site in count(1):
        for pool_index, (role, pool, servers, cells) in enumerate(_POOLS):
            for number in range(servers):
                yield row(
                    f"s{site}-{pool_index}-{number}.contoso.net",
                    role,
                    f"s{site}{pool}.contoso.net" if pool else "",
                    site=f"Site {site:02}",
                    **{key: value.format(site=site) for key, value in cells.items()},
                )


def standard_editions(servers: int, *, pooled: int = 0) -> bytes:
    """Return a CSV table of Standard Edition servers, each of which has its own block in the
    summary.

    ``pooled`` is the number of Mediation Servers in one pool, which share a block.
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
