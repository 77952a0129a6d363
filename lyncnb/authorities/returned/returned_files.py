"""Read files, folders, archives and mail messages from a CA, within size limits.

lyncnb does not unpack archives to disk and does not follow links, so no name in an archive can
point to another path. ``decoding.py`` decodes the content of each file.
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

from ...base.arguments import check_type
from ...base.disk.files import read_file
from ...base.disk.tar_file import (
    GZIP,
    BadTar,
    TarEntry,
    decompress_gzip,
    is_tar_archive,
    read_tar_entries,
)
from ...base.disk.zip_file import READ_ERRORS, describe_archive_problem, find_archive_problem
from ...base.pasted_text import show_invisible_characters
from ...errors import BundleError, ReturnedFileError
from ...pki.certificates import Certificate
from ...pki.passphrase import Secret
from .decoding import AskPassword, Decoded, Remark, decode
from .mail_messages import is_mail, read_mail_parts
from .server_export import ServerExport

Password = Secret | str | Callable[[str], Secret | str | None] | None

#: The largest size of a file in bytes. A PKCS #7 message with a thousand certificates and their
#: chain is about 2 MB in size.
MAX_FILE_BYTES = 5_000_000

#: The largest size of an archive in bytes. It is enough for 10,000 certificates of 5 KB each, which
#: are almost incompressible.
MAX_ARCHIVE_BYTES = 100_000_000
MAX_ARCHIVE_ENTRIES = 10_000

#: The largest compression ratio. Base64 text shrinks by a quarter and repeated chains by more, but
#: a ratio of hundreds indicates a zip bomb. The limit for the total size stops an archive of many
#: small bombs.
MAX_RATIO = 200
MAX_UNPACKED_BYTES = 200_000_000

#: The largest number of files. The largest supported deployment has 100,000 certificates, each with
#: a chain.
MAX_FOLDER_FILES = 250_000

# The names of files that browsers, Windows and Jupyter write into folders. The names of other such
# files start with a dot.
_LEFT_ALONE = ("thumbs.db", "desktop.ini", "__macosx")
# The files that the script submit.cmd writes: the name of the CA, and the output of certreq for
# each request ID.
_NOTE = re.compile(r"(?:^|[/ ])(?:ca|[A-Za-z]+-[a-z0-9-]*[0-9a-f]{8}(?:\.failed)?)\.txt$")
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnedFile:
    """A file that the CA returned, with its name and content.

    ``name`` is a relative path, or ``archive.zip: entry``. ``remarks`` are pairs of a code and a
    message. If the file is a server's export (``lyncnb snippet certificates``), ``export`` contains
    the location of each certificate.
    """

    name: str
    certificates: tuple[Certificate, ...] = ()
    remarks: tuple[Remark, ...] = ()
    key_spki_sha256: tuple[str, ...] = ()
    requests: tuple[bytes, ...] = ()
    export: ServerExport | None = None


def read_returned_files(
    paths: Iterable[str | os.PathLike[str]], *, password: Password = None
) -> tuple[ReturnedFile, ...]:
    """Read the content of all specified files, folders, archives and mail messages.

    Archives can have the formats zip, tar, and tar.gz.

    Parameters
    ----------
    paths : iterable of path
        Files, folders (including subfolders) and archives.
    password : Secret, str, callable or None, optional
        The password for PFX files. A callable receives the file name and is called once per file.

    Returns
    -------
    tuple of ReturnedFile
        The files in the specified order, and by name in a folder, including files that cannot be
        read.

    Raises
    ------
    ReturnedFileError
        If a given path does not exist.
    """
    sources: list[Path] = []
    for path in paths:
        check_type("each path", path, str, os.PathLike)
        sources.append(Path(path))
    missing = [str(path) for path in sources if not os.path.exists(path)]
    if missing:
        raise ReturnedFileError(
            f"no such file or folder: {', '.join(missing)}", hint="check the path"
        )
    files: list[ReturnedFile] = []
    for path in sources:
        if os.path.isdir(path):
            files.extend(_read_folder(path, password))
        else:
            # lyncnb follows a link only if the user specified its path. It ignores links inside a
            # folder.
            files.extend(
                _report_unreadable_files(
                    _read_path(path.resolve(), show_invisible_characters(path.name), password)
                )
            )
    return tuple(file for file in files if not _is_submission_note(file))


def _is_submission_note(file: ReturnedFile) -> bool:
    """Return whether a file was written by ``submit.cmd``. Such a file contains no certificate.

    The CA's administrators send the whole folder, so these files are ignored.
    """
    return bool(_NOTE.search(file.name)) and {code for code, _ in file.remarks} == {
        "file-without-certificate"
    }


def _report_unreadable_files(files: Iterator[ReturnedFile]) -> list[ReturnedFile]:
    """Report each specified file that contains no certificates as unreadable.

    Folders, and archives with certificates, may contain other files.
    """
    all_files = list(files)
    if any(file.certificates or file.export for file in all_files):
        return all_files
    codes = {"file-without-certificate": "file-unreadable"}
    return [
        replace(file, remarks=tuple((codes.get(code, code), text) for code, text in file.remarks))
        for file in all_files
    ]


def _read_folder(folder: Path, password: Password) -> Iterator[ReturnedFile]:
    count = 0
    for directory, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not _is_ignored_file(name))
        for name in sorted(names):
            if _is_ignored_file(name):
                continue
            count += 1
            path = Path(directory) / name
            shown_name = show_invisible_characters(path.relative_to(folder).as_posix())
            if count > MAX_FOLDER_FILES:
                message = (
                    f"the folder has more than {MAX_FOLDER_FILES:,} files; lyncnb ignored the "
                    "remaining files"
                )
                yield _create_file_with_remark(shown_name, "file-unreadable", message)
                return
            yield from _read_path(path, shown_name, password)


def _is_ignored_file(name: str) -> bool:
    return name.startswith(".") or name.casefold() in _LEFT_ALONE


def _read_path(path: Path, name: str, password: Password) -> Iterator[ReturnedFile]:
    try:
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            yield _create_file_with_remark(name, "file-skipped", "the file is a symbolic link")
            return
        if not stat.S_ISREG(mode):
            yield _create_file_with_remark(
                name, "file-unreadable", "the path is not a regular file"
            )
            return
        data = read_file(path, limit=_find_limit(path))
    except (BundleError, OSError) as error:
        reason = error.message if isinstance(error, BundleError) else error.strerror
        yield _create_file_with_remark(name, "file-unreadable", str(reason))
        return
    yield from _read_by_type(data, name, password)


def _read_by_type(data: bytes, name: str, password: Password) -> Iterator[ReturnedFile]:
    if data.startswith(_ZIP):
        yield from _read_archive(data, name, password)
    elif data.startswith(GZIP) or is_tar_archive(data):
        yield from _read_tar(data, name, password)
    elif is_mail(data):
        yield from _read_mail(data, name, password)
    else:
        yield _read_data(data, name, password)


def _find_limit(path: Path) -> int:
    """Return the largest allowed size of a file in bytes. The limit for archives is higher."""
    with path.open("rb") as file:
        head = file.read(512)
    is_archive = head.startswith((*_ZIP, GZIP)) or is_tar_archive(head)
    return MAX_ARCHIVE_BYTES if is_archive else MAX_FILE_BYTES


def _read_mail(data: bytes, name: str, password: Password) -> Iterator[ReturnedFile]:
    """Read a mail message that was saved as a file. Omit parts without content."""
    parts = [
        (f"{name}: {show_invisible_characters(part)}", content)
        for part, content in read_mail_parts(data)
    ]
    part_files = [
        file
        for part, content in parts
        # If a mail message is attached to another one, ``read_mail_parts`` has already returned its
        # parts.
        for file in (
            [_read_data(content, part, password)]
            if is_mail(content)
            else _read_by_type(content, part, password)
        )
    ]
    telling = [file for file in part_files if not _has_no_certificates(file)]
    if telling:
        yield from telling
        return
    mail_file = _read_data(data, name, password)
    if not _has_no_certificates(mail_file):
        yield mail_file
        return
    message = (
        "the email message contains no certificate; save the attachment, and then run lyncnb "
        "receive with the saved file"
    )
    yield _create_file_with_remark(name, "file-without-certificate", message)


def _has_no_certificates(file: ReturnedFile) -> bool:
    """Return whether a part of a mail message is only text, a signature or a picture."""
    codes = {code for code, _ in file.remarks}
    return not file.certificates and not file.requests and codes <= {"file-without-certificate"}


def _read_tar(data: bytes, name: str, password: Password) -> Iterator[ReturnedFile]:
    try:
        if data.startswith(GZIP):
            data = decompress_gzip(data, limit=min(MAX_UNPACKED_BYTES, MAX_RATIO * len(data)))
        if not is_tar_archive(data):
            yield _read_data(
                data, name, password
            )  # The file is a single compressed file and not an archive.
            return
        is_empty = True
        for number, entry in enumerate(read_tar_entries(data), 1):
            entry_name = f"{name}: {show_invisible_characters(entry.name)}"
            if number > MAX_ARCHIVE_ENTRIES:
                message = (
                    f"the archive has more than {MAX_ARCHIVE_ENTRIES:,} entries; lyncnb ignored "
                    "the remaining entries"
                )
                yield _create_file_with_remark(name, "file-unreadable", message)
                return
            if not _is_ignored_file(entry.name.split("/")[-1]):
                is_empty = False
                yield _read_tar_entry(entry, entry_name, password)
        if is_empty:
            yield _create_file_with_remark(name, "file-without-certificate", "the archive is empty")
    except BadTar as error:
        yield _create_file_with_remark(name, "file-unreadable", str(error))


def _read_tar_entry(entry: TarEntry, name: str, password: Password) -> ReturnedFile:
    if reason := _explain_outside_path(entry.name):
        return _create_file_with_remark(name, "file-skipped", reason)
    if not entry.is_file:
        return _create_file_with_remark(
            name, "file-skipped", "the entry is a link or another item that is not a regular file"
        )
    if len(entry.data) > MAX_FILE_BYTES:
        return _create_file_with_remark(
            name, "file-unreadable", f"the file is larger than {MAX_FILE_BYTES:,} bytes"
        )
    if entry.data.startswith((*_ZIP, GZIP)) or is_tar_archive(entry.data):
        return _create_file_with_remark(
            name, "file-skipped", "the file is an archive inside an archive"
        )
    return _read_data(entry.data, name, password)


def _create_file_with_remark(name: str, code: str, message: str) -> ReturnedFile:
    return ReturnedFile(name=name, remarks=((code, message),))


def _read_data(data: bytes, name: str, password: Password) -> ReturnedFile:
    if not data:
        return _create_file_with_remark(name, "file-unreadable", "the file is empty")
    decoded: Decoded = decode(data, password=_build_password_prompt(name, password))
    return ReturnedFile(
        name=name,
        certificates=decoded.certificates,
        remarks=decoded.remarks,
        key_spki_sha256=decoded.key_spki_sha256,
        requests=decoded.requests,
        export=decoded.export,
    )


def _build_password_prompt(name: str, password: Password) -> AskPassword | None:
    if password is None:
        return None
    return (lambda: password(name)) if callable(password) else (lambda: password)


def _read_archive(data: bytes, name: str, password: Password) -> Iterator[ReturnedFile]:
    trouble = find_archive_problem(data, MAX_ARCHIVE_ENTRIES)
    if trouble:
        yield _create_file_with_remark(name, "file-unreadable", trouble)
        return
    try:
        archive = zipfile.ZipFile(BytesIO(data))
    except READ_ERRORS as error:
        yield _create_file_with_remark(
            name, "file-unreadable", f"the archive is damaged: {describe_archive_problem(error)}"
        )
        return
    remaining_bytes, empty = MAX_UNPACKED_BYTES, True
    for entry in archive.infolist():
        # Early versions of .NET write archives with backslashes in the paths.
        if entry.is_dir() or _is_ignored_file(entry.filename.replace("\\", "/").split("/")[-1]):
            continue
        empty = False
        entry_name = f"{name}: {show_invisible_characters(entry.filename)}"
        remaining_bytes -= entry.file_size
        if remaining_bytes < 0:
            message = (
                f"the unpacked archive is larger than {MAX_UNPACKED_BYTES:,} bytes; lyncnb "
                "ignored the remaining entries"
            )
            yield _create_file_with_remark(entry_name, "file-unreadable", message)
            return
        yield _read_entry(archive, entry, entry_name, password)
    if empty:
        yield _create_file_with_remark(name, "file-without-certificate", "the archive is empty")


def _read_entry(
    archive: zipfile.ZipFile, entry: zipfile.ZipInfo, name: str, password: Password
) -> ReturnedFile:
    skipped = _explain_skipped_entry(entry)
    if skipped:
        return _create_file_with_remark(name, "file-skipped", skipped)
    if entry.file_size > MAX_FILE_BYTES:
        return _create_file_with_remark(
            name, "file-unreadable", f"the file is larger than {MAX_FILE_BYTES:,} bytes"
        )
    if entry.file_size > MAX_RATIO * max(entry.compress_size, 1):
        return _create_file_with_remark(
            name,
            "file-unreadable",
            f"the unpacked file is more than {MAX_RATIO} times as large as the compressed file",
        )
    try:
        with archive.open(entry) as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except READ_ERRORS as error:
        return _create_file_with_remark(
            name,
            "file-unreadable",
            f"the archive entry is damaged: {describe_archive_problem(error)}",
        )
    if data.startswith(_ZIP):
        return _create_file_with_remark(
            name, "file-skipped", "the file is an archive inside an archive"
        )
    return _read_data(data, name, password)


def _explain_skipped_entry(entry: zipfile.ZipInfo) -> str:
    if reason := _explain_outside_path(entry.filename):
        return reason
    if stat.S_ISLNK(entry.external_attr >> 16):
        return "the archive entry is a symbolic link"
    if entry.flag_bits & 0x1:
        return "the archive entry is encrypted"
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "lyncnb does not support the compression method of the archive entry"
    return ""


def _explain_outside_path(entry_name: str) -> str:
    name = entry_name.replace("\\", "/")
    parts = name.split("/")
    is_outside = name.startswith("/") or ".." in parts or ":" in parts[0]
    return "the name of the archive entry points outside the archive" if is_outside else ""
