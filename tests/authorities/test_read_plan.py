"""The plan can be read from a request folder and from a file."""

from __future__ import annotations

from dataclasses import replace

import pytest
from folders import make_folder, make_plan

import lyncnb as ln
from lyncnb.authorities.read_plan import is_plan_path, read_plan
from lyncnb.errors import BundleError, PlanError
from lyncnb.plan.plan_json import plan_json
from lyncnb.request_folder.manifest import save_manifest

pytestmark = pytest.mark.usefixtures("quick_cipher")


def test_folder_contains_its_plan(tmp_path):
    """The plan that is read from a request folder equals the original plan, except that the reasons
    for the names are missing.
    """
    plan = make_plan()
    make_folder(tmp_path / "requests", plan)
    recorded = read_plan(tmp_path / "requests")
    assert recorded.sha256 == plan.sha256
    assert ln.compare_plans(recorded, plan).is_empty
    assert recorded.findings is None
    less = ln.plan_certificates(plan.topology.with_rows(remove=[0]), plan.rules)
    removals = [c for c in ln.compare_plans(recorded, less).changes if c.change == "name removed"]
    removals += [
        c for c in ln.compare_plans(recorded, less).changes if c.change.endswith("removed")
    ]
    assert removals
    assert {c.why for c in removals if c.what == "Name"} <= {
        "the reason for this name is not recorded"
    }


def test_retired_request_is_not_in_the_plan(tmp_path):
    """A request that is no longer planned stays in the request folder, but the plan that is read
    from the folder does not contain it.
    """
    plan = make_plan()
    make_folder(tmp_path / "requests", plan)
    less = ln.plan_certificates(
        plan.topology.with_rows(remove=[0]), plan.rules, options=plan.options
    )
    make_folder(tmp_path / "requests", less)
    assert ln.compare_plans(read_plan(tmp_path / "requests"), less).is_empty


def test_rebuilt_entries_are_reported(tmp_path):
    """If the manifest was rebuilt from the requests alone, lyncnb reports that the planned values
    of the requests are unknown.
    """
    bundle = make_folder(tmp_path / "requests", make_plan())
    records = [
        replace(record, plan=replace(record.plan, role="")) for record in bundle.requests[:2]
    ]
    save_manifest(bundle.folder, bundle.manifest.with_records(records))
    with pytest.raises(BundleError) as caught:
        read_plan(tmp_path / "requests")
    assert len(caught.value.problems) >= 2
    assert "lyncnb request" in caught.value.hint


def test_plan_is_read_from_its_json_file(tmp_path):
    """A plan can be read from its JSON file.

    A folder without a manifest, a missing file and other files are rejected.
    """
    plan = make_plan()
    path = tmp_path / "plan.json"
    path.write_bytes(plan_json(plan, ()))
    assert ln.compare_plans(read_plan(path), plan).is_empty
    assert is_plan_path(path)
    assert is_plan_path(tmp_path)
    assert not is_plan_path(tmp_path / "table.csv")
    with pytest.raises(BundleError, match="not a request folder"):
        read_plan(tmp_path)
    for name in ("none.json", "a\0.json"):
        with pytest.raises(PlanError, match="cannot read"):
            read_plan(tmp_path / name)
