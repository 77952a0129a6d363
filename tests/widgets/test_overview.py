"""Other widgets in a notebook can use the counts and the digest of an editor's plan."""

from __future__ import annotations

from pathlib import Path

import ipywidgets
import pytest
import traitlets
from topologies import FIVE_SERVERS

import lyncnb as ln
from lyncnb.widgets.editing.edits import remove_servers, set_cells

GLOBAL = Path(__file__).parents[2] / "data" / "litwareinc-global.csv"


@pytest.fixture
def editor() -> ln.PlanEditor:
    return ln.PlanEditor(ln.read_topology(FIVE_SERVERS.encode()), ln.load_rules("lync2013"))


def test_observers_receive_each_change_of_the_plan(editor):
    """After each change of the plan, `observe` reports the new counts, findings and digest."""
    seen = []
    editor.view.observe(lambda change: seen.append(change.new), "overview")
    before = editor.view.overview
    editor.change_options(wildcard=True)
    editor.undo()
    assert seen[-1] == before
    assert seen[0]["digest"] not in ("", before["digest"])
    findings = [finding.severity for finding in ln.check_plan(editor.plan)]
    assert before == {
        "certificates": len(editor.plan.certificates),
        "public": sum(c.issuer == "public" for c in editor.plan.certificates),
        "names": sum(len(c.names) for c in editor.plan.certificates),
        "errors": findings.count("error"),
        "warnings": findings.count("warning"),
        "notices": findings.count("notice"),
        "accepted": 0,
        "digest": editor.plan.sha256,
    }


def test_the_digest_follows_every_kind_of_change():
    """After each edit of a table with many pools, the digest equals that of a newly created plan."""
    editor = ln.PlanEditor(ln.read_topology(GLOBAL), ln.load_rules("lync2013"))
    seen = []
    editor.view.observe(lambda change: seen.append(change.new["digest"]), "overview")
    ids = editor.state.ids
    for change in (
        lambda: editor.apply(set_cells, ids=ids[:1], column="issuer", value="public"),
        lambda: editor.apply(remove_servers, ids=ids[1:2]),
        lambda: editor.change_options(separate_av_certificate=True),
        editor.undo,
        editor.undo,
    ):
        change()
        fresh = ln.plan_certificates(editor.topology, editor.rules, options=editor.options)
        assert editor.view.overview["digest"] == fresh.sha256
    assert len(set(seen)) >= 3


def test_a_linked_label_shows_the_current_plan(editor):
    """A label that `dlink` connects to the editor shows the counts of the plan at once, and after
    each change.
    """
    label = ipywidgets.Label()
    words = "{certificates} certificates, {errors} errors".format_map
    ipywidgets.dlink((editor.view, "overview"), (label, "value"), words)
    count = len(editor.plan.certificates)
    assert label.value.startswith(f"{count} certificates, ")
    editor.apply(remove_servers, ids=editor.state.ids[-1:])
    assert label.value.startswith(f"{len(editor.plan.certificates)} certificates, ")
    assert len(editor.plan.certificates) < count


def test_a_widget_can_change_the_plan(editor):
    """A widget that sets an option of the plan is updated when the user undoes the change."""
    scenario = ipywidgets.ToggleButtons(options={"as planned": False, "wildcards": True})
    scenario.observe(lambda change: editor.change_options(wildcard=change.new), "value")
    editor.view.observe(lambda _: scenario.set_trait("value", editor.options.wildcard), "overview")
    scenario.value = True
    assert editor.options.wildcard is True
    editor.undo()
    assert scenario.value is False


def test_the_overview_is_not_saved_in_notebooks(editor):
    """The counts and the digest are not part of the widget's state, so no notebook contains them."""
    overview = editor.view.overview
    assert "overview" not in editor.view.get_state()
    assert set(map(type, overview.values())) == {int, str}
    assert [name for name, value in overview.items() if isinstance(value, str)] == ["digest"]
    with pytest.raises(traitlets.TraitError, match="read-only"):
        editor.view.overview = {}
