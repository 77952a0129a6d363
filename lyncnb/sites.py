"""Rows to ``Site`` and SIP domains: what holds for a whole site or for the deployment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .cells import Cells, Report, SimpleUrl
from .columns import topology_columns
from .names import DnsName, shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A site and the simple URLs in force there (its own, or the deployment's)."""

    name: str
    meet_urls: tuple[SimpleUrl, ...] = ()
    dialin_url: SimpleUrl | None = None
    admin_url: SimpleUrl | None = None


def derive_sites(cells: Cells, site_of_row: Sequence[str], report: Report) -> tuple[Site, ...]:
    """List the sites by name, each with the values in force there.

    Parameters
    ----------
    cells : Cells
        All n rows.
    site_of_row : sequence of str
        n names of sites; a blank cell has the site of its pool.
    report : Report
        Gets contradictions.

    Notes
    -----
    If all rows that give a simple URL agree, it is the deployment's. Otherwise each site has its
    own, and a site without one has what the rows without a site say.
    Source: Microsoft, Planning for simple URLs in Lync Server 2013 (site beats global).
    """
    names = sorted(set(site_of_row))
    found: dict[str, dict[str, object]] = {name: {} for name in names}
    for facts in topology_columns():
        if facts.scope != "site" or facts.name not in cells.texts:
            continue
        by_site = _by_site(cells, facts.name, site_of_row, report)
        values = list(by_site.values())
        same = values and all(value == values[0] for value in values)
        for name in names:
            value = values[0] if same else by_site.get(name, by_site.get(""))
            if value is not None:
                found[name][facts.name] = value
    return tuple(Site(name=name, **values) for name, values in found.items())


def derive_sip_domains(cells: Cells, report: Report) -> tuple[DnsName, ...]:
    """Find the deployment's SIP domains, the default first."""
    everywhere = [""] * len(cells.rows)
    by_site = _by_site(cells, "sip_domains", everywhere, report)
    if not by_site:
        if not report.problems:
            report.problem(
                "no row names the SIP domains",
                "write them in one row, the default first, e.g. contoso.com;fabrikam.com",
                column="sip_domains",
            )
        return ()
    return by_site[""]


def _by_site(
    cells: Cells, name: str, site_of_row: Sequence[str], report: Report
) -> dict[str, object]:
    """Give each site's value of a column, where it has one."""
    texts = cells.column(name)
    values = cells.values.get(name, {})
    pairs = {pair for pair in zip(site_of_row, texts) if pair[1]}
    found: dict[str, object] = {}
    for site, text in sorted(pairs):
        if found.setdefault(site, values[text]) != values[text]:
            _contradiction(cells, name, site, site_of_row, report)
    return found


def _contradiction(
    cells: Cells, name: str, site: str, site_of_row: Sequence[str], report: Report
) -> None:
    texts = cells.column(name)
    places = [p for p, text in enumerate(texts) if text and site_of_row[p] == site]
    values = cells.values[name]
    one = places[0]
    other = next(p for p in places if values[texts[p]] != values[texts[one]])
    where = f"site {site}" if site else "the deployment"
    problem_row = cells.rows[other]
    report.problem(
        f"two values for {where}: {shown(texts[one])} in row {cells.rows[one]}, "
        f"{shown(texts[other])} in row {problem_row}",
        "one row is enough; blank cells take the value over",
        row=problem_row,
        column=name,
        value=texts[other],
    )
