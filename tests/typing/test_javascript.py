"""The TypeScript compiler checks the scripts of each panel and of the planner page. It checks
scripts that run together as one program.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess

import pytest
from places import REPOSITORY

from lyncnb.page.session import PageSession
from lyncnb.widgets.editing.editor_channel import EditorChannel
from lyncnb.widgets.editing.first_guide import GuideChannel
from lyncnb.widgets.panel_scripts import read_scripts
from lyncnb.widgets.request_panel import RequestChannel
from lyncnb.widgets.status_panel import StatusChannel

SCRIPTS = sorted((REPOSITORY / "lyncnb" / "widgets" / "js").glob("*.js"))
#: The scripts of the planner page, by the thread in which they run.
PAGE = {"page": ("keys.js", "requests.js", "page.js"), "worker": ("worker.js",)}
CONFIGURATION = REPOSITORY / "tests" / "typing" / "tsconfig.json"


@pytest.mark.tools
@pytest.mark.skipif(not shutil.which("tsc"), reason="no tsc: npm install --global typescript")
def test_typescript_accepts_the_scripts(tmp_path):
    """TypeScript reports no missing value, wrong argument or unknown name in the scripts of any
    panel.
    """
    for channel in (EditorChannel, GuideChannel, RequestChannel, StatusChannel):
        folder = tmp_path / channel.__name__
        folder.mkdir()
        (folder / "panel.js").write_text(read_scripts(*channel.scripts), "utf-8")
        include = [str(folder / "panel.js"), str(SCRIPTS[0].parent / "*.d.ts")]
        configuration = {"extends": str(CONFIGURATION), "include": include}
        (folder / "tsconfig.json").write_text(json.dumps(configuration))
    page_folder = REPOSITORY / "lyncnb" / "page"
    for thread, names in PAGE.items():
        folder = tmp_path / thread
        folder.mkdir()
        include = [str(page_folder / name) for name in (*names, "page_types.d.ts")]
        configuration = {"extends": str(CONFIGURATION), "include": include}
        (folder / "tsconfig.json").write_text(json.dumps(configuration))
    # With --build, tsc reads the shared files only once, and checks the remaining panels after an
    # error.
    command = ["tsc", "--build", *map(str, sorted(tmp_path.iterdir()))]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.stdout + result.stderr, result.returncode) == ("", 0)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_is_checked_by_editors_too(script):
    """Each script begins with the line that makes editors check its types."""
    assert script.read_text("utf-8").startswith("// @ts-check\n")


def test_the_worker_calls_methods_that_the_session_has():
    """The web worker calls only methods that the Python class PageSession has."""
    worker = (REPOSITORY / "lyncnb" / "page" / "worker.js").read_text("utf-8")
    called = set(re.findall(r"\bsession\.(\w+)\(", worker))
    assert len(called) > 5
    assert [name for name in called if not hasattr(PageSession, name)] == []
