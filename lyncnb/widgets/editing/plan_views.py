"""The plan beside the table: certificates, names and pictures, as the page shows them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ...base.dns_name import DnsName
from ...base.records import Text
from ...base.shown import tables
from ...base.shown.tables import first_of
from ...plan.model import PlannedCertificate
from ...reports.figures import DEFAULT, KINDS, figure
from ...rules.model import Rules
from .messages import Certificates, NameEntry, Names, NameUse, Picture, PlannedGroup
from .plan_editing import PlanEditing

_NAMES_LISTED = 100
_USES_LISTED = 12
_USES_LOOKED_AT = 200  # certificates of one name; a name of them all would take seconds
_OWNERS_NAMED = 4
_GROUPS_LISTED = 150


def overview(editing: PlanEditing) -> dict[str, int | str]:
    """Return the counts of the plan, of its findings by severity, and the plan's digest.

    Returns
    -------
    dict
        ``certificates``, ``public``, ``names``, ``errors``, ``warnings``, ``notices`` and
        ``accepted`` are whole numbers, ``digest`` is the plan's SHA-256. No name is among them.
    """
    counts = editing.live.counts()
    return {
        "certificates": counts["certificate"],
        "public": counts["public certificate"],
        "names": counts["name"],
        "errors": counts["error"],
        "warnings": counts["warning"],
        "notices": counts["notice"],
        "accepted": counts["accepted"],
        "digest": editing.live.sha256(),
    }


def by_name(editing: PlanEditing, *, search: Text) -> Names:
    """Turn the table round: names, the certificates they stand on, for whom, and why.

    Parameters
    ----------
    editing : PlanEditing
        The plan.
    search : str
        A part of the names to list; "" for all of them.

    Returns
    -------
    dict
        The first 100 names in alphabetical order, by domain first, each with 12 kinds of
        certificates: those of a pool that have it for the same reason are one.
    """
    plan, wanted = editing.plan, search.strip().lower()
    uses: dict[str, list[PlannedCertificate]] = {}
    for certificate in plan.certificates:
        for name in dict.fromkeys((*certificate.names, certificate.subject.common_name)):
            if name:
                uses.setdefault(str(name), []).append(certificate)
    found = sorted((name for name in uses if wanted in name), key=_by_domain)
    rows = _rows_of_servers(editing)
    listed: list[NameEntry] = [
        {
            "name": name,
            "uses": listed_uses,
            "more": len(uses[name]) - told,
        }
        for name in found[:_NAMES_LISTED]
        for listed_uses, told in [_uses(name, uses[name], plan.rules, rows)]
    ]
    return {
        "type": "names",
        "search": search,
        "total": len(uses),
        "found": len(found),
        "names": listed,
    }


def _by_domain(name: str) -> list[str]:
    return name.split(".")[::-1]


def _uses(
    name: str, certificates: list[PlannedCertificate], rules: Rules, rows: Mapping[str, int]
) -> tuple[list[NameUse], int]:
    """Tell the certificates of a name, those of a pool that have it alike as one; count them."""
    told: dict[tuple[object, ...], NameUse] = {}
    owners: dict[tuple[object, ...], list[str]] = {}
    for one in certificates[:_USES_LOOKED_AT]:
        use = _use(name, one, rules, rows)
        alike = (use["certificate"], use["issuer"], use["place"], use["why"])
        key = (one.pool or one.id, *alike)
        told.setdefault(key, use)
        owners.setdefault(key, []).append(one.owner)
    listed = list(told)[:_USES_LISTED]
    uses: list[NameUse] = [{**told[key], "owner": few(folded_names(owners[key]))} for key in listed]
    return uses, sum(len(owners[key]) for key in listed)


def few(words: list[str], most: int = _OWNERS_NAMED) -> str:
    """Write the first words in a row, and how many more there are."""
    return first_of(words, most)


def _use(
    name: str, certificate: PlannedCertificate, rules: Rules, rows: Mapping[str, int]
) -> NameUse:
    reasons = [
        rules.names[rule]
        for entry in certificate.subject_alt_name
        if entry.name == name
        for rule in entry.reasons
        if rule in rules.names
    ]
    is_subject = certificate.subject.common_name == name
    place = " and ".join(["subject"] * is_subject + ["SAN"] * (name in certificate.names))
    if not reasons:  # only the subject: its rule is that of the certificate
        of_rule = next(rule for rule in rules.certificates if rule.id == certificate.rule)
        reasons = [rules.names[of_rule.subject_name]] if of_rule.subject_name in rules.names else []
    return {
        "certificate": title_of(certificate),
        "owner": certificate.owner,
        "issuer": certificate.issuer,
        "place": place,
        "why": " ".join(dict.fromkeys(reason.why for reason in reasons)),
        "source": "; ".join(dict.fromkeys(reason.source for reason in reasons)),
        "rows": _rows([certificate], rows),
    }


def certificates(editing: PlanEditing) -> Certificates:
    """List the plan's certificates with their names, 150 groups of them at most.

    Certificates of one pool that differ in the server's own name only are one group: the first is
    listed, the others are named.
    """
    plan = editing.plan.certificates
    rows = _rows_of_servers(editing)
    groups: dict[tuple[object, ...], list[PlannedCertificate]] = {}
    for certificate in plan:
        groups.setdefault(_alike(certificate), []).append(certificate)
    listed = [_group(members, rows) for members in list(groups.values())[:_GROUPS_LISTED]]
    return {
        "type": "certificates",
        "groups": listed,
        "total": len(plan),
        "shown": sum(len(members) for members in list(groups.values())[:_GROUPS_LISTED]),
    }


def at_set_up(editing: PlanEditing, certificate_id: str, *, is_chosen: bool) -> tuple[str, ...]:
    """Give the ids to request at set-up, with or without the group of one certificate."""
    groups: dict[tuple[object, ...], set[str]] = {}
    for certificate in editing.plan.certificates:
        groups.setdefault(_alike(certificate), set()).add(certificate.id)
    group: set[str] = next((ids for ids in groups.values() if certificate_id in ids), set())
    chosen = set(editing.options.at_set_up)
    return tuple(sorted(chosen | group if is_chosen else chosen - group))


def _alike(certificate: PlannedCertificate) -> tuple[object, ...]:
    """Give what certificates have in common that are folded into one."""
    names = tuple("" if name in certificate.servers else name for name in certificate.names)
    subject = certificate.subject
    own = subject.common_name in certificate.servers
    return (
        certificate.pool,
        certificate.role,
        certificate.usages,
        certificate.shared_by,
        certificate.key,
        certificate.issuer,
        certificate.ca,
        certificate.at_set_up,
        "" if own else subject,
        names if certificate.pool else certificate.id,
    )


def _group(members: list[PlannedCertificate], rows: Mapping[str, int]) -> PlannedGroup:
    first = members[0]
    ca = f" ({first.ca})" if first.ca else ""
    is_folded = len(members) > 1
    return {
        "title": title_of(first),
        "owner": first.owner,
        "issuer": f"{first.issuer}{ca}",
        "key": f"{first.key}, {first.hash}",
        "subject": first.subject.to_rfc4514(),
        "names": [str(name) for name in first.names],
        "own": [str(name) for name in first.names if is_folded and name in first.servers],
        "servers": folded_names([one.owner for one in members[1:]]),
        "count": len(members),
        "id": first.id,
        "at_set_up": first.at_set_up,
        "rows": _rows(members, rows),
    }


def title_of(certificate: PlannedCertificate) -> str:
    """Name a certificate by what it is used for."""
    return ", ".join(certificate.usages) or certificate.role


def _rows_of_servers(editing: PlanEditing) -> dict[str, int]:
    state = editing.state
    found: dict[str, int] = {}
    for row_id, name in zip(state.ids, editing.texts("server_fqdn")):
        found.setdefault(str(name), row_id)
    return found


def _rows(members: Iterable[PlannedCertificate], rows: Mapping[str, int]) -> list[int]:
    servers = (server for one in members if one.shared_by != "deployment" for server in one.servers)
    return [rows[server] for server in servers if server in rows][:1]


def folded_names(names: Iterable[DnsName | str]) -> list[str]:
    """Put neighbours in one word: fe02, fe03, fe04 of a domain become ``fe02–fe04.contoso.com``."""
    runs: list[list[str]] = []
    for name in map(str, names):
        if runs and _follows(runs[-1][-1], name):
            runs[-1].append(name)
        else:
            runs.append([name])
    return [run[0] if len(run) == 1 else f"{run[0].partition('.')[0]}–{run[-1]}" for run in runs]


def _follows(one: str, other: str) -> bool:
    label, _, domain = one.partition(".")
    next_label, _, next_domain = other.partition(".")
    stem = label.rstrip("0123456789")
    number, next_number = label[len(stem) :], next_label[len(stem) :]
    if domain != next_domain or not next_label.startswith(stem) or not number.isdigit():
        return False
    return next_number.isdigit() and int(next_number) == int(number) + 1


# The plan as a picture, drawn when somebody looks; a pool in it leads to its rows.

_TITLES = {
    "topology": "Who speaks to whom",
    "coverage": "Which name on whose certificate",
    "timeline": "Days that matter",
}
_ROWS_LISTED = 200


def picture(editing: PlanEditing, *, shows: Text, site: Text) -> Picture:
    """Draw the plan; who speaks to whom with marks where it differs from the loaded file's.

    Parameters
    ----------
    editing : PlanEditing
        The plan.
    shows : str
        One of ``KINDS``; any other is the first.
    site : str
        The site to show; one that the topology has not is none.

    Returns
    -------
    dict
        The picture, its words and the same data as a table of 200 rows at most.
    """
    kind = shows if shows in KINDS else DEFAULT
    sites = sorted({pool.site for pool in editing.plan.topology.pools} - {""})
    site = site if site in sites and kind != "timeline" else ""
    is_compared = kind == DEFAULT and editing.has_changes
    drawn = figure(editing.effects() if is_compared else editing.plan, kind, site=site)
    frame = [list(map(tables.cell_text, row)) for row in drawn.rows[:_ROWS_LISTED]]
    return {
        "type": "picture",
        "kind": kind,
        "site": site,
        "kinds": [[name, _TITLES[name]] for name in KINDS],
        "sites": sites if len(sites) > 1 and kind != "timeline" else [],
        "title": drawn.title,
        "words": drawn.description,
        "svg": drawn.svg,
        "headings": list(drawn.columns),
        "rows": frame,
        "total": len(drawn.rows),
    }


def pool_rows(editing: PlanEditing, pools: Iterable[str]) -> list[int]:
    """List the ids of the rows of some pools, named as the picture does: role and name."""
    wanted, ids = set(pools), editing.state.ids
    return [
        ids[computer.row]
        for pool in editing.topology.pools
        if f"{pool.role}/{pool.fqdn}" in wanted
        for computer in pool.computers
    ]
