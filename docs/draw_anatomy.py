"""Draw ``docs/anatomy.svg``: how one row of the table leads to a name on a certificate.

    python docs/draw_anatomy.py

The drawing shows the plan of ``data/contoso.csv``. A test compares the file with the plan.
"""

from __future__ import annotations

import textwrap
from html import escape
from pathlib import Path

import pandas as pd

import lyncnb as ln

DOCS = Path(__file__).resolve().parent
SERVER, NAME = "fe01.contoso.net", "meet.contoso.com"
COLUMNS = ("server_fqdn", "role", "pool_fqdn", "meet_urls")

WIDTH, MARGIN, LINE = 640, 16, 20
#: The drawing has its own background, so that it can be read on every page.
STYLE = """
  .paper { fill: #ffffff; stroke: #d0d7de } .box { fill: #f6f8fa; stroke: #8c959f }
  .mark { fill: #ddf4ff; stroke: #0969da } .arrow { stroke: #57606a; fill: none }
  .tip { fill: #57606a } text { fill: #1f2328; font: 14px sans-serif }
  .label { font-weight: bold } .small { fill: #57606a; font-size: 12px }
  .code { font-family: monospace }
  @media (prefers-color-scheme: dark) {
    .paper { fill: #0d1117; stroke: #30363d } .box { fill: #161b22; stroke: #6e7681 }
    .mark { fill: #10243e; stroke: #58a6ff } .arrow { stroke: #9198a1 } .tip { fill: #9198a1 }
    text { fill: #f0f6fc } .small { fill: #9198a1 }
  }
"""


def steps() -> list[tuple[str, list[tuple[str, str]]]]:
    """Return the steps from the row to the source: a title, and lines with their style."""
    table = pd.read_csv(DOCS.parent / "data" / "contoso.csv", dtype=str, keep_default_na=False)
    plan = ln.plan_certificates(ln.read_topology(table), ln.load_rules("lync2013"))
    row = table.loc[table["server_fqdn"] == SERVER].iloc[0]
    certificate = next(c for c in plan.certificates if SERVER in c.servers and NAME in c.names)
    names = plan.names().to_frame()
    entry = names[(names["Certificate"] == certificate.id) & (names["Name"] == NAME)].iloc[0]
    others = [name for name in certificate.names if name != NAME]
    return [
        ("Table row", [("code", f"{column} = {row[column]}") for column in COLUMNS]),
        (
            "Certificate",
            [
                ("text", "; ".join(certificate.usages)),
                ("code", f"CN={certificate.subject.common_name}"),
                ("small", f"{certificate.key}, {certificate.hash}, {certificate.issuer} CA"),
            ],
        ),
        ("Name", [("code", NAME), ("small", f"and {len(others)} other names: {others[0]} …")]),
        ("Reason", [("text", entry["Why"])]),
        ("Source", [("text", entry["Source"])]),
    ]


def draw() -> str:
    """Return the drawing as SVG."""
    parts, top, left = [], MARGIN, 150
    all_steps = steps()
    for number, (title, lines) in enumerate(all_steps):
        wrapped = [(style, text) for style, long in lines for text in textwrap.wrap(long, 58)]
        height = LINE * len(wrapped) + 16
        style = "mark" if title == "Name" else "box"
        parts.append(
            f'<text class="label" x="{MARGIN + 8}" y="{top + 24}">{number + 1}. {title}</text>'
            f'<rect class="{style}" x="{left}" y="{top}" width="{WIDTH - left - MARGIN}" '
            f'height="{height}" rx="6"/>'
        )
        parts += [
            f'<text class="{style}" x="{left + 14}" y="{line}">{escape(text)}</text>'
            for line, (style, text) in zip(range(top + 24, top + height, LINE), wrapped)
        ]
        top += height
        if number < len(all_steps) - 1:
            middle = (left + WIDTH - MARGIN) // 2
            parts.append(
                f'<path class="arrow" d="M{middle} {top}v16"/>'
                f'<path class="tip" d="M{middle - 5} {top + 14}h10l-5 8z"/>'
            )
            top += 24
    height = top + MARGIN
    title = f"From the row of {SERVER} to the name {NAME} on its certificate"
    described = " → ".join(f"{title}: {lines[0][1]}" for title, lines in all_steps)
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
        f'height="{height}" role="img" aria-labelledby="title description">\n'
        f'<title id="title">{escape(title)}</title>\n'
        f'<desc id="description">{escape(described)}</desc>\n'
        f"<style>{STYLE}</style>\n"
        f'<rect class="paper" x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1}" rx="8"/>\n'
        f"{body}\n</svg>\n"
    )


if __name__ == "__main__":
    (DOCS / "anatomy.svg").write_text(draw(), "utf-8")
