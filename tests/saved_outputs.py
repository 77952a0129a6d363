"""Outputs of a notebook as the repository keeps them: pictures as PNG, links that lead somewhere.

Pages that show notebooks leave out pictures inside HTML, and SVG; they show PNG outputs.
"""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Callable
from pathlib import Path

import nbformat
from lab_driver import CHROMIUM, CHROMIUM_ARGUMENTS
from playwright.sync_api import sync_playwright

_PICTURE = re.compile(
    r'<img src="data:image/svg\+xml;base64,(?P<data>[\w+/=]+)" alt="(?P<words>[^"]*)"[^>]*>'
)
_LINK = re.compile(r'<a href="(?P<target>[^"]+)"[^>]*>(?P<words>.*?)</a>', re.S)
_ELSEWHERE = ("http://", "https://", "#", "mailto:")


def leads_somewhere(target: str, folder: Path) -> bool:
    """Tell whether a link is to another site, or to a file of the repository."""
    return target.startswith(_ELSEWHERE) or (folder / target.partition("#")[0]).exists()


def without_dead_links(page: str, folder: Path) -> str:
    """Leave the words of a link whose target the repository does not hold."""
    return _LINK.sub(
        lambda link: link[0] if leads_somewhere(link["target"], folder) else link["words"], page
    )


def split_pictures(notebook, draw: Callable[[bytes], bytes]) -> None:
    """Give each SVG picture of an HTML output an output of its own, as `draw` makes it a PNG.

    A picture that the notebook has already shown is named, not repeated.
    """
    shown: set[str] = set()
    for cell in notebook.cells:
        outputs = []
        for output in cell.get("outputs", ()):
            page = output.get("data", {}).get("text/html", "")
            outputs.append(output)
            new = [one for one in _PICTURE.finditer(page) if one["data"] not in shown]
            for picture in new:
                shown.add(picture["data"])
                image = base64.b64encode(draw(base64.b64decode(picture["data"]))).decode()
                words = html.unescape(picture["words"])
                data = {"image/png": image, "text/plain": words}
                outputs.append(nbformat.v4.new_output("display_data", data))
            if _PICTURE.search(page):
                words = "" if new else "<p>The picture is the same as above.</p>"
                output.data["text/html"] = _PICTURE.sub(words, page)
        if outputs:
            cell.outputs = outputs


class Pictures:
    """Draws SVG documents in Chromium, as readers see them."""

    def __enter__(self) -> Pictures:
        self._playwright = sync_playwright().start()
        self._browser = self._playwright.chromium.launch(
            executable_path=CHROMIUM, args=CHROMIUM_ARGUMENTS
        )
        self._page = self._browser.new_page(viewport={"width": 1400, "height": 900})
        return self

    def draw(self, svg: bytes) -> bytes:
        """Give a picture as PNG."""
        data = base64.b64encode(svg).decode()
        self._page.set_content(f'<img src="data:image/svg+xml;base64,{data}">')
        image = self._page.locator("img")
        image.evaluate("image => image.decode()")
        return image.screenshot()

    def __exit__(self, *_: object) -> None:
        self._browser.close()
        self._playwright.stop()
