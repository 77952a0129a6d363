"""Prepare notebook outputs for the repository, so that all of their links work."""

from __future__ import annotations

import re
from pathlib import Path

_LINK = re.compile(r'<a href="(?P<target>[^"]+)"[^>]*>(?P<words>.*?)</a>', re.S)
_ELSEWHERE = ("http://", "https://", "#", "mailto:")


def leads_somewhere(target: str, folder: Path) -> bool:
    """Return whether a link points to another website or to an existing file in the repository."""
    return target.startswith(_ELSEWHERE) or (folder / target.partition("#")[0]).exists()


def remove_dead_links(page: str, folder: Path) -> str:
    """Replace each link whose target is not in the repository with the text of the link."""
    return _LINK.sub(
        lambda link: link[0] if leads_somewhere(link["target"], folder) else link["words"], page
    )
