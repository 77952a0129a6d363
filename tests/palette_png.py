"""Convert a PNG image of a browser to at most 16 colors, so that a notebook stays small."""

from __future__ import annotations

import struct
import zlib

import numpy as np

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLORS = 16
_DIFFERENCE = 8


def reduce_colors(png: bytes) -> bytes:
    """Return a PNG image with a palette.

    Parameters
    ----------
    png : bytes
        An image with 8 bits for each of 3 or 4 channels and without interlacing.
    """
    pixels = _read_pixels(png)
    height, width, _ = pixels.shape
    codes = pixels.astype(int) @ (1 << 16, 1 << 8, 1)
    found, index, counts = np.unique(codes, return_inverse=True, return_counts=True)
    colors = np.stack([found >> 16, found >> 8 & 255, found & 255], axis=1)
    # The most frequent colors that the eye can tell apart. Text is drawn with hundreds of shades.
    kept: list[int] = []
    for color in np.argsort(-counts):
        if all(abs(colors[color] - colors[other]).max() > _DIFFERENCE for other in kept):
            kept.append(color)
    kept = kept[:_COLORS]
    distances = ((colors[:, None] - colors[kept][None]) ** 2).sum(axis=2)
    image = distances.argmin(axis=1)[index.reshape(height, width)]
    image = np.pad(image, ((0, 0), (0, width % 2))).astype(np.uint8)
    # Each byte holds two pixels.
    rows = b"".join(b"\0" + (row[::2] << 4 | row[1::2]).tobytes() for row in image)
    header = struct.pack(">IIBBBBB", width, height, 4, 3, 0, 0, 0)
    palette = colors[kept].astype(np.uint8).tobytes()
    parts = [
        (b"IHDR", header),
        (b"PLTE", palette),
        (b"IDAT", zlib.compress(rows, 9)),
        (b"IEND", b""),
    ]
    return _SIGNATURE + b"".join(_make_chunk(kind, data) for kind, data in parts)


def _make_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _read_pixels(png: bytes) -> np.ndarray:
    """Return the pixels of an image as an array of height, width and 3 channels."""
    assert png.startswith(_SIGNATURE)
    data, position = b"", len(_SIGNATURE)
    while position < len(png):
        length, kind = struct.unpack_from(">I4s", png, position)
        content = png[position + 8 : position + 8 + length]
        if kind == b"IHDR":
            width, height, depth, color, *_, interlace = struct.unpack(">IIBBBBB", content)
            assert (depth, color in (2, 6), interlace) == (8, True, 0)
        data += content if kind == b"IDAT" else b""
        position += length + 12
    step = 4 if color == 6 else 3
    lines = np.frombuffer(zlib.decompress(data), np.uint8).reshape(height, width * step + 1)
    pixels = np.zeros((height + 1, (width + 1) * step), int)
    for y, line in enumerate(lines, start=1):
        _undo_filter(int(line[0]), line[1:].astype(int), pixels[y - 1], pixels[y], step)
    return pixels[1:, step:].reshape(height, width, step)[..., :3].astype(np.uint8)


def _undo_filter(
    kind: int, line: np.ndarray, above: np.ndarray, row: np.ndarray, step: int
) -> None:
    """Write the values of a filtered line to a row, after the blank pixel at its beginning."""
    if kind in (0, 2):
        row[step:] = (line + (above[step:] if kind == 2 else 0)) % 256
        return
    values, upper = row.tolist(), above.tolist()
    for x, value in enumerate(line.tolist(), start=step):
        left, up, corner = values[x - step], upper[x], upper[x - step]
        distances = [abs(up - corner), abs(left - corner), abs(left + up - 2 * corner)]
        paeth = (left, up, corner)[distances.index(min(distances))]
        values[x] = (value + {1: left, 3: (left + up) // 2, 4: paeth}[kind]) % 256
    row[:] = values
