"""Arrange the boxes of the topology picture. Each box is a pool, and each band is a site.

The level of detail depends on what fits on one sheet: pools, or the roles of each site, or roles
only. ``topology_figure`` draws the boxes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ..base.shown.languages import make_translator, translate_title
from ..base.shown.svg import measure_text, shorten_text
from ..base.shown.tables import format_count
from ..plan.connections import Connection, group_certificates_by_pool
from ..plan.model import NO_TYPE, CertificatePlan, PlannedCertificate
from ..rules.model import ZONES, PartyRule, Rules
from ..topology.model import Pool
from .compare import CHANGES, PlanDifference

SHEET = 1235  # The height in pixels available for a picture on an A4 sheet, below the heading.
PAD, LINE = 8, 15  # The padding of a box and the height of a line, in pixels.
WIDTHS = {"outside": 138.0, "perimeter": 284.0, "inside": 388.0}
BOLD = 1.12  # The factor by which bold letters are wider.
MARGIN = 12
_WHOLE = "Whole deployment"
# The estimated width of a band's title. To the right of the title, there is space for lines.
BAND_TITLE = 350
# A picture that exceeds a sheet by at most this factor is printed a little smaller, on one sheet.
_ALMOST = 1.12
_TOP = 96.0  # The y position of the first boxes, below the heading, legend and zone titles.
_CONTINUED = 30.0  # The y position where the picture begins on the second and later sheets.
_GAP = 10  # below a box
_LOWEST = 53  # The minimum height of a box with the gap below it, in pixels.
_POOLS_OF_A_SITE = (
    40  # The maximum number of pools that the picture shows individually for each site.
)
# The largest number of names to try for a line. A line never has space for more names.
_NAMES_TRIED = 8

_Cell = tuple[str, ...]
# A function that translates text to the language of the plan.
Say = Callable[[str], str]
# Each key contains a pool and a role. The pool is "" for the whole deployment.
_Place = tuple[str, str]


class Changes:
    """The certificate changes of each pool between two plans, for the topology picture.

    Parameters
    ----------
    difference : PlanDifference, optional
        The comparison of the two plans. Without it, no box is marked.
    """

    def __init__(self, difference: PlanDifference | None = None) -> None:
        self._counts: dict[_Place, Counter[str]] = {}
        self._zones: dict[_Place, str] = {}
        if difference is None:
            return
        new = difference.new
        new_pools: set[_Place] = {(pool.fqdn, pool.role) for pool in new.topology.pools}
        new_pools |= {("", c.role) for c in new.certificates if not c.pool}
        roles = difference.old.rules.roles
        for item in difference.certificates:
            pool_key = str(item.planned.pool), item.planned.role
            self._counts.setdefault(pool_key, Counter())[item.change] += 1
            if pool_key not in new_pools:
                self._zones[pool_key] = (
                    roles[pool_key[1]].zone if pool_key[1] in roles else "inside"
                )

    def describe_changes(self, pool_keys: Iterable[_Place]) -> list[str]:
        """Describe the changed certificates of some pools, one line for each type of change."""
        total: Counter[str] = Counter()
        for pool_key in pool_keys:
            total.update(self._counts.get(pool_key, ()))
        return [f"{total[kind]:,} {words}" for kind, words in CHANGES.items() if total[kind]]

    def list_removed_pools(self, zone: str) -> Iterator[tuple[_Place, str]]:
        """Yield the removed pools in a zone, each with the number of its removed certificates."""
        for pool_key, pool_zone in self._zones.items():
            if pool_zone == zone:
                yield pool_key, format_count(self._counts[pool_key].total(), "certificate")


@dataclass(slots=True, kw_only=True)
class Arrival:
    """A line in a box of the topology picture. It shows a connection with its parties and names."""

    protocol: str
    port: int
    names: dict[str, None] = field(default_factory=dict)
    speakers: dict[tuple[str, str | None], None] = field(default_factory=dict)
    said: tuple[str, ...] = ()  # The parties that open the connection, as text.
    y: float = 0


@dataclass(slots=True, kw_only=True)
class CertificateKind:
    """The certificates in a box of the picture that have the same usages and type of CA."""

    usages: tuple[str, ...]
    issuer: str
    count: int
    names: set[str]
    has_alternative: bool = False
    lines: dict[tuple[object, ...], Arrival] = field(default_factory=dict)

    @property
    def name_count_text(self) -> str:
        """The number of names as text, or "subject name only" if there are no alternative names."""
        if not self.has_alternative:
            return "subject name only"
        return format_count(len(self.names), "name")

    @property
    def arrivals(self) -> Iterable[Arrival]:
        """The connections that end at the box, in the order of the rules."""
        return self.lines.values()


@dataclass(slots=True, kw_only=True, eq=False)
class Box:
    """A box in the topology picture: a pool, the pools with a role, or another party.

    ``pools`` contains the role and name of each pool, such as ``Edge/edgepool.contoso.com``.
    ``marks`` describes the changes to their certificates.
    """

    zone: str
    title: str
    lines: list[str]
    speaks: set[tuple[str, str | None]]
    shown: list[CertificateKind]
    pools: tuple[str, ...] = ()
    marks: list[str] = field(default_factory=list)
    y: float = 0

    @property
    def height(self) -> float:
        """The height of the box in pixels, without the gap below the box."""
        inner = len(self.lines) + len(self.marks) + 1
        for kind in self.shown:
            inner += len(wrap_usages(kind.usages, WIDTHS[self.zone] - 34)) + 1
            inner += 2 * len(kind.lines)
        return inner * LINE + PAD + 5


@dataclass(slots=True, kw_only=True)
class Band:
    """The boxes of one or more sites, drawn side by side in the topology picture."""

    title: str
    boxes: list[Box]
    is_far: bool = False  # several sites together
    y: float = 0
    height: float = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The bands and boxes of the topology picture, with their positions."""

    bands: list[Band]
    height: float
    breaks: tuple[float, ...]


def group_by_kind(certificates: Iterable[PlannedCertificate]) -> list[CertificateKind]:
    """Group certificates that have the same usages and the same type of CA."""
    kinds: dict[tuple[tuple[str, ...], str], CertificateKind] = {}
    for certificate in certificates:
        key = (certificate.usages, certificate.issuer)
        if key not in kinds:
            kinds[key] = CertificateKind(usages=key[0], issuer=key[1], count=0, names=set())
        kind = kinds[key]
        kind.count += 1
        kind.names.update(map(str, certificate.names))
        kind.has_alternative |= bool(certificate.names)
        if certificate.subject.common_name:
            kind.names.add(certificate.subject.common_name)
    return list(kinds.values())


def uses_certificate_kind(
    item: Connection, kind: CertificateKind, kinds: Sequence[CertificateKind]
) -> bool:
    """Return whether a connection uses certificates of the given kind.

    If two CAs issue certificates for the same usage, only the first kind counts.
    """
    usage = item.rule.usage
    fitting = [k for k in kinds if usage in k.usages or not (usage or k.usages)]
    return bool(fitting) and fitting[0] is kind


def lay_out(
    plan: CertificatePlan,
    connections: Sequence[Connection],
    *,
    site: str = "",
    changes: Changes | None = None,
) -> Layout:
    """Arrange the pools of a plan in boxes, and set the positions of the boxes.

    Parameters
    ----------
    plan : CertificatePlan
        Certificates of p pools.
    connections : sequence of Connection
        As ``list_connections`` gives them.
    site : str, optional
        A site to show pool by pool, independent of the others.
    changes : Changes, optional
        The changes to mark.
    """
    changes = changes or Changes()
    groupings: list[Callable[[Pool], _Cell]] = [
        lambda pool: (pool.site, pool.role, pool.fqdn),
        lambda pool: (pool.site, pool.role),
        lambda pool: ("*", pool.role),
    ]
    roles = plan.rules.roles
    if site:
        pool_count = sum(pool.site == site for pool in plan.topology.pools)
        fine = groupings[0] if pool_count <= _POOLS_OF_A_SITE else groupings[1]
        groupings = [lambda pool: fine(pool) if pool.site == site else ("*", pool.role)]
    inside_pools = [pool for pool in plan.topology.pools if roles[pool.role].zone == "inside"]
    for grouping in groupings:
        if (
            len(set(map(grouping, inside_pools))) * _LOWEST > SHEET
            and grouping is not groupings[-1]
        ):
            continue  # Boxes for this level of detail do not fit on one sheet.
        bands = _make_bands(plan, connections, grouping, site, changes)
        if _set_positions(bands) <= _ALMOST * SHEET:
            break
    if site:
        bands = _select_connected_boxes(bands, site)
    height = _set_positions(bands)
    if height <= _ALMOST * SHEET:
        return Layout(bands=bands, height=height, breaks=())
    height = _set_positions(bands, sheet=SHEET)
    breaks = tuple(float(y) for y in range(SHEET, int(height), SHEET))
    return Layout(bands=bands, height=height, breaks=breaks)


def _make_bands(
    plan: CertificatePlan,
    connections: Sequence[Connection],
    grouping: Callable[[Pool], _Cell],
    site: str,
    changes: Changes,
) -> list[Band]:
    by_pool, translate = group_certificates_by_pool(plan), make_translator(plan.options.lang)
    groups: dict[_Cell, list[Pool]] = {}
    cell_of: dict[tuple[str, str], _Cell] = {}
    order = list(plan.rules.roles)
    for pool in sorted(plan.topology.pools, key=lambda p: (p.site, order.index(p.role), p.fqdn)):
        cell = cell_of[pool.fqdn, pool.role] = grouping(pool)
        groups.setdefault(cell, []).append(pool)
    boxes = {cell: _make_pool_box(plan, pools, by_pool, changes) for cell, pools in groups.items()}
    for item in connections:
        _add_connecting_party(boxes[cell_of[item.listener.fqdn, item.listener.role]], item)
    for box in boxes.values():
        _label_incoming_lines(box, plan.rules, translate)
    bands: dict[str, Band] = {}
    for cell in sorted(groups, key=lambda c: (c[0] == "*", c[0] == "", c[0])):
        if cell[0] not in bands:
            title = _format_band_title(cell[0], groups, site, translate)
            bands[cell[0]] = Band(title=title, boxes=[], is_far=cell[0] == "*")
        band = bands[cell[0]]
        band.boxes.append(boxes[cell])
    for band in bands.values():
        _combine_bare_pools(band)
    deployment_boxes = [
        _make_deployment_box(role, certificates, changes, translate)
        for (name, role), certificates in by_pool.items()
        if not name
    ]
    parties = [
        _make_party_box(party, translate)
        for party in plan.rules.parties.values()
        if any(item.speaker == party.id for item in connections)
    ]
    return [
        Band(title="", boxes=parties),
        *bands.values(),
        *([Band(title=translate(_WHOLE), boxes=deployment_boxes)] if deployment_boxes else []),
        *_make_band_of_removed_pools(changes),
    ]


def _select_connected_boxes(bands: Sequence[Band], site: str) -> list[Band]:
    """Leave out boxes in other sites that have no connection with the current site.

    Lines of text are also left out if none of their connecting parties is shown, because no arrow
    would point to them.
    """
    site_boxes = [
        box for band in bands for box in band.boxes if (site in {s for _, s in box.speaks})
    ]
    spoken = {
        key for box in site_boxes for kind in box.shown for a in kind.arrivals for key in a.speakers
    }
    speaking = {key for box in site_boxes for key in box.speaks}
    connected_bands = []
    for band in bands:
        boxes = [
            box
            for box in band.boxes
            if not band.is_far
            or not spoken.isdisjoint(box.speaks)
            or any(not speaking.isdisjoint(a.speakers) for s in box.shown for a in s.arrivals)
        ]
        if boxes:
            connected_bands.append(Band(title=band.title, boxes=boxes, is_far=band.is_far))
    kept_keys = {key for band in connected_bands for box in band.boxes for key in box.speaks}
    for kind in (
        s for band in connected_bands for box in band.boxes if band.is_far for s in box.shown
    ):
        kind.lines = {k: a for k, a in kind.lines.items() if not kept_keys.isdisjoint(a.speakers)}
    return connected_bands


def format_site(name: str, translate: Say = str) -> str:
    """Return ``Site`` and a name. The word is not repeated for a name such as ``Site 01``."""
    return name if name.lower().startswith("site") else translate("Site {}").format(name)


def _format_band_title(
    name: str, groups: Mapping[_Cell, Sequence[Pool]], site: str, translate: Say
) -> str:
    # A pool without a site, such as a reverse proxy, serves all sites.
    names = sorted(
        {pool.site for cell, pools in groups.items() if cell[0] == name for pool in pools} - {""}
    )
    if not names:
        return translate("No site named")
    if name != "*":
        return format_site(name, translate)
    count = format_count(len(names), "other site" if site else "site")
    number, _, kind = count.partition(" ")
    words = translate(f"{{}} {kind}: ").format(number)
    room = BAND_TITLE - measure_text(words, 12 * BOLD)
    return words + fit_names(names, room, 12 * BOLD)


def _make_pool_box(
    plan: CertificatePlan,
    pools: Sequence[Pool],
    certificates_by_pool: Mapping[tuple[str, str], tuple[PlannedCertificate, ...]],
    changes: Changes,
) -> Box:
    role = plan.rules.roles[pools[0].role]
    servers = [str(computer.fqdn) for pool in pools for computer in pool.computers]
    count = format_count(len(servers), "server")
    if len(pools) == 1:
        lines = [str(pools[0].fqdn)]
        if servers != lines:
            names = fit_names(
                servers, WIDTHS[role.zone] - 2 * PAD - measure_text(count, 12) - 12, 12
            )
            lines.append(count if "…" in names else f"{count}: {names}")
    else:
        sites = len({pool.site for pool in pools})
        site_words = f" in {format_count(sites, 'site')}" if sites > 1 else ""
        lines = [f"{format_count(len(pools), 'pool')}{site_words}, {count}"]
    certificates = [
        c for pool in pools for c in certificates_by_pool.get((pool.fqdn, pool.role), ())
    ]
    return Box(
        zone=role.zone,
        title=translate_title(role.title, plan.options.lang),
        lines=lines,
        speaks={(role.id, pool.site) for pool in pools} | {(role.id, None)},
        shown=group_by_kind(certificates),
        pools=tuple(f"{pool.role}/{pool.fqdn}" for pool in pools),
        marks=changes.describe_changes((pool.fqdn, pool.role) for pool in pools),
    )


def _make_party_box(party: PartyRule, translate: Say) -> Box:
    # In the picture, the zone outside the company is so narrow that a line has space for only one
    # word.
    party_title = translate(party.title)
    title, _, second_line = party_title.partition(" ")
    narrow = measure_text(party_title, 13) * BOLD > WIDTHS[party.zone] - 2 * PAD
    return Box(
        zone=party.zone,
        title=title if narrow else party_title,
        lines=[second_line] if narrow and second_line else [],
        speaks={(party.id, None)},
        shown=[],
    )


def _make_deployment_box(
    role: str, certificates: Sequence[PlannedCertificate], changes: Changes, translate: Say
) -> Box:
    servers = len({server for c in certificates for server in c.servers})
    return Box(
        zone="inside",
        title=translate(role),
        lines=[f"one for {format_count(servers, 'server')}"],
        speaks=set(),
        shown=group_by_kind(certificates),
        marks=changes.describe_changes([("", role)]),
    )


def _make_band_of_removed_pools(changes: Changes) -> list[Band]:
    """Return a band with boxes for the pools that were removed from the plan."""
    boxes = []
    for zone in ZONES:
        lines = [
            f"{name or role}: {words}"
            for pool_key, words in changes.list_removed_pools(zone)
            for name, role in [pool_key]
        ]
        if lines:
            boxes.append(
                Box(zone=zone, title="Removed", lines=[], speaks=set(), shown=[], marks=lines)
            )
    return [Band(title="No longer in the plan", boxes=boxes)] if boxes else []


def _combine_bare_pools(band: Band) -> None:
    """In each zone, combine the pools that have neither certificates nor changes into one box."""
    for zone in ZONES:
        bare = [b for b in band.boxes if b.zone == zone and not b.shown and not b.marks]
        if bare:
            band.boxes = [box for box in band.boxes if box not in bare]
            lines = [f"{box.title}: {box.lines[-1]}" for box in bare]
            pools = tuple(pool for box in bare for pool in box.pools)
            title = "No certificate"
            band.boxes.append(
                Box(zone=zone, title=title, lines=lines, speaks=set(), shown=[], pools=pools)
            )


def _add_connecting_party(box: Box, item: Connection) -> None:
    """Add the connecting party to the matching line in the box that a connection reaches.

    A single pool has a line for each set of names. Several pools combine their names. Servers and
    people never share a line.
    """
    kind = next(s for s in box.shown if uses_certificate_kind(item, s, box.shown))
    rule = item.rule
    key = (rule.protocol, rule.port, not item.pools, item.names if len(box.pools) == 1 else ())
    line = kind.lines.setdefault(key, Arrival(protocol=rule.protocol, port=rule.port))
    line.names.update(dict.fromkeys(item.names))
    line.speakers[item.speaker, item.site] = None


def _label_incoming_lines(box: Box, rules: Rules, translate: Say) -> None:
    parties = rules.parties
    for certificate_kind in box.shown:
        for line in certificate_kind.arrivals:
            kinds = dict.fromkeys(speaker for speaker, _ in line.speakers)
            titles = (translate(parties[kind].title) if kind in parties else kind for kind in kinds)
            line.said = tuple(titles)


def _set_positions(bands: Sequence[Band], *, sheet: float = 0) -> float:
    """Set the positions of all boxes and lines. Return the height of the picture.

    The parties outside the company are next to the bands of the sites and not above them.
    """
    y, lowest = _TOP, dict.fromkeys(ZONES, _TOP)
    for band in bands:
        title = 22 if band.title else 0
        if title:
            y = max(y, *(lowest[box.zone] for box in band.boxes))
            y = _find_band_position(y, title, band, sheet)
        band.y = y
        zone_bottoms = dict.fromkeys(ZONES, y + title)
        for box in band.boxes:
            box.y = _find_position_on_sheet(zone_bottoms[box.zone], box.height, sheet)
            zone_bottoms[box.zone] = lowest[box.zone] = box.y + box.height + _GAP
            _set_arrival_positions(box)
        if title:
            band.height = max(zone_bottoms.values()) - y
            y += band.height + 6
        else:
            y = max(zone_bottoms[zone] for zone in ZONES if zone != "outside") + 6
    return max(y, *lowest.values()) + MARGIN


def _find_band_position(y: float, title: float, band: Band, sheet: float) -> float:
    """Return the position where the title and the first boxes of a band are on the same sheet."""
    first: dict[str, Box] = {}
    for box in band.boxes:
        first.setdefault(box.zone, box)
    return _find_position_on_sheet(y, title + min(box.height for box in first.values()), sheet)


def _find_position_on_sheet(y: float, height: float, sheet: float) -> float:
    """Return ``y`` if an item fits on the sheet, or otherwise the top of the next sheet."""
    if not sheet or y // sheet == (y + height) // sheet:
        return y
    return (y // sheet + 1) * sheet + _CONTINUED


def _set_arrival_positions(box: Box) -> None:
    y = box.y + PAD + (len(box.lines) + len(box.marks) + 1) * LINE
    for kind in box.shown:
        y += (len(wrap_usages(kind.usages, WIDTHS[box.zone] - 34)) + 1) * LINE
        for arrival in kind.arrivals:
            arrival.y = y + 7
            y += 2 * LINE


def fit_names(names: Sequence[str], width: float, size: float) -> str:
    """Join as many complete names as fit into a line, and add the number of omitted names."""
    for shown_count in range(min(len(names), _NAMES_TRIED), 0, -1):
        suffix = f" and {len(names) - shown_count:,} more" if shown_count < len(names) else ""
        text = ", ".join(names[:shown_count]) + suffix
        if measure_text(text, size) <= width:
            return text
    return shorten_text(names[0], width - measure_text(suffix, size), size) + suffix


def wrap_usages(usages: Sequence[str], width: float) -> list[str]:
    """Divide a list of certificate usages into lines."""
    lines = [""]
    for usage in usages or (NO_TYPE,):
        longer = f"{lines[-1]}, {usage}" if lines[-1] else usage
        if measure_text(longer, 12) * BOLD > width and lines[-1]:
            lines[-1] += ","
            lines.append(usage)
        else:
            lines[-1] = longer
    return lines
