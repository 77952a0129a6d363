"""Draw a diagram of the names on each certificate, with names in rows and pools in columns.

The shape of a mark shows how many certificates of a pool have the name. A full disc means all, half
a disc means some, and a ring means only as the subject. If there are too many names, each row is a
rule. If there are too many pools, each column is a role, and a fraction shows how many certificates
have the name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ..base.shown.frames import Kind
from ..base.shown.languages import make_translator
from ..base.shown.svg import Drawing, measure_text, shorten_text
from ..base.shown.tables import columns, format_count, join_first_texts
from ..plan.model import CertificatePlan, PlannedCertificate

COLUMNS = columns(
    ("Name", "name"),
    ("Name rule", "rules"),
    ("Site", "site"),
    ("Role", "role"),
    ("Pool", "pool"),
    ("Type", "usages"),
    ("Certificates with it", "carrying", Kind.COUNT),
    ("As subject only", "subject_only", Kind.COUNT),
    ("Certificates of the type", "of", Kind.COUNT),
)

#: The maximum number of names and pools that a picture shows individually.
NAMES_SHOWN, POOLS_SHOWN = 70, 20

_WIDTH, _MARGIN, _ROW, _NAMES_WIDTH = 1000, 12, 19, 290
# The height of the slanted headings in pixels. They extend to the right by two thirds of this
# height.
_HEAD = 150


# The key of a column: the site, the role, the pool, and the usages.
_Place = tuple[str, str, str, tuple[str, ...]]


@dataclass(slots=True, kw_only=True)
class _Mark:
    """The numbers in a cell of the figure: certificates with the name, and all certificates."""

    carrying: int = 0
    subject_only: int = 0
    of: int = 0


class CoverageRow(NamedTuple):
    """A name on the certificates of one pool and usage. ``COLUMNS`` describes its values."""

    name: str
    rules: tuple[str, ...]  # The IDs of the rules that require the name.
    site: str
    role: str
    pool: str  # The name of the pool, or "" for the certificate of the whole deployment.
    usages: tuple[str, ...]
    carrying: int  # The number of certificates that contain the name.
    subject_only: int
    of: int


def list_coverage_rows(plan: CertificatePlan, *, site: str = "") -> Iterator[CoverageRow]:
    """Yield the rows of the table that belongs to the coverage picture.

    Parameters
    ----------
    plan : CertificatePlan
        n certificates.
    site : str, optional
        Only the pools of this site.

    Yields
    ------
    CoverageRow
        One for each name, pool and set of types.
    """
    groups: dict[tuple[str, str, str, tuple[str, ...]], list[PlannedCertificate]] = {}
    for certificate in plan.certificates:
        if not site or certificate.site == site:
            column = (certificate.site, certificate.role, certificate.pool, certificate.usages)
            groups.setdefault(column, []).append(certificate)
    subjects = {rule.id: rule.subject_name for rule in plan.rules.certificates}
    for column, certificates in groups.items():
        marks: dict[str, _Mark] = {}
        rules: dict[str, dict[str, None]] = {}
        for certificate in certificates:
            for entry in certificate.subject_alt_name:
                marks.setdefault(str(entry.name), _Mark()).carrying += 1
                rules.setdefault(str(entry.name), {}).update(dict.fromkeys(entry.reasons))
            subject = certificate.subject.common_name
            if subject and subject not in certificate.names:
                marks.setdefault(subject, _Mark()).subject_only += 1
                rules.setdefault(subject, {})[subjects[certificate.rule]] = None
        for name, mark in marks.items():
            yield CoverageRow(
                *(name, tuple(rules[name]), *column),
                *(mark.carrying, mark.subject_only, len(certificates)),
            )


def draw_coverage(
    plan: CertificatePlan, rows: Sequence[CoverageRow], *, title: str, description: str
) -> str:
    """Draw the rows of the coverage picture as an SVG document that is 1,000 pixels wide."""
    order = {role: position for position, role in enumerate(plan.rules.roles)}
    columns = sorted(
        {row[2:6] for row in rows},
        key=lambda p: (not p[2], p[0], order.get(p[1], len(order)), p[2], p[3]),
    )
    by_role = len(columns) > POOLS_SHOWN
    by_rule = len({row.name for row in rows}) > NAMES_SHOWN
    if by_role:  # The number of certificates in all sites.
        columns = sorted(columns, key=lambda p: (not p[2], order.get(p[1], len(order)), p[3]))
    heads = _build_headings(columns, is_by_role=by_role)
    marks = _count_marks(plan, heads, is_by_rule=by_rule)
    down, across = list(dict.fromkeys(n for n, _ in marks)), list(dict.fromkeys(heads.values()))
    drawing = Drawing(_WIDTH)
    words = _describe_rules(rows, down) if by_rule else down
    translate = make_translator(plan.options.lang)
    height = _draw_frame(drawing, title, words, across, translate, is_by_rule=by_rule)
    for (name, head), mark in marks.items():
        x = _MARGIN + _NAMES_WIDTH + across.index(head) * _compute_column_width(across) + 14
        y = _compute_grid_top() + down.index(name) * _ROW + 10
        _draw_mark(drawing, x, y, mark, available_width=_compute_column_width(across) - 17)
    return drawing.to_svg(height, title=title, description=description)


# The heading of a column: a pool or role, and the usages of its certificates.
_Heading = tuple[str, str]


def _build_headings(columns: Sequence[_Place], *, is_by_role: bool) -> dict[_Place, _Heading]:
    """Return each column's pool or role, with a usage if the pool or role has several columns."""
    kinds: dict[str, set[tuple[str, ...]]] = {}
    for _, role, pool, usages in columns:
        kinds.setdefault(role if is_by_role else pool or role, set()).add(usages)
    headings = {}
    for column in columns:
        _, role, pool, usages = column
        name = role if is_by_role else pool or role
        suffix = f", +{len(usages) - 1}" if len(usages) > 1 else ""
        several = len(kinds[name]) > 1 and usages
        headings[column] = (name, f"{usages[0]}{suffix}" if several else "")
    return headings


def _count_marks(
    plan: CertificatePlan, columns: Mapping[_Place, _Heading], *, is_by_rule: bool
) -> Mapping[tuple[str, _Heading], _Mark]:
    """Count the certificates in each column by name or, with `is_by_rule`, by rule."""
    subjects = {rule.id: rule.subject_name for rule in plan.rules.certificates}
    totals: dict[_Heading, int] = {}
    cells: dict[tuple[str, _Heading], _Mark] = {}
    for certificate in plan.certificates:
        head = columns.get(
            (certificate.site, certificate.role, certificate.pool, certificate.usages)
        )
        if head is None:  # in another site
            continue
        totals[head] = totals.get(head, 0) + 1
        row_names: dict[str, None] = {}
        for entry in certificate.subject_alt_name:
            row_names.update(dict.fromkeys(entry.reasons if is_by_rule else (str(entry.name),)))
        for name in row_names:
            cells.setdefault((name, head), _Mark()).carrying += 1
        subject = certificate.subject.common_name
        if subject and subject not in certificate.names:
            name = subjects[certificate.rule] if is_by_rule else subject
            cells.setdefault((name, head), _Mark()).subject_only += 1
    for (_, head), mark in cells.items():
        mark.of = totals[head]
    if not is_by_rule:
        return cells
    order = {rule: position for position, rule in enumerate(plan.rules.names)}
    return {key: cells[key] for key in sorted(cells, key=lambda cell: order[cell[0]])}


def _describe_rules(rows: Sequence[CoverageRow], rules: Sequence[str]) -> list[str]:
    """For each rule, return a text with its first name and the number of its other names.

    If the text is too long, it contains only the number of names.
    """
    names: dict[str, dict[str, None]] = {rule: {} for rule in rules}
    for row in rows:
        for rule in row.rules:
            names[rule][row.name] = None
    words = []
    for rule, rule_names in names.items():
        text = f"{rule}: {join_first_texts([*rule_names], 1)}"
        is_short = measure_text(text, 12) <= _NAMES_WIDTH - 12
        words.append(text if is_short else f"{rule}: {format_count(len(rule_names), 'name')}")
    return words


def _compute_grid_top() -> int:
    return 76 + _HEAD


def _compute_column_width(columns: Sequence[_Heading]) -> float:
    return min(74.0, (_WIDTH - 2 * _MARGIN - _NAMES_WIDTH - 110) / max(1, len(columns)))


def _draw_frame(
    drawing: Drawing,
    title: str,
    rows: Sequence[str],
    columns: Sequence[_Heading],
    translate: Callable[[str], str],
    *,
    is_by_rule: bool,
) -> float:
    drawing.draw_text(_MARGIN, 26, shorten_text(title, _WIDTH - 2 * _MARGIN, 17), "title")
    _draw_legend(drawing, translate)
    heading = "Names, grouped by the rule that requires them" if is_by_rule else "Names"
    drawing.draw_text(_MARGIN, _compute_grid_top() - 8, translate(heading), "head")
    for position, name in enumerate(rows):
        y = _compute_grid_top() + position * _ROW
        if position % 2 == 0:
            drawing.draw_rectangle(_MARGIN, y, _WIDTH - 2 * _MARGIN, _ROW, "zone")
        short_name = shorten_text(name, _NAMES_WIDTH - 12, 12)
        drawing.draw_text(_MARGIN + 6, y + 14, short_name, name="" if is_by_rule else name)
    step = _compute_column_width(columns)
    for position, (name, types) in enumerate(columns):
        x = _MARGIN + _NAMES_WIDTH + position * step + 14
        short_name = shorten_text(translate(name), _HEAD * 1.15, 12)
        drawing.draw_slanted_text(x, _compute_grid_top() - 8, short_name)
        if types:  # The text starts half a column to the right, below the first line.
            drawing.draw_slanted_text(
                x + 17,
                _compute_grid_top() - 8,
                shorten_text(types, _HEAD * 1.15, 11),
                "small quiet",
            )
        drawing.draw_path(
            [(x, _compute_grid_top() - 4), (x, _compute_grid_top() + len(rows) * _ROW)],
            "rule faint",
        )
    return _compute_grid_top() + len(rows) * _ROW + _MARGIN


def _draw_legend(drawing: Drawing, translate: Callable[[str], str]) -> None:
    x = float(_MARGIN + 6)
    for mark, words in (
        (_Mark(carrying=1, of=1), "on all certificates"),
        (_Mark(carrying=1, of=2), "on some certificates"),
        (_Mark(subject_only=1, of=1), "as subject only"),
    ):
        words = translate(words)
        _draw_mark(drawing, x, 44, mark, available_width=0)
        drawing.draw_text(x + 12, 48, words, "small")
        x += 34 + measure_text(words, 11)
    words = translate("2/3 means that 2 of 3 certificates contain the name")
    drawing.draw_text(x, 48, words, "small quiet")


def _draw_mark(
    drawing: Drawing, x: float, y: float, mark: _Mark, *, available_width: float
) -> None:
    """Draw a mark. If there is space for it, add the fraction or percentage."""
    number = mark.carrying or mark.subject_only
    if mark.carrying >= mark.of:
        drawing.draw_disc(x, y, 5.5, "mark")
    elif mark.carrying:
        drawing.draw_half_disc(x, y, 5.5)
    else:
        drawing.draw_disc(x, y, 5.5, "open")
    if available_width and number < mark.of:
        words = f"{number}/{mark.of}"
        if measure_text(words, 9) > available_width:
            words = f"{max(1, number * 100 // mark.of)}%"
        size = "small" if measure_text(words, 11) <= available_width else "tiny"
        drawing.draw_text(x + 9, y + 4, words, f"{size} quiet")
