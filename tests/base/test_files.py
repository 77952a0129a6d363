"""lyncnb gives a file its final name only when the file is complete, and never replaces another
file.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import subprocess
import sys
import textwrap
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lyncnb.base.disk import files, system_calls
from lyncnb.base.disk.files import FileBatch
from lyncnb.errors import BundleError

posix = pytest.mark.posix
# In this simulation of Windows, hard links are not available, and a file that is still open cannot
# be removed.
LINK, CLOSE = (pytest.param(call, marks=posix) for call in ("link", "close"))


def mode(path) -> int:
    return stat.S_IMODE(os.lstat(path).st_mode)


def temps(folder) -> list[str]:
    return [path.name for path in files.find_stale_files(folder)]


@given(st.binary(max_size=5000))
def test_written_bytes_are_read_back(tmp_path_factory, data):
    """A file is read back with the same bytes, and no temporary file remains."""
    folder = tmp_path_factory.mktemp("any")
    files.write_new_file(folder / "a", data)
    assert files.read_file(folder / "a") == data
    assert os.listdir(folder) == ["a"]


@posix
def test_a_new_file_is_private_from_the_start(tmp_path):
    """With the default file mode, other users cannot read a new file, whatever the umask is."""
    old = os.umask(0)
    try:
        files.write_new_file(tmp_path / "key", b"k")
        files.write_new_file(tmp_path / "csr", b"c", 0o644)
    finally:
        os.umask(old)
    assert [mode(tmp_path / name) for name in ("key", "csr")] == [0o600, 0o644]


def test_existing_file_is_not_replaced(tmp_path):
    """lyncnb does not overwrite an existing file when it writes a file with the same name."""
    files.write_new_file(tmp_path / "a.key", b"first")
    with pytest.raises(BundleError, match=r"a\.key already exists, so lyncnb did not change it"):
        files.write_new_file(tmp_path / "a.key", b"second")
    assert (tmp_path / "a.key").read_bytes() == b"first"
    assert temps(tmp_path) == []


@posix
def test_a_symbolic_link_is_not_followed(tmp_path):
    """Writing, replacing, moving, and reading a file do not follow a symbolic link."""
    (tmp_path / "elsewhere").write_bytes(b"other")
    link = tmp_path / "a.key"
    link.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BundleError, match="already exists"):
        files.write_new_file(link, b"mine")
    with pytest.raises(BundleError, match="is a symbolic link"):
        files.replace_file(link, b"mine")
    with pytest.raises(BundleError, match="is a symbolic link"):
        files.move_file(link, tmp_path / "b.key")
    with pytest.raises(
        BundleError, match=r"cannot read the file.*\n.*the path contains a symbolic link"
    ):
        files.read_file(link)
    assert (tmp_path / "elsewhere").read_bytes() == b"other"
    assert link.is_symlink()


def test_only_one_of_several_writers_succeeds(tmp_path):
    """If eight threads write the same new file, one thread succeeds, and the file is complete."""

    def write(number: int) -> bool:
        try:
            files.write_new_file(tmp_path / "a", bytes([number]) * 100_000)
        except BundleError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(write, range(8)))
    assert won.count(True) == 1
    assert (tmp_path / "a").read_bytes() == bytes([won.index(True)]) * 100_000


def test_replace_puts_new_content_in_place(tmp_path):
    """The replace function creates new files and overwrites existing ones."""
    files.replace_file(tmp_path / "manifest.json", b"1")
    files.replace_file(tmp_path / "manifest.json", b"2")
    assert (tmp_path / "manifest.json").read_bytes() == b"2"
    assert os.listdir(tmp_path) == ["manifest.json"]


def test_a_move_never_replaces_a_file(tmp_path):
    """Moving a file to another folder never replaces an existing file."""
    for folder in ("keys", "archive"):
        files.make_folder(tmp_path / folder)
    files.write_new_file(tmp_path / "keys" / "a", b"a")
    files.write_new_file(tmp_path / "keys" / "b", b"b")
    files.move_file(tmp_path / "keys" / "a", tmp_path / "archive" / "a")
    with pytest.raises(BundleError, match="a already exists, so lyncnb did not"):
        files.move_file(tmp_path / "keys" / "b", tmp_path / "archive" / "a")
    assert os.listdir(tmp_path / "keys") == ["b"]
    assert files.read_file(tmp_path / "archive" / "a") == b"a"


def test_unreadable_files_are_reported(tmp_path):
    """An error message contains the path if the function cannot read a file because the file is a
    folder, is missing, or is too large.
    """
    (tmp_path / "big").write_bytes(bytes(11))
    with pytest.raises(BundleError, match="big is larger than 10 bytes"):
        files.read_file(tmp_path / "big", limit=10)
    with pytest.raises(BundleError, match="cannot read the file"):
        files.read_file(tmp_path / "missing")
    with pytest.raises(BundleError):
        files.read_file(tmp_path)


@posix
def test_named_pipe_is_rejected(tmp_path):
    """Reading a named pipe causes an error, without waiting for data."""
    os.mkfifo(tmp_path / "a.csr")
    with pytest.raises(BundleError, match="not a regular file"):
        files.read_file(tmp_path / "a.csr")


@posix
@pytest.mark.parametrize(
    ("bits", "mode_text"), [(0o770, "0770"), (0o707, "0707"), (0o720, "0720"), (0o1777, "1777")]
)
def test_a_folder_that_others_can_write_is_refused(tmp_path, bits, mode_text):
    """If other users can write to a folder, it is rejected, and the message contains the file mode
    and a hint.
    """
    folder = tmp_path / "requests"
    folder.mkdir()
    folder.chmod(bits)
    with pytest.raises(
        BundleError,
        match=rf"other users can write to the folder .* \(mode {mode_text}\)\n.*chmod go-w",
    ):
        files.check_folder(folder)
    with pytest.raises(BundleError, match="other users can write to the folder"):
        files.make_folder(folder)
    assert mode(folder) == bits & 0o7777


@posix
def test_other_paths_are_not_a_folder(tmp_path):
    """If a folder is required, lyncnb reports a different error for a file, for a missing folder,
    and for a link to a folder.
    """
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(BundleError, match='file" is a file, not a folder'):
        files.check_folder(tmp_path / "file")
    with pytest.raises(BundleError, match='link" is a symbolic link'):
        files.make_folder(tmp_path / "link")
    with pytest.raises(BundleError, match="cannot access the folder"):
        files.check_folder(tmp_path / "missing")
    with pytest.raises(BundleError, match="cannot create the folder"):
        files.make_folder(tmp_path / "missing" / "keys")


@posix
def test_permissions_are_only_removed(tmp_path):
    """For an existing folder, lyncnb removes permissions of other users, but never adds
    permissions.
    """
    (tmp_path / "keys").mkdir(mode=0o755)
    files.make_folder(tmp_path / "keys", 0o700)
    files.make_folder(tmp_path / "keys", 0o755)
    assert mode(tmp_path / "keys") == 0o700


def test_only_own_temporary_files_are_removed(tmp_path):
    """lyncnb removes only temporary files whose names show that lyncnb created them."""
    (tmp_path / f"{files.TEMP_PREFIX}0123").write_bytes(b"half")
    (tmp_path / ".ipynb_checkpoints").mkdir()
    (tmp_path / ".tmp-other").write_bytes(b"")
    assert files.remove_stale_files(tmp_path) == 1
    assert sorted(os.listdir(tmp_path)) == [".ipynb_checkpoints", ".tmp-other"]


def test_removing_a_missing_file_is_not_an_error(tmp_path):
    """Removing a file that does not exist is not an error."""
    files.write_new_file(tmp_path / "a", b"")
    files.remove_file(tmp_path / "a")
    files.remove_file(tmp_path / "a")
    assert os.listdir(tmp_path) == []


def fail_nth_call(call: str, call_number: int, code: int):
    """Return a replacement for a system call that fails only when it is called for the nth time."""
    real, count = getattr(system_calls, call), iter(range(1, 1_000_000))

    def fail(*arguments):
        if next(count) == call_number:
            raise OSError(code, os.strerror(code))
        return real(*arguments)

    return fail


WRITERS = {
    "write_new_file": lambda folder: files.write_new_file(folder / "new", b"new"),
    "replace_file": lambda folder: files.replace_file(folder / "old", b"new"),
    "move": lambda folder: files.move_file(folder / "old", folder / "sub" / "old"),
    "make_folder": lambda folder: files.make_folder(folder / "folder"),
    "remove_file": lambda folder: files.remove_file(folder / "gone"),
}


@posix
@pytest.mark.fault
@pytest.mark.parametrize("code", ["ENOSPC", "EIO", "EACCES", "EROFS"])
@pytest.mark.parametrize("writer", WRITERS)
def test_each_system_call_fails_in_turn(tmp_path, monkeypatch, writer, code):
    """If any system call fails, each new file is complete or does not exist, and old files are
    kept.
    """
    errors = []
    for call in system_calls.CALLS:
        for call_number in (1, 2, 3):
            folder = tmp_path / f"{call}{call_number}"
            (folder / "sub").mkdir(parents=True)
            (folder / "old").write_bytes(b"old")
            (folder / "gone").write_bytes(b"gone")
            with monkeypatch.context() as patch:
                patch.setattr(
                    system_calls, call, fail_nth_call(call, call_number, getattr(errno, code))
                )
                try:
                    WRITERS[writer](folder)
                except BundleError as error:
                    errors.append(error)
            for path in folder.rglob("*"):
                if path.is_file() and not path.name.startswith(files.TEMP_PREFIX):
                    assert path.read_bytes() in (b"old", b"new", b"gone")
            assert (folder / "old").exists() or (folder / "sub" / "old").exists()
            files.remove_stale_files(folder)
            assert temps(folder) == []
    assert len(errors) >= 2
    assert all(error.hint and str(tmp_path) in error.message for error in errors)


@posix
@pytest.mark.parametrize("code", [errno.EOPNOTSUPP, errno.EPERM, errno.ENOSYS])
def test_without_hard_links_nothing_is_overwritten(tmp_path, monkeypatch, code):
    """On a file system without hard links, files are renamed only to unused names."""

    def no_links(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(system_calls, "link", no_links)
    files.write_new_file(tmp_path / "a", b"a")
    files.write_new_file(tmp_path / "b", b"b")
    with pytest.raises(BundleError, match="already exists"):
        files.write_new_file(tmp_path / "a", b"other")
    with pytest.raises(BundleError, match="already exists"):
        files.move_file(tmp_path / "a", tmp_path / "b")
    files.move_file(tmp_path / "a", tmp_path / "c")
    assert [(tmp_path / n).read_bytes() for n in ("b", "c")] == [b"b", b"a"]
    assert sorted(os.listdir(tmp_path)) == ["b", "c"]


def test_files_are_written_even_if_folders_cannot_be_synced(tmp_path, monkeypatch):
    """If the file system cannot sync a folder to the disk, files are still written."""
    real = system_calls.fsync

    def fsync(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        real(descriptor)

    monkeypatch.setattr(system_calls, "fsync", fsync)
    files.write_new_file(tmp_path / "a", b"a")
    assert files.read_file(tmp_path / "a") == b"a"


TRACED = """
    import sys
    from lyncnb.base.disk import files
    folder = sys.argv[1]
    files.write_new_file(folder + "/one", b"one")
    with files.FileBatch() as several:
        several.add(folder + "/a.key", b"key")
        several.add(folder + "/a.csr", b"csr", stage=1)
        several.commit()
"""


def traced_calls(log: str, folder: str) -> list[str]:
    """Return the system calls in a trace that affect a folder, in the order in which they ended.

    A call that was interrupted by others has two lines, "… <unfinished ...>" and
    "<... … resumed>".
    """
    steps, waiting = [], {}
    for line in log.splitlines():
        process, _, text = line.partition(" ")
        text = text.strip()
        if "resumed>" in text:
            text = waiting.pop(process, "")
        elif "<unfinished ...>" in text:
            waiting[process] = text
            continue
        if match := re.match(rf"(write|fsync)\(\d+<{re.escape(folder)}/?([^>]*)>", text):
            name = "TEMP" if match[2].startswith(files.TEMP_PREFIX) else match[2] or "FOLDER"
            steps.append(f"{match[1]} {name}")
        elif match := re.match(rf'link(?:at)?\(.*"{re.escape(folder)}/([^"/]+)"[^"]*$', text):
            steps.append(f"link {match[1]}")
    return steps


@pytest.mark.tools
def test_a_file_is_synced_before_it_gets_its_name(tmp_path):
    """A trace of the system calls shows that lyncnb syncs each file before it gives the file its
    name, and writes keys before requests.
    """
    folder, log = tmp_path / "folder", tmp_path / "log"
    folder.mkdir()
    subprocess.run(
        [
            *("strace", "-f", "-y", "-qq", "-e", "trace=write,fsync,link,linkat", "-o", log),
            *(sys.executable, "-c", textwrap.dedent(TRACED), folder),
        ],
        check=True,
        timeout=60,
    )
    steps = traced_calls(log.read_text(), str(folder))
    assert steps[:4] == ["write TEMP", "fsync TEMP", "link one", "fsync FOLDER"]
    assert sorted(steps[4:8]) == ["fsync TEMP"] * 2 + ["write TEMP"] * 2
    assert steps[8:] == ["link a.key", "fsync FOLDER", "link a.csr", "fsync FOLDER"]


@posix
def test_folder_of_another_user_is_rejected(tmp_path, monkeypatch):
    """A folder that belongs to another user is rejected, because that user can always write to it."""
    if os.geteuid() == 0:
        os.chown(tmp_path, 54321, -1)
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(BundleError, match="belongs to another user"):
        files.check_folder(tmp_path)


@posix
def test_windows_never_replaces_an_existing_file(tmp_path, monkeypatch):
    """On Windows, lyncnb creates a file by renaming a temporary file. The rename does not replace
    an existing file.
    """

    def rename(source, target):
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, "exists")
        os.rename(source, target)

    monkeypatch.setattr(system_calls, "WINDOWS", True)
    monkeypatch.setattr(system_calls, "link", None)
    monkeypatch.setattr(system_calls, "rename", rename)
    tmp_path.chmod(0o777)
    files.make_folder(tmp_path / "keys")
    files.make_folder(tmp_path / "keys")
    files.write_new_file(tmp_path / "keys" / "a", b"a")
    with pytest.raises(BundleError, match="already exists"):
        files.write_new_file(tmp_path / "keys" / "a", b"b")
    files.move_file(tmp_path / "keys" / "a", tmp_path / "b")
    assert files.read_file(tmp_path / "b") == b"a"
    assert os.listdir(tmp_path / "keys") == []


@pytest.mark.parametrize("call", ["write", "replace", LINK])
def test_an_interrupt_leaves_nothing_half_written(tmp_path, monkeypatch, call):
    """If Ctrl+C interrupts the writing of a file, no incomplete file remains."""

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(system_calls, call, interrupted)
    writer = files.replace_file if call == "replace" else files.write_new_file
    with pytest.raises(KeyboardInterrupt):
        writer(tmp_path / "a", b"a")
    assert os.listdir(tmp_path) == []


def test_a_half_written_file_that_stays_is_reported(tmp_path, monkeypatch):
    """If an incomplete file cannot be removed, the error message contains its name."""
    (tmp_path / f"{files.TEMP_PREFIX}0").write_bytes(b"x")
    monkeypatch.setattr(system_calls, "unlink", fail_nth_call("unlink", 1, errno.EACCES))
    with pytest.raises(BundleError, match="cannot remove the incomplete file"):
        files.remove_stale_files(tmp_path)


# The following tests show that a batch of files is written as safely as a single file.


def fill(folder, batch: FileBatch, count: int = 5) -> None:
    for number in range(count):
        batch.add(folder / f"{number}.csr", b"csr", 0o644, stage=1)
        batch.add(folder / f"{number}.key", b"key")


def test_nothing_has_a_name_before_commit(tmp_path):
    """The files in a batch get their names and modes only when the batch is committed."""
    with FileBatch() as batch:
        fill(tmp_path, batch)
        assert len(batch) == 10
        assert len(files.find_stale_files(tmp_path)) == len(os.listdir(tmp_path)) == 10
        batch.commit()
        assert len(batch) == 0
    assert sorted(os.listdir(tmp_path)) == sorted(
        f"{number}.{kind}" for number in range(5) for kind in ("csr", "key")
    )
    assert (tmp_path / "3.key").read_bytes() == b"key"


def test_uncommitted_files_are_discarded(tmp_path):
    """If a batch of files is not committed, the folder does not change."""
    with FileBatch() as batch:
        fill(tmp_path, batch)
    assert os.listdir(tmp_path) == []


def test_an_existing_key_file_stops_the_batch_before_its_requests(tmp_path):
    """If the name of a key file already exists, the batch gives none of its request files their
    final names.
    """
    (tmp_path / "2.key").write_bytes(b"other")
    with FileBatch() as batch:
        fill(tmp_path, batch)
        with pytest.raises(BundleError, match=r"2\.key already exists"):
            batch.commit()
    assert sorted(os.listdir(tmp_path)) == ["0.key", "1.key", "2.key"]
    assert (tmp_path / "2.key").read_bytes() == b"other"


@pytest.mark.fault
@pytest.mark.parametrize("call", ["write", "open", "fsync", CLOSE, LINK])
def test_a_request_file_always_has_its_key_file(tmp_path, monkeypatch, call):
    """Whichever system call fails, a request file exists only together with its key file."""
    hints = []
    for call_number in range(1, 26):
        folder = tmp_path / str(call_number)
        folder.mkdir()
        real, count = getattr(system_calls, call), iter(range(1, 1_000))

        def fail(*arguments, real=real, count=count, failing_call=call_number):
            if next(count) == failing_call:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return real(*arguments)

        with monkeypatch.context() as patch, FileBatch() as batch:
            patch.setattr(system_calls, call, fail)
            try:
                fill(folder, batch)
                batch.commit()
            except BundleError as error:
                hints.append(error.hint)
        names = set(os.listdir(folder))
        assert all(f"{name[:-4]}.key" in names for name in names if name.endswith(".csr"))
        assert not [name for name in names if name.startswith(files.TEMP_PREFIX)]
    assert len(hints) >= 10
    assert {hint.partition(".")[0] for hint in hints} == {"the disk reports an error"}


@posix
def test_a_file_is_flushed_past_the_cache_of_the_disk(tmp_path, monkeypatch):
    """If the operating system has a command that flushes the disk's cache (macOS), lyncnb uses this
    command instead of fsync().
    """
    commands = []
    monkeypatch.setattr(system_calls, "full_sync", 51)
    fcntl = pytest.importorskip("fcntl")
    monkeypatch.setattr(fcntl, "fcntl", lambda descriptor, command: commands.append(command))
    files.write_new_file(tmp_path / "a", b"a")
    # The first call flushes the file, and the second call flushes its folder.
    assert commands == [51, 51]


@posix
def test_disk_without_the_full_flush_uses_fsync(tmp_path, monkeypatch):
    """If the kernel rejects the command that flushes the disk's cache, lyncnb still writes the file
    and calls fsync().
    """
    monkeypatch.setattr(system_calls, "full_sync", 1 << 20)
    files.write_new_file(tmp_path / "a", b"a")
    assert (tmp_path / "a").read_bytes() == b"a"
    descriptor = os.open(tmp_path / "a", os.O_RDONLY)
    os.close(descriptor)
    with pytest.raises(OSError, match="Bad file descriptor"):
        system_calls.fsync(descriptor)


def test_a_small_file_takes_little_memory(tmp_path):
    """Reading a small file does not allocate memory for the largest allowed file."""
    path = tmp_path / "small"
    path.write_bytes(b"x")
    tracemalloc.start()
    try:
        assert files.read_file(path, limit=1 << 32) == b"x"
        assert tracemalloc.get_traced_memory()[1] < 1 << 24
    finally:
        tracemalloc.stop()
