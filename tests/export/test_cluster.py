"""Keys made by a Dask cluster: the command, a lost worker, what is told when there is none."""

from __future__ import annotations

import gc
import os
import signal
import sys
import time

import pytest
from folders import PASSPHRASE, assert_complete, numbered, write
from shell_kit import make_shell
from topologies import TWO_FRONT_ENDS

from lyncnb.errors import ClusterError
from lyncnb.export.cluster import cluster_executor

distributed = pytest.importorskip("distributed")

pytestmark = pytest.mark.usefixtures("quick_cipher", "scratch")
shell = pytest.fixture(make_shell)


@pytest.fixture
def cluster():
    """Start a scheduler and two workers in processes of their own."""
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as started:
        yield started


def test_the_command_has_a_cluster_make_the_keys(shell, cluster):
    """The folder is that of any other run."""
    table = shell.write("contoso.csv", TWO_FRONT_ENDS)
    passphrase = shell.write("passphrase", PASSPHRASE)
    arguments = ("request", table, "requests", "--passphrase-file", passphrase)
    ended = shell(*arguments, "--cluster", cluster.scheduler_address)
    assert (ended.status, "3 requests in requests: 3 created" in ended.out) == (0, True), ended.err
    assert "3 kept" in shell(*arguments).out


def test_a_lost_worker_costs_its_work_alone(cluster, tmp_path):
    """Killed in the middle, its requests are made by the other one."""
    plan = numbered(60)
    with cluster_executor(cluster.scheduler_address) as executor:
        victim = executor.submit(os.getpid).result()

        def kill(step) -> None:
            if step.done == 5:
                os.kill(victim, signal.SIGKILL)

        bundle = write(plan, tmp_path / "requests", executor=executor, workers=8, progress=kill)
    assert bundle.counts() == {"created": 60}
    assert_complete(tmp_path / "requests", plan)


def test_a_worker_lost_once_its_answer_is_here_costs_nothing(cluster, tmp_path, monkeypatch):
    """What has come counts, whatever the scheduler says of its task meanwhile."""
    plan = numbered(3)
    with cluster_executor(cluster.scheduler_address) as executor:
        monkeypatch.setattr(distributed.Future, "status", "lost")
        bundle = write(plan, tmp_path / "requests", executor=executor)
    assert bundle.counts() == {"created": 3}
    assert_complete(tmp_path / "requests", plan)


def test_what_fails_and_what_is_cancelled_is_told(cluster):
    """A task's own error comes back; a cancelled one never ends otherwise."""
    with cluster_executor(cluster.scheduler_address) as executor:
        with pytest.raises(ZeroDivisionError):
            executor.submit(divmod, 1, 0).result(30)
        slow = executor.submit(time.sleep, 60)
        assert slow.cancel()
        assert executor.submit(divmod, 7, 2).result(30) == (3, 1)


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "nowhere", "", "x://y"])
def test_no_cluster_is_told_before_anything_is_written(shell, address):
    """A wrong address ends the command with what to give; no folder is made."""
    table = shell.write("contoso.csv", TWO_FRONT_ENDS)
    passphrase = shell.write("passphrase", PASSPHRASE)
    clients = sum(isinstance(one, distributed.Client) for one in gc.get_objects())
    with pytest.raises(ClusterError, match="no scheduler answers") as caught:  # noqa: SIM117
        with cluster_executor(address, seconds=0.5):
            pass
    # One that is left to the collector may stop the next from starting.
    assert sum(isinstance(one, distributed.Client) for one in gc.get_objects()) == clients
    assert "dask scheduler" in caught.value.hint
    if address == "x://y":
        ended = shell(
            *("request", table, "requests", "--passphrase-file", passphrase),
            *("--cluster", address),
        )
        assert (ended.status, "no scheduler answers" in ended.err) == (3, True)
        assert not (shell.folder / "requests").exists()


def test_a_cluster_without_workers_is_told():
    """Otherwise the run would wait for ever."""
    with (
        distributed.LocalCluster(n_workers=0, dashboard_address=None) as empty,
        pytest.raises(ClusterError, match="has no worker"),
        cluster_executor(empty.scheduler_address),
    ):
        pass


def test_without_the_extra_it_says_what_to_install(monkeypatch):
    """The package distributed is not part of the installation."""
    monkeypatch.setitem(sys.modules, "distributed", None)
    with (
        pytest.raises(ClusterError, match="is not installed") as caught,
        cluster_executor("tcp://127.0.0.1:9"),
    ):
        pass
    assert "lyncnb[cluster]" in caught.value.hint
