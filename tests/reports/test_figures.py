"""Pictures of a plan, and the tables below them, show exactly what the plan contains."""

from __future__ import annotations

import base64
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections import Counter
from datetime import date
from functools import partial

import pytest
from big_topology import big_table
from growth import find_superlinear_size
from places import DATA
from strange import Deployment, choose_tables
from topologies import edge, front_end, plan, row

import lyncnb as ln
from lyncnb.base.shown.svg import measure_text
from lyncnb.errors import PlanError
from lyncnb.plan.connections import list_connections
from lyncnb.reports import coverage_figure
from lyncnb.reports.compare import CHANGES
from lyncnb.reports.figures import KINDS
from lyncnb.reports.timeline_figure import DatedFact, draw_timeline

SVG = "{http://www.w3.org/2000/svg}"
# The number of servers in the largest plan. A full test sets ten times as many.
SERVERS = int(os.environ.get("LYNCNB_FIGURE_SERVERS", "1000"))


def planned(sample, **options):
    source = DATA / f"{sample}.csv" if isinstance(sample, str) else sample
    return ln.plan_certificates(
        ln.read_topology(source), ln.load_rules("lync2013"), options=ln.PlanOptions(**options)
    )


def texts(figure):
    """Return every line of text in a picture, from top to bottom."""
    root = ET.fromstring(figure.svg)
    return [node.text or "" for node in root.iter(f"{SVG}text")]


SAMPLES = ["contoso", "litwareinc-global", "big", *choose_tables()]


@pytest.fixture(scope="module", params=SAMPLES, ids=str)
def sample(request):
    """Return a plan of 12, 59 or many servers, or of a strange deployment."""
    if isinstance(request.param, Deployment):
        return request.param.plan()
    return planned(big_table(SERVERS) if request.param == "big" else request.param)


# -- all pictures


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_has_no_scripts_and_loads_nothing(kind, sample):
    """A picture is well-formed SVG with a title and a description, and contains no script and no
    web address.
    """
    figure = ln.figure(sample, kind)
    root = ET.fromstring(figure.svg)
    assert root.find(f"{SVG}title").text == figure.title
    assert root.find(f"{SVG}desc").text == figure.description
    assert not re.search(r"<script|<image|<use|href|url\(|@import|\son\w+=|javascript:", figure.svg)
    assert figure.svg.count("http") == 1  # The only address in a picture is the SVG namespace.
    assert float(root.get("width")) == 1000


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_the_same_plan_gives_the_same_bytes(kind):
    """The picture of a plan is the same in another process, and for another order of the table's
    rows.
    """
    lines = (DATA / "litwareinc-global.csv").read_bytes().splitlines(keepends=True)
    picture = ln.figure(planned("litwareinc-global"), kind).to_svg()
    # The values of the deployment are in the first row of the table.
    other = ln.figure(planned(b"".join([*lines[:2], *reversed(lines[2:])])), kind).to_svg()
    assert picture == other.replace(b"table", b"litwareinc-global.csv")
    code = (
        "import sys, lyncnb as ln; p = ln.plan_certificates(ln.read_topology(sys.argv[1]),"
        "ln.load_rules('lync2013')); sys.stdout.buffer.write(ln.figure(p, sys.argv[2]).to_svg())"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, str(DATA / "litwareinc-global.csv"), kind],
        capture_output=True,
        check=True,
        env={**os.environ, "PYTHONHASHSEED": "7"},
    )
    assert result.stdout == picture


def test_pictures_need_neither_pandas_nor_cryptography():
    """Drawing a picture imports no modules except those that planning imports."""
    code = (
        "import sys, lyncnb as ln; p = ln.plan_certificates(ln.read_topology(sys.argv[1]),"
        "ln.load_rules('lync2013')); [ln.figure(p, k)._repr_html_() for k in sys.argv[2:]];"
        "sys.exit(' '.join({'pandas', 'cryptography', 'IPython', 'jinja2'} & set(sys.modules)) or 0)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, str(DATA / "contoso.csv"), *KINDS],
        capture_output=True,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, b"")


def test_names_of_sites_never_become_markup():
    """If the name of a site looks like a tag, the picture and the page show it as text."""
    name = "<script>alert(1)</script>&"
    for kind in KINDS:
        figure = ln.figure(plan(front_end(site=name), edge(site=name)), kind)
        assert "<script" not in figure.svg + figure._repr_html_()
    assert any(name in text for text in texts(ln.figure(plan(front_end(site=name)))))


def test_a_picture_has_a_description_and_a_table():
    """As HTML, a picture is an image with its title as the accessible name, followed by a
    description and a table.
    """
    figure = ln.figure(planned("contoso"))
    page = figure._repr_html_()
    assert f'alt="{figure.title}"' in page
    assert f"<figcaption>{figure.description}</figcaption>" in page
    assert page.count("<tr>") - page.count("<thead>") == len(figure.rows)
    assert list(figure.to_frame().columns) == list(figure.columns)
    assert len(figure.to_frame()) == len(figure.rows)


def test_unknown_pictures_and_sites_are_rejected():
    """If a type of picture or a site is unknown, the error message lists the valid values."""
    with pytest.raises(PlanError, match="topology, coverage, timeline"):
        ln.figure(planned("contoso"), "map")
    with pytest.raises(PlanError, match='available sites: "London", "Redmond"'):
        ln.figure(planned("litwareinc-global"), site="Paris")


@pytest.mark.parametrize("kind", KINDS)
def test_drawing_time_is_proportional_to_the_servers(kind):
    """The time to draw a picture is proportional to the number of servers."""

    def work(servers: int):
        return partial(ln.figure, planned(big_table(servers)), kind)

    assert find_superlinear_size(work, size=125, most=1_000) is None


# -- topology


def test_the_table_counts_pools_certificates_and_connections(sample):
    """The table below the picture has a row for each connection, and the counts in the table
    include each pool and each certificate.
    """
    frame = ln.figure(sample).to_frame()
    speaking = frame[frame["Spoken to by"] != ""]
    rules = sample.rules

    def title(speaker):
        party = rules.parties.get(speaker)
        return party.title if party else rules.roles[speaker].title

    assert Counter(
        (item.listener.fqdn, title(item.speaker), item.site or "", str(item.rule.port), item.names)
        for item in list_connections(sample)
        if item.rule.drawn
    ) == Counter(
        (pool, speaker, site, port, tuple(names.split("; ")))
        for pool, speaker, site, port, names in speaking[
            ["Pool", "Spoken to by", "Of site", "Port", "By name"]
        ].itertuples(index=False)
    )
    assert {pool.fqdn for pool in sample.topology.pools} == set(frame["Pool"]) - {""}
    kinds = frame.drop_duplicates(["Site", "Role", "Pool", "Type", "Issuer"])
    assert kinds["Certificate count"].astype(int).sum() == len(sample.certificates)


def test_the_picture_shows_each_pool_and_each_name():
    """In the picture of a small plan, each pool has a box. Next to each connection, the picture
    shows its names, or some of them and the number of the others.
    """
    contoso = planned("contoso")
    lines = texts(ln.figure(contoso))
    for pool in contoso.topology.pools:
        assert pool.fqdn in lines
    drawn = {}
    for index, line in enumerate(lines):
        if match := re.match(r"(\w+ \d+) from (.*)", line):
            names, _, others = lines[index + 1].partition(" and ")
            number = len(names.split(", ")) + int(others.removesuffix(" more") or 0)
            drawn.setdefault(match[1], []).append(number)
    expected = {}
    for item in filter(lambda connection: connection.rule.drawn, list_connections(contoso)):
        key = (item.listener.fqdn, item.names, not item.pools)
        expected.setdefault(f"{item.rule.protocol} {item.rule.port}", {})[key] = len(item.names)
    assert {key: sorted(numbers) for key, numbers in drawn.items()} == {
        key: sorted(numbers.values()) for key, numbers in expected.items()
    }


def test_boxes_count_all_certificates(sample):
    """In each picture, the counts of certificates add up to the number of certificates in the plan."""
    lines = texts(ln.figure(sample))
    certificates = [
        int(m[1].replace(",", "")) for t in lines if (m := re.match(r"([\d,]+) certificates?,", t))
    ]
    assert sum(certificates) == len(sample.certificates)


def test_each_arrow_ends_at_the_line_of_its_protocol():
    """Each arrow ends at the line of text that names its protocol, and each of these lines has one
    arrow.
    """
    figure = ln.figure(planned("contoso"))
    root = ET.fromstring(figure.svg)
    spoken = {
        float(node.get("y")) - 4
        for node in root.iter(f"{SVG}text")
        if re.match(r"\w+ \d+ from ", node.text or "")
    }
    heads = {
        float(re.match(r"M[\d.]+ ([\d.]+)", node.get("d"))[1])
        for node in root.iter(f"{SVG}path")
        if (node.get("class") or "").startswith("tip-")
    } - {44.0}  # Ignore the arrow in the legend.
    assert heads == spoken


def test_a_picture_describes_the_number_of_pools():
    """The description of a picture contains the number of pools. The certificate for the whole
    deployment is not counted as a pool.
    """
    sample = planned("contoso")
    pools = len(sample.topology.pools)
    assert f" names in rows, {pools} pools and the whole deployment in columns" in (
        ln.figure(sample, "coverage").description
    )
    description = ln.figure(planned("litwareinc-global"), site="London").description
    assert (
        "For Site London, the picture shows each pool separately, with its connections to other sites."
        in description
    )
    big = planned(big_table(SERVERS))
    assert "Site Site" not in "".join(texts(ln.figure(big, site="Site 01")))
    assert "Site Site" not in ln.figure(big, "coverage", site="Site 01").title


def test_pictures_show_the_title_of_the_deployment():
    """Pictures and the trust plan show the option `title`, or else the name of the table."""
    plain = planned("contoso")
    titled = ln.plan_certificates(
        plain.topology, plain.rules, options=ln.PlanOptions(title="Contoso Asia")
    )
    for kind in ("topology", "coverage", "timeline"):
        assert "contoso.csv" in ln.figure(plain, kind).title
        picture = ln.figure(titled, kind)
        assert "Contoso Asia" in picture.title
        assert "Contoso Asia" in picture.svg
        assert "contoso.csv" not in picture.svg
    assert repr(ln.trust(plain)).startswith("Trust for Lync Server 2013, contoso.csv: ")
    assert repr(ln.trust(titled)).startswith("Trust for Lync Server 2013, Contoso Asia: ")


def test_one_site_is_shown_pool_by_pool():
    """If a site is selected, each of its pools has a box, and all other sites share one box."""
    litware = planned("litwareinc-global")
    lines = texts(ln.figure(litware, site="London"))
    for pool in litware.topology.pools:
        if litware.rules.roles[pool.role].title in lines:
            assert (pool.fqdn in lines) >= (pool.site == "London"), pool.fqdn
    assert "Site London" in lines
    assert any(line.startswith("3 other sites: ") for line in lines)
    assert "none named" not in "".join(lines)


def test_tall_pictures_are_split_between_boxes():
    """A picture of 59 servers needs two sheets. No box crosses the boundary between the sheets, and
    each sheet shows the zones.
    """
    figure = ln.figure(planned("litwareinc-global"))
    root = ET.fromstring(figure.svg)
    cuts = [float(cut) for cut in root.get("data-breaks").split()]
    assert len(cuts) == 1
    boxes = [
        (float(node.get("y")), float(node.get("height")))
        for node in root.iter(f"{SVG}rect")
        if (node.get("class") or "").startswith("box")
    ]
    for end in cuts:
        assert [(y, height) for y, height in boxes if y < end < y + height] == []
    assert "Inside, continued" in texts(figure)
    pieces = [
        base64.b64decode(data).decode() for data in re.findall(r"base64,([^\"]+)", figure.to_html())
    ]
    windows = [
        [float(number) for number in re.search('viewBox="0 ([^"]+)"', piece)[1].split()]
        for piece in pieces
    ]
    assert [top for top, _, _ in windows] == [0, *cuts]
    assert sum(height for _, _, height in windows) == float(root.get("height"))
    assert "part 2 of 2" in figure.to_html()


@pytest.mark.parametrize("site", ["", "London", "Redmond", "Taipei"])
def test_headings_of_boxes_are_not_alone_on_a_sheet(site):
    """The sheet on which a group of boxes begins contains the heading of the group and at least one
    complete box.
    """
    root = ET.fromstring(ln.figure(planned("litwareinc-global"), site=site).svg)
    cuts = [float(cut) for cut in root.get("data-breaks").split()]
    rects = [
        (node.get("class"), float(node.get("y")), float(node.get("height")))
        for node in root.iter(f"{SVG}rect")
        if node.get("y")
    ]
    boxes = [(y, y + height) for kind, y, height in rects if kind.startswith("box")]
    for kind, top, height in rects:
        if kind == "band":
            end = min([cut for cut in cuts if cut > top], default=top + height)
            assert any(top < y and bottom < end for y, bottom in boxes), (top, height)


def test_a_picture_of_one_site_describes_only_its_arrows():
    """In the picture of one site, every text about a connection has an arrow, so no text is about a
    pool that the picture does not show.
    """
    figure = ln.figure(planned("litwareinc-global"), site="London")
    root = ET.fromstring(figure.svg)
    spoken = {
        float(node.get("y")) - 4
        for node in root.iter(f"{SVG}text")
        if re.match(r"\w+ \d+ from ", node.text or "")
    }
    heads = {
        float(re.match(r"M[\d.]+ ([\d.]+)", node.get("d"))[1])
        for node in root.iter(f"{SVG}path")
        if (node.get("class") or "").startswith("tip-")
    }
    assert spoken == heads - {44.0}


# -- changes


def find_marked_pools(figure):
    """Return the pools whose boxes are marked as changed."""
    root = ET.fromstring(figure.svg)
    return {
        pool
        for group in root.iter(f"{SVG}g")
        if any("changed" in (node.get("class") or "") for node in group.iter(f"{SVG}rect"))
        for pool in (group.get("data-pools") or "").split()
    }


def test_pools_with_changed_certificates_are_marked():
    """The picture of a comparison marks exactly the pools whose certificates have changed."""
    old = planned("contoso")
    row_number = next(p.computers[0].row for p in old.topology.pools if p.role == "Mediation")
    edited = old.topology.with_cells({row_number: {"extra_san": "old.contoso.com"}})
    figure = ln.figure(ln.compare_plans(old, ln.plan_certificates(edited, old.rules)))
    assert find_marked_pools(figure) == {"Mediation/medpool01.contoso.net"}
    assert "± 2 to be requested again" in texts(figure)
    frame = figure.to_frame()
    assert set(frame[frame["Changed"] != ""]["Pool"]) == {"medpool01.contoso.net"}


def test_removed_pools_are_shown():
    """A pool that the new plan no longer contains has a box in the picture, and a row in the table."""
    full_plan = plan(front_end(1), row("med01.contoso.com", "Mediation", "med.contoso.com"))
    figure = ln.figure(ln.compare_plans(full_plan, plan(front_end(1))))
    assert "± med.contoso.com: 1 certificate" in texts(figure)
    assert "No longer in the plan" in texts(figure)
    (row_,) = [row for row in figure.rows if row[-1] == "1 certificate removed"]
    assert row_[:4] == ("inside", "", "Mediation", "med.contoso.com")


@pytest.mark.parametrize("sample_name", ["contoso", "litwareinc-global"])
def test_marks_count_each_changed_certificate(sample_name):
    """In the picture of a comparison, each changed certificate is counted in exactly one mark."""
    old = planned(sample_name)
    difference = ln.compare_plans(old, planned(sample_name, layout="separate", wildcard=True))
    counts = Counter()
    for text in texts(ln.figure(difference)):
        if match := re.match(r"± ([\d,]+) (.*)", text):
            counts[match[2]] += int(match[1])
    assert counts == Counter(
        {CHANGES[kind]: number for kind, number in
         Counter(item.change for item in difference.certificates).items()}
    )  # fmt: skip


def test_a_comparison_has_one_type_of_picture():
    """For a comparison of two plans, only the picture of connections can be drawn, and only for
    sites in the new plan.
    """
    difference = ln.compare_plans(planned("contoso"), planned("contoso"))
    assert find_marked_pools(ln.figure(difference)) == set()
    with pytest.raises(PlanError, match="for a comparison of two plans"):
        ln.figure(difference, "coverage")
    with pytest.raises(PlanError, match="no site"):
        ln.figure(difference, site="Paris")


def test_each_pool_can_be_found_in_the_picture(sample):
    """Every pool in the plan has exactly one group of shapes in the picture, so that a click can
    find the pool.
    """
    root = ET.fromstring(ln.figure(sample).svg)
    drawn_pools = Counter(
        pool for g in root.iter(f"{SVG}g") for pool in (g.get("data-pools") or "").split()
    )
    assert drawn_pools == Counter(f"{pool.role}/{pool.fqdn}" for pool in sample.topology.pools)


def test_a_thousand_servers_fit_on_a_sheet():
    """For any number of servers, the picture is not higher than an A4 sheet."""
    root = ET.fromstring(ln.figure(planned(big_table(SERVERS))).svg)
    assert float(root.get("height")) <= 1414


# -- coverage


def test_each_name_of_each_certificate_is_in_the_table(sample):
    """The table counts each name once for each certificate, and also each subject that is not in
    the SAN.
    """
    rows = ln.figure(sample, "coverage").rows
    assert sum(row.carrying for row in rows) == sum(len(c.names) for c in sample.certificates)
    alone = [
        c
        for c in sample.certificates
        if c.subject.common_name and c.subject.common_name not in c.names
    ]
    assert sum(row.subject_only for row in rows) == len(alone)
    assert {row.name for row in rows} == {
        name for c in sample.certificates for name in (*c.names, c.subject.common_name) if name
    }


def test_each_mark_of_the_picture_is_a_row_of_the_table():
    """The picture of a small plan has one mark (full, half or ring) for each row of the table below
    it.
    """
    figure = ln.figure(planned("contoso"), "coverage")
    root = ET.fromstring(figure.svg)
    marks = Counter(
        node.get("class") for node in root.iter(f"{SVG}circle") if float(node.get("cy")) > 60
    )
    full = sum(row.carrying == row.of for row in figure.rows)
    assert marks == {"mark": full, "open": len(figure.rows) - full}


def test_grouped_marks_count_certificates(monkeypatch):
    """In a grouped picture, a mark is full only if every certificate of the role has a name from
    the rule.
    """
    monkeypatch.setattr(coverage_figure, "NAMES_SHOWN", 1)
    monkeypatch.setattr(coverage_figure, "POOLS_SHOWN", 1)
    two_servers = plan(
        front_end(1, autologon="yes"),
        row("west.contoso.com", "FrontEnd", "westpool.contoso.com"),
    )
    lines = texts(ln.figure(two_servers, "coverage"))
    assert "sip-autologon: sip.contoso.com and 1 more" in lines
    assert "1/2" in lines


def test_grouped_names_are_counted():
    """The coverage picture of a large plan groups names by rule, and shows for each rule how many
    names the table of the picture contains.
    """
    figure = ln.figure(planned(big_table(SERVERS)), "coverage")
    drawn = {}
    for text in texts(figure):
        if match := re.match(r"([a-z-]+): ([\d,]+) names?$", text):
            drawn[match[1]] = int(match[2].replace(",", ""))
        elif match := re.match(r"([a-z-]+): \S+(?: and ([\d,]+) more)?$", text):
            drawn[match[1]] = 1 + int((match[2] or "0").replace(",", ""))
    names_by_rule = {}
    for row_ in figure.rows:
        for rule in row_.rules:
            names_by_rule.setdefault(rule, set()).add(row_.name)
    assert drawn == {rule: len(names) for rule, names in names_by_rule.items()}


@pytest.mark.parametrize(("name", "site"), [("contoso", ""), ("litwareinc-global", "London")])
def test_headings_of_columns_are_complete(name, site):
    """The heading of a column shows the pool and the usages on separate lines, and no word is cut
    off.
    """
    figure = ln.figure(planned(name), "coverage", site=site)
    root = ET.fromstring(figure.svg)
    slanted = [node.text for node in root.iter(f"{SVG}text") if node.get("transform")]
    assert [text for text in slanted if "…" in text] == []
    assert "AccessEdgeExternal, +2" in slanted
    assert {row.pool or row.role for row in figure.rows} <= set(slanted)


# -- timeline


def test_the_first_day_counts_as_a_day_of_validity():
    """In the timeline, a certificate that is valid for 398 days from December 1 ends 397 days
    later.
    """
    plan = planned("contoso", planned_issue_date=date(2026, 3, 1), validity_days=398)
    figure = ln.figure(plan, "timeline")
    rows = [row for row in figure.rows if row[0].startswith("Planned")]
    assert len(rows) == len(plan.certificates)
    assert {row[3:5] for row in rows} == {("2026-03-01", "2027-04-02")}
    # Until 2026-03-14, public certificates could be valid for 398 days.
    assert not any(row[5] for row in rows)


def test_validity_beyond_the_limit_is_marked():
    """If the requested validity of public certificates exceeds the limit on the issue date, the
    timeline marks them with an exclamation mark.
    """
    plan = planned("contoso", planned_issue_date=date(2026, 12, 1), validity_days=365)
    figure = ln.figure(plan, "timeline")
    marked = {row[1] for row in figure.rows if row[5]}
    assert marked == {c.id for c in plan.certificates if c.issuer == "public"}
    assert f"! {len(marked)} × 365 days requested, 200 allowed" in texts(figure)
    # The certificates expire when the limit says.
    assert {row[4] for row in figure.rows if row[5]} == {"2027-06-18"}


def test_the_limits_of_the_chosen_ca_are_in_the_timeline():
    """If the plan chooses a CA, the timeline shows the limits of this CA, and its certificates end
    by them.
    """
    plan = planned(
        "contoso",
        planned_issue_date=date(2027, 1, 18),
        validity_days=180,
        ca={"public": "DigiCert", "ReverseProxy": "Let's Encrypt"},
    )
    figure = ln.figure(plan, "timeline")
    kinds = [row[0] for row in figure.rows]
    assert kinds[0] == "Limits of public CAs"
    assert {"Limits of DigiCert", "Limits of Let's Encrypt"} < set(kinds)
    ends = {row[1]: row[4] for row in figure.rows if row[0] == "Planned, public CA"}
    assert {ends[c.id] for c in plan.certificates if c.ca == "Let's Encrypt"} == {"2027-04-17"}
    assert {ends[c.id] for c in plan.certificates if c.ca == "DigiCert"} == {"2027-07-16"}
    (marked,) = {row[2] for row in figure.rows if row[5]}
    assert marked == "180 days requested, 90 allowed"


def test_the_texts_of_a_plan_are_complete_in_the_timeline():
    """The timeline shows the texts of planned certificates and of limits in full."""
    drawn = texts(ln.figure(planned("contoso", planned_issue_date=date(2026, 3, 1)), "timeline"))
    assert any(text.endswith("× date of issue; the CA sets the validity") for text in drawn)
    assert sum(text.startswith("at most ") for text in drawn) == 4
    assert [text for text in drawn if "…" in text] == []


def test_missing_planned_issue_date_is_stated():
    """If no planned issue date is set, the timeline shows the known limits and states that the date
    is missing.
    """
    figure = ln.figure(planned("contoso"), "timeline")
    assert {row[0] for row in figure.rows} == {"Limits of public CAs"}
    assert "planned_issue_date" in figure.description


def test_events_of_unknown_types_are_rows():
    """The timeline and its table also contain events of an unknown type."""
    facts = [
        DatedFact(
            kind="Orders", about=str(number), what="ordered", begins=date(2026, 5, number + 1)
        )
        for number in range(20)
    ]
    figure = ln.figure(planned("contoso"), "timeline", facts=facts)
    assert sum(row[0] == "Orders" for row in figure.rows) == 20
    assert "Orders" in texts(figure)
    (counted,) = [text for text in texts(figure) if text.startswith("20 in total, by end; ")]
    assert re.search(r"each mark: \d+ days$", counted)
    after = texts(figure)[texts(figure).index(counted) + 1 :]
    assert sum(int(text) for text in after if text.isdecimal()) == 20


def test_a_mark_of_one_day_is_at_its_position():
    """In the timeline, a mark for a single day is drawn at the position of that day, even if there
    are many marks.
    """
    days = [date(2027, 1, 1), *(date(2030, 1, day) for day in range(1, 21))]
    facts = [DatedFact(kind="Many", about="", what=f"{day}", begins=day, ends=day)
             for day in days]  # fmt: skip
    facts.append(DatedFact(kind="One", about="", what="it", begins=days[0], ends=days[0]))
    root = ET.fromstring(draw_timeline(facts, title="Days", description="of work"))
    # The first circle in the picture belongs to the legend.
    across = [float(node.get("cx")) for node in root.iter(f"{SVG}circle")][1:]
    assert len(across) == 3
    assert across[0] == across[2]


@pytest.mark.parametrize("needs_a_look", [False, True])
def test_long_texts_end_before_the_first_day(needs_a_look):
    """In the timeline, long texts are cut off before the first day, even if they are bold."""
    fact = DatedFact(kind="Kind " * 20, about="", what="What " * 20, ends=date(2027, 5, 1),
                        needs_a_look=needs_a_look)  # fmt: skip
    root = ET.fromstring(draw_timeline([fact], title="Days", description="of one certificate"))
    words = [
        n for n in root.iter(f"{SVG}text") if (n.text or "").strip("! ")[:4] in ("Kind", "What")
    ]
    for node, size in zip(words, (13, 12), strict=True):
        bold = 1.12 if node.get("class") in ("head", "warn") else 1
        assert float(node.get("x")) + measure_text(node.text, size) * bold <= 322


@pytest.mark.parametrize("needs_a_look", [False, True])
def test_the_legend_explains_only_visible_marks(needs_a_look):
    """The legend of the timeline explains the mark for events that need attention only if such an
    event is shown.
    """
    fact = DatedFact(kind="K", about="", what="w", ends=date(2027, 5, 1), needs_a_look=needs_a_look)
    drawn = draw_timeline([fact], title="Days", description="of one certificate")
    assert ("! needs attention" in drawn) == needs_a_look


def test_events_that_need_attention_are_counted_once():
    """In the timeline, a mark for several events that all need attention shows an exclamation mark
    and the number of these events.
    """
    facts = [
        DatedFact(kind="Ends", about=str(n), what=str(n), ends=date(2027, 5, 1 + n // 2),
                     needs_a_look=n % 2 == 0 or n < 20)
        for n in range(40)
    ]  # fmt: skip
    root = ET.fromstring(draw_timeline(facts, title="Days", description="of certificates"))
    labels = [node.text for node in root.iter(f"{SVG}text") if float(node.get("y", 0)) > 60]
    alone = [
        text for before, text in zip(["", *labels], labels, strict=False)
        if text.isdecimal() or (text.startswith("! ") and not before.isdecimal())
    ]  # fmt: skip
    assert sum(int(text.removeprefix("! ")) for text in alone) == 40
    assert sum(int(text[2:]) for text in labels if text.startswith("! ")) == 30


def test_the_evaluation_date_is_a_line():
    """The evaluation date is a vertical line through the whole timeline, at the position of its
    mark.
    """
    facts = [
        DatedFact(kind="Looked at", about="", what="x", begins=date(2026, 5, 1),
                     ends=date(2026, 5, 1), is_present=True),
        DatedFact(kind="Ends", about="a", what="y", ends=date(2027, 5, 1)),
    ]  # fmt: skip
    root = ET.fromstring(draw_timeline(facts, title="Days", description="of one certificate"))
    (line,) = (node for node in root.iter(f"{SVG}path") if node.get("class") == "now")
    left, top, right, bottom = map(float, re.findall(r"[\d.]+", line.get("d")))
    marks = [n for n in root.iter(f"{SVG}circle") if float(n.get("cy")) > 60]
    assert left == right == float(marks[0].get("cx"))
    assert all(top < float(node.get("cy")) < bottom for node in marks)


@pytest.mark.parametrize("day", [date.min, date.max])
def test_the_earliest_and_the_latest_date_are_drawn(day):
    """The timeline can show the earliest and the latest date, such as 9999-12-31 for a certificate
    without an end date.
    """
    fact = DatedFact(
        kind="Certificates", about="a", what="ends", begins=date(2026, 12, 1), ends=day, source="x"
    )
    picture = draw_timeline([fact], title="Days", description="of one certificate")
    assert ET.fromstring(picture).tag.endswith("svg")
