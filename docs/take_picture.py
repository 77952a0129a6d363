"""Take the pictures of the README from the plan editor in a browser. Run by hand.

    python docs/take_picture.py

``change-1.png`` to ``change-3.png`` show one change in the editor: a role changes, the counts
follow, and a name explains itself. The script needs Chromium and the test extra. The names in the
sample are fictional.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

DOCS = Path(__file__).resolve().parent
REPOSITORY = DOCS.parent
sys.path.insert(0, str(REPOSITORY / "tests"))

from lab_driver import LabBrowser, LabServer  # noqa: E402
from lab_panels import cell_of, open_panel  # noqa: E402

CELL = """\
import lyncnb as ln

editor = ln.PlanEditor(ln.read_topology("contoso.csv"))
editor"""
CHANGED = "se01.contoso.net"
FRAME = (460, 287)  # The size of each of the three pictures, in pixels of the page.


def fit_column(lab: LabBrowser, heading: str) -> None:
    """Fit a column to its texts: double-click the edge of its heading."""
    headings = lab.page.locator(".lc-editor [role=columnheader]")
    box = headings.get_by_text(heading, exact=True).locator("..").bounding_box()
    lab.page.mouse.dblclick(box["x"] + box["width"] - 3, box["y"] + box["height"] / 2)


def show_all_rows(lab: LabBrowser, extra_pixels: int = 4) -> None:
    """Drag the corner of the table until it shows all rows, and some pixels more."""
    table = lab.page.locator(".lc-editor .lc-grid").first
    hidden = table.evaluate("e => e.scrollHeight - e.clientHeight")
    box = table.bounding_box()
    x, y = box["x"] + box["width"] - 5, box["y"] + box["height"] - 5
    lab.page.mouse.move(x, y)
    lab.page.mouse.down()
    lab.page.mouse.move(x, y + hidden + extra_pixels, steps=5)
    lab.page.mouse.up()


def photograph(lab: LabBrowser, name: str, clip: dict[str, float]) -> None:
    """Take a picture of a part of the page, without a blinking caret."""
    lab.page.wait_for_timeout(500)  # The page has finished its transitions.
    lab.page.screenshot(path=str(DOCS / name), clip=clip, caret="hide")


def take_change(lab: LabBrowser) -> None:
    """Photograph a change of one role in a narrow window: the cell, the counts, and a name."""
    page = lab.page
    width, height = FRAME
    page.set_viewport_size({"width": 564, "height": 1800})
    page.get_by_placeholder("Filter, such as").first.fill(CHANGED.partition(".")[0])
    page.wait_for_timeout(900)
    fit_column(lab, "Server")
    show_all_rows(lab, 60)  # The text below the table is not in the picture.
    server = cell_of(lab, CHANGED, "Server")
    server.click()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Alt+ArrowDown")
    roles = page.get_by_label(f"Role of {CHANGED}")
    roles.select_option("SBA")
    panel = page.locator(".lyncnb").first.bounding_box()
    search = page.get_by_placeholder("Filter, such as").first.bounding_box()
    frame = {"x": panel["x"], "width": width, "height": height}
    photograph(lab, "change-1.png", {**frame, "y": search["y"] - 13})

    roles.press("Enter")
    lab.wait_text("77 names")
    lab.wait_idle()
    photograph(lab, "change-2.png", {**frame, "y": panel["y"]})

    lab.tab("By name").click()
    page.locator(".lc-needed").get_by_text("meet.").first.click()
    page.set_viewport_size({"width": 494, "height": 1800})  # The dialog is as wide as the frame.
    dialog = page.locator("dialog[open]").bounding_box()
    photograph(lab, "change-3.png", {**frame, "x": dialog["x"], "y": dialog["y"]})


def take() -> None:
    """Open the editor on the sample in JupyterLab and photograph it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copy(REPOSITORY / "data" / "contoso.csv", folder)
        with (
            LabServer(folder) as server,
            LabBrowser(server, viewport=(1185, 1800), scale=2, seconds=120) as lab,
        ):
            open_panel(lab, folder, CELL)
            lab.wait_text("eepool01.contoso.net")
            lab.wait_idle()
            take_change(lab)


if __name__ == "__main__":
    take()
