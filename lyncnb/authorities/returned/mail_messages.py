"""Read the parts of a mail message that was saved as a file (``.eml``).

This module decodes attachments and bodies, including those in forwarded messages. lyncnb then reads
each part like any other file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from email import message_from_bytes
from email.errors import MessageError
from email.message import Message

_HEADER_BYTES = 65_536
_FIRST_LINE = re.compile(rb"(?:From |[A-Za-z][A-Za-z0-9-]{1,60}+:)")
_MARKS = re.compile(
    rb"^(?:mime-version|message-id|received|content-type|return-path|subject|date):",
    re.IGNORECASE | re.MULTILINE,
)
# A mail that was forwarded twice has six levels. For each level, all lines below it are scanned.
_MOST_BOUNDARIES = 20


def is_mail(data: bytes) -> bool:
    """Return whether a file is a mail message: it has mail headers before the first blank line."""
    head = data[:_HEADER_BYTES].lstrip(b"\xef\xbb\xbf\r\n")
    if not _FIRST_LINE.match(head):
        return False
    head = re.split(rb"\r?\n\r?\n", head, maxsplit=1)[0]
    return len({mark.lower() for mark in _MARKS.findall(head)}) >= 2


def read_mail_parts(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the name and the decoded bytes of each attachment and each body of a mail message.

    A mail with too many nested levels yields nothing.
    """
    if data.lower().count(b"boundary=") > _MOST_BOUNDARIES:
        return
    try:
        parts = list(message_from_bytes(data.lstrip(b"\xef\xbb\xbf\r\n")).walk())
    except (MessageError, RecursionError, ValueError, LookupError):
        return
    for number, part in enumerate(parts, 1):
        content = b"" if part.is_multipart() else _decode_content(part)
        if content:
            yield _find_part_name(part) or f"part {number}", content


def _decode_content(part: Message) -> bytes:
    try:
        content = part.get_payload(decode=True)
    except (ValueError, LookupError):
        return b""
    return content if isinstance(content, bytes) else b""


def _find_part_name(part: Message) -> str:
    try:
        return part.get_filename() or ""
    except (ValueError, LookupError, TypeError):
        return ""
