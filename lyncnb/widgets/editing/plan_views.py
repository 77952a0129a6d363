"""Return views of a plan for the editor's page: certificates, names and pictures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ...base.dns_name import DnsName
from ...base.records import Text
from ...base.shown import tables
from ...base.shown.tables import join_first_texts
from ...plan.model import PlannedCertificate
from ...reports.figures import DEFAULT, KINDS, figure
from ...rules.model import Rules
from .messages import Certificates, NameEntry, Names, NameUse, Picture, PlannedGroup
from .plan_editing import PlanEditing

_NAMES_LISTED = 100
_USES_LISTED = 12
# The maximum number of certificates that the page lists for a name. Some names are in so many
# certificates that listing all of them would take seconds.
_USES_LOOKED_AT = 200
_OWNERS_NAMED = 4
_GROUPS_LISTED = 150


def search_names(editing: PlanEditing, *, search: Text) -> Names:
    """List the names in the plan with their certificates, servers and reasons.

    Parameters
    ----------
    editing : PlanEditing
        The editor with the plan.
    search : str
        A text that the listed names must contain, or "" for all names.

    Returns
    -------
    dict
        The first 100 names, sorted by domain, each with up to 12 entries. Certificates of a
        pool that have the name for the same reason share one entry.
    """
    plan, search_text = editing.plan, search.strip().lower()
    uses: dict[str, list[PlannedCertificate]] = {}
    for certificate in plan.certificates:
        for name in dict.fromkeys((*certificate.names, certificate.subject.common_name)):
            if name:
                uses.setdefault(str(name), []).append(certificate)
    matches = sorted((name for name in uses if search_text in name), key=_build_domain_key)
    rows = _find_rows_of_servers(editing)
    entries: list[NameEntry] = [
        {
            "name": name,
            "uses": listed_uses,
            "more": len(uses[name]) - count,
        }
        for name in matches[:_NAMES_LISTED]
        for listed_uses, count in [_list_uses(name, uses[name], plan.rules, rows)]
    ]
    return {
        "type": "names",
        "search": search,
        "total": len(uses),
        "found": len(matches),
        "names": entries,
    }


def _build_domain_key(name: str) -> list[str]:
    return name.split(".")[::-1]


def _list_uses(
    name: str, certificates: list[PlannedCertificate], rules: Rules, row_ids: Mapping[str, int]
) -> tuple[list[NameUse], int]:
    """Return the uses of a name, grouped by pool and reason, and the number of certificates."""
    first: dict[tuple[object, ...], NameUse] = {}
    owners: dict[tuple[object, ...], list[str]] = {}
    for certificate in certificates[:_USES_LOOKED_AT]:
        use = _describe_use(name, certificate, rules, row_ids)
        alike = (use["certificate"], use["issuer"], use["place"], use["why"])
        key = (certificate.pool or certificate.id, *alike)
        first.setdefault(key, use)
        owners.setdefault(key, []).append(certificate.owner)
    keys = list(first)[:_USES_LISTED]
    uses: list[NameUse] = [
        {**first[key], "owner": join_few(combine_names(owners[key]))} for key in keys
    ]
    return uses, sum(len(owners[key]) for key in keys)


def join_few(texts: list[str], max_count: int = _OWNERS_NAMED) -> str:
    """Join the first few texts, and add the number of the remaining texts."""
    return join_first_texts(texts, max_count)


def _describe_use(
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
    location = " and ".join(["subject"] * is_subject + ["SAN"] * (name in certificate.names))
    # If the name is only the subject name, the reason is in the rule of the certificate.
    if not reasons:
        of_rule = next(rule for rule in rules.certificates if rule.id == certificate.rule)
        reasons = [rules.names[of_rule.subject_name]] if of_rule.subject_name in rules.names else []
    return {
        "certificate": find_title(certificate),
        "owner": certificate.owner,
        "issuer": certificate.issuer,
        "place": location,
        "why": " ".join(dict.fromkeys(reason.why for reason in reasons)),
        "source": "; ".join(dict.fromkeys(reason.source for reason in reasons)),
        "rows": _find_first_server_row([certificate], rows),
    }


def list_certificates(editing: PlanEditing) -> Certificates:
    """Return the plan's certificates and their names, in at most 150 groups.

    Certificates of one pool that differ only in the server's name share one group. The group
    shows the first certificate in full, and the others by name.
    """
    plan = editing.plan.certificates
    rows = _find_rows_of_servers(editing)
    groups: dict[tuple[object, ...], list[PlannedCertificate]] = {}
    for certificate in plan:
        groups.setdefault(_build_group_key(certificate), []).append(certificate)
    shown_groups = [
        _build_group(members, rows) for members in list(groups.values())[:_GROUPS_LISTED]
    ]
    return {
        "type": "certificates",
        "groups": shown_groups,
        "total": len(plan),
        "shown": sum(len(members) for members in list(groups.values())[:_GROUPS_LISTED]),
    }


def choose_setup_ids(
    editing: PlanEditing, certificate_id: str, *, is_chosen: bool
) -> tuple[str, ...]:
    """Select or clear a certificate, and return the IDs of certificates to request during setup.

    The certificates in the same displayed group are selected or cleared together.
    """
    groups: dict[tuple[object, ...], set[str]] = {}
    for certificate in editing.plan.certificates:
        groups.setdefault(_build_group_key(certificate), set()).add(certificate.id)
    group: set[str] = next((ids for ids in groups.values() if certificate_id in ids), set())
    selected_ids = set(editing.options.at_set_up)
    return tuple(sorted(selected_ids | group if is_chosen else selected_ids - group))


def _build_group_key(certificate: PlannedCertificate) -> tuple[object, ...]:
    """Return a key that is equal for all certificates in one displayed group."""
    names = tuple("" if name in certificate.servers else name for name in certificate.names)
    subject = certificate.subject
    has_own_name = subject.common_name in certificate.servers
    return (
        certificate.pool,
        certificate.role,
        certificate.usages,
        certificate.shared_by,
        certificate.key,
        certificate.issuer,
        certificate.ca,
        certificate.at_set_up,
        "" if has_own_name else subject,
        names if certificate.pool else certificate.id,
    )


def _build_group(members: list[PlannedCertificate], rows: Mapping[str, int]) -> PlannedGroup:
    first = members[0]
    ca = f" ({first.ca})" if first.ca else ""
    is_folded = len(members) > 1
    return {
        "title": find_title(first),
        "owner": first.owner,
        "issuer": f"{first.issuer}{ca}",
        "key": f"{first.key}, {first.hash}",
        "subject": first.subject.to_rfc4514(),
        "names": [str(name) for name in first.names],
        "own": [str(name) for name in first.names if is_folded and name in first.servers],
        "servers": combine_names([member.owner for member in members[1:]]),
        "count": len(members),
        "id": first.id,
        "at_set_up": first.at_set_up,
        "rows": _find_first_server_row(members, rows),
    }


def find_title(certificate: PlannedCertificate) -> str:
    """Return the title of a certificate: its usages, or the role if it has no usages."""
    return ", ".join(certificate.usages) or certificate.role


def _find_rows_of_servers(editing: PlanEditing) -> dict[str, int]:
    state = editing.state
    rows: dict[str, int] = {}
    for row_id, name in zip(state.ids, editing.texts("server_fqdn")):
        rows.setdefault(str(name), row_id)
    return rows


def _find_first_server_row(
    members: Iterable[PlannedCertificate], rows: Mapping[str, int]
) -> list[int]:
    unshared_members = (member for member in members if member.shared_by != "deployment")
    servers = (server for member in unshared_members for server in member.servers)
    return [rows[server] for server in servers if server in rows][:1]


def combine_names(names: Iterable[DnsName | str]) -> list[str]:
    """Combine consecutive server names: fe02, fe03, fe04 become ``fe02–fe04.contoso.com``."""
    runs: list[list[str]] = []
    for name in map(str, names):
        if runs and _is_next_name(runs[-1][-1], name):
            runs[-1].append(name)
        else:
            runs.append([name])
    return [run[0] if len(run) == 1 else f"{run[0].partition('.')[0]}–{run[-1]}" for run in runs]


def _is_next_name(name: str, next_name: str) -> bool:
    label, _, domain = name.partition(".")
    next_label, _, next_domain = next_name.partition(".")
    stem = label.rstrip("0123456789")
    number, next_number = label[len(stem) :], next_label[len(stem) :]
    if domain != next_domain or not next_label.startswith(stem) or not number.isdigit():
        return False
    return next_number.isdigit() and int(next_number) == int(number) + 1


# lyncnb draws a picture of the plan when the page requests it. When the user selects a pool in the
# picture, the page selects the rows of the pool.

_TITLES = {
    "topology": "Connections between servers",
    "coverage": "Names on certificates",
    "timeline": "Important dates",
}
_ROWS_LISTED = 200


def draw_picture(editing: PlanEditing, *, shows: Text, site: Text) -> Picture:
    """Draw the plan. If the picture shows connections, mark the changes since the file was loaded.

    Parameters
    ----------
    editing : PlanEditing
        The editor with the plan.
    shows : str
        A key in ``KINDS``. Any other value means the first key.
    site : str
        The site to show. If the topology does not have this site, all sites are shown.

    Returns
    -------
    dict
        The picture, its description, and the same data as a table of at most 200 rows.
    """
    kind = shows if shows in KINDS else DEFAULT
    sites = sorted({pool.site for pool in editing.plan.topology.pools} - {""})
    site = site if site in sites and kind != "timeline" else ""
    is_compared = kind == DEFAULT and editing.has_changes
    drawn = figure(editing.effects() if is_compared else editing.plan, kind, site=site)
    frame = [list(map(tables.format_cell, row)) for row in drawn.rows[:_ROWS_LISTED]]
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


def find_pool_rows(editing: PlanEditing, pools: Iterable[str]) -> list[int]:
    """Return the row IDs of the given pools.

    A pool is identified by role and name, as in the picture.
    """
    pool_keys, ids = set(pools), editing.state.ids
    return [
        ids[computer.row]
        for pool in editing.topology.pools
        if f"{pool.role}/{pool.fqdn}" in pool_keys
        for computer in pool.computers
    ]
