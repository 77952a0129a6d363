"""A Dask cluster can create the keys, even if it loses a worker.

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
from folders import PASSPHRASE, assert_complete, plan_of_servers, write
from shell_kit import make_shell
from topologies import TWO_FRONT_ENDS

from lyncnb.errors import BundleError, ClusterError
from lyncnb.export.cluster import WorkerError, connect_to_cluster

distributed = pytest.importorskip("distributed")

pytestmark = pytest.mark.usefixtures("quick_cipher", "redirect_dask_files")
shell = pytest.fixture(make_shell)


@pytest.fixture
def cluster():
    """Start a Dask scheduler and two workers in separate processes."""
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as started:
        yield started


def test_command_uses_a_cluster_for_the_keys(shell, cluster):
    """With the cluster option, the request command writes the same folder as without it."""
    table = shell.write("contoso.csv", TWO_FRONT_ENDS)
    passphrase = shell.write("passphrase", PASSPHRASE)
    arguments = ("request", table, "requests", "--passphrase-file", passphrase)
    result = shell(*arguments, "--cluster", cluster.scheduler_address)
    assert (result.status, "3 requests in the folder requests: 3 created" in result.out) == (
        0,
        True,
    ), result.err
    assert "3 kept" in shell(*arguments).out


def test_other_worker_replaces_a_lost_one(cluster, tmp_path):
    """If one worker of the cluster is killed, the other worker creates the remaining requests."""
    plan = plan_of_servers(60)
    victim = next(iter(cluster.workers.values())).pid
    with connect_to_cluster(cluster.scheduler_address) as executor:

        def kill(step) -> None:
            if step.done == 5:
                os.kill(victim, signal.SIGKILL)

        bundle = write(plan, tmp_path / "requests", executor=executor, workers=8, progress=kill)
    assert bundle.counts() == {"created": 60}
    assert_complete(tmp_path / "requests", plan)


def test_failed_and_canceled_tasks_are_reported(cluster):
    """If a task in the cluster fails, lyncnb raises an error with the text of the original error. A
    task that has not ended can be canceled.
    """
    with connect_to_cluster(cluster.scheduler_address) as executor:
        with pytest.raises(WorkerError, match="ZeroDivisionError: .* by zero"):
            executor.submit(divmod, 1, 0).result(30)
        with pytest.raises(WorkerError, match="returned an object of type int instead of a key"):
            executor.submit(len, "abc").result(30)
        slow = executor.submit(time.sleep, 60)
        assert slow.cancel()
        assert executor.submit(os.path.split, b"key/csr").result(30) == (b"key", b"csr")


class Bomb:
    """A test object that runs code when it is unpickled. The code writes its process id to a file."""

    def __init__(self, path) -> None:
        self.path = path

    def __reduce__(self):
        code = f"import os; open({str(self.path)!r}, 'a').write(f'{{os.getpid()}}\\n')"
        return exec, (code,)


def process_ids(path) -> set[int]:
    """Return the ids of the processes in which a test object was unpickled."""
    return {int(line) for line in path.read_text().split()}


def test_worker_cannot_run_code_in_the_main_process(cluster, tmp_path, monkeypatch):
    """The response of a worker is unpickled in a child process that does not have the passphrase.

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
            BundleError, match="the worker .* could not create .*instead of a key and a request"
        ),
    ):
        write(plan_of_servers(1), tmp_path / "requests", executor=executor)
    assert marker.exists()
    assert os.getpid() not in process_ids(marker)
    assert PASSPHRASE not in seen.read_text()
    assert list((tmp_path / "requests" / "keys").iterdir()) == []


def test_hostile_scheduler_cannot_run_code_in_the_main_process(tmp_path):
    """If the service at the cluster's address is not a Dask scheduler, the error message names this
    cause, and no code from the service runs in the main process.
    """
    marker = tmp_path / "marker"
    with hostile_scheduler(Bomb(marker)) as address:
        with pytest.raises(ClusterError, match="no scheduler answers"):  # noqa: SIM117
            with connect_to_cluster(address, seconds=3):
                pass
        assert marker.exists()
    assert os.getpid() not in process_ids(marker)


@contextmanager
def hostile_scheduler(bomb):
    """Start a scheduler that sends every client a pickled object that runs code, and return its
    address.
    """
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
    """A Dask cluster that uses TLS can create the keys.

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
        result = shell(*arguments)
        assert (result.status, "requires TLS" in result.err) == (3, True), result.err
        for name, text in (
            ("CA_FILE", security.tls_ca_file),
            ("CLIENT__CERT", security.tls_client_cert),
            ("CLIENT__KEY", security.tls_client_key),
        ):
            (tmp_path / name).write_text(text)
            monkeypatch.setenv(f"DASK_DISTRIBUTED__COMM__TLS__{name}", str(tmp_path / name))
        result = shell(*arguments)
    assert (result.status, "3 created" in result.out) == (0, True), result.err


@pytest.mark.parametrize("address", ["tcp://10.0.0.5:8786", "10.0.0.5:8786", "tcp://nowhere", ""])
def test_cluster_on_another_computer_requires_tls(shell, address):
    """Without --cluster-without-tls, lyncnb rejects a cluster on another computer that does not use
    TLS, and writes nothing.
    """
    table = shell.write("contoso.csv", TWO_FRONT_ENDS)
    passphrase = shell.write("passphrase", PASSPHRASE)
    arguments = ("request", table, "requests", "--passphrase-file", passphrase)
    result = shell(*arguments, "--cluster", address)
    assert (result.status, "is not encrypted" in result.err) == (3, True), result.err
    assert "--cluster-without-tls" in result.err
    assert not (shell.folder / "requests").exists()


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "localhost:9", "tcp://[::1]:9", "x://y"])
def test_missing_cluster_is_reported_first(address):
    """If the address of the cluster is wrong, the command ends before it writes a file. A hint
    explains the correct address.
    """
    with pytest.raises(ClusterError, match="no scheduler answers") as caught:  # noqa: SIM117
        with connect_to_cluster(address, seconds=0.5, without_tls=True):
            pass
    assert "dask scheduler" in caught.value.hint


def test_a_cluster_without_workers_is_reported():
    """If a cluster has no workers, lyncnb reports an error at once instead of waiting forever."""
    with (
        distributed.LocalCluster(n_workers=0, dashboard_address=None) as empty,
        pytest.raises(ClusterError, match="has no worker"),
        connect_to_cluster(empty.scheduler_address),
    ):
        pass


def test_missing_package_is_reported(monkeypatch):
    """If the Python package `distributed` is not installed, the error says what to install."""
    monkeypatch.setitem(sys.modules, "distributed", None)
    with (
        pytest.raises(ClusterError, match="is not installed") as caught,
        connect_to_cluster("tcp://127.0.0.1:9"),
    ):
        pass
    assert "pip install distributed" in caught.value.hint


GARBAGE = {
    "no pair": "return 5",
    "text": "return ('a', 'b')",
    "three parts": "return (b'a', b'b', b'c')",
    "empty parts": "return (b'', b'')",
    "no request": "return (real(*arguments)[0], b'junk')",
    "no key": "return (b'junk', real(*arguments)[1])",
    "other request": "return real('other', *arguments[1:])",
    "error": "raise OSError('disk full')",
}


@pytest.mark.parametrize("kind", GARBAGE)
def test_garbage_from_a_worker_names_the_worker(cluster, tmp_path, kind):
    """If a worker sends anything but a key and its request, the run ends and names the worker, and
    does not speak of a damaged file or a backup.
    """
    code = f"def answer(*arguments):\n    {GARBAGE[kind]}"

    def spoil(code) -> None:
        from lyncnb.export import key_and_csr

        if not hasattr(key_and_csr, "real"):
            key_and_csr.real = key_and_csr.make_sealed_pair
        names = {"real": key_and_csr.real}
        exec(code, names)
        key_and_csr.make_sealed_pair = names["answer"]

    def mend() -> None:
        from lyncnb.export import key_and_csr

        key_and_csr.make_sealed_pair = key_and_csr.real

    with distributed.Client(cluster) as client:
        client.run(spoil, code)
        addresses = [*client.scheduler_info()["workers"]]
    try:
        with (
            connect_to_cluster(cluster.scheduler_address) as executor,
            pytest.raises(BundleError) as caught,
        ):
            write(plan_of_servers(1), tmp_path / "requests", executor=executor)
    finally:
        with distributed.Client(cluster) as client:
            client.run(mend)
    assert any(address in caught.value.message for address in addresses), caught.value.message
    assert "backup" not in f"{caught.value.message} {caught.value.hint}"
    assert list((tmp_path / "requests" / "keys").iterdir()) == []


def test_missing_certificate_file_of_a_cluster_is_named(monkeypatch):
    """If a file in Dask's TLS configuration is missing, the error names the file."""
    monkeypatch.setenv("DASK_DISTRIBUTED__COMM__TLS__CA_FILE", "/nowhere/ca.pem")
    with (
        pytest.raises(ClusterError, match=r"/nowhere/ca\.pem does not exist"),
        connect_to_cluster("tls://127.0.0.1:9", seconds=1),
    ):
        pass


@pytest.mark.slow
def test_wrong_certificates_of_a_cluster_give_the_reason_of_tls(tmp_path, monkeypatch):
    """If the scheduler has a certificate from another CA, the error contains the reason of TLS."""
    security, other = distributed.Security.temporary(), distributed.Security.temporary()
    for name, text in (
        ("CA_FILE", other.tls_ca_file),
        ("CLIENT__CERT", other.tls_client_cert),
        ("CLIENT__KEY", other.tls_client_key),
    ):
        (tmp_path / name).write_text(text)
        monkeypatch.setenv(f"DASK_DISTRIBUTED__COMM__TLS__{name}", str(tmp_path / name))
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=1, dashboard_address=None, security=security
        ) as started,
        pytest.raises(ClusterError, match=r"TLS connection to .* failed: .*(?i:certificate)"),
        connect_to_cluster(started.scheduler_address, seconds=5),
    ):
        pass
