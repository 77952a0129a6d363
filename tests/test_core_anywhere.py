"""Planning requires only Python, idna, and the Public Suffix List.

Pages, widgets, and requests need more libraries. A plan, its findings, its document, and the edits
of its editor do not. They need pandas only if a caller passes a data frame.
"""

from __future__ import annotations

import json
import subprocess
import sys

from places import DATA, REPOSITORY

import lyncnb as ln
from lyncnb.plan.scenarios import Scenarios

# This import hook rejects every library except the listed ones, as if it were not installed.
CORE = """
import importlib.abc, sys

ALLOWED = {"lyncnb", "idna", "publicsuffixlist"} | sys.stdlib_module_names

class Missing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in ALLOWED:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
for name in [n for n in sys.modules if n.partition(".")[0] not in ALLOWED and n != "__main__"]:
    del sys.modules[name]
"""


def run(code: str, *arguments: str) -> str:
    """Run code in a Python process that can import only the dependencies of the core."""
    command = [sys.executable, "-P", "-c", CORE + code, *arguments]
    environment = {"PYTHONPATH": str(REPOSITORY), "PYTHONDONTWRITEBYTECODE": "1"}
    result = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_nothing_else_can_be_imported():
    """In the Python process of these tests, the excluded libraries cannot be imported."""
    names = ("pandas", "cryptography", "jupyterlab", "jinja2", "click", "tomli_w")
    code = (
        "import importlib\n"
        f"for name in {names!r}:\n"
        "    try:\n"
        "        importlib.import_module(name)\n"
        "    except ModuleNotFoundError:\n"
        "        print(name)\n"
    )
    assert run(code).split() == list(names)


def test_a_plan_is_made_without_other_libraries(tmp_path):
    """Without other libraries, lyncnb can read, plan, check, explain and compare a table, and write
    the plan as JSON and CSV.
    """
    code = """
import json
import lyncnb as ln

topology = ln.read_topology(sys.argv[1])
options = ln.PlanOptions.from_toml(b'wildcard = true')
plan = ln.plan_certificates(topology, ln.load_rules(), options=options)
findings = ln.check_plan(plan)
document = ln.plan_document(plan, findings)
assert topology.to_csv() and topology._repr_html_() and plan._repr_html_()
assert findings._repr_html_() and options._repr_html_()
assert str(plan.explain(plan.certificates[0].servers[0]))
scenario = ln.open_scenario(sys.argv[2])
compared = ln.compare_scenarios(scenario, ln.Scenario(name="wild", topology=topology, options=options))
assert scenario._repr_html_() and compared._repr_html_() and compared.comparisons
print(json.dumps(document))
"""
    scenario = ln.Scenario(name="as it is", topology=ln.read_topology(DATA / "contoso.csv"))
    Scenarios(tmp_path).keep(scenario)
    document = json.loads(run(code, str(DATA / "contoso.csv"), str(tmp_path / "as it is")))
    assert document["format"] == "lyncnb-plan/1"
    assert len(document["certificates"]) > 10
    assert document["judged_on"]


def test_messages_edit_a_plan_without_other_libraries():
    """The messages of the page change a draft plan without a notebook, a kernel, or a widget."""
    code = """
import json
import lyncnb as ln
from lyncnb.widgets.editing.editor_channel import EditorChannel
from lyncnb.widgets.editing.plan_editing import PlanEditing
from lyncnb.widgets.editing.scenarios import EditorScenarios
from pathlib import Path

editor = PlanEditing(ln.read_topology(sys.argv[1]), ln.load_rules())
channel, told = EditorChannel(editor, EditorScenarios(editor, Path("scenarios"))), []
channel.send = lambda message, buffers=(): told.append((message, list(map(bytes, buffers))))
for message in json.loads(sys.argv[2]):
    channel.receive(message)
messages = [message for message, _ in told]
rows = next(buffers for message, buffers in told if message["type"] == "rows")
first = rows[1].decode().split("\\0")[0]
print(json.dumps({"messages": messages, "servers": len(rows[0]) // 4, "first": first}))
"""
    messages = [
        {"type": "ready"},
        {"type": "edit", "ids": [0], "column": "target_os", "value": "2016"},
        {"type": "edit", "ids": [0], "column": "role", "value": "Butler", "cell": [0, "role"]},
        {"type": "undo"},
        {"type": "option", "name": "wildcard", "value": "true"},
        {"type": "edit", "ids": "all", "column": "target_os", "value": "2016"},
        *({"type": view} for view in ("findings", "certificates", "changes", "code")),
        {"type": "names", "search": ""},
        {"type": "picture", "shows": "", "site": ""},
    ]
    output = json.loads(run(code, str(DATA / "contoso.csv"), json.dumps(messages)))
    topology = ln.read_topology(DATA / "contoso.csv")
    assert (output["servers"], output["first"]) == (len(topology.cells), topology.cells[0][0])
    states = [message for message in output["messages"] if message["type"] == "state"]
    assert [state["changes"] for state in states] == [0, 1, 0, 1]
    assert [state["said"] for state in states[2:]] == [
        f"Undone: {states[1]['undo']} -> 2012R2",
        "",
    ]
    assert [state["cell"] for state in states[2:]] == [[0, "target_os"], None]
    refused = [message for message in output["messages"] if message["type"] == "refused"]
    assert refused[0]["cell"] == [0, "role"]
    assert "Butler" in refused[0]["lines"][0]
    assert refused[1]["lines"] == [
        "Not done: 'edit.ids' must be a list, not \"all\" (in a message from the notebook page in the browser)",
        "What to do: reload the page, then run the cell again",
    ]
    last = {message["type"]: message for message in output["messages"]}
    assert last["code"]["code"].count("wildcard") == 1
    assert last["picture"]["svg"].startswith("<svg")
    assert all(last[view] for view in ("findings", "certificates", "changes", "names"))


def test_messages_create_a_first_plan_without_other_libraries(tmp_path):
    """Without other libraries, the guide creates a first plan from messages. The program that shows
    the page provides the texts about cells and kernels.
    """
    code = """
import json, os
from dataclasses import replace
from lyncnb.widgets.editing.first_guide import FirstPlanGuide, GuideChannel
from lyncnb.widgets.editing.host import NOTEBOOK

channel, told = GuideChannel(FirstPlanGuide("plan")), []
channel.host = replace(NOTEBOOK, start_again="open this page again")
channel.send = lambda message, buffers=(): told.append(message)
for message in json.loads(sys.argv[1]):
    channel.receive(message)
print(json.dumps(told))
"""
    messages = [
        {"type": "ready"},
        {"type": "answer", "site": "", "key": "sip_domains", "text": "contoso.com"},
        {"type": "answer", "site": 0, "key": "sites", "text": "Taipei"},
    ]
    start, first, answered, refused = json.loads(run(code, json.dumps(messages)))
    assert (start["type"], first["count"]) == ("start", 0)
    assert (answered["count"] > first["count"], answered["problems"]) == (True, [])
    assert answered["svg"].startswith("<svg")
    assert refused["lines"][-1] == "What to do: open this page again"


def test_requests_are_described_without_cryptography():
    """Without the library cryptography, lyncnb can still create the content of each request and the
    rules for passphrases.
    """
    code = """
import json
import lyncnb as ln
from lyncnb.page.request_folder_of import prepare_folder

plan = ln.plan_certificates(ln.read_topology(sys.argv[1]), ln.load_rules())
print(json.dumps(prepare_folder(plan, "2026-11-29T08:00:00Z", findings=ln.check_plan(plan))))
"""
    folder = json.loads(run(code, str(DATA / "contoso.csv")))
    plan = ln.plan_certificates(ln.read_topology(DATA / "contoso.csv"), ln.load_rules())
    assert [request["id"] for request in folder["requests"]] == [
        certificate.id for certificate in plan.certificates
    ]
    assert "contoso" in folder["passphrase"]["known"]
    assert folder["derivation"] == {"rounds": 600_000, "salt": 16, "bytes": 32}


PACKAGES = (
    *("base", "topology", "rules", "plan", "reports", "checks"),
    *("authorities/trust", "guide", "widgets/editing"),
)


def test_core_files_import_only_allowed_libraries():
    """No file in the core packages imports, at its top level, a library that the core may not use."""
    files = [
        path
        for package in PACKAGES
        for path in sorted((REPOSITORY / "lyncnb" / package).rglob("*.py"))
        # The core uses neither a request folder on a disk nor a terminal.
        if path.name not in ("folder_lock.py", "terminal_text.py")
    ]
    names = [".".join(path.relative_to(REPOSITORY).with_suffix("").parts) for path in files]
    code = f"""
import importlib
for name in {names!r}:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        print(name, error.name)
"""
    assert run(code).splitlines() == []
