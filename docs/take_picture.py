"""Take ``docs/editor.png``, the picture of the README, from the editor as it is. Run by hand.

    python docs/take_picture.py

Needs Chromium and the test extra; the sample's names are fictional.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

import nbformat

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY / "tests"))

from lab_driver import LabBrowser, LabServer  # noqa: E402

CELL = """\
import lyncnb as ln

editor = ln.PlanEditor(ln.read_topology("contoso.csv"), ln.load_rules("lync2013"))
editor"""


def take(picture: Path) -> None:
    """Open the editor on the sample in JupyterLab and photograph it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copy(REPOSITORY / "data" / "contoso.csv", folder)
        notebook = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell(CELL)],
            metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
        )
        nbformat.write(notebook, folder / "editor.ipynb")
        with (
            LabServer(folder) as server,
            LabBrowser(server, viewport=(1180, 1700), seconds=120) as lab,
        ):
            lab.open_notebook("editor.ipynb")
            lab.run_all()
            lab.wait_text("eepool01.contoso.net")
            lab.screenshot(picture, selector=".lyncnb")


if __name__ == "__main__":
    take(REPOSITORY / "docs" / "editor.png")
