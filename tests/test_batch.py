"""Many files at once are as safe as one at a time."""

from __future__ import annotations

import errno
import os

import pytest

from lyncnb import files, system
from lyncnb.batch import Batch
from lyncnb.errors import BundleError


def fill(folder, batch: Batch, count: int = 5) -> None:
    for number in range(count):
        batch.add(folder / f"{number}.csr", b"csr", 0o644, stage=1)
        batch.add(folder / f"{number}.key", b"key")


def test_nothing_has_a_name_before_commit(tmp_path):
    """Files appear when the batch is committed, all of them, with their modes."""
    with Batch() as batch:
        fill(tmp_path, batch)
        assert len(batch) == 10
        assert len(files.stale_temps(tmp_path)) == len(os.listdir(tmp_path)) == 10
        batch.commit()
        assert len(batch) == 0
    assert sorted(os.listdir(tmp_path)) == sorted(
        f"{number}.{kind}" for number in range(5) for kind in ("csr", "key")
    )
    assert (tmp_path / "3.key").read_bytes() == b"key"


def test_what_is_not_committed_is_dropped(tmp_path):
    """Leaving the block without commit leaves the folder as it was."""
    with Batch() as batch:
        fill(tmp_path, batch)
    assert os.listdir(tmp_path) == []


def test_a_taken_name_stops_before_later_stages(tmp_path):
    """If a key's name is taken, no request gets its name."""
    (tmp_path / "2.key").write_bytes(b"other")
    with Batch() as batch:
        fill(tmp_path, batch)
        with pytest.raises(BundleError, match=r"2\.key is already there"):
            batch.commit()
    assert sorted(os.listdir(tmp_path)) == ["0.key", "1.key", "2.key"]
    assert (tmp_path / "2.key").read_bytes() == b"other"


@pytest.mark.fault
@pytest.mark.parametrize("call", ["write", "open", "close", "fsync", "link"])
def test_no_request_without_its_key_whatever_fails(tmp_path, monkeypatch, call):
    """Each call made to fail in turn: a request that has its name has its key beside it."""
    if call == "link" and system.link is None:
        pytest.skip("no hard links here")
    hints = []
    for at in range(1, 26):
        folder = tmp_path / str(at)
        folder.mkdir()
        real, count = getattr(system, call), iter(range(1, 1_000))

        def fail(*arguments, real=real, count=count, at=at):
            if next(count) == at:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return real(*arguments)

        with monkeypatch.context() as patch, Batch() as batch:
            patch.setattr(system, call, fail)
            try:
                fill(folder, batch)
                batch.commit()
            except BundleError as error:
                hints.append(error.hint)
        names = set(os.listdir(folder))
        assert all(f"{name[:-4]}.key" in names for name in names if name.endswith(".csr"))
        assert not [name for name in names if name.startswith(files.TEMP_PREFIX)]
    assert len(hints) >= 10
    assert {hint.partition(":")[0] for hint in hints} == {"the disk reports a fault"}
