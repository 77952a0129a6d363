"""On Windows, lyncnb has the same results as on Linux, although Windows handles files, access lists
and names differently.

CPython for Windows runs these tests, in CI under Wine (see ``.ci/windows``).
"""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from folders import public_keys_of_keys, public_keys_of_requests
from journey import write_files
from places import DATA
from shell_kit import keep_success

from lyncnb.base.disk import files, system_calls, windows_access
from lyncnb.base.disk.file_names import make_relative_path
from lyncnb.base.disk.folder_lock import OWNER_NAME
from lyncnb.base.terminal import is_terminal_file
from lyncnb.errors import BundleError, OutputError, PassphraseError
from lyncnb.jupyter.workspace import lay_out
from lyncnb.pki.passphrase import ask_passphrase
from lyncnb.pki.pkcs8 import FolderCipher
from lyncnb.request_folder.files_on_disk import SECRET
from lyncnb.request_folder.manifest import read_manifest
from lyncnb.request_folder.recovery_key import create_recovery_key

PASSPHRASE = "seven grey herons over Keelung"
EVERYONE = "*S-1-1-0:(OI)(CI)R"


def start(*words: object, cwd: Path, **variables: str) -> subprocess.Popen[bytes]:
    """Start a lyncnb command without a terminal."""
    return subprocess.Popen(
        [sys.executable, "-m", "lyncnb", *map(str, words)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def lyncnb(*words: object, cwd: Path, seconds: float = 120, **variables: str) -> tuple[int, str]:
    """Run a lyncnb command, and return its exit status and its output."""
    run = start(*words, cwd=cwd, **variables)
    try:
        output = run.communicate(timeout=seconds)[0]
    finally:
        run.kill()
    keep_success(run.returncode, words)
    return run.returncode, " ".join(output.decode("utf-8").split())


@pytest.fixture(scope="module")
def planner(tmp_path_factory) -> Path:
    """Return a folder that contains a table and its request folder ``requests``."""
    folder = tmp_path_factory.mktemp("planner")
    (folder / "single.csv").write_bytes((DATA / "single-server.csv").read_bytes())
    status, output = request(folder)
    assert status == 0, output
    assert "icacls" not in output
    return folder


def request(folder: Path, *options: str) -> tuple[int, str]:
    """Write the requests for the plan of the table."""
    return lyncnb(
        "request", "single.csv", "requests", *options, cwd=folder, LYNCNB_PASSPHRASE=PASSPHRASE
    )


def hold_open(path: Path, seconds: float) -> threading.Thread:
    """Keep a file open for a given time, as Excel or a virus scanner does."""
    opened = path.open("rb")

    def wait() -> None:
        time.sleep(seconds)
        opened.close()

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


@contextmanager
def open_exclusively(path: Path, seconds: float) -> Iterator[None]:
    """Open a file exclusively for a given time, so that no other program can read it."""
    kernel = ctypes.WinDLL("kernel32", use_last_error=True)
    kernel.CreateFileW.restype = ctypes.c_void_p
    handle = ctypes.c_void_p(kernel.CreateFileW(str(path), 0x80000000, 0, None, 3, 0, None))
    assert handle.value not in (None, ctypes.c_void_p(-1).value), ctypes.get_last_error()
    finished = threading.Event()

    def wait() -> None:
        finished.wait(seconds)
        kernel.CloseHandle(handle)

    thread = threading.Thread(target=wait)
    thread.start()
    try:
        yield
    finally:
        finished.set()
        thread.join()


# -- In the following tests, other programs keep files of lyncnb open.


def test_a_file_that_is_open_for_a_second_is_replaced(tmp_path):
    """When lyncnb replaces or removes a file that is open in another program, it waits until the
    program closes the file.
    """
    path = tmp_path / "summary.csv"
    path.write_bytes(b"old")
    thread = hold_open(path, 1)
    files.replace_file(path, b"new")
    thread.join()
    assert path.read_bytes() == b"new"
    thread = hold_open(path, 1)
    files.remove_file(path)
    thread.join()
    assert not path.exists()


def test_a_file_that_stays_open_is_named_with_the_usual_programs(tmp_path, monkeypatch):
    """If a file stays open for five seconds, the error message suggests closing other programs, and
    the previous file is complete.
    """
    path = tmp_path / "summary.csv"
    path.write_bytes(b"old")
    start_time = time.monotonic()
    with path.open("rb"), pytest.raises(BundleError, match="cannot replace the file") as caught:
        files.replace_file(path, b"new")
    assert time.monotonic() - start_time > 4
    assert "another program, such as Excel" in caught.value.hint
    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["summary.csv"]


def test_an_open_workbook_does_not_repeat_a_renewal(planner):
    """If the summary is open in Excel during a renewal, the user can repeat the command, and the
    request is renewed only once.
    """
    requests = planner / "requests"
    name = read_manifest(requests).requests[0].id
    renewal = ("--renew", name, "--reason", "a test")
    with (requests / "summary.xlsx").open("rb"):
        status, output = request(planner, *renewal)
    assert status == 3, output
    assert "complete and recorded, so do not repeat the change" in output
    assert "another program, such as Excel" in output
    assert read_manifest(requests).by_id[name].generation == 2
    status, output = request(planner, *renewal)
    assert status == 0, output
    assert read_manifest(requests).by_id[name].generation == 2


def test_readers_of_the_manifest_do_not_stop_a_run(planner):
    """If a program reads the manifest again and again, a run of lyncnb still succeeds."""
    manifest, finished = planner / "requests" / "manifest.json", threading.Event()

    def read() -> None:
        while not finished.wait(0.02):
            manifest.read_bytes()

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for _ in range(2):
            name = read_manifest(planner / "requests").requests[-1].id
            status, output = request(planner, "--renew", name, "--reason", "readers")
            assert status == 0, output
    finally:
        finished.set()
        reader.join()


def test_lyncnb_waits_for_a_file_that_is_in_use(planner):
    """If a program prevents others from reading a file, lyncnb waits, and then suggests closing
    such programs.
    """
    with open_exclusively(planner / "single.csv", 1):
        status, output = lyncnb("check", "single.csv", cwd=planner)
    assert status == 0, output
    with open_exclusively(planner / "single.csv", 60):
        status, output = lyncnb("check", "single.csv", cwd=planner)
    assert (status, "another program, such as Excel" in output) == (2, True), output


def test_an_open_key_file_leaves_two_passphrases(planner, tmp_path):
    """If another program has a key file open during rekey, the error message and the status list
    the files for each of the two passphrases.
    """
    requests, new = planner / "requests", tmp_path / "new.txt"
    new.write_text("eleven brass kettles in Hualien\n")
    words = ("rekey", "requests", "--new-passphrase-file", new)
    keys = [f"keys/{file.name}" for file in sorted((requests / "keys").glob("*.key"))]
    with (requests / keys[-1]).open("rb"):
        status, output = lyncnb(*words, cwd=planner, LYNCNB_PASSPHRASE=PASSPHRASE)
    assert status == 3, output
    assert "cannot replace the file" in output
    assert "another program, such as Excel" in output
    assert f"{keys[-1]}: still uses the old passphrase" in output
    assert "To complete the change, run the command again with the same two passphrases" in output
    states_by_file = dict(re.findall(r"((?:keys|archive)/\S+): (still|already) uses", output))
    cipher = FolderCipher(PASSPHRASE)
    for name, state in states_by_file.items():
        if state == "still":
            cipher.open_file((requests / name).read_bytes(), name=name)
        else:
            with pytest.raises(PassphraseError):
                cipher.open_file((requests / name).read_bytes(), name=name)
    assert set(keys) <= set(states_by_file)
    changed = ", ".join(name for name in keys if states_by_file[name] == "already") or "none"
    output = lyncnb("status", "requests", cwd=planner)[1]
    assert f"keys that already use the new passphrase: {changed}" in output
    assert PASSPHRASE not in output
    status, output = lyncnb(*words, cwd=planner, LYNCNB_PASSPHRASE=PASSPHRASE)
    assert status == 0, output
    old = tmp_path / "old.txt"
    old.write_text(PASSPHRASE)
    variables = {"LYNCNB_PASSPHRASE": new.read_text().strip()}
    assert (
        lyncnb("rekey", "requests", "--new-passphrase-file", old, cwd=planner, **variables)[0] == 0
    )


def test_two_commands_at_the_same_time_lose_no_request(planner):
    """If two commands write requests to one folder at the same time, the second one waits or
    reports that the folder is in use.
    """
    folder, extra_options = planner / "together", ()
    for _ in range(2):
        words = ("request", "single.csv", folder.name, *extra_options)
        runs = [start(*words, cwd=planner, LYNCNB_PASSPHRASE=PASSPHRASE) for _ in range(2)]
        results = [(run.communicate(timeout=200)[0].decode(), run.returncode) for run in runs]
        assert 0 in [status for _, status in results], results
        for output, status in results:
            assert status == 0 or "together is in use by" in output, results
        assert public_keys_of_requests(folder) == public_keys_of_keys(folder, PASSPHRASE)
        manifest = read_manifest(folder)
        assert len(list((folder / "csr").iterdir())) == len(manifest.requests) > 0
        assert not (folder / OWNER_NAME).exists()
        extra_options = ("--renew", manifest.requests[0].id, "--reason", "together")


# -- These tests check who can read the keys.


def test_a_new_folder_belongs_to_its_user(planner):
    """Only the user, SYSTEM and Administrators can open a new request folder and its subfolders
    with secrets.
    """
    for output in ("", *SECRET):
        if (planner / "requests" / output).is_dir():
            assert windows_access.find_other_users(planner / "requests" / output) == ()


def test_a_folder_open_to_others_is_reported_and_restricted(planner):
    """If other users can open a folder with keys, the command status reports it, and the next
    change corrects the permissions.
    """
    keys = planner / "requests" / "keys"
    subprocess.run(["icacls", str(keys), "/grant", EVERYONE], check=True)
    if not windows_access.find_other_users(keys):  # Under Wine, icacls does not change permissions.
        subprocess.run(
            ["start", "/unix", "/bin/chmod", "755", get_unix_path(keys)], shell=True, check=True
        )
        wait_until_open(keys)
    assert windows_access.find_other_users(keys)
    status, output = lyncnb("status", "requests", cwd=planner)
    assert (status, "keys/: can be opened by other users" in output) == (3, True), output
    assert windows_access.restrict_access(keys)
    assert lyncnb("status", "requests", cwd=planner)[0] in (0, 1)


def test_the_next_run_restricts_access_to_a_copied_folder(planner):
    """A copied folder has the permissions of its new location. The next command that writes to the
    copy restricts the permissions.
    """
    copied = shutil.copytree(planner / "requests", planner / "copied")
    status, output = lyncnb(
        *("request", "single.csv", "copied", "--renew", read_manifest(copied).requests[0].id),
        *("--reason", "copied"),
        cwd=planner,
        LYNCNB_PASSPHRASE=PASSPHRASE,
    )
    assert status == 0, output
    assert windows_access.find_other_users(copied / "keys") == ()


def test_a_recovery_key_belongs_to_its_user(tmp_path):
    """Only the user, SYSTEM and Administrators can open the file with the private key of a recovery
    key.
    """
    create_recovery_key(tmp_path / "recovery.key", PASSPHRASE)
    assert windows_access.find_other_users(tmp_path / "recovery.key") == ()


def get_unix_path(path: Path) -> str:
    """Return the path of a file as programs outside Wine see it."""
    return path.as_posix().removeprefix(path.drive)


def wait_until_open(path: Path) -> None:
    """Wait until a program outside Wine has opened the folder for other users."""
    for _ in range(50):
        if windows_access.find_other_users(path):
            return
        time.sleep(0.1)


def test_the_command_for_a_disk_without_access_lists(tmp_path):
    """The suggested command contains the full path of the folder and the SID of the user, and works
    in every shell.
    """
    command = windows_access.build_restrict_command(tmp_path)
    assert command.startswith(f'icacls "{os.path.realpath(tmp_path)}" /inheritance:r /grant:r ')
    assert f'"*{windows_access.find_user_sid()}:(OI)(CI)F"' in command
    assert windows_access.find_user_sid().startswith("S-1-5-21-")
    assert "%" not in command
    assert "$" not in command


# -- The following tests concern input from terminals and the encoding of text.


def test_nul_is_not_a_terminal(planner):
    """If the input is NUL, as in a scheduled task, the command ends at once instead of waiting for
    an answer.
    """
    with open(os.devnull, "rb") as nul:
        assert os.isatty(nul.fileno())
        assert not is_terminal_file(nul.fileno())
    status, output = lyncnb("request", "single.csv", "other", cwd=planner, seconds=60)
    assert (status, "standard input is not a terminal" in output) == (3, True), output


def test_piped_output_is_utf_8(planner):
    """If the output goes to a pipe, lyncnb encodes it as UTF-8, so that Chinese file names stay
    readable.
    """
    (planner / "小.csv").write_bytes((planner / "single.csv").read_bytes())
    status, output = lyncnb("plan", "小.csv", "-o", "小.md", cwd=planner)
    assert (status, "written: 小.md" in output) == (0, True), output


def test_a_passphrase_file_of_powershell_is_read(tmp_path):
    """A passphrase file that PowerShell 5.1 wrote, in UTF-16 with a byte order mark and CRLF, can
    be read.
    """
    file = tmp_path / "passphrase.txt"
    for encoding, mark in (("utf-16-le", b"\xff\xfe"), ("utf-16-be", b"\xfe\xff")):
        file.write_bytes(mark + f"{PASSPHRASE} Ċ\r\nmore".encode(encoding))
        assert ask_passphrase(file=file).reveal() == f"{PASSPHRASE} Ċ"


# -- paths


@pytest.mark.parametrize("name", ["con.html", "nul.html", "com¹.html", "folder /plan.html"])
def test_reserved_names_are_refused(planner, name):
    """Names of devices, and file names that Windows would change, are rejected with the reason."""
    status, output = lyncnb("plan", "single.csv", "-o", name, cwd=planner)
    assert (status, "is reserved on Windows" in output) == (2, True), output


def test_no_key_or_folder_gets_a_reserved_name(tmp_path, monkeypatch):
    """lyncnb rejects a new file or folder whose name is a Windows device name, or contains
    characters that Windows does not allow.
    """
    monkeypatch.chdir(tmp_path)
    for name in ("con.key", "key:1", "a?.key", "folder /key"):
        with pytest.raises(OutputError, match="is reserved on Windows"):
            create_recovery_key(name, PASSPHRASE)
        with pytest.raises(OutputError, match="is reserved on Windows"):
            lay_out(name)
    assert list(tmp_path.iterdir()) == []


def test_a_path_on_another_drive_is_shown_in_full(tmp_path):
    """If a file is on another drive, its path is shown in full, because there is no relative path."""
    other = "C:" if tmp_path.drive != "C:" else "Z:"
    assert make_relative_path(f"{other}\\plans\\a.toml", tmp_path) == f"{other}\\plans\\a.toml"
    assert make_relative_path(tmp_path / "a" / "b", tmp_path) == os.path.join("a", "b")


def test_a_path_that_is_too_long_is_explained():
    """If a path has more than 260 characters, the hint of the error message mentions this limit."""
    path = "C:\\" + "a" * 150 + "\\" + "b" * 150
    error = system_calls.describe_error(FileNotFoundError(2, "No such file"), path, "read the file")
    assert "more than 260 characters" in error.hint


# -- The following tests check that the results are the same as on Linux.


def test_the_planning_notebook_runs(tmp_path):
    """The planning notebook runs completely, and writes its requests."""
    status, output = lyncnb("run", cwd=tmp_path, seconds=500, LYNCNB_PASSPHRASE=PASSPHRASE)
    assert (status, " cells ran" in output) == (0, True), output
    assert read_manifest(tmp_path / "work" / "notebooks" / "requests").requests


def test_the_files_are_the_same_bytes_as_on_linux(tmp_path):
    """All files that a planner writes and reads have the same bytes on Windows and on Linux."""
    linux = Path(os.environ["LYNCNB_FILES_OF_LINUX"])
    write_files(tmp_path / "here")
    windows_files = {file.name: file.read_bytes() for file in (tmp_path / "here").iterdir()}
    linux_files = {file.name: file.read_bytes() for file in linux.iterdir()}
    assert sorted(windows_files) == sorted(linux_files)
    assert [name for name in windows_files if windows_files[name] != linux_files[name]] == []
