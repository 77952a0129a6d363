"""Draw the deployment, from the internet to the internal servers, with the connections.

Each connection ends at a line of text in the listener's box, which describes the connection.
``topology_boxes`` determines the content and positions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from ..base.shown.frames import Kind
from ..base.shown.languages import make_translator
from ..base.shown.svg import Drawing, measure_text, shorten_text
from ..base.shown.tables import columns, format_count
from ..plan.connections import Connection, group_certificates_by_pool
from ..plan.model import CertificatePlan
from ..rules.model import ZONES, Rules
from .topology_boxes import (
    BAND_TITLE,
    BOLD,
    LINE,
    MARGIN,
    PAD,
    WIDTHS,
    Band,
    Box,
    Changes,
    Layout,
    fit_names,
    group_by_kind,
    lay_out,
    uses_certificate_kind,
    wrap_usages,
)

COLUMNS = columns(
    ("Zone", 0),
    ("Site", 1),
    ("Role", 2),
    ("Pool", 3),
    ("Server count", 4, Kind.COUNT),
    ("Type", 5),
    ("Issuer", 6),
    ("Certificate count", 7, Kind.COUNT),
    ("Name count", 8, Kind.COUNT),
    ("Spoken to by", 9),
    ("Of site", 10),
    ("Pools that speak", 11, Kind.COUNT),
    ("By name", 12),
    ("Protocol", 13),
    ("Port", 14),
    ("Why", 15),
    ("Source", 16),
)

#: The columns of the table below a picture that compares two plans.
CHANGED_COLUMNS = (*COLUMNS, *columns(("Changed", 17)))

WIDTH = 1000
_LEFT = {"outside": 12.0, "perimeter": 198.0, "inside": 538.0}
# The left and right positions of the gutter to the right of each zone. The gutters contain the
# connection lines.
_GUTTERS = {"outside": (150.0, 198.0), "perimeter": (482.0, 538.0), "inside": (926.0, 998.0)}
_ZONE_TITLES = {"outside": "Outside", "perimeter": "Perimeter", "inside": "Inside"}

# Each item contains the position of the box that opens the connection, the gutter, the target zone,
# and the style.
_Trunk = tuple[int, str, str, str]


def list_topology_rows(
    plan: CertificatePlan, connections: Iterable[Connection]
) -> Iterator[tuple[object, ...]]:
    """Yield the rows of the table below the topology picture, with the columns in ``COLUMNS``.

    Yields
    ------
    tuple
        For each kind of certificate of each pool, a row for each connection, or one row if there
        is none.
    """
    by_pool = group_certificates_by_pool(plan)
    by_listener: dict[tuple[str, str], list[Connection]] = {}
    for item in connections:
        by_listener.setdefault((item.listener.fqdn, item.listener.role), []).append(item)
    for pool in plan.topology.pools:
        key = (pool.fqdn, pool.role)
        zone = plan.rules.roles[pool.role].zone
        first = (zone, pool.site, pool.role, pool.fqdn, len(pool.computers))
        kinds = group_by_kind(by_pool.get(key, ()))
        if not kinds:
            yield (*first, (), "", 0, 0, *_build_empty_row())
        for kind in kinds:
            middle = (kind.usages, kind.issuer, kind.count, len(kind.names))
            ours = [c for c in by_listener.get(key, ()) if uses_certificate_kind(c, kind, kinds)]
            for item in ours:
                yield (*first, *middle, *_build_connection_row(item, plan.rules))
            if not ours:
                yield (*first, *middle, *_build_empty_row())
    for (name, role), certificates in by_pool.items():
        if not name:  # the whole deployment's
            for kind in group_by_kind(certificates):
                servers = len({s for c in certificates for s in c.servers})
                middle = (kind.usages, kind.issuer, kind.count, len(kind.names))
                yield ("inside", "", role, "", servers, *middle, *_build_empty_row())


def list_changed_rows(
    plan: CertificatePlan, connections: Iterable[Connection], changes: Changes
) -> Iterator[tuple[object, ...]]:
    """Yield a table row for each pool with changes, and a row for each removed pool."""
    for row in list_topology_rows(plan, connections):
        yield (*row, changes.describe_changes([(str(row[3]), str(row[2]))]))
    for zone in ZONES:
        for (pool, role), words in changes.list_removed_pools(zone):
            yield (zone, "", role, pool, 0, (), "", 0, 0, *_build_empty_row(), f"{words} removed")


def _build_connection_row(item: Connection, rules: Rules) -> tuple[object, ...]:
    site = "" if item.site is None else item.site
    rule = item.rule
    return (
        *(_get_source_title(item.speaker, rules), site, item.pools, item.names, rule.protocol),
        *(rule.port, rule.why, rule.source),
    )


def _build_empty_row() -> tuple[object, ...]:
    return ("", "", 0, (), "", "", "", "")


def _get_source_title(speaker: str, rules: Rules) -> str:
    party = rules.parties.get(speaker)
    return party.title if party else rules.roles[speaker].title


def draw_topology(
    plan: CertificatePlan,
    connections: Sequence[Connection],
    *,
    title: str,
    description: str,
    site: str = "",
    changes: Changes | None = None,
) -> str:
    """Draw the topology picture as an SVG document.

    Parameters
    ----------
    plan : CertificatePlan
        Certificates of p pools.
    connections : sequence of Connection
        As :func:`list_connections` gives them.
    title, description : str
        The heading of the picture, and its description for screen readers.
    site : str, optional
        A site to show pool by pool, independent of the others.
    changes : Changes, optional
        The changes since another plan, to mark.

    Returns
    -------
    str
        An SVG document, 1,000 pixels wide; if it is higher than a sheet, it is cut between boxes.
    """
    layout = lay_out(plan, connections, site=site, changes=changes)
    drawing = Drawing(WIDTH)
    translate = make_translator(plan.options.lang)
    _draw_zones(drawing, layout, title, translate, is_compared=changes is not None)
    _draw_lines(drawing, [box for band in layout.bands for box in band.boxes])
    for band in layout.bands:
        _draw_band(drawing, band, translate)
    return drawing.to_svg(
        layout.height, title=title, description=description, break_positions=layout.breaks
    )


def _draw_zones(
    drawing: Drawing,
    layout: Layout,
    title: str,
    translate: Callable[[str], str],
    *,
    is_compared: bool,
) -> None:
    drawing.draw_text(MARGIN, 26, shorten_text(title, (WIDTH - 2 * MARGIN) / BOLD, 17), "title")
    x = float(MARGIN)
    for kind, words in (("solid", "SIP"), ("dashed", "HTTPS"), ("dotted", translate("other"))):
        drawing.draw_path([(x, 44), (x + 34, 44)], kind)
        drawing.draw_arrowhead(x + 40, 44, 1, kind)
        drawing.draw_text(x + 46, 48, words, "small")
        x += 60 + measure_text(words, 11)
    for kind, words in (("open", "certificate, internal CA"), ("mark", "certificate, public CA")):
        words = translate(words)
        drawing.draw_disc(x + 6, 44, 5, kind)
        drawing.draw_text(x + 16, 48, words, "small")
        x += 30 + measure_text(words, 11)
    if is_compared:
        words = translate("± changed")
        drawing.draw_text(x, 48, words, "small warn")
        x += 18 + measure_text(words, 11) * BOLD
    words = translate("an arrow points to the server that accepts the connection")
    drawing.draw_text(x, 48, shorten_text(words, WIDTH - MARGIN - x, 11), "small quiet")
    for zone in ZONES:
        left, width = _LEFT[zone] - 6, WIDTHS[zone] + 12
        drawing.draw_rectangle(left, 62, width, layout.height - 62 - MARGIN, "zone")
        zone_title = translate(_ZONE_TITLES[zone])
        drawing.draw_text(left + 8, 82, zone_title, "head")
        for top in layout.breaks:
            drawing.draw_text(
                left + 8, top + 20, translate("{}, continued").format(zone_title), "head"
            )


def _draw_lines(drawing: Drawing, boxes: Sequence[Box]) -> None:
    """Draw each connection as a line in a gutter, with a branch to each box that it reaches."""
    speaking: dict[tuple[str, str | None], list[Box]] = {}
    for box in boxes:
        for key in box.speaks:
            speaking.setdefault(key, []).append(box)
    indices = {id(box): index for index, box in enumerate(boxes)}
    trunks: dict[_Trunk, list[tuple[Box, float]]] = {}
    for target in boxes:
        for kind in target.shown:
            for arrival in kind.arrivals:
                sources = {
                    id(box): box for key in arrival.speakers for box in speaking.get(key, ())
                }
                for box in sources.values():
                    if box is not target:
                        gutter = _find_gutter(box.zone, target.zone)
                        style = _choose_style(arrival.protocol)
                        trunk = (indices[id(box)], gutter, target.zone, style)
                        trunks.setdefault(trunk, []).append((target, arrival.y))
    for gutter, (left, right) in _GUTTERS.items():
        ours = {key: branches for key, branches in trunks.items() if key[1] == gutter}
        tracks = _assign_tracks(
            {k: [boxes[k[0]].y + 14, *(y for _, y in e)] for k, e in ours.items()}
        )
        step = min(7.0, (right - left - 26) / max(1, max(tracks.values(), default=0)))
        for trunk, branches in ours.items():
            x = left + 14 + tracks[trunk] * step
            _draw_branching_line(drawing, boxes[trunk[0]], trunk[3], branches, x)


def _find_gutter(source: str, target: str) -> str:
    """Return the gutter for lines between two zones. Its name is that of the zone on the left."""
    if source == target:
        return source
    left, right = sorted((source, target), key=ZONES.index)
    return left if left == source else ZONES[ZONES.index(right) - 1]


def _assign_tracks(
    spans: Mapping[_Trunk, Sequence[float]],
) -> dict[_Trunk, int]:
    """Return different tracks for lines that overlap. Other lines can share a track."""
    track_ends: list[float] = []
    tracks = {}
    for key in sorted(spans, key=lambda k: (min(spans[k]), k)):
        low, high = min(spans[key]), max(spans[key])
        track = next((n for n, end in enumerate(track_ends) if end + 4 < low), len(track_ends))
        track_ends[track : track + 1] = [high]
        tracks[key] = track
    return tracks


def _draw_branching_line(
    drawing: Drawing, source: Box, style: str, branches: Sequence[tuple[Box, float]], x: float
) -> None:
    left, right = _LEFT[source.zone], _LEFT[source.zone] + WIDTHS[source.zone]
    # Lines to the left begin lower than lines to the right, and each type has its own height, so
    # that two lines cannot be confused.
    below = 4 * ("solid", "dashed", "dotted").index(style) + (7 if x > right else 21)
    start = source.y + below
    drawing.draw_path([(right if x > right else left, start), (x, start)], style)
    levels = sorted({start, *(y for _, y in branches)})
    drawing.draw_path([(x, levels[0]), (x, levels[-1])], style)
    for target, y in branches:
        left, far = _LEFT[target.zone], _LEFT[target.zone] + WIDTHS[target.zone]
        edge, direction = (left, 1) if x < left else (far, -1)
        drawing.draw_path([(x, y), (edge - 5 * direction, y)], style)
        drawing.draw_arrowhead(edge, y, direction, style)


def _choose_style(protocol: str) -> str:
    return {"SIP": "solid", "HTTPS": "dashed"}.get(protocol, "dotted")


def _draw_band(drawing: Drawing, band: Band, translate: Callable[[str], str]) -> None:
    if band.title:
        left = _LEFT["perimeter"] - 10
        width = _LEFT["inside"] + WIDTHS["inside"] + 10 - left
        drawing.draw_rectangle(left, band.y, width, band.height, "band")
        drawing.draw_text(
            left + 8, band.y + 15, shorten_text(band.title, BAND_TITLE / BOLD, 12), "strong"
        )
    for box in band.boxes:
        with drawing.group_shapes(pools=box.pools, label=box.title):
            _draw_box(drawing, box, translate)


def _draw_box(drawing: Drawing, box: Box, translate: Callable[[str], str]) -> None:
    left, width = _LEFT[box.zone], WIDTHS[box.zone]
    drawing.draw_rectangle(left, box.y, width, box.height, "box changed" if box.marks else "box")
    y = box.y + 18
    drawing.draw_text(left + PAD, y, shorten_text(box.title, (width - 2 * PAD) / BOLD, 13), "head")
    for line in box.lines:
        y += LINE
        drawing.draw_text(left + PAD, y, shorten_text(line, width - 2 * PAD, 12))
    for mark in box.marks:
        y += LINE
        drawing.draw_text(
            left + PAD, y, shorten_text(f"± {mark}", (width - 2 * PAD) / BOLD, 12), "warn"
        )
    for kind in box.shown:
        drawing.draw_disc(left + 14, y + 11, 5, "mark" if kind.issuer == "public" else "open")
        for line in wrap_usages(kind.usages, width - 34):
            y += LINE
            drawing.draw_text(left + 26, y, line, "strong")
        y += LINE
        words = f"{format_count(kind.count, 'certificate')}, {kind.issuer} CA"
        drawing.draw_text(left + 26, y, f"{words}, {kind.name_count_text}", "small quiet")
        for arrival in kind.arrivals:
            x, inner = left + 26, width - 34
            words = translate("{} {} from ").format(arrival.protocol, arrival.port)
            titles = fit_names(arrival.said, inner - measure_text(words, 12), 12)
            words += titles if "…" not in titles else format_count(len(arrival.said), "role")
            drawing.draw_text(x, arrival.y + 4, words)
            names = fit_names(tuple(arrival.names), inner, 11)
            drawing.draw_text(x, arrival.y + 4 + LINE, names, "small quiet")
            y += 2 * LINE
