"""A page to PDF and a picture to PNG, by an installed Chromium. Knows no certificate.

Chromium opens the page without network, in a temporary profile: the reader's browser, its windows
and its history are not used. The page's own policy forbids scripts.
"""

from __future__ import annotations

import base64
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from ...errors import NotebookError
from ..disk.system_calls import find_program

_NAMES = (
    *("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"),
    *("msedge", "microsoft-edge", "chromium-headless-shell"),
)
_PLACES = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe",
    "C:\\Program Files (x86)\\Microsoft\\Edge\\Application\\msedge.exe",
)
#: Names a Chromium that stands elsewhere.
VARIABLE = "LYNCNB_CHROMIUM"
_SECONDS = 120


def find_chromium() -> str:
    """Find a Chromium, Chrome or Edge.

    Raises
    ------
    NotebookError
        If there is none.
    """
    for name in (os.environ.get(VARIABLE), *_NAMES, *_PLACES):
        if name and (found := find_program(name)):
            return found
    raise NotebookError(
        "there is no Chromium to print or draw with",
        hint=f"install Chromium, Chrome or Edge, or name it in {VARIABLE}",
    )


def print_page(page: str) -> bytes:
    """Print an HTML page.

    Parameters
    ----------
    page : str
        A page that needs no other file.

    Returns
    -------
    bytes
        A PDF, laid out as the page's print style says.

    Raises
    ------
    NotebookError
        If there is no Chromium, or it does not print.
    """
    return _run_chromium(
        page,
        "page.pdf",
        lambda target: ("--no-pdf-header-footer", f"--print-to-pdf={target}"),
        hint="open the page and print it yourself",
    )


def draw_picture(svg: bytes) -> bytes:
    """Draw an SVG document in its own size, as readers see it in a light theme.

    Returns
    -------
    bytes
        A PNG.

    Raises
    ------
    NotebookError
        If there is no Chromium, or it does not draw.
    """
    sizes = dict(_SIZE.findall(svg.partition(b">")[0].decode("utf-8", "replace")))
    width, height = sizes.get("width", "1000"), sizes.get("height", "1000")
    data = base64.b64encode(svg).decode("ascii")
    return _run_chromium(
        f'<body style="margin:0"><img src="data:image/svg+xml;base64,{data}">',
        "picture.png",
        lambda target: (
            *("--hide-scrollbars", f"--window-size={width},{height}"),
            f"--screenshot={target}",
        ),
        hint="clean the notebook without --png",
    )


_SIZE = re.compile(r'\s(width|height)="(\d+)')


def _run_chromium(
    page: str, name: str, options: Callable[[Path], tuple[str, ...]], *, hint: str
) -> bytes:
    chromium = find_chromium()
    with tempfile.TemporaryDirectory(prefix="lyncnb-print-") as folder:
        source, target = Path(folder, "page.html"), Path(folder, name)
        with source.open("x", encoding="utf-8") as file:
            file.write(page)
        command = [
            *(chromium, "--headless", "--disable-gpu", "--no-first-run", "--disable-extensions"),
            *("--disable-background-networking", "--host-resolver-rules=MAP * ~NOTFOUND"),
            f"--user-data-dir={folder}/profile",
            # Chromium's own sandbox cannot start for root; the page runs nothing.
            *(("--no-sandbox",) if sys.platform != "win32" and os.geteuid() == 0 else ()),
            *options(target),
            source.as_uri(),
        ]
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=_SECONDS)
            return target.read_bytes()
        except (OSError, subprocess.SubprocessError) as error:
            raise NotebookError(f"{chromium} did not write {name}", hint=hint) from error
