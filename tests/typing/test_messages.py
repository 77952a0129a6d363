"""What the kernel sends to the panels has the types that the panels' scripts expect."""

from __future__ import annotations

import json
import re
import shutil
import subprocess

import pytest
from folders import make_folder, quick_cipher
from panel_kit import Talk
from places import REPOSITORY
from topologies import TWO_SITES

import lyncnb as ln

pytestmark = pytest.mark.usefixtures("quick_cipher")
__all__ = ["quick_cipher"]

SCRIPTS = REPOSITORY / "lyncnb" / "widgets" / "js"
CONFIGURATION = REPOSITORY / "tests" / "typing" / "tsconfig.json"
PARAMETER = re.compile(r"/\*\* @param \{(.+?)\} message(?: @param.*)? \*/\s*(?:function )?(\w+)")


def expected(script: str) -> dict[str, str]:
    """Return the type of each message that a panel's script takes, as its comments say."""
    types = {name: kind for kind, name in PARAMETER.findall((SCRIPTS / script).read_text("utf-8"))}
    return types | {"state": types["showState"]} if "showState" in types else types


def sent(talk: Talk, *asked: dict[str, object]) -> dict[str, dict]:
    """Return the last message of each type that a panel sends."""
    answers = {}
    for question in ({"kind": "ready"}, *asked):
        answers |= talk.say(**question)
    return answers


def of_editor(editor: ln.PlanEditor) -> dict[str, dict]:
    """Return the messages of an editor in which something is wrong and something changed."""
    server = editor.topology.to_frame()["server_fqdn"][0]
    return sent(
        Talk(editor.view),
        {"kind": "edit", "ids": [0], "column": "extra_san", "value": "old.contoso.com"},
        {"kind": "edit", "ids": [0], "column": "server_fqdn", "value": "no name"},
        {"kind": "explain", "ids": [0], "total": 1},
        *({"kind": kind} for kind in ("findings", "certificates", "changes", "code")),
        {"kind": "names", "search": ""},
        {"kind": "why", "name": server},
        {"kind": "picture", "shows": "", "site": ""},
        {"kind": "add", "values": {"server_fqdn": "new.contoso.com", "role": "Director"}},
    )


@pytest.mark.tools
@pytest.mark.skipif(not shutil.which("tsc"), reason="no tsc: npm install --global typescript")
def test_messages_have_the_types_of_the_scripts(tmp_path, monkeypatch):
    """TypeScript finds no part that a script expects and misses, and none that it does not know."""
    monkeypatch.chdir(tmp_path)
    editor = ln.PlanEditor(ln.read_topology(TWO_SITES.encode()), ln.load_rules())
    folder = make_folder(tmp_path / "requests").folder
    panels = {
        "plan_editor.js": of_editor(editor),
        "request_panel.js": sent(Talk(ln.RequestPanel(editor, "new").view), {"kind": "write"}),
        "status_panel.js": sent(Talk(ln.StatusPanel(folder).view)),
        "guide.js": sent(Talk(ln.GuidePanel("plan").view)),
    }
    lines, checked = [], set()
    for script, messages in panels.items():
        for name, kind in expected(script).items():
            if name in messages:
                checked.add((script, name))
                text = json.dumps(messages[name], ensure_ascii=False)
                lines.append(f"const m{len(lines)}: {{ type: string }} & {kind} = {text};\n")
    (tmp_path / "messages.ts").write_text("".join(lines), "utf-8")
    include = [
        str(tmp_path / "messages.ts"),
        *(str(SCRIPTS / f"*{end}") for end in (".js", ".d.ts")),
    ]
    configuration = {"extends": str(CONFIGURATION), "include": include}
    (tmp_path / "tsconfig.json").write_text(json.dumps(configuration))
    command = ["tsc", "--project", str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.stdout + result.stderr == ""
    assert len(checked) >= 24, checked
