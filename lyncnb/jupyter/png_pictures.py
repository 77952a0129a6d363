"""Convert the pictures in a notebook to PNG outputs.

Sites that show notebooks, such as GitHub, leave out SVG pictures and pictures inside HTML.
"""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Callable
from typing import Any

_PICTURE = re.compile(
    r'<img src="data:image/svg\+xml;base64,(?P<data>[\w+/=]+)" alt="(?P<words>[^"]*)"[^>]*>'
)
_SAME = "<p>The picture is the same as the picture above.</p>"


def split_pictures(notebook: Any, convert_to_png: Callable[[bytes], bytes]) -> bool:
    """Move each SVG picture in an HTML output to a separate PNG output.

    A note replaces a picture that the notebook already shows.

    Returns
    -------
    bool
        Whether the notebook had such pictures.
    """
    from nbformat.v4 import new_output

    shown_pictures: set[str] = set()
    changed = False
    for cell in notebook.cells:
        outputs = []
        for output in cell.get("outputs", ()):
            page = output.get("data", {}).get("text/html", "")
            outputs.append(output)
            pictures = list(_PICTURE.finditer(page))
            new = [picture for picture in pictures if picture["data"] not in shown_pictures]
            for picture in new:
                shown_pictures.add(picture["data"])
                image = base64.b64encode(convert_to_png(base64.b64decode(picture["data"]))).decode(
                    "ascii"
                )
                data = {"image/png": image, "text/plain": html.unescape(picture["words"])}
                outputs.append(new_output("display_data", data))  # type: ignore[no-untyped-call]
            if pictures:
                changed = True
                output.data["text/html"] = _PICTURE.sub("" if new else _SAME, page)
        if outputs:
            cell.outputs = outputs
    return changed
