"""Rows to ``Site`` and SIP domains: what holds for a whole site or for the deployment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .base.dns_name import DnsName
from .base.pasted_text import shown
from .cells import Cells, Report
from .columns import topology_columns
from .kinds import SimpleUrl


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A site and the simple URLs in force there (its own, or the deployment's)."""

    name: str
    meet_urls: tuple[SimpleUrl, ...] = ()
    dialin_url: SimpleUrl | None = None
    admin_url: SimpleUrl | None = None


def derive_sites(cells: Cells, sites: Sequence[str], report: Report) -> tuple[Site, ...]:
    """List the sites by name, each with the simple URLs in force there.

    Parameters
    ----------
    cells : Cells
        All n rows.
    sites : sequence of str
        n names of sites; a row that leaves it blank has its pool's.
    report : Report
        Gets contradictions.

    Notes
    -----
    If all rows that give a simple URL agree, it is the deployment's. Otherwise each site has its
    own, and a site without one has what the rows without a site say.
    Source: Microsoft, Planning for simple URLs in Lync Server 2013 (site beats global).
    """
    found: dict[str, dict[str, object]] = {name: {} for name in sorted(set(sites))}
    for column in topology_columns():
        if column.scope != "site":
            continue
        by_site = _by_site(cells, column.name, sites, report)
        for name, settings in found.items():
            value = by_site.get(name, by_site.get(""))
            if value is not None:
                settings[column.name] = value
    return tuple(Site(name=name, **settings) for name, settings in found.items())


def derive_sip_domains(cells: Cells, report: Report) -> tuple[DnsName, ...]:
    """Find the deployment's SIP domains, the default first."""
    found = _by_site(cells, "sip_domains", [""] * len(cells.rows), report).get("", ())
    # A row that could not be read at all has a problem without a column, and may have named them.
    told = any(problem.column in ("", "sip_domains") for problem in report.problems)
    if not found and not told:
        report.problem(
            "no row names the SIP domains",
            "write them in one row, the default first, e.g. contoso.com;fabrikam.com",
            column="sip_domains",
        )
    return found


def _by_site(cells: Cells, name: str, sites: Sequence[str], report: Report) -> dict[str, object]:
    """Give each site's value of a column where it has one; two of them contradict.

    What all rows agree on is the deployment's and stands under "".
    """
    texts, values = cells.column(name), cells.values.get(name, {})
    if len(values) <= 1:
        return dict.fromkeys(("",), *values.values()) if values else {}
    # Rows repeat the same few pairs, so the first place of each is all there is to look at.
    first = {
        pair: place
        for place, pair in zip(range(len(texts) - 1, -1, -1), zip(sites[::-1], texts[::-1]))
        if pair[1]
    }
    found: dict[str, tuple[int, str]] = {}
    for (site, text), place in sorted(first.items(), key=lambda item: item[1]):
        one, known = found.setdefault(site, (place, text))
        if values[known] != values[text]:
            where = f"site {site}" if site else "the deployment"
            report.problem(
                f"two values for {where}: {shown(known)} in row {cells.rows[one]}, "
                f"{shown(text)} in row {cells.rows[place]}",
                "one row is enough; blank cells take the value over",
                row=cells.rows[place],
                column=name,
                value=text,
            )
    by_site = {site: values[text] for site, (_, text) in found.items()}
    one = next(iter(by_site.values()))
    return {"": one} if all(value == one for value in by_site.values()) else by_site
