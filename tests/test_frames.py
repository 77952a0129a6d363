"""Every frame about certificates has the same key, so that pandas can merge them."""

from __future__ import annotations

from functools import reduce

import pytest
from folders import PASSPHRASE, TODAY, certify, make_folder, make_plan, quick_cipher

import lyncnb as ln
from lyncnb.base.disk.outputs import FileOccupied, check_output
from lyncnb.reports.summary.formats import PLAN_FILE, write_plan_table
from lyncnb.widgets.request_panel import RequestPanel

pytestmark = pytest.mark.usefixtures(quick_cipher.__name__)
__all__ = ["quick_cipher"]

KEY = "Certificate"


@pytest.fixture(scope="module")
def nouns(quick_cipher, tmp_path_factory):
    """Return the objects of a whole deployment: planned, requested, issued, packaged, installed."""
    place = tmp_path_factory.mktemp("frames")
    folder, plan = place / "requests", make_plan()
    make_folder(folder, plan)
    saved = ln.save_plan(plan, place / "saved.json")
    handover = ln.hand_over(folder, place / "for-the-cas.zip")
    certify(folder, *(one.id for one in plan.certificates))
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
    """Merged by the column ``Certificate``, the frames of all nouns have the same certificates."""
    planned = {one.id for one in nouns["plan"].certificates}
    assert len(planned) > 5
    # No server presents the OAuth certificate in a connection.
    oauth = {one.id for one in nouns["plan"].certificates if one.role == "Deployment"}
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
    assert list(merged["packages: Package"]) == [f"pfx/{name}.pfx" for name in merged.index]


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("requests", "CSR file"),
        ("issued", "File"),
        ("packages", "Package"),
        ("summary", "CSR file"),
    ],
)
def test_the_key_comes_first_and_files_have_their_own_column(nouns, name, file):
    """The id is never replaced by a file name, and the file of each certificate is in its row."""
    frame = nouns[name].to_frame()
    assert frame.columns[0] == KEY
    for key, path in zip(frame[KEY], frame[file], strict=True):
        assert key in path
        assert key != path


def test_a_table_of_an_earlier_version_is_replaced(nouns, tmp_path):
    """A CSV whose first column has its earlier heading is still recognized; another file is not."""
    path = tmp_path / "plan.csv"
    data = write_plan_table(nouns["plan"], (), ".csv")
    for heading in (b'"Certificate"', b'"ID"'):
        path.write_bytes(data.replace(b'"Certificate"', heading, 1))
        check_output(path, PLAN_FILE)
    path.write_bytes(data.replace(b'"Certificate"', b'"Request"', 1))
    with pytest.raises(FileOccupied):
        check_output(path, PLAN_FILE)
