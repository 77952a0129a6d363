"""Rows on their way to the browser: columns of codes into lists of distinct texts, as bytes.

10,000 rows of 20 columns are some 200 kB instead of 3 MB of JSON, and neither the kernel nor the
browser spends time on commas. Nothing of this is a trait, so nothing of it is ever saved.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence

INHERITED = "\x01"  # stands before a text that a blank cell has from its pool, site or default


def encode_rows(
    ids: Sequence[int], columns: Mapping[str, Sequence[str]], *, whole: bool
) -> tuple[dict[str, object], list[bytes]]:
    """Write rows as a message and its buffers.

    Parameters
    ----------
    ids : sequence of int
        n numbers that name the rows for good.
    columns : mapping of str to sequence of str
        m columns of n texts without NUL.
    whole : bool
        Whether these are all rows; otherwise they replace those of the same ids.

    Returns
    -------
    message : dict
        Names of the columns and bytes per code.
    buffers : list of bytes
        The ids (4 bytes each); then for each column its distinct texts, joined by NUL, and n
        codes.
    """
    buffers = [_numbers(ids, 4)]
    facts = []
    for name, texts in columns.items():
        distinct = {text: code for code, text in enumerate(dict.fromkeys(texts))}
        width = 1 if len(distinct) <= 256 else 2 if len(distinct) <= 65536 else 4
        buffers.append("\0".join(distinct).encode("utf-8", "replace"))
        buffers.append(_numbers(map(distinct.__getitem__, texts), width))
        facts.append({"name": name, "width": width})
    return {"type": "rows", "all": whole, "columns": facts}, buffers


def _numbers(values: Iterable[int], width: int) -> bytes:
    code = {array(code).itemsize: code for code in "BHIL"}[width]
    return array(code, values).tobytes()
