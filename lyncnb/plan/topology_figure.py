"""The picture of who stands where, outside to inside, and who speaks to whom by which name.

Drawn as finely as one sheet of A4 can be read: pool by pool, else the roles of each site, else the
roles. Each connection ends at a line of the listener's box that says it in words as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ..base.svg import Drawing, fit, text_width
from ..rules.model import ZONES, PartyRule, Rules
from ..topology.model import Pool
from .connections import Connection, certificates_by_pool
from .model import CertificatePlan, PlannedCertificate
from .summary_content import count_of

COLUMNS = (
    *("Zone", "Site", "Role", "Pool", "Servers", "Type", "Issuer", "Certificates", "Names"),
    *(
        "Spoken to by",
        "Of site",
        "Pools that speak",
        "By name",
        "Protocol",
        "Port",
        "Why",
        "Source",
    ),
)

WIDTH, _SHEET = 1000, 1414  # pixels of a sheet of A4, upright
_MARGIN, _PAD, _LINE = 12, 8, 15
_LOWEST = 53  # pixels that a box takes at least, with the gap below it
_POOLS_OF_A_SITE = 40  # of the one site that is shown pool by pool
_LEFT = {"outside": 12.0, "perimeter": 198.0, "inside": 538.0}
_WIDTHS = {"outside": 138.0, "perimeter": 284.0, "inside": 388.0}
# Where lines run: right of the zone of this name, from, to.
_GUTTERS = {"outside": (150.0, 198.0), "perimeter": (482.0, 538.0), "inside": (926.0, 998.0)}
_NAMES_TRIED = 8  # never do more of them fit into a line
_BOLD = 1.12  # how much wider bold letters are
_ZONE_TITLES = {"outside": "Outside", "perimeter": "Perimeter", "inside": "Inside"}

_Cell = tuple[str, ...]
_Trunk = tuple[int, str, str, str]  # place of the speaking box, gutter, zone it leads to, style


@dataclass(slots=True, kw_only=True)
class _Arrival:
    """One line of a box: who speaks to it, by which protocol and names."""

    protocol: str
    port: int
    names: dict[str, None] = field(default_factory=dict)
    speakers: dict[tuple[str, str | None], None] = field(default_factory=dict)
    said: tuple[str, ...] = ()  # the speakers in words
    y: float = 0


@dataclass(slots=True, kw_only=True)
class _Shown:
    """The certificates of a box that are for the same types and from the same kind of CA."""

    usages: tuple[str, ...]
    issuer: str
    count: int
    names: set[str]
    lines: dict[tuple[object, ...], _Arrival] = field(default_factory=dict)

    @property
    def arrivals(self) -> Iterable[_Arrival]:
        """The lines, in the order of the rules."""
        return self.lines.values()


@dataclass(slots=True, kw_only=True, eq=False)
class _Box:
    """A pool, the pools of a role, or a party; ``speaks``: the (role or party, site) it is."""

    zone: str
    title: str
    lines: list[str]
    speaks: set[tuple[str, str | None]]
    shown: list[_Shown]
    pools: int = 0
    y: float = 0

    @property
    def height(self) -> float:
        """Pixels that it takes, without the gap below it."""
        inner = len(self.lines) + 1
        for shown in self.shown:
            inner += len(_wrapped(shown.usages, _WIDTHS[self.zone] - 34)) + 1
            inner += 2 * len(shown.lines)
        return inner * _LINE + _PAD + 5


@dataclass(slots=True, kw_only=True)
class _Band:
    """A site, or several."""

    title: str
    boxes: list[_Box]
    is_far: bool = False  # several sites together
    y: float = 0
    height: float = 0


def topology_rows(
    plan: CertificatePlan, connections: Iterable[Connection]
) -> Iterator[tuple[object, ...]]:
    """Yield what the picture is drawn from, under ``COLUMNS``.

    Yields
    ------
    tuple
        For each kind of certificate of each pool one row a connection to it, or one row without.
    """
    by_pool = certificates_by_pool(plan)
    heard: dict[tuple[str, str], list[Connection]] = {}
    for item in connections:
        heard.setdefault((item.listener.fqdn, item.listener.role), []).append(item)
    for pool in plan.topology.pools:
        key = (pool.fqdn, pool.role)
        zone = plan.rules.roles[pool.role].zone
        first = (zone, pool.site, pool.role, pool.fqdn, len(pool.computers))
        kinds = _kinds(by_pool.get(key, ()))
        if not kinds:
            yield (*first, (), "", 0, 0, *_no_connection())
        for shown in kinds:
            middle = (shown.usages, shown.issuer, shown.count, len(shown.names))
            ours = [c for c in heard.get(key, ()) if _is_for(c, shown, kinds)]
            for item in ours:
                yield (*first, *middle, *_connection(item, plan.rules))
            if not ours:
                yield (*first, *middle, *_no_connection())
    for (name, role), certificates in by_pool.items():
        if not name:  # the whole deployment's
            for shown in _kinds(certificates):
                servers = len({s for c in certificates for s in c.servers})
                middle = (shown.usages, shown.issuer, shown.count, len(shown.names))
                yield ("inside", "", role, "", servers, *middle, *_no_connection())


def _connection(item: Connection, rules: Rules) -> tuple[object, ...]:
    site = "" if item.site is None else item.site
    rule = item.rule
    return (
        *(_speaker_title(item.speaker, rules), site, item.pools, item.names, rule.protocol),
        *(rule.port, rule.why, rule.source),
    )


def _no_connection() -> tuple[object, ...]:
    return ("", "", 0, (), "", "", "", "")


def _speaker_title(speaker: str, rules: Rules) -> str:
    party = rules.parties.get(speaker)
    return party.title if party else rules.roles[speaker].title


def _kinds(certificates: Iterable[PlannedCertificate]) -> list[_Shown]:
    found: dict[tuple[tuple[str, ...], str], _Shown] = {}
    for certificate in certificates:
        key = (certificate.usages, certificate.issuer)
        shown = found.setdefault(key, _Shown(usages=key[0], issuer=key[1], count=0, names=set()))
        shown.count += 1
        shown.names.update(map(str, certificate.names))
        if certificate.subject.common_name:
            shown.names.add(certificate.subject.common_name)
    return list(found.values())


def _is_for(item: Connection, shown: _Shown, kinds: Sequence[_Shown]) -> bool:
    """Whether a connection meets these certificates; those of one type from two CAs: the first."""
    usage = item.rule.usage
    fitting = [k for k in kinds if usage in k.usages or not (usage or k.usages)]
    return bool(fitting) and fitting[0] is shown


def draw_topology(
    plan: CertificatePlan,
    connections: Sequence[Connection],
    *,
    title: str,
    description: str,
    site: str = "",
) -> str:
    """Draw the picture.

    Parameters
    ----------
    plan : CertificatePlan
        Certificates of p pools.
    connections : sequence of Connection
        As :func:`list_connections` gives them.
    title, description : str
        For the picture's head and for those who do not see it.
    site : str, optional
        A site to show pool by pool, whatever the others are.

    Returns
    -------
    str
        An SVG document, 1,000 pixels wide.
    """
    groupings: list[Callable[[Pool], _Cell]] = [
        lambda pool: (pool.site, pool.role, pool.fqdn),
        lambda pool: (pool.site, pool.role),
        lambda pool: ("*", pool.role),
    ]
    roles = plan.rules.roles

    def is_inside(pool: Pool) -> bool:
        return roles[pool.role].zone == "inside"

    if site:
        own = sum(pool.site == site for pool in plan.topology.pools)
        fine = groupings[0] if own <= _POOLS_OF_A_SITE else groupings[1]
        groupings = [lambda pool: fine(pool) if pool.site == site else ("*", pool.role)]
    for grouping in groupings:
        inside = {grouping(p) for p in plan.topology.pools if is_inside(p)}
        if len(inside) * _LOWEST > _SHEET and grouping is not groupings[-1]:
            continue  # not worth the trouble
        bands = _bands(plan, connections, grouping, site)
        height = _place(bands)
        if height <= _SHEET:
            break
    if site:
        bands = _near(bands, site)
        height = _place(bands)
    drawing = Drawing(WIDTH)
    _draw_zones(drawing, height, title)
    _draw_lines(drawing, [box for band in bands for box in band.boxes])
    for band in bands:
        _draw_band(drawing, band)
    return drawing.to_svg(height, title=title, description=description)


def _bands(
    plan: CertificatePlan,
    connections: Sequence[Connection],
    grouping: Callable[[Pool], _Cell],
    site: str,
) -> list[_Band]:
    by_pool = certificates_by_pool(plan)
    groups: dict[_Cell, list[Pool]] = {}
    cell_of: dict[tuple[str, str], _Cell] = {}
    order = list(plan.rules.roles)
    for pool in sorted(plan.topology.pools, key=lambda p: (p.site, order.index(p.role), p.fqdn)):
        cell = cell_of[pool.fqdn, pool.role] = grouping(pool)
        groups.setdefault(cell, []).append(pool)
    boxes = {cell: _pool_box(plan, pools, by_pool) for cell, pools in groups.items()}
    for item in connections:
        _add_arrival(boxes[cell_of[item.listener.fqdn, item.listener.role]], item)
    for box in boxes.values():
        _put_in_words(box, plan.rules)
    bands: dict[str, _Band] = {}
    for cell in sorted(groups, key=lambda c: (c[0] == "*", c[0] == "", c[0])):
        if cell[0] not in bands:
            title = _band_title(cell[0], groups, site)
            bands[cell[0]] = _Band(title=title, boxes=[], is_far=cell[0] == "*")
        band = bands[cell[0]]
        band.boxes.append(boxes[cell])
    for band in bands.values():
        _gather_bare(band)
    whole = [
        _deployment_box(plan, role, certificates)
        for (name, role), certificates in by_pool.items()
        if not name
    ]
    parties = [
        _party_box(party)
        for party in plan.rules.parties.values()
        if any(item.speaker == party.id for item in connections)
    ]
    return [
        _Band(title="", boxes=parties),
        *bands.values(),
        *([_Band(title="Whole deployment", boxes=whole)] if whole else []),
    ]


def _near(bands: Sequence[_Band], site: str) -> list[_Band]:
    """Leave out what is in other sites and speaks to nobody of this one, nor hears from it."""
    own = [box for band in bands for box in band.boxes if (site in {s for _, s in box.speaks})]
    spoken = {
        key for box in own for shown in box.shown for a in shown.arrivals for key in a.speakers
    }
    speaking = {key for box in own for key in box.speaks}
    kept = []
    for band in bands:
        boxes = [
            box
            for box in band.boxes
            if not band.is_far
            or not spoken.isdisjoint(box.speaks)
            or any(not speaking.isdisjoint(a.speakers) for s in box.shown for a in s.arrivals)
        ]
        if boxes:
            kept.append(_Band(title=band.title, boxes=boxes, is_far=band.is_far))
    return kept


def _band_title(name: str, groups: Mapping[_Cell, Sequence[Pool]], site: str) -> str:
    if name != "*":
        return f"Site {name}" if name else "No site named"
    sites = sorted(
        {pool.site for cell, pools in groups.items() if cell[0] == "*" for pool in pools}
    )
    kind = "other sites" if site else "sites"
    names = [name or "(none named)" for name in sites]
    return f"{len(sites):,} {kind}: {_listed(names, 560, 12 * _BOLD)}"


def _pool_box(
    plan: CertificatePlan,
    pools: Sequence[Pool],
    by_pool: Mapping[tuple[str, str], tuple[PlannedCertificate, ...]],
) -> _Box:
    role = plan.rules.roles[pools[0].role]
    servers = [str(computer.fqdn) for pool in pools for computer in pool.computers]
    count = count_of(len(servers), "server")
    if len(pools) == 1:
        lines = [str(pools[0].fqdn)]
        if servers != lines:
            names = _listed(servers, _WIDTHS[role.zone] - 2 * _PAD - text_width(count, 12) - 12, 12)
            lines.append(f"{count}: {names}")
    else:
        sites = len({pool.site for pool in pools})
        where = f" in {count_of(sites, 'site')}" if sites > 1 else ""
        lines = [f"{count_of(len(pools), 'pool')}{where}, {count}"]
    certificates = [c for pool in pools for c in by_pool.get((pool.fqdn, pool.role), ())]
    return _Box(
        zone=role.zone,
        title=role.title,
        lines=lines,
        speaks={(role.id, pool.site) for pool in pools} | {(role.id, None)},
        shown=_kinds(certificates),
        pools=len(pools),
    )


def _party_box(party: PartyRule) -> _Box:
    title, _, rest = party.title.partition(" ")  # outside there is room for one word
    narrow = text_width(party.title, 13) * _BOLD > _WIDTHS[party.zone] - 2 * _PAD
    return _Box(
        zone=party.zone,
        title=title if narrow else party.title,
        lines=[rest] if narrow and rest else [],
        speaks={(party.id, None)},
        shown=[],
    )


def _deployment_box(
    plan: CertificatePlan, role: str, certificates: Sequence[PlannedCertificate]
) -> _Box:
    servers = len({server for c in certificates for server in c.servers})
    return _Box(
        zone="inside",
        title=role,
        lines=[f"one for {count_of(servers, 'server')}"],
        speaks=set(),
        shown=_kinds(certificates),
    )


def _gather_bare(band: _Band) -> None:
    """Put what needs no certificate and speaks to nobody into one box for each zone."""
    for zone in ZONES:
        bare = [box for box in band.boxes if box.zone == zone and not box.shown]
        if bare:
            band.boxes = [box for box in band.boxes if box not in bare]
            lines = [f"{box.title}: {box.lines[-1]}" for box in bare]
            band.boxes.append(
                _Box(zone=zone, title="No certificate", lines=lines, speaks=set(), shown=[])
            )


def _add_arrival(box: _Box, item: Connection) -> None:
    """Add a speaker to the line of a box that it belongs to.

    One pool has a line for each set of names; of several pools the names stand together. Servers
    and people never share a line.
    """
    shown = next(s for s in box.shown if _is_for(item, s, box.shown))
    rule = item.rule
    key = (rule.protocol, rule.port, not item.pools, item.names if box.pools == 1 else ())
    line = shown.lines.setdefault(key, _Arrival(protocol=rule.protocol, port=rule.port))
    line.names.update(dict.fromkeys(item.names))
    line.speakers[item.speaker, item.site] = None


def _put_in_words(box: _Box, rules: Rules) -> None:
    parties = rules.parties
    for shown in box.shown:
        for line in shown.arrivals:
            kinds = dict.fromkeys(speaker for speaker, _ in line.speakers)
            said = (parties[kind].title if kind in parties else kind for kind in kinds)
            line.said = tuple(said)


def _place(bands: Sequence[_Band]) -> float:
    """Give every box and line its place; the height of the picture."""
    y = 96.0
    for band in bands:
        inner = y + (22 if band.title else 0)
        band.y = y
        ends = dict.fromkeys(ZONES, inner)
        for box in band.boxes:
            box.y = ends[box.zone]
            ends[box.zone] += box.height + 10
            _place_arrivals(box)
        band.height = max(ends.values()) - y
        y += band.height + 6
    return y + _MARGIN


def _place_arrivals(box: _Box) -> None:
    y = box.y + _PAD + (len(box.lines) + 1) * _LINE
    for shown in box.shown:
        y += (len(_wrapped(shown.usages, _WIDTHS[box.zone] - 34)) + 1) * _LINE
        for arrival in shown.arrivals:
            arrival.y = y + 7
            y += 2 * _LINE


def _draw_zones(drawing: Drawing, height: float, title: str) -> None:
    drawing.text(_MARGIN, 26, fit(title, (WIDTH - 2 * _MARGIN) / _BOLD, 17), "title")
    x = float(_MARGIN)
    for kind, words in (("solid", "SIP"), ("dashed", "HTTPS"), ("dotted", "other")):
        drawing.path([(x, 44), (x + 34, 44)], kind)
        drawing.tip(x + 40, 44, 1, kind)
        drawing.text(x + 46, 48, words, "small")
        x += 60 + text_width(words, 11)
    for kind, words in (("open", "certificate, internal CA"), ("mark", "certificate, public CA")):
        drawing.disc(x + 6, 44, 5, kind)
        drawing.text(x + 16, 48, words, "small")
        x += 30 + text_width(words, 11)
    drawing.text(x, 48, "an arrow ends at the name by which the listener is known", "small quiet")
    for zone in ZONES:
        left, width = _LEFT[zone] - 6, _WIDTHS[zone] + 12
        drawing.rect(left, 62, width, height - 62 - _MARGIN, "zone")
        drawing.text(left + 8, 82, _ZONE_TITLES[zone], "head")


def _draw_lines(drawing: Drawing, boxes: Sequence[_Box]) -> None:
    """Draw the connections: from each speaker one trunk in a gutter, a branch to each line."""
    speaking: dict[tuple[str, str | None], list[_Box]] = {}
    for box in boxes:
        for key in box.speaks:
            speaking.setdefault(key, []).append(box)
    places = {id(box): place for place, box in enumerate(boxes)}
    trunks: dict[_Trunk, list[tuple[_Box, float]]] = {}
    for target in boxes:
        for shown in target.shown:
            for arrival in shown.arrivals:
                sources = {
                    id(box): box for key in arrival.speakers for box in speaking.get(key, ())
                }
                for box in sources.values():
                    if box is not target:
                        gutter = _gutter(box.zone, target.zone)
                        style = _style(arrival.protocol)
                        trunk = (places[id(box)], gutter, target.zone, style)
                        trunks.setdefault(trunk, []).append((target, arrival.y))
    for gutter, (left, right) in _GUTTERS.items():
        ours = {key: ends for key, ends in trunks.items() if key[1] == gutter}
        tracks = _tracks({k: [boxes[k[0]].y + 14, *(y for _, y in e)] for k, e in ours.items()})
        step = min(7.0, (right - left - 26) / max(1, max(tracks.values(), default=0)))
        for trunk, ends in ours.items():
            x = left + 14 + tracks[trunk] * step
            _draw_trunk(drawing, boxes[trunk[0]], trunk[3], ends, x)


def _gutter(source: str, target: str) -> str:
    """Name the gutter, by the zone left of it, that lines from one zone to another run in."""
    if source == target:
        return source
    left, right = sorted((source, target), key=ZONES.index)
    return left if left == source else ZONES[ZONES.index(right) - 1]


def _tracks(
    spans: Mapping[_Trunk, Sequence[float]],
) -> dict[_Trunk, int]:
    """Give lines that run beside one another different places, those that do not the same."""
    ends: list[float] = []
    found = {}
    for key in sorted(spans, key=lambda k: (min(spans[k]), k)):
        low, high = min(spans[key]), max(spans[key])
        place = next((n for n, end in enumerate(ends) if end + 4 < low), len(ends))
        ends[place : place + 1] = [high]
        found[key] = place
    return found


def _draw_trunk(
    drawing: Drawing, source: _Box, style: str, ends: Sequence[tuple[_Box, float]], x: float
) -> None:
    left, right = _LEFT[source.zone], _LEFT[source.zone] + _WIDTHS[source.zone]
    # Lines that leave to the left begin lower than those that leave to the right, each kind at
    # a height of its own, lest two of them be taken for one.
    below = 4 * ("solid", "dashed", "dotted").index(style) + (7 if x > right else 21)
    start = source.y + below
    drawing.path([(right if x > right else left, start), (x, start)], style)
    levels = sorted({start, *(y for _, y in ends)})
    drawing.path([(x, levels[0]), (x, levels[-1])], style)
    for target, y in ends:
        left, far = _LEFT[target.zone], _LEFT[target.zone] + _WIDTHS[target.zone]
        edge, direction = (left, 1) if x < left else (far, -1)
        drawing.path([(x, y), (edge - 5 * direction, y)], style)
        drawing.tip(edge, y, direction, style)


def _style(protocol: str) -> str:
    return {"SIP": "solid", "HTTPS": "dashed"}.get(protocol, "dotted")


def _draw_band(drawing: Drawing, band: _Band) -> None:
    if band.title:
        left = _LEFT["perimeter"] - 10
        width = _LEFT["inside"] + _WIDTHS["inside"] + 10 - left
        drawing.rect(left, band.y, width, band.height, "band")
        drawing.text(left + 8, band.y + 15, fit(band.title, (width - 16) / _BOLD, 12), "strong")
    for box in band.boxes:
        _draw_box(drawing, box)


def _draw_box(drawing: Drawing, box: _Box) -> None:
    left, width = _LEFT[box.zone], _WIDTHS[box.zone]
    drawing.rect(left, box.y, width, box.height, "box")
    y = box.y + 18
    drawing.text(left + _PAD, y, fit(box.title, (width - 2 * _PAD) / _BOLD, 13), "head")
    for line in box.lines:
        y += _LINE
        drawing.text(left + _PAD, y, fit(line, width - 2 * _PAD, 12))
    for shown in box.shown:
        drawing.disc(left + 14, y + 11, 5, "mark" if shown.issuer == "public" else "open")
        for line in _wrapped(shown.usages, width - 34):
            y += _LINE
            drawing.text(left + 26, y, line, "strong")
        y += _LINE
        words = f"{count_of(shown.count, 'certificate')}, {shown.issuer} CA"
        drawing.text(left + 26, y, f"{words}, {count_of(len(shown.names), 'name')}", "small quiet")
        for arrival in shown.arrivals:
            x, inner = left + 26, width - 34
            words = f"{arrival.protocol} {arrival.port} from "
            words += _listed(arrival.said, inner - text_width(words, 12), 12)
            drawing.text(x, arrival.y + 4, words)
            names = _listed(tuple(arrival.names), inner, 11)
            drawing.text(x, arrival.y + 4 + _LINE, names, "small quiet")
            y += 2 * _LINE


def _listed(names: Sequence[str], width: float, size: float) -> str:
    """List as many names as fit, whole, and count the others."""
    for shown in range(min(len(names), _NAMES_TRIED), 0, -1):
        more = f" and {len(names) - shown:,} more" if shown < len(names) else ""
        text = ", ".join(names[:shown]) + more
        if text_width(text, size) <= width:
            return text
    return fit(names[0], width - text_width(more, size), size) + more


def _wrapped(usages: Sequence[str], width: float) -> list[str]:
    """Break a list of types into lines."""
    lines = [""]
    for usage in usages or ("no type: not a Lync certificate",):
        longer = f"{lines[-1]}, {usage}" if lines[-1] else usage
        if text_width(longer, 12) * _BOLD > width and lines[-1]:
            lines[-1] += ","
            lines.append(usage)
        else:
            lines[-1] = longer
    return lines
