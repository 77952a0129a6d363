"""Unsaved edits are stored in a draft file. The next kernel offers the draft, and saving removes
it.
"""

from __future__ import annotations

import json
import shutil
import stat
from pathlib import Path

import pytest
from IPython.display import DisplayHandle
from places import DATA
from topologies import FIVE_SERVERS

import lyncnb as ln
from lyncnb.errors import LyncnbError
from lyncnb.jupyter.outdated_outputs import DRAFT_FOLDER, read_outdated_outputs
from lyncnb.page.session import PageSession
from lyncnb.widgets.editing import unsaved
from lyncnb.widgets.editing.explanations import explain_servers
from lyncnb.widgets.editing.unsaved import UnsavedEdits


@pytest.fixture
def table(tmp_path, monkeypatch):
    """Write a table of five servers to the folder of the notebook."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.csv").write_text(FIVE_SERVERS)
    return tmp_path / "small.csv"


@pytest.fixture
def next_kernel(monkeypatch):
    """Return a function that simulates a restart of the kernel."""

    def restart(name: str = "later") -> None:
        monkeypatch.setattr(unsaved, "_name_kernel", lambda: name)

    return restart


def editor_of(table) -> tuple[ln.PlanEditor, UnsavedEdits]:
    """Open the table in an editor, as the planning notebook does."""
    options = ln.PlanOptions.beside(table.name)
    editor = ln.PlanEditor(ln.read_topology(table.name), options=options)
    return editor, UnsavedEdits(editor, "cell")


def make_edits(table) -> tuple[ln.PlanEditor, UnsavedEdits]:
    """Make one edit of each type in the editor, and save the draft."""
    editor, drafts = editor_of(table)
    editor.edit(
        change=[("dir01.contoso.com", {"site": "Kaohsiung", "web_external_fqdn": ""})],
        add=[{"server_fqdn": "med09.contoso.com", "role": "Mediation"}],
        remove=["med02.contoso.com"],
    )
    editor.change_options(key="RSA 4096", ca={"internal": "Contoso CA"})
    drafts.keep_draft()
    return editor, drafts


def files(table) -> list:
    return sorted((table.parent / DRAFT_FOLDER).glob("*"))


def open_editor_page(editor, drafts) -> list:
    """Simulate opening the editor's page, and return the list that collects the editor's messages."""
    channel, messages = editor.view.channel, []
    channel.send, channel.unsaved = lambda message, buffers=(): messages.append(message), drafts
    channel.receive({"type": "ready"})
    return messages


def test_the_next_kernel_offers_the_draft(table, next_kernel):
    """After a restart, the kernel offers the draft with the number and the time of its changes.
    Until the user loads the draft, the editor shows the saved file.
    """
    before, _ = make_edits(table)
    next_kernel()
    editor, drafts = editor_of(table)
    _, draft = drafts.find_draft()
    assert draft.describe_draft(editor.saved).startswith("Unsaved draft: 6 changes from ")
    assert draft.describe_draft(editor.saved).endswith(" UTC.")
    assert not editor.has_changes
    assert [row[0] for row in drafts.compare_draft()] == [
        row[0] for row in before.changes().to_numpy()
    ]
    assert not editor.has_changes
    drafts.restore_draft()
    assert editor.topology.cells == before.topology.cells
    assert editor.options == before.options
    assert editor.plan.sha256 == before.plan.sha256
    assert drafts.find_draft() is None
    assert len(files(table)) == 1  # The draft now belongs to the new editor.


def test_draft_is_readable_by_its_owner_alone(table):
    """Only the owner can read the draft file and its folder, and no temporary file is left."""
    make_edits(table)
    (path,) = files(table)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert json.loads(path.read_text())["format"] == "lyncnb-draft/1"


@pytest.mark.parametrize("end", ["save", "undo", "reset"])
def test_a_draft_is_deleted_when_nothing_is_unsaved(table, end):
    """After all edits are saved or undone, the draft file and its folder no longer exist."""
    editor, drafts = make_edits(table)
    if end == "save":
        editor.save("kept")
    elif end == "reset":
        editor.reset()
    while end == "undo" and editor.undo():
        pass
    drafts.keep_draft()
    assert not (table.parent / DRAFT_FOLDER).exists()


def test_a_discarded_draft_is_deleted_and_others_are_kept(table, next_kernel):
    """Discard removes the draft that is offered, and the editor then offers an older one."""
    make_edits(table)
    next_kernel("second")
    editor, drafts = editor_of(table)
    editor.change_options(wildcard=True)
    drafts.keep_draft()  # The new draft does not overwrite the earlier draft.
    assert len(files(table)) == 2
    next_kernel("third")
    _, drafts = editor_of(table)
    seen = [drafts.find_draft()[1].changes]
    drafts.discard_draft()
    seen.append(drafts.find_draft()[1].changes)
    drafts.discard_draft()
    assert sorted(seen) == [1, 6]
    assert drafts.find_draft() is None
    assert not (table.parent / DRAFT_FOLDER).exists()


def test_a_draft_for_an_earlier_table_has_a_note(table, next_kernel):
    """If the table has changed on the disk, lyncnb still offers the draft with a note, and applies
    the edits in the draft to the new table.
    """
    make_edits(table)
    table.write_text(FIVE_SERVERS + "med03.contoso.com,Mediation,,Hsinchu,,,,,,B3\n")
    next_kernel()
    editor, drafts = editor_of(table)
    words = drafts.find_draft()[1].describe_draft(editor.saved)
    assert "small.csv or its options have changed since" in words
    drafts.restore_draft()
    names = [row[0] for row in editor.topology.cells]
    assert "med03.contoso.com" in names
    assert "med09.contoso.com" in names


def test_a_draft_that_cannot_be_applied_is_kept(table, next_kernel):
    """If the draft changes a server that no longer exists, the error contains the server, and the
    draft is kept.
    """
    make_edits(table)
    table.write_text(FIVE_SERVERS.replace("dir01", "dir02"))
    next_kernel()
    editor, drafts = editor_of(table)
    with pytest.raises(LyncnbError, match=r"dir01\.contoso\.com"):
        drafts.restore_draft()
    assert not editor.has_changes
    assert drafts.find_draft()


def test_other_tables_and_damaged_files_are_not_offered(table, next_kernel):
    """Only drafts of the same table are offered. Other files and damaged files are ignored."""
    make_edits(table)
    next_kernel()
    folder = table.parent / DRAFT_FOLDER
    (text,) = [path.read_text() for path in files(table)]
    (folder / "cut.json").write_text(text[:100])
    (folder / "later.json").write_text(text.replace("draft/1", "draft/2"))
    other = ln.PlanEditor(ln.read_topology(DATA / "contoso.csv"))
    assert UnsavedEdits(other, "cell").find_draft() is None
    assert editor_of(table)[1].find_draft()


def test_a_draft_that_cannot_be_kept_is_reported_once(table):
    """If the folder for drafts cannot be created, the page reports this once, and the editor works
    without drafts.
    """
    (table.parent / DRAFT_FOLDER).write_text("a file")
    editor, drafts = editor_of(table)
    messages = open_editor_page(editor, drafts)
    editor.change_options(wildcard=True)
    editor.change_options(wildcard=False)
    refused = [message for message in messages if message["type"] == "refused"]
    assert len(refused) == 1
    assert "is a file, not a folder" in refused[0]["lines"][0]


def test_page_restores_compares_and_discards(table, next_kernel):
    """After a restart, the page can send messages to restore, compare, or discard the draft."""
    make_edits(table)
    next_kernel()
    editor, drafts = editor_of(table)
    messages = open_editor_page(editor, drafts)
    words = [message["words"] for message in messages if message["type"] == "draft"]
    assert len(words) == 1
    assert words[0].startswith("Unsaved draft: 6 changes")
    editor.view.channel.receive({"type": "draft_compare"})
    changes = next(message for message in messages if message["type"] == "draft_changes")
    assert changes["title"] == "6 changes in the draft"
    assert ("dir01.contoso.com", "Site", "Taipei", "Kaohsiung") in changes["rows"]
    editor.view.channel.receive({"type": "draft_restore"})
    assert [message["words"] for message in messages if message["type"] == "draft"][-1] == ""
    assert len(editor.changes()) == 6


def test_saved_output_is_marked_outdated_after_a_reload(table):
    """After the user reloads the page, the editor marks the saved output as outdated. An undo or a
    new output removes this mark.
    """
    editor, _ = editor_of(table)

    def run_cell() -> None:
        editor.view.show()
        # In a notebook, the display handle is set when a cell shows the editor.
        editor.view._handle = DisplayHandle()

    run_cell()
    channel, messages = editor.view.channel, []
    channel.send = lambda message, buffers=(): messages.append(message)
    channel.receive({"type": "ready", "page": "1"})
    # The same page opens a second view of the editor.
    channel.receive({"type": "ready", "page": "1"})
    assert not any(message["type"] == "refused" for message in messages)
    channel.receive({"type": "ready", "page": "2"})
    (refused,) = (message for message in messages if message["type"] == "refused")
    assert "reloaded this page" in refused["lines"][0]

    first = editor.plan.sha256[:16]
    editor.edit(change=[("dir01.contoso.com", {"site": "Kaohsiung"})])
    assert read_outdated_outputs(Path(DRAFT_FOLDER)) == {first: editor.plan.sha256[:16]}
    editor.undo()
    assert read_outdated_outputs(Path(DRAFT_FOLDER)) == {}
    editor.redo()
    run_cell()
    editor.undo()
    assert not Path(DRAFT_FOLDER).exists()


def test_a_table_and_its_draft_open_together(table):
    """If a person opens a table and its draft at the same time on the planner page, the draft's edits
    are restored, and the page shows how many edits are not saved.
    """
    sent = []
    first = PageSession(lambda kind, parts, buffers=(): sent.append((kind, parts, buffers)))
    first.open_files([table.name])
    assert [parts for kind, parts, _ in sent if kind == "state"][-1]["unsaved"] == 0
    first.editor.edit(change=[("dir01.contoso.com", {"site": "Kaohsiung"})])
    first.editor.change_options(key="RSA 4096")
    assert [parts for kind, parts, _ in sent if kind == "state"][-1]["unsaved"] == 2
    first.download_draft()
    kind, parts, (data,) = sent[-1]
    assert (kind, parts["name"]) == ("file", "small-draft.json")
    Path(parts["name"]).write_bytes(data)
    shutil.rmtree(".lyncnb-draft")
    later = []
    second = PageSession(lambda kind, parts, buffers=(): later.append((kind, parts)))
    second.open_files([table.name, parts["name"]])
    assert [parts for kind, parts in later if kind == "refused"] == []
    assert second.editor.state.is_same(first.editor.state)
    assert [parts for kind, parts in later if kind == "state"][-1]["unsaved"] == 2


def test_a_row_that_is_left_out_says_so(table):
    """A selected row without a usable role has no certificates, because the plan leaves it out."""
    table.write_text(FIVE_SERVERS.replace(",Director,", ",Diretcorr42,"))
    editor = ln.PlanEditor(table.name)
    (row,) = editor.topology.left_out
    shown = explain_servers(editor, ids=(row,), total=1)
    assert shown["title"] == "The plan leaves out 1 selected row"
    assert "1 rejected cell is not in the plan" in shown["note"]
