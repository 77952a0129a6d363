"""A request folder can be opened, and shown as a table, text, HTML and JSON."""

from __future__ import annotations

import json

import pytest
from folders import plan_of_servers, write

from lyncnb.errors import BundleError
from lyncnb.request_folder.bundle import open_requests

pytestmark = pytest.mark.usefixtures("quick_cipher")


@pytest.fixture
def folder(tmp_path):
    """Return the path of a request folder that does not exist yet."""
    return tmp_path / "requests"


def test_a_bundle_is_shown_as_a_table(folder):
    """The table, the HTML, the text and the JSON of a request folder contain the same values."""
    plan = plan_of_servers(2)
    bundle = write(plan, folder)
    frame = bundle.to_frame()
    assert list(frame["Change"]) == ["created", "created"]
    assert list(frame["State"]) == ["waiting", "waiting"]
    assert "2 created" in bundle._repr_html_()
    assert repr(bundle) == f"2 requests in the folder {folder}: 2 created"
    document = json.loads(json.dumps(bundle.to_document()))
    assert document["changes"][0] == {
        "action": "created",
        "id": plan.certificates[0].id,
        "generation": 1,
        "reasons": ["new in the plan"],
    }
    assert repr(open_requests(folder)) == f"2 requests in the folder {folder}"


def test_other_folders_cannot_be_opened(tmp_path):
    """If a folder is not a request folder, open_requests raises an error that states what is
    missing.
    """
    with pytest.raises(BundleError, match="does not exist"):
        open_requests(tmp_path)
