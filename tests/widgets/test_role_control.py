"""Two controls select a server and change its role, and follow the editor."""

from __future__ import annotations

import re

import ipywidgets
import pytest
from places import DATA

import lyncnb as ln

SAMPLE = DATA / "contoso.csv"


class Controls:
    """An editor with two linked controls."""

    def __init__(self, table: object):
        options = ln.PlanOptions.beside(SAMPLE)
        self.editor = ln.PlanEditor(table, options=options)
        self.server, self.role = ipywidgets.Dropdown(), ipywidgets.Dropdown()
        self.editor.link_role(self.server, self.role)

    @property
    def servers(self) -> list[object]:
        """The servers in the list."""
        return [key for _, key in self.server.options]

    @property
    def chosen(self) -> tuple[object, object]:
        """The chosen server, and the role that the other control shows."""
        return self.server.value, self.role.value


@pytest.fixture
def controls() -> Controls:
    return Controls(SAMPLE)


def test_nothing_changes_before_a_role_is_chosen(controls):
    """The controls begin blank, and the choice of a server shows its role without a change."""
    assert controls.chosen == (None, None)
    for name in controls.servers:
        controls.server.value = name
    controls.server.value = "se01.contoso.net"
    assert controls.chosen == ("se01.contoso.net", "StandardEdition")
    assert (controls.editor.has_changes, controls.editor.past) == (False, [])


def test_a_chosen_role_changes_the_plan(controls):
    """A chosen role is one step, and the saved copy says in words what it changed."""
    controls.server.value = "se01.contoso.net"
    controls.role.value = "SBA"
    editor = controls.editor
    assert [len(editor.past), editor.state.said] == [1, "Role of se01.contoso.net: SBA"]
    page = re.sub(r"<[^>]*>", " ", editor._repr_html_())
    assert "se01.contoso.net StandardEdition → SBA: 85 → 77 names." in page
    assert sum(len(c.names) for c in editor.loaded_plan.certificates) == 85
    assert sum(len(c.names) for c in editor.plan.certificates) == 77


def test_the_controls_follow_the_editor(controls):
    """The role follows each edit and Undo. New servers are in the list, and a removed server is not."""
    controls.server.value = "se01.contoso.net"
    controls.editor.edit(change=[(("se01.contoso.net",), {"role": "SBA"})])
    assert controls.chosen == ("se01.contoso.net", "SBA")
    controls.editor.undo()
    assert controls.role.value == "StandardEdition"
    controls.editor.edit(add=[{"server_fqdn": "se02.contoso.net", "role": "StandardEdition"}])
    assert "se02.contoso.net" in controls.servers
    assert controls.chosen == ("se01.contoso.net", "StandardEdition")
    controls.editor.edit(remove="se01.contoso.net")
    assert controls.chosen == (None, None)


def test_the_servers_of_a_pool_change_together(controls):
    """A pool has one role, so a new role of a server is the role of its pool."""
    controls.server.value = "fe02.contoso.net"
    controls.role.value = "Director"
    roles = dict(zip(controls.editor.texts("server_fqdn"), controls.editor.texts("role")))
    assert [roles[f"fe0{n}.contoso.net"] for n in (1, 2, 3)] == ["Director"] * 3
    assert roles["dir01.contoso.net"] == "Director"
    controls.editor.undo()
    assert (controls.editor.has_changes, controls.role.value) == (False, "FrontEnd")


def test_a_rejected_role_is_blank_until_one_is_chosen():
    """A role that lyncnb cannot use is blank in the control, and the chosen role replaces it."""
    data = SAMPLE.read_bytes().replace(b"se01.contoso.net,StandardEdition", b"se01.contoso.net,Se?")
    controls = Controls(data)
    controls.server.value = "se01.contoso.net"
    assert (controls.role.value, len(controls.editor.topology.rejected)) == (None, 1)
    controls.role.value = "StandardEdition"
    assert controls.editor.topology.rejected == ()


def test_a_server_with_two_roles_has_two_entries():
    """A server with two rows has two entries in the list, also if it is the only server."""
    row = "se01.contoso.net,se01.contoso.net,contoso.com"
    rows = ["server_fqdn,pool_fqdn,sip_domains,role", f"{row},StandardEdition", f"{row},Mediation"]
    controls = Controls("\n".join(rows).encode())
    (name, first), (_, second) = controls.servers
    assert [label for label, _ in controls.server.options] == [
        f"{name}, {first}",
        f"{name}, {second}",
    ]
    controls.server.value = (name, second)
    assert controls.role.value == second
    assert not controls.editor.has_changes


def test_an_impossible_role_changes_nothing(controls):
    """If a role is not possible, the control shows the earlier one, and the page says why."""
    sent = []
    controls.editor.view.channel.send = lambda message, *_: sent.append(message)
    controls.editor.edit(
        add=[
            {
                "server_fqdn": "se01.contoso.net",
                "role": "Mediation",
                "pool_fqdn": "se01.contoso.net",
            }
        ]
    )
    before = controls.editor.texts("role")
    controls.server.value = ("se01.contoso.net", "Mediation")
    controls.role.value = "StandardEdition"
    assert controls.editor.texts("role") == before
    assert controls.chosen == (("se01.contoso.net", "Mediation"), "Mediation")
    assert [message["type"] for message in sent].count("refused") == 1


def test_a_wrong_name_is_a_clear_error(controls):
    """An unknown server or role is an error that names it, and nothing changes."""
    with pytest.raises(ln.TopologyError, match=r"no row for the server 'se1.contoso.net'"):
        controls.editor.set_role("se1.contoso.net", "SBA")
    with pytest.raises(ln.TopologyError, match="Frontier"):
        controls.editor.set_role("se01.contoso.net", "Frontier")
    assert not controls.editor.has_changes
