"""A Dask cluster generates the keys, also after a worker is lost.

Without a cluster there is an error.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import time
from contextlib import contextmanager, suppress

import pytest
from folders import PASSPHRASE, assert_complete, numbered, write
from shell_kit import make_shell
from topologies import TWO_FRONT_ENDS

from lyncnb.errors import BundleError, ClusterError
from lyncnb.export.cluster import WorkerError, connect_to_cluster

distributed = pytest.importorskip("distributed")

pytestmark = pytest.mark.usefixtures("quick_cipher", "scratch")
shell = pytest.fixture(make_shell)


@pytest.fixture
def cluster():
    """Start a scheduler and two workers in separate processes."""
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as started:
        yield started


def test_the_command_has_a_cluster_make_the_keys(shell, cluster):
    """With the cluster option, the command writes the same folder as any other run."""
    table = shell.write("contoso.csv", TWO_FRONT_ENDS)
    passphrase = shell.write("passphrase", PASSPHRASE)
    arguments = ("request", table, "requests", "--passphrase-file", passphrase)
    ended = shell(*arguments, "--cluster", cluster.scheduler_address)
    assert (ended.status, "3 requests in requests: 3 created" in ended.out) == (0, True), ended.err
    assert "3 kept" in shell(*arguments).out


def test_a_lost_worker_costs_its_work_alone(cluster, tmp_path):
    """If one worker is killed, the other worker creates its requests."""
    plan = numbered(60)
    victim = next(iter(cluster.workers.values())).pid
    with connect_to_cluster(cluster.scheduler_address) as executor:

        def kill(step) -> None:
            if step.done == 5:
                os.kill(victim, signal.SIGKILL)

        bundle = write(plan, tmp_path / "requests", executor=executor, workers=8, progress=kill)
    assert bundle.counts() == {"created": 60}
    assert_complete(tmp_path / "requests", plan)


def test_what_fails_and_what_is_cancelled_is_reported(cluster):
    """A task's error is returned as text, and a cancelled task stays cancelled."""
    with connect_to_cluster(cluster.scheduler_address) as executor:
        with pytest.raises(WorkerError, match="ZeroDivisionError: .* by zero"):
            executor.submit(divmod, 1, 0).result(30)
        with pytest.raises(WorkerError, match="returned a int instead of a key"):
            executor.submit(len, "abc").result(30)
        slow = executor.submit(time.sleep, 60)
        assert slow.cancel()
        assert executor.submit(os.path.split, b"key/csr").result(30) == (b"key", b"csr")


class Bomb:
    """An object that runs code when it is unpickled: it writes the process id to a file."""

    def __init__(self, path) -> None:
        self.path = path

    def __reduce__(self):
        code = f"import os; open({str(self.path)!r}, 'a').write(f'{{os.getpid()}}\\n')"
        return exec, (code,)


def burst(path) -> set[int]:
    """Return the ids of the processes in which a bomb was unpickled."""
    return {int(line) for line in path.read_text().split()}


def test_an_answer_of_a_worker_runs_no_code_in_the_planners_process(cluster, tmp_path, monkeypatch):
    """A worker's answer is unpickled in a child process without the passphrase.

    If it runs code, the run ends with an error.
    """
    marker, seen = tmp_path / "marker", tmp_path / "seen"
    monkeypatch.setenv("LYNCNB_PASSPHRASE", PASSPHRASE)

    def poison(bomb, seen) -> None:
        from lyncnb.export import key_and_csr

        class Answer:
            def __reduce__(self):
                code = f"import os; open({seen!r}, 'w').write(repr(dict(os.environ)))"
                return eval, (f"(exec({bomb!r}), exec({code!r}))",)

        key_and_csr.make_sealed_pair = lambda *arguments: Answer()

    with distributed.Client(cluster) as client:
        client.run(poison, Bomb(marker).__reduce__()[1][0], str(seen))
    with (
        connect_to_cluster(cluster.scheduler_address) as executor,
        pytest.raises(
            BundleError, match="a worker could not create .*instead of a key and a request"
        ),
    ):
        write(numbered(1), tmp_path / "requests", executor=executor)
    assert marker.exists()
    assert os.getpid() not in burst(marker)
    assert PASSPHRASE not in seen.read_text()
    assert list((tmp_path / "requests" / "keys").iterdir()) == []


def test_a_hostile_scheduler_runs_no_code_in_the_planners_process(tmp_path):
    """If another service answers at the address, the error says that it is not a scheduler."""
    marker = tmp_path / "marker"
    with hostile_scheduler(Bomb(marker)) as address:
        with pytest.raises(ClusterError, match="no scheduler answers"):  # noqa: SIM117
            with connect_to_cluster(address, seconds=3):
                pass
        assert marker.exists()
    assert os.getpid() not in burst(marker)


@contextmanager
def hostile_scheduler(bomb):
    """Start a scheduler that sends every client a pickle of `bomb`, and return its address."""
    from distributed.comm import listen
    from distributed.protocol.serialize import ToPickle

    async def answer(comm) -> None:
        with suppress(OSError):
            await comm.write({"status": "OK", "id": ToPickle(bomb)})
            await asyncio.sleep(2)

    loop, ready, addresses = asyncio.new_event_loop(), threading.Event(), []

    async def start() -> None:
        listener = await listen("tcp://127.0.0.1:0", answer)
        addresses.append(listener.contact_address)
        ready.set()

    def run() -> None:
        loop.run_until_complete(start())
        loop.run_forever()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert ready.wait(30)
    yield addresses[0]
    loop.call_soon_threadsafe(loop.stop)
    thread.join()


@pytest.mark.slow
def test_a_cluster_with_tls_makes_the_keys(shell, tmp_path, monkeypatch):
    """A cluster with TLS generates the keys.

    The certificates come from Dask's configuration; if they are missing, an error says so.
    """
    table = shell.write("contoso.csv", TWO_FRONT_ENDS)
    passphrase = shell.write("passphrase", PASSPHRASE)
    security = distributed.Security.temporary()
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, dashboard_address=None, security=security
    ) as started:
        arguments = (
            *("request", table, "requests", "--passphrase-file", passphrase),
            *("--cluster", started.scheduler_address),
        )
        assert started.scheduler_address.startswith("tls://")
        ended = shell(*arguments)
        assert (ended.status, "requires TLS" in ended.err) == (3, True), ended.err
        for name, text in (
            ("CA_FILE", security.tls_ca_file),
            ("CLIENT__CERT", security.tls_client_cert),
            ("CLIENT__KEY", security.tls_client_key),
        ):
            (tmp_path / name).write_text(text)
            monkeypatch.setenv(f"DASK_DISTRIBUTED__COMM__TLS__{name}", str(tmp_path / name))
        ended = shell(*arguments)
    assert (ended.status, "3 created" in ended.out) == (0, True), ended.err


@pytest.mark.parametrize("address", ["tcp://10.0.0.5:8786", "10.0.0.5:8786", "tcp://nowhere", ""])
def test_another_machine_is_reached_by_tls_alone(shell, address):
    """Without TLS, a cluster on another computer is not used and nothing is written, unless the
    planner sets the option.
    """
    table = shell.write("contoso.csv", TWO_FRONT_ENDS)
    passphrase = shell.write("passphrase", PASSPHRASE)
    arguments = ("request", table, "requests", "--passphrase-file", passphrase)
    ended = shell(*arguments, "--cluster", address)
    assert (ended.status, "is not encrypted" in ended.err) == (3, True), ended.err
    assert "--cluster-without-tls" in ended.err
    assert not (shell.folder / "requests").exists()


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "localhost:9", "tcp://[::1]:9", "x://y"])
def test_no_cluster_is_reported_before_anything_is_written(address):
    """A wrong address ends the command before anything is written, with a hint about the right
    value.
    """
    with pytest.raises(ClusterError, match="no scheduler answers") as caught:  # noqa: SIM117
        with connect_to_cluster(address, seconds=0.5, without_tls=True):
            pass
    assert "dask scheduler" in caught.value.hint


def test_a_cluster_without_workers_is_reported():
    """A cluster without workers causes an error, because the run would otherwise wait forever."""
    with (
        distributed.LocalCluster(n_workers=0, dashboard_address=None) as empty,
        pytest.raises(ClusterError, match="has no worker"),
        connect_to_cluster(empty.scheduler_address),
    ):
        pass


def test_without_the_extra_it_says_what_to_install(monkeypatch):
    """If the package distributed is not installed, the error says what to install."""
    monkeypatch.setitem(sys.modules, "distributed", None)
    with (
        pytest.raises(ClusterError, match="is not installed") as caught,
        connect_to_cluster("tcp://127.0.0.1:9"),
    ):
        pass
    assert "lyncnb[cluster]" in caught.value.hint
