"""Draw the timeline: when certificates are issued and expire, and which limits apply.

The functions draw rows of dated events of any type. A new type of event needs no change in this
module.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

from ..base.shown.frames import Kind
from ..base.shown.languages import LANGUAGES, make_translator
from ..base.shown.svg import Drawing, measure_text, shorten_text
from ..base.shown.tables import build_rows, columns
from ..plan.model import CertificatePlan
from ..rules.ca_rules import load_ca_rules

COLUMNS = columns(
    ("Kind", "kind"),
    ("About", "about"),
    ("What", "what"),
    ("Begins", lambda fact: str(fact.begins or ""), Kind.DAY),
    ("Ends", lambda fact: str(fact.ends or ""), Kind.DAY),
    ("Needs a look", "needs_a_look", Kind.FLAG),
    ("Source", "source"),
)

_WIDTH, _MARGIN, _ROW, _WORDS = 1000, 12, 20, 310
# The heights in pixels of the heading for an event type, and of the space below its last row.
_KIND, _GAP = 20, 6
_GATHERED = 48  # The height in pixels of a row of marks with counts below them.
# The position where the axis begins: below its dates and above the first type of event.
_AXIS, _TOP = 50, 56
_LEFT, _RIGHT = _MARGIN + _WORDS, _WIDTH - 40
_BOLD = 1.12  # The ratio of the width of bold text to the width of regular text.
_BIN = 38  # The distance in pixels within which events share one mark.
# The largest number of events that are drawn separately. More events are drawn as one row of marks
# with counts.
_ROWS_OF_A_KIND = 14


@dataclass(frozen=True, slots=True, kw_only=True)
class DatedFact:
    """An event that happens on one day, or that applies from one day to another.

    Attributes
    ----------
    kind : str
        The type of event, for example ``Limits of public CAs``; each type is a group.
    about : str
        Id of a request or name of a CA; "" for all.
    what : str
        The text; events of one type with the same text and days are drawn once, with a count.
    begins, ends : date or None
        The first and the last day; None if it is not known or has no end. One is always given.
    needs_a_look : bool
        Whether it needs attention and is marked.
    source : str
        Where the dates come from.
    is_present : bool
        Whether it is the present day: a line through the whole picture.
    """

    kind: str
    about: str
    what: str
    begins: date | None = None
    ends: date | None = None
    needs_a_look: bool = False
    source: str = ""
    is_present: bool = False


@dataclass(slots=True, kw_only=True)
class _Line:
    fact: DatedFact
    count: int = 1


def list_plan_events(plan: CertificatePlan) -> tuple[DatedFact, ...]:
    """Return the events of a plan for the timeline.

    Returns
    -------
    tuple of DatedFact
        The known limits on validity of the public CAs in the plan, from the planned issue date on.
        For each certificate, its planned issue date and its end by the requested validity or the
        limit of its CA, if the plan options set them.
    """
    issued = plan.options.planned_issue_date
    cas = dict.fromkeys((certificate.issuer, certificate.ca) for certificate in plan.certificates)
    public_cas = [ca for issuer, ca in cas if issuer == "public"]
    # The first name "" stands for the limits of all public CAs.
    facts = [*list_limit_facts(issued, ["", *public_cas])] if public_cas else []
    if issued is None:
        return tuple(facts)
    limits = {
        (issuer, ca): load_ca_rules().find_smallest_limit(
            "validity-days", issued, issuer=issuer, ca=ca
        )
        for issuer, ca in cas
    }
    for certificate in plan.certificates:
        limit = limits[certificate.issuer, certificate.ca]
        days = plan.options.validity_for(certificate.issuer)
        over = bool(days and limit and days > limit.value)
        # Longer texts would be shortened in the picture.
        words = f"{days:,} days requested" if days else "date of issue; the CA sets the validity"
        if over and limit:
            words += f", {limit.value:,} allowed"
            days = limit.value
        facts.append(
            DatedFact(
                kind=f"Planned, {certificate.issuer} CA",
                about=certificate.id,
                what=words,
                begins=issued,
                # The certificate is still valid in the second of notAfter (RFC 5280 section
                # 4.1.2.5), so a validity of n days ends just before day n.
                ends=_add_days(issued, days - 1) if days else issued,
                needs_a_look=over,
                source="plan options: planned_issue_date, "
                + ("validity" if certificate.issuer in plan.options.validity else "validity_days"),
            )
        )
    return tuple(facts)


def list_limit_facts(start_date: date | None, cas: Iterable[str]) -> tuple[DatedFact, ...]:
    """Return the limits on the validity of certificates from public CAs, from a start date on.

    The result contains the limits of all public CAs, and the limits of each named CA.
    """
    facts = (
        DatedFact(
            kind="Limits of public CAs" if limit.applies == "public" else f"Limits of {ca}",
            about="" if limit.applies == "public" else ca,
            what=f"at most {limit.value:,} days if valid from this date on",
            # For some CAs, the first day of the current limit is not recorded.
            begins=limit.effective or start_date,
            ends=limit.until and limit.until - timedelta(days=1),
            source=str(limit.source),
        )
        for ca in dict.fromkeys(cas)
        for limit in load_ca_rules().list_limits("validity-days", ca=ca)
        if limit.until is None or start_date is None or limit.until > start_date
    )
    return tuple(dict.fromkeys(facts))


def _add_days(day: date, days: int) -> date:
    """Return the date after a number of days, or the last date that Python supports."""
    return day + timedelta(days=min(days, (date.max - day).days))


def build_fact_rows(facts: Iterable[DatedFact]) -> Iterator[tuple[object, ...]]:
    """Return the events of a timeline as table rows with ``COLUMNS``."""
    return build_rows(COLUMNS, facts)


def draw_timeline(
    facts: Sequence[DatedFact], *, title: str, description: str, lang: str = LANGUAGES[0]
) -> str:
    """Draw events, grouped by type, as an SVG document that is 1,000 pixels wide."""
    drawing, translate = Drawing(_WIDTH), make_translator(lang)
    facts = [replace(fact, kind=translate(fact.kind), what=translate(fact.what)) for fact in facts]
    has_warning = any(fact.needs_a_look for fact in facts)
    legend = _draw_legend(drawing, translate, has_warning=has_warning)
    drawing.draw_text(_MARGIN, 22, shorten_text(title, (legend - 2 * _MARGIN) / _BOLD, 17), "title")
    days = [day for fact in facts for day in (fact.begins, fact.ends) if day]
    if not days:
        words = translate("The plan and the folder contain no dates.")
        drawing.draw_text(_MARGIN, _TOP, words, "head")
        return drawing.to_svg(80, title=title, description=description)
    first, last = min(days), max(days)
    room = max(30, (last - first).days // 20)
    # A certificate without a defined expiration date has the notAfter value 99991231235959Z (RFC
    # 5280, section 4.1.2.5).
    begin = max(first.toordinal() - room, date.min.toordinal())
    end = min(last.toordinal() + room, date.max.toordinal())
    scale = _Scale(date.fromordinal(begin), date.fromordinal(end))
    kinds: dict[str, dict[tuple[object, ...], _Line]] = {}
    for fact in facts:
        key = (fact.what, fact.begins, fact.ends, fact.needs_a_look)
        lines = kinds.setdefault(fact.kind, {})
        if key in lines:
            lines[key].count += 1
        else:
            lines[key] = _Line(fact=fact)
    heights = {
        kind: _KIND + _compute_group_height(len(lines)) + _GAP for kind, lines in kinds.items()
    }
    bottom = float(_TOP + sum(heights.values()))
    _draw_axis(drawing, scale, bottom)
    for day in {fact.begins for fact in facts if fact.is_present and fact.begins}:
        drawing.draw_path([(scale.compute_x(day), _AXIS), (scale.compute_x(day), bottom)], "now")
    y = float(_TOP)
    for kind, lines in kinds.items():
        drawing.draw_text(_MARGIN, y + 14, shorten_text(kind, (_WORDS - 8) / _BOLD, 13), "head")
        _draw_kind(drawing, scale, y + _KIND, list(lines.values()))
        y += heights[kind]
    return drawing.to_svg(bottom + _MARGIN, title=title, description=description)


class _Scale:
    """A scale that converts dates to horizontal positions in pixels."""

    def __init__(self, first: date, last: date) -> None:
        self.first, self.last = first, last

    def compute_x(self, day: date) -> float:
        share = (day - self.first).days / max(1, (self.last - self.first).days)
        return _LEFT + share * (_RIGHT - _LEFT)


def _compute_group_height(lines: int) -> float:
    return lines * _ROW if lines <= _ROWS_OF_A_KIND else _GATHERED


def _draw_legend(drawing: Drawing, translate: Callable[[str], str], *, has_warning: bool) -> float:
    """Draw the legend to the right of the title, and return the position where it begins."""
    left_edge = x = _WIDTH - (500 if has_warning else 360)
    drawing.draw_rectangle(x, 14, 30, 8, "mark")
    drawing.draw_text(x + 38, 22, translate("from first day to last day"), "small")
    drawing.draw_disc(x + 226, 18, 5, "mark")
    drawing.draw_text(x + 238, 22, translate("one day"), "small")
    if has_warning:
        drawing.draw_rectangle(x + 310, 14, 30, 8, "late")
        drawing.draw_text(x + 348, 22, translate("! needs attention"), "small")
    return float(left_edge)


def _draw_axis(drawing: Drawing, scale: _Scale, bottom: float) -> None:
    for day in _list_ticks(scale.first, scale.last):
        x = scale.compute_x(day)
        drawing.draw_path([(x, _AXIS), (x, bottom)], "rule faint")
        words = f"{day.year}" if day.month == 1 else f"{day:%Y-%m}"
        drawing.draw_text(x, _AXIS - 6, words, "small", anchor="middle")


def _list_ticks(first: date, last: date) -> list[date]:
    """Return at most 11 dates to mark on the time axis, each the first day of a month or year."""
    months = [
        date(year, month, 1)
        for year in range(first.year, last.year + 1)
        for month in range(1, 13)
        if first <= date(year, month, 1) <= last
    ]
    for step in (1, 2, 3, 6, 12, 24, 60, 120):
        ticks = [day for day in months if (day.year * 12 + day.month - 1) % step == 0]
        if len(ticks) <= 11:
            return ticks
    return months[:1]


def _draw_kind(drawing: Drawing, scale: _Scale, y: float, lines: Sequence[_Line]) -> None:
    if len(lines) > _ROWS_OF_A_KIND:
        _draw_grouped_events(drawing, scale, y, lines)
        return
    for line in sorted(lines, key=lambda line: line.fact.begins or line.fact.ends or date.min):
        fact = line.fact
        many = f"{line.count:,} × " if line.count > 1 else ""
        look = "! " if fact.needs_a_look else ""
        room = (_WORDS - 16) / (_BOLD if fact.needs_a_look else 1)
        words = shorten_text(f"{look}{many}{fact.what}", room, 12)
        drawing.draw_text(_MARGIN + 6, y + 13, words, "warn" if fact.needs_a_look else "")
        _draw_span(drawing, scale, y + 9, fact)
        y += _ROW


def _draw_span(drawing: Drawing, scale: _Scale, y: float, fact: DatedFact) -> None:
    kind = "late" if fact.needs_a_look else "mark"
    begins, ends = fact.begins, fact.ends
    if begins is not None and begins != ends:
        left, right = scale.compute_x(begins), scale.compute_x(ends or scale.last)
        drawing.draw_rectangle(left, y - 4, max(2.0, right - left), 8, kind)
        if ends is None:
            drawing.draw_text(right + 3, y + 4, "→")
            label = f"from {begins}"
        else:
            label = f"{begins} to {ends}"
        width = measure_text(label, 11)
        if right + width + 4 <= _RIGHT + 20:
            drawing.draw_text(right + 4, y + 4, label, "small quiet over")
        elif left - width - 4 >= _LEFT:
            drawing.draw_text(left - 4, y + 4, label, "small quiet over", anchor="end")
        else:
            drawing.draw_text(right - 6, y - 6, label, "tiny quiet", anchor="end")
        return
    day = ends or begins
    if day is not None:
        x = scale.compute_x(day)
        drawing.draw_disc(x, y, 5, kind)
        left_of = x > (_LEFT + _RIGHT) / 2
        drawing.draw_text(
            x - 9 if left_of else x + 9, y + 4, f"{day}", "small quiet over",
            anchor="end" if left_of else "start",
        )  # fmt: skip


def _draw_grouped_events(drawing: Drawing, scale: _Scale, y: float, lines: Sequence[_Line]) -> None:
    """Draw many events as one row of marks with counts, grouped by day or end date."""
    total = sum(line.count for line in lines)
    days = max(1, round(_BIN * (scale.last - scale.first).days / (_RIGHT - _LEFT)))
    each = f"each mark: {days:,} days" if days > 1 else "each mark: 1 day"
    by = "day" if all(line.fact.begins == line.fact.ends for line in lines) else "end"
    drawing.draw_text(
        _MARGIN + 6, y + 15, shorten_text(f"{total:,} in total, by {by}; {each}", _WORDS - 8, 12)
    )
    points = sorted(
        (scale.compute_x(line.fact.ends or line.fact.begins or scale.last), line.count,
         line.count * line.fact.needs_a_look) for line in lines
    )  # fmt: skip
    while points:
        bin_start = points[0][0]
        gathered = [point for point in points if point[0] < bin_start + _BIN]
        points = points[len(gathered) :]
        # The mark is in the middle of the range, so that a mark for one day is exactly on that day.
        x = (bin_start + gathered[-1][0]) / 2
        number, looks = (sum(point[field] for point in gathered) for field in (1, 2))
        drawing.draw_disc(x, y + 11, 5, "late" if looks else "mark")
        if looks < number:
            drawing.draw_text(x, y + 29, f"{number:,}", "small", anchor="middle")
        if looks:
            below = 43 if looks < number else 29
            drawing.draw_text(x, y + below, f"! {looks:,}", "small warn", anchor="middle")
