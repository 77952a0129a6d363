"""All data frames have the same key, the declared column types, and the same columns as the
documents.
"""

from __future__ import annotations

import inspect
import re
import typing
from functools import reduce
from itertools import combinations

import pandas as pd
import pytest
from folders import PASSPHRASE, TODAY, certify, make_folder, make_plan, quick_cipher
from places import REPOSITORY
from public_api import public_functions, returned_tables

import lyncnb as ln
from lyncnb.base.disk.outputs import FileOccupied, check_output_path
from lyncnb.base.shown.tables import to_frame, to_markdown
from lyncnb.reports import coverage_figure, timeline_figure, topology_figure
from lyncnb.reports.figures import KINDS
from lyncnb.reports.summary.formats import PLAN_FILE, write_plan_table
from lyncnb.widgets.request_panel import RequestPanel

pytestmark = pytest.mark.usefixtures(quick_cipher.__name__)
__all__ = ["quick_cipher"]

KEY = "Certificate"
PICTURES = {
    "topology": topology_figure.COLUMNS,
    "topology of a comparison": topology_figure.CHANGED_COLUMNS,
    "coverage": coverage_figure.COLUMNS,
    "timeline": timeline_figure.COLUMNS,
}


@pytest.fixture(scope="module")
def nouns(quick_cipher, tmp_path_factory):
    """Return the objects of a deployment at all stages: planned, requested, issued, packaged,
    installed.
    """
    parent_folder = tmp_path_factory.mktemp("frames")
    folder, plan = parent_folder / "requests", make_plan()
    make_folder(folder, plan)
    saved = ln.save_plan(plan, parent_folder / "saved.json")
    handover = ln.hand_over(folder, parent_folder / "for-the-cas.zip")
    certify(folder, *(certificate.id for certificate in plan.certificates))
    issued = ln.match_certificates(ln.open_requests(folder), today=TODAY)
    packages = ln.write_pfx(issued, passphrase=PASSPHRASE)
    return {
        "plan": plan,
        "names": plan.names(),
        "saved plan": saved,
        "forecast": ln.forecast(plan, start=TODAY),
        "trust": ln.trust(plan).shown(),
        "requests": ln.open_requests(folder),
        "handover": handover,
        "issued": issued,
        "as is": ln.compare_as_is(plan, folder / "returned", on=TODAY),
        "packages": packages,
        "status": ln.folder_status(folder, today=TODAY),
        "renewals": ln.list_renewals(folder, today=TODAY),
        "summary": RequestPanel(plan, folder).summary,
        "steps": ln.deployment_steps(
            ln.match_certificates(ln.open_requests(folder), today=TODAY), today=TODAY
        ),
    }


def test_all_frames_merge_by_the_id_of_the_certificate(nouns):
    """All data frames can be merged by the column ``Certificate``, because they contain the same
    certificates.
    """
    planned = {certificate.id for certificate in nouns["plan"].certificates}
    assert len(planned) > 5
    # No server presents the OAuth certificate in a connection.
    oauth = {
        certificate.id
        for certificate in nouns["plan"].certificates
        if certificate.role == "Deployment"
    }
    for name, noun in nouns.items():
        presented = planned - oauth if name == "trust" else planned
        assert set(noun.to_frame()[KEY]) - {""} == presented, name
    frames = [
        noun.to_frame().drop_duplicates(KEY).set_index(KEY).add_prefix(f"{name}: ")
        for name, noun in nouns.items()
    ]
    merged = reduce(lambda left, right: left.merge(right, on=KEY, how="left"), frames)
    assert sorted(merged.index) == sorted(planned)
    assert set(merged["status: State"]) == {"packaged"}
    for name, package in merged["packages: Package"].items():
        assert re.fullmatch(rf"pfx/{name}-[0-9a-f]{{8}}\.pfx", package)


def test_frames_about_certificates_merge_without_a_lost_row(nouns):
    """For a certificate, columns that two frames share have equal values, except the columns about
    the row, which docs/frames.md lists.
    """
    page = (REPOSITORY / "docs" / "frames.md").read_text("utf-8")
    about_rows = set(re.findall(r"`([^`]+)`", page.partition("about\n  the row")[2].split(".")[0]))
    frames = {name: noun.to_frame() for name, noun in nouns.items()}
    for (name, left), (other, right) in combinations(frames.items(), 2):
        shared = [column for column in left if column in right and column not in about_rows]
        whole = left.merge(right, on=KEY)
        merged = left.drop(columns=about_rows, errors="ignore").merge(right, on=shared)
        assert len(merged) == len(whole) > 0, (name, other)
    names, plan = frames["names"], frames["plan"]
    assert len(names.merge(plan)) == len(names)


def test_a_frame_by_server_has_a_row_for_each_server(nouns):
    """by_server() divides the rows of a table with the column Servers, and loses none."""
    plan = nouns["plan"]
    frame = plan.by_server().to_frame()
    expected = [(item.id, server) for item in plan.certificates for server in item.servers or ("",)]
    assert [*zip(frame[KEY], frame["Server"], strict=True)] == expected
    assert nouns["forecast"].by_server().to_frame().dtypes.to_dict()["Order"] == "datetime64[us]"
    with pytest.raises(ln.errors.LyncnbError, match='no column "Servers"'):
        plan.names().by_server()


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("requests", "CSR file"),
        ("issued", "File"),
        ("packages", "Package"),
        ("summary", "CSR file"),
    ],
)
def test_a_row_has_both_the_id_and_the_file_name(nouns, name, file):
    """Each row of a DataFrame contains the ID of a certificate and, in a separate column, the name
    of the certificate's file.
    """
    frame = nouns[name].to_frame()
    assert frame.columns[0] == KEY
    for key, path in zip(frame[KEY], frame[file], strict=True):
        assert key in path
        assert key != path


def test_a_table_of_an_earlier_version_is_replaced(nouns, tmp_path):
    """An existing CSV file is replaced only if the heading of its first column is one that this or
    an earlier version of lyncnb writes.
    """
    path = tmp_path / "plan.csv"
    data = write_plan_table(nouns["plan"], (), ".csv")
    for heading in (b'"Certificate"', b'"ID"'):
        path.write_bytes(data.replace(b'"Certificate"', heading, 1))
        check_output_path(path, PLAN_FILE)
    path.write_bytes(data.replace(b'"Certificate"', b'"Request"', 1))
    with pytest.raises(FileOccupied):
        check_output_path(path, PLAN_FILE)


#: The data types of the columns that do not contain text. A column has the same type in all
#: DataFrames.
TYPES = {
    "Days left": "Int64",
    "Generation": "Int64",
    "No.": "Int64",
    "Renewal": "Int64",
    "SAN count": "Int64",
    "Since": "datetime64[us, UTC]",
    "Takes effect": "datetime64[us, UTC]",
    "Usable until": "datetime64[us]",
    "Valid until": "datetime64[us]",
    **dict.fromkeys(
        ("Deployed", "Due on", "Expires", "Issued", "Late from", "On servers", "Order"),
        "datetime64[us]",
    ),
    **dict.fromkeys(("Next order", "On servers by", "Order by", "Validate"), "datetime64[us]"),
    **dict.fromkeys(("Renew from", "Valid from"), "datetime64[us]"),
}


def types(frame):
    """Return the type of each column that is not text."""
    return {name: str(dtype) for name, dtype in frame.dtypes.items() if dtype != frame[KEY].dtype}


def test_the_types_do_not_depend_on_the_data(nouns):
    """Dates, counts and yes/no columns have the same types in empty data frames as in full ones."""
    for name, noun in nouns.items():
        frame = noun.to_frame()
        expected = {heading: kind for heading, kind in TYPES.items() if heading in frame}
        assert types(frame) == expected, name
        empty = to_frame(noun._list_headings(), [], kinds=noun._list_kinds())
        assert list(empty.dtypes) == list(frame.dtypes), name


def test_remaining_days_stay_numeric_while_a_request_waits(nouns, tmp_path):
    """While a request waits for its certificate, the column of remaining days is still numeric."""
    plan = nouns["plan"]
    make_folder(tmp_path / "requests", plan)
    waiting = ln.folder_status(tmp_path / "requests", today=TODAY).to_frame()
    assert waiting["Days left"].isna().all()
    assert waiting["Usable until"].isna().all()
    certify(tmp_path / "requests", plan.certificates[0].id)
    mixed = ln.folder_status(tmp_path / "requests", today=TODAY).to_frame()
    full = nouns["status"].to_frame()
    assert list(waiting.dtypes) == list(mixed.dtypes) == list(full.dtypes)
    assert mixed.sort_values("Days left")["Certificate"].iloc[0] == plan.certificates[0].id
    remaining_time = mixed["Usable until"].max() - pd.Timestamp("2026-11-24")
    assert mixed["Days left"].dropna().tolist() == [remaining_time.days]


def test_the_data_frame_of_a_figure_has_column_types(nouns):
    """The columns of a figure's data frame have suitable types: date, boolean, or integer."""
    frame = ln.figure(nouns["forecast"]).to_frame()
    assert str(frame["Begins"].dtype) == str(frame["Ends"].dtype) == "datetime64[us]"
    assert str(frame["Needs a look"].dtype) == "boolean"
    counts = ln.figure(nouns["plan"], "coverage").to_frame()
    assert counts["Certificates with it"].dtype == "Int64"
    assert ln.figure(nouns["plan"]).to_frame()["Server count"].dtype == "Int64"


def test_help_lists_the_columns_of_each_frame(nouns):
    """The documentation of each to_frame method, and of each panel, lists every column with its
    type.
    """
    for noun in nouns.values():
        text = inspect.getdoc(type(noun).to_frame)
        kinds = zip(noun._list_headings(), noun._list_kinds(), strict=True)
        assert text.endswith("\n".join(f"{heading} : {kind.value}" for heading, kind in kinds))
    for panel, noun in (
        (ln.StatusPanel, "status"),
        (ln.RequestPanel, "plan"),
        (ln.RequestPanel, "requests"),
    ):
        columns = inspect.getdoc(type(nouns[noun]).to_frame).partition("-\n")[2]
        assert columns in inspect.getdoc(panel.to_frame)
    for kind in KINDS:
        drawn = ln.figure(nouns["plan"], kind)
        for heading, column_kind in zip(drawn.columns, drawn._list_kinds(), strict=True):
            assert f"{heading} : {column_kind.value}\n" in inspect.getdoc(ln.figure) + "\n"


def test_the_page_of_frames_lists_all_columns(request):
    """docs/frames.md lists the columns of each table that a public function returns. --refresh
    updates the lists.
    """
    parts = []
    for kind, names in sorted(returned_tables().items(), key=lambda item: item[0].__name__):
        if kind._columns:
            calls = ", ".join(f"`{name}`" for name in dict.fromkeys(names))
            first = inspect.getdoc(kind).partition("\n\n")[0].replace("\n", " ")
            parts.append(
                f"## {kind.__name__}\n\n{first}\n\nReturned by {calls}.\n\n{list_columns(kind._columns)}"
            )
    for name, columns in PICTURES.items():
        parts.append(f"## Figure: {name}\n\nReturned by `ln.figure`.\n\n{list_columns(columns)}")
    page = REPOSITORY / "docs" / "frames.md"
    before, mark, rest = page.read_text("utf-8").partition("<!-- frames -->\n")
    page_text, end, after = rest.partition("<!-- end of frames -->")
    assert end
    text = "\n".join(parts)
    if request.config.getoption("--refresh"):
        page.write_text(f"{before}{mark}{text}{end}{after}", "utf-8")
    else:
        assert page_text == text


def list_columns(columns):
    """Return a list of columns as a Markdown table."""
    return to_markdown(
        ("Column", "Type"), [(column.heading, column.kind.value) for column in columns]
    )


def test_every_public_function_has_annotations_that_python_can_read():
    """typing.get_type_hints works for every public function, class, method and property."""
    count = 0
    for name, function in public_functions():
        hints = typing.get_type_hints(function)
        missing = set(inspect.signature(function).parameters) - set(hints) - {"self", "cls"}
        assert inspect.isclass(function) or not missing, name
        count += 1
    assert count > 250
