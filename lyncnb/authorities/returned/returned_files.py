"""What came back from a CA: files, folders, archives and mails, read within bounds.

Nothing is unpacked to disk and no link is followed, so no name in an archive can reach anywhere.
What each file holds is found in ``decoding.py``.
"""

from __future__ import annotations

import os
import re
import stat
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path

from ...base.disk.files import read
from ...base.disk.tar_file import GZIP, BadTar, TarEntry, gunzip, is_tar, tar_entries
from ...base.disk.zip_file import READ_ERRORS, archive_reason, contents_trouble
from ...base.pasted_text import visible
from ...errors import BundleError, ReturnedFileError
from ...pki.certificates import Certificate
from ...pki.passphrase import Secret
from .decoding import AskPassword, Decoded, Remark, decode
from .mail_messages import is_mail, mail_parts
from .server_export import ServerExport

Password = Secret | str | Callable[[str], Secret | str | None] | None

#: A PKCS #7 message with a thousand certificates and their chain has some 2 MB.
MAX_FILE_BYTES = 5_000_000

#: An archive of 10,000 answers of 5 KB each, hardly compressible.
MAX_ARCHIVE_BYTES = 100_000_000
MAX_ARCHIVE_ENTRIES = 10_000

#: Certificates are dense; base64 text shrinks by a quarter and repeated chains by more, but a
#: ratio of hundreds is a bomb. The sum bounds what many small bombs can do together.
MAX_RATIO = 200
MAX_UNPACKED_BYTES = 200_000_000

#: The largest deployment that lyncnb is built for has 100,000 certificates, each with a chain.
MAX_FOLDER_FILES = 250_000

# What browsers, Windows and Jupyter leave in folders; a dot hides a file everywhere else.
_LEFT_ALONE = ("thumbs.db", "desktop.ini", "__macosx")
# What submit.cmd keeps: the CA's name, and what certreq said to a request, known by its id.
_NOTE = re.compile(r"(?:^|[/ ])(?:ca|[A-Za-z]+-[a-z0-9-]*[0-9a-f]{8}(?:\.failed)?)\.txt$")
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnedFile:
    """One file that came back, and what it held.

    ``name`` is what a planner recognises it by: the path relative to what was given, or
    ``archive.zip: entry``. ``remarks`` are (code, message). ``export`` says where the certificates
    are, if a server said so (``lyncnb snippet certificates``).
    """

    name: str
    certificates: tuple[Certificate, ...] = ()
    remarks: tuple[Remark, ...] = ()
    key_spki_sha256: tuple[str, ...] = ()
    requests: tuple[bytes, ...] = ()
    export: ServerExport | None = None


def read_returned(
    paths: Iterable[str | os.PathLike[str]], *, password: Password = None
) -> tuple[ReturnedFile, ...]:
    """Read everything in the given files, folders, archives (zip, tar, tar.gz) and mails.

    Parameters
    ----------
    paths : iterable of path
        Files, folders (with all folders below) and archives.
    password : Secret, str, callable or None, optional
        For PFX files that have a password. A callable gets the file's name and is asked once
        per file.

    Returns
    -------
    tuple of ReturnedFile
        In the order given, inside a folder by name. Every file is told, also one that could not
        be read.

    Raises
    ------
    ReturnedFileError
        If a path that was given does not exist.
    """
    given = [Path(path) for path in paths]
    missing = [str(path) for path in given if not os.path.exists(path)]
    if missing:
        raise ReturnedFileError(
            f"no such file or folder: {', '.join(missing)}", hint="check the path"
        )
    found: list[ReturnedFile] = []
    for path in given:
        if os.path.isdir(path):
            found.extend(_read_folder(path, password))
        else:
            # The planner named this one, so a link is followed; inside a folder none is.
            found.extend(_expected(_read_path(path.resolve(), visible(path.name), password)))
    return tuple(file for file in found if not _is_note(file))


def _is_note(file: ReturnedFile) -> bool:
    """Tell whether a file is one that ``submit.cmd`` writes beside the answers, and holds nothing.

    The people of the CA send the folder as it is; nobody expected a certificate in these.
    """
    return bool(_NOTE.search(file.name)) and {code for code, _ in file.remarks} == {
        "file-without-certificate"
    }


def _expected(files: Iterator[ReturnedFile]) -> list[ReturnedFile]:
    """Take what was named and holds nothing for unreadable: something was meant to be in it.

    In a folder, or beside certificates in an archive, other things may lie.
    """
    found = list(files)
    if any(file.certificates or file.export for file in found):
        return found
    codes = {"file-without-certificate": "file-unreadable"}
    return [
        replace(file, remarks=tuple((codes.get(code, code), text) for code, text in file.remarks))
        for file in found
    ]


def _read_folder(folder: Path, password: Password) -> Iterator[ReturnedFile]:
    count = 0
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not _is_left_alone(name))
        for name in sorted(names):
            if _is_left_alone(name):
                continue
            count += 1
            path = Path(place) / name
            shown_name = visible(path.relative_to(folder).as_posix())
            if count > MAX_FOLDER_FILES:
                message = f"more than {MAX_FOLDER_FILES:,} files; from here on none was looked at"
                yield _told(shown_name, "file-unreadable", message)
                return
            yield from _read_path(path, shown_name, password)


def _is_left_alone(name: str) -> bool:
    return name.startswith(".") or name.casefold() in _LEFT_ALONE


def _read_path(path: Path, name: str, password: Password) -> Iterator[ReturnedFile]:
    try:
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            yield _told(name, "file-skipped", "it is a symbolic link")
            return
        if not stat.S_ISREG(mode):
            yield _told(name, "file-unreadable", "it is no ordinary file")
            return
        data = read(path, limit=_limit(path))
    except (BundleError, OSError) as error:
        reason = error.message if isinstance(error, BundleError) else error.strerror
        yield _told(name, "file-unreadable", str(reason))
        return
    yield from _read_anything(data, name, password)


def _read_anything(data: bytes, name: str, password: Password) -> Iterator[ReturnedFile]:
    if data.startswith(_ZIP):
        yield from _read_archive(data, name, password)
    elif data.startswith(GZIP) or is_tar(data):
        yield from _read_tar(data, name, password)
    elif is_mail(data):
        yield from _read_mail(data, name, password)
    else:
        yield _read_data(data, name, password)


def _limit(path: Path) -> int:
    """Give how many bytes a file may have: an archive may have more."""
    with path.open("rb") as file:
        head = file.read(512)
    is_archive = head.startswith((*_ZIP, GZIP)) or is_tar(head)
    return MAX_ARCHIVE_BYTES if is_archive else MAX_FILE_BYTES


def _read_mail(data: bytes, name: str, password: Password) -> Iterator[ReturnedFile]:
    """Read what a mail program saved; of its parts those that hold something are told."""
    parts = [(f"{name}: {visible(part)}", content) for part, content in mail_parts(data)]
    found = [
        file
        for part, content in parts
        # A mail inside a mail was taken apart with it.
        for file in (
            [_read_data(content, part, password)]
            if is_mail(content)
            else _read_anything(content, part, password)
        )
    ]
    telling = [file for file in found if not _is_empty(file)]
    if telling:
        yield from telling
        return
    whole = _read_data(data, name, password)
    if not _is_empty(whole):
        yield whole
        return
    message = (
        "it is a mail, and no certificate was found in it; save the attachment, and give that file"
    )
    yield _told(name, "file-without-certificate", message)


def _is_empty(file: ReturnedFile) -> bool:
    """Whether a part of a mail is only its text, a signature or a picture."""
    codes = {code for code, _ in file.remarks}
    return not file.certificates and not file.requests and codes <= {"file-without-certificate"}


def _read_tar(data: bytes, name: str, password: Password) -> Iterator[ReturnedFile]:
    try:
        if data.startswith(GZIP):
            data = gunzip(data, limit=min(MAX_UNPACKED_BYTES, MAX_RATIO * len(data)))
        if not is_tar(data):
            yield _read_data(data, name, password)  # one file, compressed
            return
        is_empty = True
        for number, entry in enumerate(tar_entries(data), 1):
            entry_name = f"{name}: {visible(entry.name)}"
            if number > MAX_ARCHIVE_ENTRIES:
                message = f"it has more than {MAX_ARCHIVE_ENTRIES:,} entries; the rest was left"
                yield _told(name, "file-unreadable", message)
                return
            if not _is_left_alone(entry.name.split("/")[-1]):
                is_empty = False
                yield _read_tar_entry(entry, entry_name, password)
        if is_empty:
            yield _told(name, "file-without-certificate", "the archive is empty")
    except BadTar as error:
        yield _told(name, "file-unreadable", str(error))


def _read_tar_entry(entry: TarEntry, name: str, password: Password) -> ReturnedFile:
    if reason := _points_outside(entry.name):
        return _told(name, "file-skipped", reason)
    if not entry.is_file:
        return _told(name, "file-skipped", "it is a link or no ordinary file")
    if len(entry.data) > MAX_FILE_BYTES:
        return _told(name, "file-unreadable", f"it is larger than {MAX_FILE_BYTES:,} bytes")
    if entry.data.startswith((*_ZIP, GZIP)) or is_tar(entry.data):
        return _told(name, "file-skipped", "it is an archive inside an archive")
    return _read_data(entry.data, name, password)


def _told(name: str, code: str, message: str) -> ReturnedFile:
    return ReturnedFile(name=name, remarks=((code, message),))


def _read_data(data: bytes, name: str, password: Password) -> ReturnedFile:
    if not data:
        return _told(name, "file-unreadable", "it is empty")
    decoded: Decoded = decode(data, password=_ask(name, password))
    return ReturnedFile(
        name=name,
        certificates=decoded.certificates,
        remarks=decoded.remarks,
        key_spki_sha256=decoded.key_spki_sha256,
        requests=decoded.requests,
        export=decoded.export,
    )


def _ask(name: str, password: Password) -> AskPassword | None:
    if password is None:
        return None
    return (lambda: password(name)) if callable(password) else (lambda: password)


def _read_archive(data: bytes, name: str, password: Password) -> Iterator[ReturnedFile]:
    trouble = contents_trouble(data, MAX_ARCHIVE_ENTRIES)
    if trouble:
        yield _told(name, "file-unreadable", trouble)
        return
    try:
        archive = zipfile.ZipFile(BytesIO(data))
    except READ_ERRORS as error:
        yield _told(name, "file-unreadable", f"the archive is damaged: {archive_reason(error)}")
        return
    left, empty = MAX_UNPACKED_BYTES, True
    for entry in archive.infolist():
        # Old .NET writes archives with backslashes.
        if entry.is_dir() or _is_left_alone(entry.filename.replace("\\", "/").split("/")[-1]):
            continue
        empty = False
        entry_name = f"{name}: {visible(entry.filename)}"
        left -= entry.file_size
        if left < 0:
            message = f"unpacked it has more than {MAX_UNPACKED_BYTES:,} bytes; the rest was left"
            yield _told(entry_name, "file-unreadable", message)
            return
        yield _read_entry(archive, entry, entry_name, password)
    if empty:
        yield _told(name, "file-without-certificate", "the archive is empty")


def _read_entry(
    archive: zipfile.ZipFile, entry: zipfile.ZipInfo, name: str, password: Password
) -> ReturnedFile:
    skipped = _why_skipped(entry)
    if skipped:
        return _told(name, "file-skipped", skipped)
    if entry.file_size > MAX_FILE_BYTES:
        return _told(name, "file-unreadable", f"it is larger than {MAX_FILE_BYTES:,} bytes")
    if entry.file_size > MAX_RATIO * max(entry.compress_size, 1):
        return _told(name, "file-unreadable", f"it unpacks to more than {MAX_RATIO} times its size")
    try:
        with archive.open(entry) as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except READ_ERRORS as error:
        return _told(name, "file-unreadable", f"the entry is damaged: {archive_reason(error)}")
    if data.startswith(_ZIP):
        return _told(name, "file-skipped", "it is an archive inside an archive")
    return _read_data(data, name, password)


def _why_skipped(entry: zipfile.ZipInfo) -> str:
    if reason := _points_outside(entry.filename):
        return reason
    if stat.S_ISLNK(entry.external_attr >> 16):
        return "it is a symbolic link"
    if entry.flag_bits & 0x1:
        return "it is encrypted"
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "it is compressed in a way that no CA uses"
    return ""


def _points_outside(entry_name: str) -> str:
    name = entry_name.replace("\\", "/")
    parts = name.split("/")
    is_outside = name.startswith("/") or ".." in parts or ":" in parts[0]
    return "its name points outside the archive" if is_outside else ""
