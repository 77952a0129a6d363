"""The views of the plan by certificate and by name are sent to the browser."""

from __future__ import annotations

import pytest
from topologies import FIVE_SERVERS

from lyncnb.rules.rule_files import load_rules
from lyncnb.topology.topology import read_topology
from lyncnb.widgets.editing.plan_views import by_name, combine_names, list_certificates
from lyncnb.widgets.editor import PlanEditor


@pytest.fixture
def editor() -> PlanEditor:
    return PlanEditor(read_topology(FIVE_SERVERS.encode()), load_rules())


def test_every_name_has_its_certificates(editor):
    """All names in the plan are counted and found by a part of the name, with owner, reason and row
    of each use.
    """
    names = {str(name) for c in editor.plan.certificates for name in c.names}
    answer = by_name(editor, search="")
    assert answer["total"] >= len(names)
    assert answer["found"] == answer["total"]
    found = by_name(editor, search="FE01")["names"]
    assert [entry["name"] for entry in found] == ["fe01.contoso.com"]
    (use,) = found[0]["uses"]
    assert use["owner"] == "fe01.contoso.com"
    assert use["why"]
    assert use["source"]
    assert use["rows"] == [0]
    assert by_name(editor, search="nowhere")["names"] == []


def test_a_name_of_many_certificates_lists_the_first(editor):
    """For a name in certificates of more than twelve pools, the number of the others is shown."""
    editor.edit(
        add=[
            {"server_fqdn": f"dir{n:02}.contoso.com", "role": "Director", "site": "Taipei"}
            for n in range(2, 20)
        ]
    )
    (entry,) = by_name(editor, search="meet.contoso.com")["names"]
    assert len(entry["uses"]) == 12
    # The Front End Servers of a pool count as one of the twelve.
    assert "fe01–fe02.contoso.com" in [use["owner"] for use in entry["uses"]]
    assert entry["more"] == 21 - 13


def test_same_certificates_of_a_pool_are_folded(editor):
    """Two Front End Servers with the same certificate are one group, and every certificate is in
    exactly one group.
    """
    answer = list_certificates(editor)
    group = next(g for g in answer["groups"] if g["owner"] == "fe01.contoso.com")
    assert group["servers"] == ["fe02.contoso.com"]
    assert group["own"] == ["fe01.contoso.com"]
    assert answer["shown"] == answer["total"] == len(editor.plan.certificates)
    assert sum(1 + len(g["servers"]) for g in answer["groups"]) == answer["total"]


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        (["fe02.a.com", "fe03.a.com", "fe04.a.com"], ["fe02–fe04.a.com"]),
        (["fe02.a.com", "fe04.a.com"], ["fe02.a.com", "fe04.a.com"]),
        (["fe02.a.com", "fe03.b.com"], ["fe02.a.com", "fe03.b.com"]),
        (["edge.a.com"], ["edge.a.com"]),
        ([], []),
    ],
)
def test_neighbours_become_one_word(names, wanted):
    """Names with consecutive numbers in one domain are combined, and no others."""
    assert combine_names(names) == wanted
