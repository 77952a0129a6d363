"""Compare the encodings that a table without Unicode can have, and choose the certain one.

A short text in one of these encodings is often valid in the others, too: the bytes of "Köln" are
also a Chinese text. So lyncnb reads the table in each encoding, and compares the results.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice

from ..base.pasted_text import shown
from ..errors import Problem, TopologyError
from .columns import find_column_names, find_role, list_topology_columns

#: The encodings that lyncnb compares, with their languages.
ENCODINGS = {
    "cp950": "Traditional Chinese",
    "gb18030": "Simplified Chinese",
    "cp1252": "Western European",
}

# Letters that are usual in tables of servers: in the names of places, sites and devices, or in
# words of Western Europe.
_USUAL = {
    "cp950": frozenset(
        "北南東西中上下大小新台臺灣高雄市縣區鄉鎮里村路街道樓層館廈總分公司部門機房資料中心園科學技"
        "工業廠辦事處香港九龍島澳門桃竹苗栗彰投雲嘉義屏宜蘭花蓮湖金馬基隆淡水林山河海江口田橋店和平"
        "安信松內文華亞太美國日本歐洲備援主站點網域京廣州伺服器電腦端前邊緣"
    ),
    "gb18030": frozenset(
        "北南东西中上下大小新市县区乡镇里村路街道楼层馆厦总分公司部门机房数据中心园科学技工业厂办事"
        "处京津沪渝广州深杭苏武汉安成都重庆天沈阳长春哈尔滨济青岛连郑沙昌福厦合肥昆明贵宁海口太原石"
        "家庄银川无锡浦朝华国美日本欧亚洲备主站点网域河山江湖湾港澳门台云金和平信水林田桥店文内服务"
        "器计算机前端边缘"
    ),
    "cp1252": frozenset("àâäáãåæçèéêëìíîïñòóôöøõùúûüÿœßÀÂÄÁÃÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÖØÕÙÚÛÜŸŒ"),
}
# The first bytes of the more frequent Chinese characters: the first level of Big5 and of GB 2312.
_FREQUENT: Mapping[str, range] = {"cp950": range(0xA4, 0xC7), "gb18030": range(0xB0, 0xD8)}
# Punctuation says nothing about the language.
_NEUTRAL = re.compile("[’‘“”„–—«»°€…\u00a0\u3000-\u303f\uff01-\uffee]")
_BETWEEN_CELLS = re.compile(r'[,;\t\r\n"]+')
_WORD = re.compile(r"[A-Za-z]*[^\x00-\x7f][A-Za-z\x80-\U0010ffff]*")
_LETTERS = re.compile(r"[^\x00-\x7f]+")
_CONTROL = bytes([*range(9), *range(14, 32), 127])  # Text does not contain these bytes.
# The smallest share of usual letters, and how much larger it must be than in other encodings.
_USUAL_SHARE, _DISTANCE = 0.5, 0.3
_ROWS_COMPARED = 5_000
_ROWS_SHOWN, _LENGTH_SHOWN = 2, 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How a table reads in one encoding: parts of two rows, and whether lyncnb uses it."""

    encoding: str
    lines: tuple[str, ...]
    cell: str
    is_chosen: bool = False


def compare_encodings(
    name: str, data: bytes, encoding: str = ""
) -> tuple[str, tuple[Reading, ...]]:
    """Read a table in each encoding in which its bytes are text.

    Parameters
    ----------
    name : str
        The file name, for messages.
    data : bytes
        The content of a file that is neither UTF-8 nor UTF-16.
    encoding : str, optional
        The encoding that the user chose. By default, lyncnb chooses the most likely encoding if it
        is certain.

    Returns
    -------
    text : str
        The text in the chosen or the most likely encoding.
    readings : tuple of Reading
        The encodings, the most likely one first. If the bytes are not text in any, it is empty.

    Raises
    ------
    TopologyError
        If the bytes are not text in the encoding that the user chose.
    """
    texts = {}
    for known in ENCODINGS if data == data.translate(None, _CONTROL) else ():
        with suppress(UnicodeDecodeError):
            texts[known] = data.decode(known)
    lines = {known: _list_lines(text) for known, text in texts.items()}
    cells = {known: _list_cells(part) for known, part in lines.items()}
    if encoding and encoding not in cells:
        hint = f"use one of these encodings: {', '.join(cells)}" if cells else ""
        raise TopologyError(f"{name} is not text in the encoding {shown(encoding)}", hint=hint)
    rates = {known: _rate_cells(found, known) for known, found in cells.items()}
    ordered = sorted(rates, key=rates.__getitem__, reverse=True)
    chosen = encoding or _choose_encoding(ordered, [rates[known] for known in ordered])
    readings = tuple(
        Reading(
            encoding=known,
            lines=tuple(map(_shorten_line, lines[known][:_ROWS_SHOWN])),
            cell=next(iter(cells[known]), ""),
            is_chosen=known == chosen,
        )
        for known in ordered
    )
    return texts[chosen or ordered[0]] if readings else "", readings


def _choose_encoding(ordered: list[str], rates: list[tuple[int, float]]) -> str:
    """Return the encoding with the best rate, or "" if another one can be right."""
    (words, share), (other_words, other_share) = [*rates, (0, 0.0), (0, 0.0)][:2]
    is_certain = words > other_words or share >= max(_USUAL_SHARE, other_share + _DISTANCE)
    return ordered[0] if ordered and is_certain else ""


def _list_lines(text: str) -> list[str]:
    """Return the first rows that depend on the encoding."""
    lines = (line for line in io.StringIO(text) if not line.isascii())
    return [line.rstrip() for line in islice(lines, _ROWS_COMPARED)]


def _shorten_line(line: str) -> str:
    """Return the first cell of a row, and the cells that depend on the encoding."""
    first, *others = _BETWEEN_CELLS.split(line)
    cells = [first, *(cell for cell in others if not cell.isascii())]
    return ", ".join(cells)[:_LENGTH_SHOWN]


def _list_cells(lines: Iterable[str]) -> list[str]:
    """Return the distinct texts in some rows that depend on the encoding."""
    cells = dict.fromkeys(cell.strip() for line in lines for cell in _BETWEEN_CELLS.split(line))
    return [cell for cell in cells if not cell.isascii()]


def _rate_cells(cells: Iterable[str], encoding: str) -> tuple[int, float]:
    """Return the number of known headings and roles, and the share of usual letters."""
    known = {column.name for column in list_topology_columns()}
    words = sum(find_role(c) is not None or find_column_names([c])[0] in known for c in cells)
    count, usual = 0, 0.0
    for cell in cells:
        for word in _WORD.findall(_NEUTRAL.sub(" ", cell)):
            letters = _LETTERS.findall(word)
            count += sum(map(len, letters))
            usual += _count_usual(word, letters, encoding)
    # One letter alone says less than a word.
    return words, usual / max(count, 2) if count else _USUAL_SHARE


def _count_usual(word: str, letters: Sequence[str], encoding: str) -> float:
    """Return the number of letters in a word that are usual. A rarer letter counts half."""
    usual, joined = _USUAL[encoding], "".join(letters)
    if encoding not in _FREQUENT:
        # A Western word has few such letters, and never three together.
        is_word = len(joined) < len(word) and max(map(len, letters)) <= 2
        is_written = word[1:].islower() or 3 * len(joined) <= len(word)
        return len(joined) if is_word and is_written and usual.issuperset(joined) else 0
    # A single Chinese character in a word of other letters is not usual.
    joined = "".join(part for part in letters if len(part) > 1 or part == word)
    leads = (letter.encode(encoding) for letter in joined)
    return sum(
        1 if letter in usual else 0.5 * (len(lead) == 2 and lead[0] in _FREQUENT[encoding])
        for letter, lead in zip(joined, leads)
    )


def get_chosen_encoding(readings: Iterable[Reading]) -> str:
    """Return the encoding that lyncnb uses, or "" if none is certain or the file is Unicode."""
    return next((reading.encoding for reading in readings if reading.is_chosen), "")


def find_uncertain_encoding(source: str, readings: Sequence[Reading]) -> list[Problem]:
    """Return the problem of a table whose encoding is not certain."""
    if not readings or get_chosen_encoding(readings):
        return []
    texts = ", ".join(f"{shown(reading.cell)} in {reading.encoding}" for reading in readings)
    return [
        Problem(
            file=source,
            message=f"the file is not UTF-8, and its encoding is not certain. It contains {texts}",
            hint='specify one of these encodings, such as encoding="cp1252" in code or '
            "--encoding cp1252 in a shell",
        )
    ]
