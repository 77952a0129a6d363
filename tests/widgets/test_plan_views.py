"""The kernel sends the certificates and names in the plan to the browser."""

from __future__ import annotations

import pytest
from topologies import FIVE_SERVERS

from lyncnb.rules.rule_files import load_rules
from lyncnb.topology.topology import read_topology
from lyncnb.widgets.editing.plan_views import combine_names, list_certificates, search_names
from lyncnb.widgets.editor import PlanEditor


@pytest.fixture
def editor() -> PlanEditor:
    return PlanEditor(read_topology(FIVE_SERVERS.encode()), load_rules())


def test_every_name_has_its_certificates(editor):
    """Users can search all names in the plan by a part of the name. Each use of a name is shown
    with its owner, reason and row.
    """
    names = {str(name) for c in editor.plan.certificates for name in c.names}
    answer = search_names(editor, search="")
    assert answer["total"] >= len(names)
    assert answer["found"] == answer["total"]
    entries = search_names(editor, search="FE01")["names"]
    assert [entry["name"] for entry in entries] == ["fe01.contoso.com"]
    (use,) = entries[0]["uses"]
    assert use["owner"] == "fe01.contoso.com"
    assert use["why"]
    assert use["source"]
    assert use["rows"] == [0]
    assert search_names(editor, search="nowhere")["names"] == []


def test_a_name_of_many_certificates_lists_the_first(editor):
    """If a name is in the certificates of more than twelve pools, the editor lists twelve entries
    and shows the number of other certificates.
    """
    editor.edit(
        add=[
            {"server_fqdn": f"dir{n:02}.contoso.com", "role": "Director", "site": "Taipei"}
            for n in range(2, 20)
        ]
    )
    (entry,) = search_names(editor, search="meet.contoso.com")["names"]
    assert len(entry["uses"]) == 12
    # One of the twelve entries combines the Front End Servers of a pool.
    assert "fe01–fe02.contoso.com" in [use["owner"] for use in entry["uses"]]
    assert entry["more"] == 21 - 13


def test_same_certificates_of_a_pool_are_folded(editor):
    """Front End Servers with the same certificate form one group, and every certificate belongs to
    exactly one group.
    """
    answer = list_certificates(editor)
    group = next(g for g in answer["groups"] if g["owner"] == "fe01.contoso.com")
    assert group["servers"] == ["fe02.contoso.com"]
    assert group["own"] == ["fe01.contoso.com"]
    assert answer["shown"] == answer["total"] == len(editor.plan.certificates)
    assert sum(1 + len(g["servers"]) for g in answer["groups"]) == answer["total"]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["fe02.a.com", "fe03.a.com", "fe04.a.com"], ["fe02–fe04.a.com"]),
        (["fe02.a.com", "fe04.a.com"], ["fe02.a.com", "fe04.a.com"]),
        (["fe02.a.com", "fe03.b.com"], ["fe02.a.com", "fe03.b.com"]),
        (["edge.a.com"], ["edge.a.com"]),
        ([], []),
    ],
)
def test_consecutive_names_are_combined(names, expected):
    """Names with consecutive numbers in the same domain are combined. Other names are not combined."""
    assert combine_names(names) == expected
