"""Convert a page to PDF and a picture to PNG with an installed Chromium browser.

Chromium opens the page without network access, in a temporary profile. It does not use the user's
browser windows or history. The page's security policy does not allow scripts.
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
#: An environment variable that you can set to the path of a Chromium browser if lyncnb does not
#: find it.
VARIABLE = "LYNCNB_CHROMIUM"
_SECONDS = 120


def find_chromium() -> str:
    """Return the path of an installed Chromium, Chrome, or Edge browser.

    Raises
    ------
    NotebookError
        If no such browser is installed.
    """
    for name in (os.environ.get(VARIABLE), *_NAMES, *_PLACES):
        if name and (program := find_program(name)):
            return program
    raise NotebookError(
        "to create the image or PDF file, lyncnb needs a Chromium browser, but found none",
        hint=f"install Chromium, Chrome, or Edge, or set {VARIABLE} to the path of the browser",
    )


def print_page(page: str) -> bytes:
    """Print an HTML page to PDF.

    Parameters
    ----------
    page : str
        A page that needs no other file.

    Returns
    -------
    bytes
        A PDF with the layout of the page's print style.

    Raises
    ------
    NotebookError
        If there is no Chromium browser, or it does not print the page.
    """
    return _run_chromium(
        page,
        "page.pdf",
        lambda target: ("--no-pdf-header-footer", f"--print-to-pdf={target}"),
        hint="open the page in a browser and print it",
    )


def draw_picture(svg: bytes) -> bytes:
    """Convert an SVG document to PNG in its original size, with the light theme.

    Returns
    -------
    bytes
        A PNG image.

    Raises
    ------
    NotebookError
        If there is no Chromium browser, or it does not create the image.
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
        hint="run the command again without --png",
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
            # The sandbox of Chromium does not start for the user root. Without the sandbox,
            # Chromium is still safe, because the page does not run scripts.
            *(("--no-sandbox",) if sys.platform != "win32" and os.geteuid() == 0 else ()),
            *options(target),
            source.as_uri(),
        ]
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=_SECONDS)
            return target.read_bytes()
        except (OSError, subprocess.SubprocessError) as error:
            raise NotebookError(f"{chromium} did not create {name}", hint=hint) from error
