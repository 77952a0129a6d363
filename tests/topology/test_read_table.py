"""A table of any kind is a DataFrame of texts, and an editor opens it as its file."""

from __future__ import annotations

import ast
import shutil
from pathlib import Path

import pandas as pd
import pytest
from places import DATA
from topology_documents import front_end, topology_builder

import lyncnb as ln
from lyncnb.topology.read_table import open_frame
from lyncnb.topology.topology import open_topology

ROWS = "server_fqdn,role,site,sip_domains\nfe01.contoso.com,Fronted,NA,contoso.com\n\n\nmed01.contoso.com.,Mediation,,\n"


@pytest.fixture
def path(tmp_path) -> Path:
    """Write a table with a rejected role, blank rows, a site "NA", and a name with a final dot."""
    path = tmp_path / "servers.csv"
    path.write_text(ROWS, "utf-8")
    return path


def read_csv(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, dtype=str, keep_default_na=False)


@pytest.mark.parametrize("name", ["contoso", "litwareinc-global", "single-server"])
def test_the_frame_of_a_csv_file_is_that_of_pandas(name):
    """For a CSV file in UTF-8, read_table returns the same rows as pandas.read_csv."""
    path = DATA / f"{name}.csv"
    pd.testing.assert_frame_equal(ln.read_table(path), read_csv(path))


def test_the_frame_has_the_texts_of_the_file(path):
    """The frame has the texts of the file, before any correction, and the path of the file."""
    frame = ln.read_table(path)
    assert frame.to_numpy().tolist() == [
        ["fe01.contoso.com", "Fronted", "NA", "contoso.com"],
        ["med01.contoso.com.", "Mediation", "", ""],
    ]
    assert frame.attrs["source"] == str(path)


@pytest.mark.parametrize("read", [ln.read_table, read_csv])
def test_an_editor_opens_a_frame_as_its_file(path, read):
    """An editor of a frame and its file has the rows, notes, rejected cells and path of the file."""
    editor, of_file = ln.PlanEditor(read(path), table=path), ln.PlanEditor(path)
    assert editor.topology == of_file.topology
    assert editor.topology.notes == of_file.topology.notes
    assert editor.topology.rejected == of_file.topology.rejected
    assert editor.topology.rejected[0].problem.where == "servers.csv row 2, column role"
    assert editor.topology.notes[0].row == 5
    assert (editor.path, editor.is_saved) == (str(path), True)


def test_an_editor_of_a_frame_saves_its_file(tmp_path):
    """An edit of a frame that was read from a file is saved in this file."""
    path = Path(shutil.copy(DATA / "contoso.csv", tmp_path))
    editor = ln.PlanEditor(ln.read_table(path), table=path)
    editor.set_role("se01.contoso.net", "SBA")
    assert editor.save()[0] == path
    assert "se01.contoso.net,SBA" in path.read_text("utf-8-sig")
    line = editor.code().splitlines()[2]
    code = line.removeprefix("topology = ln.read_topology(").removesuffix(")")
    assert Path(ast.literal_eval(code)) == path


def test_a_changed_frame_is_not_its_file(path):
    """If pandas changed a frame, the editor shows it, and does not take it for the file. Saving it
    does not replace the file.
    """
    frame = ln.read_table(path)
    frame.loc[0, "role"] = "StandardEdition"
    editor = ln.PlanEditor(frame, table=path)
    assert editor.texts("role") == ["StandardEdition", "Mediation"]
    assert (editor.path, editor.topology.source) == ("", "servers.csv")
    with pytest.raises(ln.LyncnbError, match="servers.csv"):
        editor.save(path)
    assert path.read_text("utf-8") == ROWS


def test_a_changed_file_is_not_replaced(path):
    """If the file has changed since the frame was read, the editor shows the frame."""
    frame = ln.read_table(path)
    path.write_text(ROWS.replace("Fronted", "Edge"), "utf-8")
    assert open_frame(frame, path).path == ""


def test_a_frame_of_another_file_is_an_error(path):
    """If the frame was read from another file, the editor does not mix the two."""
    with pytest.raises(ln.TopologyError, match=r"read from .*servers.csv, not from .*contoso.csv"):
        ln.PlanEditor(ln.read_table(path), table=DATA / "contoso.csv")


def test_a_document_keeps_its_product(tmp_path):
    """A frame of a topology document is opened as the document, with its product and notes."""
    path = tmp_path / "topology.tbxml"
    path.write_text(topology_builder([front_end("pool.contoso.com")]), "utf-8")
    topology, of_file = open_frame(ln.read_table(path), path), open_topology(path)
    assert topology == of_file
    assert (topology.product, topology.notes) == (of_file.product, of_file.notes)
    assert topology.product
