"""Outputs of a notebook as the repository keeps them: links that lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

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
