"""In SVG pictures, text is escaped and shortened to fit, and the same input results in the same
bytes.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from lyncnb.base.shown.svg import Drawing, measure_text, shorten_text


@pytest.mark.parametrize("text", ["", "a", "fe01.contoso.net", "邊緣伺服器", "W" * 80, "i" * 300])
@pytest.mark.parametrize("width", [20, 60, 200])
def test_long_text_is_shortened_in_the_middle(text, width):
    """Text in a picture is never wider than the space for it. If it is too long, its middle is
    omitted.
    """
    short = shorten_text(text, width, 12)
    assert measure_text(short, 12) <= width
    if measure_text(text, 12) <= width:
        assert short == text
    else:
        head, _, tail = short.partition("…")
        assert text.startswith(head)
        assert text.endswith(tail)


def test_text_in_a_picture_is_escaped():
    """A picture stays well-formed XML if its text contains markup, quotation marks, control
    characters or unpaired surrogates.
    """
    drawing = Drawing(100)
    drawing.draw_text(1, 2, '<b a="1">&\'\x00\x1b\ud800\ufffe')
    root = ET.fromstring(drawing.to_svg(10, title="<t>", description='"&'))
    (text,) = root.iter("{http://www.w3.org/2000/svg}text")
    assert text.text.startswith('<b a="1">&\'')
    assert root.find("{http://www.w3.org/2000/svg}title").text == "<t>"
