"""Several users can write to one request folder, and root can write to the folder of another user.
The tests use real users.

Each step runs in a child process under the user ID of another user. Modules are imported before,
since that user may not be able to read them.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import tempfile
import traceback
from datetime import date
from pathlib import Path

import pytest
from folders import PASSPHRASE, certify, plan_of_servers, write

from lyncnb.authorities.returned.match_certificates import match_certificates
from lyncnb.authorities.status import folder_status
from lyncnb.base.disk.folder_access import find_team_group
from lyncnb.base.disk.system_calls import find_user_id
from lyncnb.deploy.purge_keys import purge
from lyncnb.deploy.step_files import write_steps
from lyncnb.deploy.steps import deployment_steps
from lyncnb.deploy.write_pfx import write_pfx
from lyncnb.errors import BundleError, LyncnbError
from lyncnb.request_folder.bundle import open_requests
from lyncnb.request_folder.change_passphrase import rekey
from lyncnb.request_folder.manifest import NAME, read_manifest
from lyncnb.request_folder.rebuild_manifest import rebuild_manifest

pytestmark = [
    pytest.mark.usefixtures("quick_cipher"),
    pytest.mark.posix,
    pytest.mark.skipif(find_user_id() != 0, reason="takes other users' numbers"),
]

TEAM = 61100
ANN, BEN, CARL = (61001, [TEAM]), (61002, [TEAM]), (61003, [])
IDS = [item.id for item in plan_of_servers(2).certificates]
DAY = date(2026, 12, 5)


def work(folder, team=""):
    """Run the commands that planners use in a folder, from request to purge."""
    write(plan_of_servers(2), folder, team=team)
    certify(folder, IDS[0], today=DAY)
    package(folder)
    write(plan_of_servers(2), folder, renew=IDS[1:], reason="x")


def package(folder):
    """Create the PFX packages of the issued certificates, and write the deployment steps."""
    issued = match_certificates(open_requests(folder), today=DAY)
    write_pfx(issued, passphrase=PASSPHRASE, workers=1, today=DAY)
    issued = match_certificates(open_requests(folder), today=DAY)
    write_steps(deployment_steps(issued, today=DAY), folder)


def problems(folder):
    """Return the problems that the status reports."""
    return [str(problem) for problem in folder_status(folder, today=DAY).problems]


def clean_up(folder):
    """Remove the keys of installed certificates, and change the passphrase."""
    options = {"passphrase": PASSPHRASE, "deployed": IDS[:1], "today": DAY}
    purge(folder, confirmed=purge(folder, **options), **options)
    rekey(folder, PASSPHRASE, PASSPHRASE + " too")
    rekey(folder, PASSPHRASE + " too", PASSPHRASE)


@pytest.fixture(scope="module", autouse=True)
def imported(quick_cipher):
    """Run all commands once as root, so that every module is already imported when the tests change
    the user.
    """
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory) / "requests"
        work(folder)
        problems(folder)
        clean_up(folder)
        (folder / NAME).unlink()
        rebuild_manifest(folder, PASSPHRASE)


@pytest.fixture
def shared_folder():
    """Return a directory in which every user can write."""
    directory = Path(tempfile.mkdtemp())
    directory.chmod(0o777)
    yield directory
    shutil.rmtree(directory)


def as_user(user, function, *arguments, **keywords):
    """Call a function as another user, and return its result or its error message."""
    reader, writer = os.pipe()
    child = os.fork()
    if child:
        os.close(writer)
        with open(reader, "rb") as pipe:
            output = pipe.read()
        os.waitpid(child, 0)
        return json.loads(output)
    number, groups = user
    try:
        os.setgroups(groups)
        os.setgid(number)
        os.setuid(number)
        os.umask(0o077)
        try:
            result = function(*arguments, **keywords)
        except LyncnbError as error:
            result = f"{type(error).__name__}: {error}"
        except BaseException:
            result = traceback.format_exc()
        os.write(writer, json.dumps(result if isinstance(result, list) else str(result)).encode())
    finally:
        os._exit(0)


def facts(folder):
    """Return the mode, the user and the group of a folder and of its files."""
    return {
        path.relative_to(folder).as_posix(): (
            stat.S_IMODE(path.lstat().st_mode),
            path.lstat().st_uid,
            path.lstat().st_gid,
        )
        for path in (folder, *folder.rglob("*"))
    }


def is_refused(result):
    """Return whether the result of a call is an error of lyncnb."""
    return isinstance(result, str) and result.startswith("BundleError")


def test_a_team_writes_one_folder(shared_folder):
    """Two members of a team can do all their work in the same folder. Other users cannot read its
    files.
    """
    folder = shared_folder / "requests"
    assert "2 requests" in as_user(ANN, write, plan_of_servers(2), folder, team=str(TEAM))
    assert as_user(BEN, problems, folder) == []
    steps = (
        (BEN, certify, folder, IDS[0]),
        (ANN, package, folder),
        (BEN, package, folder),
        (BEN, clean_up, folder),
        (ANN, rebuild_manifest, folder, PASSPHRASE),
    )
    for user, function, *arguments in steps:
        result = as_user(
            user, function, *arguments, **({"today": DAY} if function is certify else {})
        )
        assert "Error" not in result, result
        assert as_user(ANN, problems, folder) == as_user(BEN, problems, folder) == []
        for name, (mode, user_, group) in facts(folder).items():
            expected = 0o2770 if (folder / name).is_dir() else 0o660
            assert (name, oct(mode), group) == (name, oct(expected), TEAM)
            assert user_ in (ANN[0], BEN[0])
    assert "1 renewed" in as_user(ANN, write, plan_of_servers(2), folder, renew=IDS[1:], reason="x")
    assert "1 renewed" in as_user(BEN, write, plan_of_servers(2), folder, renew=IDS[1:], reason="y")
    assert is_refused(as_user(CARL, problems, folder))
    assert read_manifest(folder).team == str(TEAM)
    notes = folder_status(folder, today=DAY).notes
    assert (
        f"this folder is shared by a team: members of the group {TEAM} can change the folder"
        in notes
    )


def test_users_who_can_read_the_files_can_run_status(shared_folder):
    """Every user who can read the files of a request folder can run ``lyncnb status``, but only the
    owner can write to the folder.
    """
    folder = shared_folder / "requests"
    as_user(ANN, write, plan_of_servers(2), folder)
    assert is_refused(as_user(BEN, problems, folder))
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    result = as_user(BEN, problems, folder)
    # Other users can now read the folder of the keys and two key files, which causes three
    # problems.
    assert len(result) == 3
    assert all("other users" in problem for problem in result)
    result = as_user(BEN, rebuild_manifest, folder, PASSPHRASE)
    assert "belongs to another user" in result
    assert "--team" in result


def test_files_that_root_creates_belong_to_the_owner(shared_folder):
    """If root writes to the folder of another user, the new files belong to this user."""
    folder = shared_folder / "requests"
    as_user(ANN, write, plan_of_servers(2), folder)
    work(folder)
    assert {(user, group) for _, user, group in facts(folder).values()} == {(ANN[0], ANN[0])}
    assert as_user(ANN, problems, folder) == []
    assert "1 renewed" in as_user(ANN, write, plan_of_servers(2), folder, renew=IDS[:1], reason="x")
    clean = as_user(ANN, rekey, folder, PASSPHRASE, "another passphrase")
    assert "now use the new passphrase" in clean


def test_files_that_root_creates_belong_to_the_team(shared_folder):
    """If root writes to the folder of a team, the new files belong to the owner of the folder and
    to the team's group.
    """
    folder = shared_folder / "requests"
    as_user(ANN, write, plan_of_servers(2), folder, team=str(TEAM))
    work(folder)
    assert {(user, group) for _, user, group in facts(folder).values()} == {(ANN[0], TEAM)}
    assert as_user(BEN, problems, folder) == []


def test_a_group_without_a_recorded_team_is_rejected(tmp_path):
    """If a group can write to a folder, and no team is recorded, the folder is rejected."""
    folder = tmp_path / "requests"
    write(plan_of_servers(1), folder)
    os.chown(folder, -1, TEAM)
    folder.chmod(0o2770)
    for attempt in (
        lambda: folder_status(folder),
        lambda: write(plan_of_servers(2), folder),
        lambda: rebuild_manifest(folder, PASSPHRASE),
    ):
        with pytest.raises(BundleError, match=f'the group "{TEAM}" can write to'):
            attempt()
    folder.chmod(0o770)
    with pytest.raises(BundleError, match="other users can write to"):
        write(plan_of_servers(2), folder)
    folder.chmod(0o700)
    assert problems(folder) == []


def test_another_group_than_the_recorded_one_is_refused(tmp_path):
    """If the group of a folder is not the recorded team, the folder is rejected."""
    folder = tmp_path / "requests"
    write(plan_of_servers(1), folder, team=str(TEAM))
    os.chown(folder, -1, TEAM + 1)
    folder.chmod(0o2770)
    with pytest.raises(BundleError, match=f'the record lists the group "{TEAM}"'):
        folder_status(folder)


def test_an_existing_folder_cannot_become_a_team_folder(tmp_path):
    """An existing folder cannot become the folder of a team. If the group is unknown, no folder is
    created.
    """
    folder = tmp_path / "requests"
    with pytest.raises(BundleError, match='this computer has no group named "planners of contoso"'):
        write(plan_of_servers(1), folder, team="planners of contoso")
    assert not folder.exists()
    write(plan_of_servers(1), folder)
    with pytest.raises(BundleError, match=f'must have the group "{TEAM}" and the mode 2770'):
        write(plan_of_servers(1), folder, team=str(TEAM))


def test_a_prepared_team_folder_requires_the_option(tmp_path):
    """An empty folder with mode 2770 is accepted only if the option --team is specified."""
    folder = tmp_path / "requests"
    folder.mkdir()
    os.chown(folder, -1, TEAM)
    folder.chmod(0o2770)
    with pytest.raises(BundleError, match=f"if this is intended, specify --team {TEAM}"):
        write(plan_of_servers(1), folder)
    write(plan_of_servers(1), folder, team=str(TEAM))
    assert read_manifest(folder).team == str(TEAM)
    assert problems(folder) == []


def test_a_rebuilt_manifest_records_the_team(tmp_path):
    """In a rebuilt manifest, the group of the folder is recorded as the team."""
    folder = tmp_path / "requests"
    write(plan_of_servers(1), folder, team=str(TEAM))
    (folder / NAME).unlink()
    rebuild_manifest(folder, PASSPHRASE, confirmed=["*"])
    assert read_manifest(folder).team == find_team_group(folder) == str(TEAM)
    assert problems(folder) == []
