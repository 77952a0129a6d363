"""Read the JavaScript and the style sheet of the panels."""

from __future__ import annotations

from functools import cache
from pathlib import Path

_HERE = Path(__file__).parent

# The JavaScript files that every panel needs. They are loaded before the panel's own files.
_SHARED_SCRIPTS = ("elements.js", "keyboard_guard.js", "kernel_messages.js", "name_reasons.js")


@cache
def read_scripts(*names: str) -> str:
    """Join the JavaScript files of a panel into one module, without a bundler or network access."""
    scripts = (_HERE / "js" / name for name in (*_SHARED_SCRIPTS, *names))
    return "\n".join(script.read_text(encoding="utf-8") for script in scripts)


@cache
def read_styles() -> str:
    """Return the style sheet of all panels."""
    return (_HERE / "panel.css").read_text(encoding="utf-8")
