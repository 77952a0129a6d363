"""Every executor stores each pair of key and CSR once, can be canceled, and reports its progress."""

from __future__ import annotations

import pickle
import threading
import tracemalloc
from concurrent.futures import Executor, Future, ThreadPoolExecutor

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from folders import planned_certificate

from lyncnb.base.workers import count_cores
from lyncnb.errors import BundleError, PlanError
from lyncnb.export import executors
from lyncnb.export.executors import Exported, Making, Progress, create_pairs, estimate_seconds
from lyncnb.export.key_and_csr import make_pair, open_sealed_pair
from lyncnb.pki import keys
from lyncnb.pki.csr import build_request, parse_request
from lyncnb.pki.hpke import RunKey, seal
from lyncnb.pki.pkcs8 import FolderCipher
from lyncnb.plan.model import build_request_content

WORDS = "correct horse battery"
CIPHER = FolderCipher(WORDS, rounds=1000)


def items(count: int, algorithm: str = "ECDSA", **fields) -> list[tuple[str, object]]:
    """Return the given number of planned certificates with their ids."""
    return [
        (
            f"{algorithm}-{n}",
            planned_certificate(f"s{n}.contoso.com", algorithm=algorithm, **fields),
        )
        for n in range(count)
    ]


class Stored(list):
    """A list in which several threads store pairs of a key and a CSR."""

    def __init__(self):
        super().__init__()
        self.threads: set[str] = set()

    def __call__(self, pair) -> None:
        """Store a pair, and the name of the thread that called the function."""
        self.append(pair)
        self.threads.add(threading.current_thread().name)


def assert_pairs(stored, work) -> None:
    """Check that each planned item has one pair, and that its key, CSR and plan match each other."""
    plans = dict(work)
    assert sorted(pair.id for pair in stored) == sorted(plans)
    assert len({pair.spki_sha256 for pair in stored}) == len(work)
    for pair in stored:
        request = parse_request(pair.csr_pem)
        assert request.content == build_request_content(plans[pair.id])
        assert request.has_valid_signature() is True
        assert keys.is_key_pair(CIPHER.decrypt(pair.key_pem), request.public_key)


@pytest.fixture
def stored() -> Stored:
    """Return an empty store for pairs of a key and a CSR."""
    return Stored()


@pytest.fixture
def processes(monkeypatch):
    """Make the executor use processes if there are at least five ECDSA pairs, with three pairs in
    each task.
    """
    monkeypatch.setattr(executors, "_LOOP_AT_MOST", 4)
    monkeypatch.setattr(executors, "_CHUNK", 3)


def test_threads_create_rsa_keys(stored, monkeypatch):
    """The requested number of threads creates the RSA pairs, and the calling thread stores them."""
    work, busy, most = items(6, "RSA"), [], []

    def watched(*arguments):
        busy.append(arguments[0])
        most.append(len(busy))
        pair = make_pair(*arguments)
        busy.remove(arguments[0])
        return pair

    monkeypatch.setattr(executors, "make_pair", watched)
    assert create_pairs(work, CIPHER, store=stored, options=Making(workers=2)) == Exported(6, False)
    assert_pairs(stored, work)
    assert max(most) == 2
    assert stored.threads == {threading.current_thread().name}


def test_calling_thread_creates_a_few_ecdsa_keys(stored):
    """If there are only a few ECDSA keys, the calling thread creates and stores them and their
    CSRs.
    """
    work = items(20) + items(2, "RSA")
    assert create_pairs(work, CIPHER, store=stored, options=Making(workers=2)) == Exported(
        22, False
    )
    assert_pairs(stored, work)
    assert threading.current_thread().name in stored.threads


def test_processes_create_many_ecdsa_keys(stored, processes):
    """If there are many ECDSA pairs, processes create them, and the calling thread stores them.

    The last task may be smaller.
    """
    work = items(20)
    assert create_pairs(work, CIPHER, store=stored, options=Making(workers=2)) == Exported(
        20, False
    )
    assert_pairs(stored, work)
    assert stored.threads == {threading.current_thread().name}


def test_every_curve_and_size_can_be_planned(stored):
    """lyncnb creates keys and CSRs for every type of key. The test omits RSA 4096 to save time."""
    work = items(1, "RSA", bits=3072)
    work += [
        (f"P-{bits}", planned_certificate("a.contoso.com", algorithm="ECDSA", bits=bits))
        for bits in (256, 384, 521)
    ]
    create_pairs(work, CIPHER, store=stored)
    assert_pairs(stored, work)


def test_empty_plan_calls_nothing():
    """If no certificates are planned, lyncnb calls no function that creates keys."""
    assert create_pairs([], CIPHER, store=None) == Exported(0, False)


def test_progress_counts_to_the_end(stored):
    """After each pair of key and CSR, the progress shows the count, the total, the rate, and the
    remaining time, which is zero at the end.
    """
    steps: list[Progress] = []
    create_pairs(
        items(5) + items(2, "RSA"), CIPHER, store=stored, options=Making(progress=steps.append)
    )
    assert [(step.done, step.total) for step in steps] == [(n, 7) for n in range(1, 8)]
    assert all(step.rate > 0 for step in steps)
    assert steps[-1].seconds_left == pytest.approx(0, abs=1e-6)
    # Creating two RSA keys takes two hundred times as long as creating five ECDSA keys. The RSA
    # keys are created first.
    assert steps[0].seconds_left > steps[1].seconds_left


@pytest.mark.parametrize(
    ("count", "fields", "workers", "seconds"),
    [
        (40, {}, 2, 1.0),  # The estimate is count / (20 x cores) seconds.
        (20, {}, 1, 1.0),
        (20, {"bits": 3072}, 1, 3.3),
        (20, {"bits": 4096}, 1, 9.5),
        (2000, {"algorithm": "ECDSA"}, 1, 1.0),
    ],
)
def test_time_is_estimated_before_starting(count, fields, workers, seconds):
    """lyncnb estimates the time from the number and type of the keys and the number of cores,
    before it creates a key.
    """
    plans = [planned_certificate("a.contoso.com", **fields)] * count
    assert estimate_seconds(plans, workers=workers) == pytest.approx(seconds)


def test_as_many_threads_as_cores_by_default(monkeypatch):
    """The default number of threads is the number of cores that the process may use, and at least
    one.
    """
    assert count_cores() >= 1
    assert estimate_seconds([planned_certificate("a.contoso.com")]) == pytest.approx(
        0.05 / count_cores()
    )
    # Windows and macOS have no function sched_getaffinity.
    monkeypatch.delattr("os.sched_getaffinity", raising=False)
    monkeypatch.setattr("os.cpu_count", lambda: 7)
    assert count_cores() == 7


def build_runs():
    """For each way to run the tasks, return the planned items and the arguments that select this
    way.
    """
    return {
        "threads": (items(12, "RSA"), {"workers": 2}),
        "loop": (items(12), {}),
        "processes": (items(60), {"workers": 2}),
        "executor": (items(12), {"executor": ThreadPoolExecutor(2), "workers": 2}),
    }


@pytest.mark.parametrize("way", build_runs())
def test_a_cancelled_run_keeps_what_is_finished(way, stored, monkeypatch):
    """If a run is canceled after the second pair, no other pair is started, and every pair that was
    counted is stored completely.
    """
    if way == "processes":
        monkeypatch.setattr(executors, "_LOOP_AT_MOST", 4)
        monkeypatch.setattr(executors, "_CHUNK", 3)
    work, options = build_runs()[way]
    cancel = threading.Event()

    def progress(step: Progress) -> None:
        if step.done == 2:
            cancel.set()

    result = create_pairs(
        work, CIPHER, store=stored, options=Making(progress=progress, cancel=cancel, **options)
    )
    assert result == Exported(len(stored), True)
    assert 2 <= len(stored) < len(work)
    assert_pairs(stored, [item for item in work if item[0] in {pair.id for pair in stored}])


@pytest.mark.parametrize("way", build_runs())
def test_an_interrupt_ends_the_run_and_keeps_what_is_finished(way, stored):
    """Ctrl+C ends the run immediately. However, lyncnb still stores the key and CSR of each pair
    that a thread has begun to create.
    """
    work, options = build_runs()[way]

    def progress(step: Progress) -> None:
        if step.done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        create_pairs(work, CIPHER, store=stored, options=Making(progress=progress, **options))
    assert 2 <= len(stored) < len(work)
    assert_pairs(stored, [item for item in work if item[0] in {pair.id for pair in stored}])


@pytest.mark.parametrize("way", build_runs())
def test_failure_of_the_store_ends_the_run(way):
    """If storing a key and its CSR fails, lyncnb raises the exception after it creates at most a
    few more pairs.
    """
    work, options = build_runs()[way]
    calls = []

    def store(pair) -> None:
        calls.append(pair)
        raise BundleError("the disk is full", hint="free some space")

    with pytest.raises(BundleError, match="the disk is full"):
        create_pairs(work, CIPHER, store=store, options=Making(**options))
    assert len(calls) <= 4


@pytest.mark.parametrize("way", build_runs())
def test_invalid_request_raises_a_plan_error(way, stored):
    """If the plan contains an invalid request, every executor raises a PlanError, even if another
    computer creates the request.
    """
    work, options = build_runs()[way]
    algorithm = work[0][1].key.algorithm
    bad = [("bad", planned_certificate("a.contoso.com", algorithm=algorithm, hash="sha1"))]
    with pytest.raises(PlanError, match="cannot be signed with sha1"):
        create_pairs(bad + work[:5], CIPHER, store=stored, options=Making(**options))


class Courier(Executor):
    """An executor that records all data that it sends to workers and all data that they return, so
    that tests can check what an observer of the network would see.
    """

    def __init__(self, change=lambda answer: answer):
        self.sent: list[bytes] = []
        self.returned: list[bytes] = []
        self.under_way = self.most = 0
        self._change = change

    def submit(self, function, /, *arguments, **keywords):
        """Call the function as a worker would, and return the result a hundredth of a second later."""
        call = pickle.dumps((function, arguments, keywords))
        self.sent.append(call)
        future: Future = Future()
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        future.add_done_callback(self._arrived)
        threading.Timer(0.01, self._work, (future, call)).start()
        return future

    def _work(self, future: Future, call: bytes) -> None:
        if not future.set_running_or_notify_cancel():
            return
        function, arguments, keywords = pickle.loads(call)
        answer = self._change(function(*arguments, **keywords))
        self.returned.append(pickle.dumps(answer))
        future.set_result(answer)

    def _arrived(self, _: Future) -> None:
        self.under_way -= 1


def test_no_secret_is_visible_on_the_network(stored):
    """The data that is sent to workers and returned by them contains no passphrase, no derived key
    and no private key.
    """
    work, courier = items(10) + items(2, "RSA"), Courier()
    assert create_pairs(
        work, CIPHER, store=stored, options=Making(executor=courier, workers=5)
    ) == Exported(12, False)
    assert_pairs(stored, work)
    travelled = b"".join(courier.sent + courier.returned)
    assert len(courier.sent) == len(courier.returned) == 12
    secrets = [WORDS.encode(), CIPHER.encryptor.key]
    for pair in stored:
        key = CIPHER.decrypt(pair.key_pem)
        numbers = key.private_numbers()
        private = numbers.private_value if hasattr(numbers, "private_value") else numbers.p
        secrets += [keys.to_pkcs8(key), private.to_bytes(-(-private.bit_length() // 8), "big")]
    assert [secret for secret in secrets if secret in travelled] == []


def test_number_of_pending_tasks_is_limited(stored):
    """The number of tasks that were sent to workers and not yet returned never exceeds the limit."""
    courier = Courier()
    create_pairs(items(40), CIPHER, store=stored, options=Making(executor=courier, workers=3))
    assert (courier.most, len(stored)) == (3, 40)


def break_signature(der: bytes) -> bytes:
    """Return a CSR in which the last bit, which belongs to the signature, is changed."""
    return der[:-1] + bytes([der[-1] ^ 1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda answer: (answer[1], answer[0]), "data that is not a request"),
        (lambda answer: None, "an object of type NoneType instead of a key and a request"),
        (lambda answer: (answer[0], break_signature(answer[1])), "with an invalid signature"),
        (lambda answer: (bytes(len(answer[0])), answer[1]), "data that is not a key"),
    ],
)
def test_wrong_result_of_a_worker_stops_the_run(stored, change, message):
    """If a worker returns a wrong result, the run stops, the result is not stored, and the error
    contains the name of the request.
    """
    with pytest.raises(BundleError, match=message) as caught:
        create_pairs(items(1), CIPHER, store=stored, options=Making(executor=Courier(change)))
    assert "ECDSA-0" in caught.value.message
    assert stored == []


@pytest.mark.parametrize(
    ("algorithm", "key", "message"),
    [
        (
            "ECDSA",
            lambda: ec.generate_private_key(ec.SECP256K1()),
            "the curve of the key is secp256k1",
        ),
        ("RSA", lambda: rsa.generate_private_key(3, 2048), "the exponent of the key is 3"),
    ],
)
def test_weak_key_of_a_worker_is_rejected(algorithm, key, message):
    """If a worker returns a key that has the planned type and size, but is weaker than the keys
    that lyncnb creates, the key is rejected.
    """
    key, run_key = key(), RunKey()
    ((name, certificate),) = items(1, algorithm)
    content = build_request_content(certificate)
    answer = seal(keys.to_pkcs8(key), public=run_key.public, subject=name)
    request = build_request(content, key).der
    with pytest.raises(BundleError, match=message):
        open_sealed_pair(
            name, content, (answer, request), run_key=run_key, encryptor=CIPHER.encryptor
        )


def test_error_of_a_worker_is_reported_with_its_text(stored):
    """If a worker fails, for example because of a missing package, lyncnb shows the worker's error
    message and a hint.
    """

    def lacks(_answer):
        raise ModuleNotFoundError("No module named 'lyncnb'")

    class Broken(ThreadPoolExecutor):
        def submit(self, function, /, *arguments, **keywords):
            return super().submit(lacks, None)

    message = "ECDSA-0: ModuleNotFoundError: No module"
    with Broken(1) as executor, pytest.raises(BundleError, match=message) as caught:
        create_pairs(items(3), CIPHER, store=stored, options=Making(executor=executor))
    assert "install the same versions of lyncnb" in caught.value.hint


def test_executor_that_was_shut_down_is_reported(stored):
    """An executor that accepts no more work ends the run with an error of lyncnb and a hint."""
    executor = ThreadPoolExecutor(1)
    executor.shutdown()
    with pytest.raises(BundleError, match="the executor does not accept any work: .*shutdown") as e:
        create_pairs(items(1), CIPHER, store=stored, options=Making(executor=executor))
    assert "create a new executor" in e.value.hint
    assert stored == []


def test_memory_does_not_grow_with_the_number_of_pairs():
    """If the caller keeps no pairs, creating four times as many pairs does not increase the peak
    memory.
    """
    peaks = []
    for count in (200, 800):
        work = items(count)
        tracemalloc.start()
        create_pairs(work, CIPHER, store=lambda pair: None)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 100_000


@pytest.mark.usefixtures("redirect_dask_files")
def test_dask_workers_make_sealed_pairs(stored):
    """In a cluster of two processes with TLS, the workers create encrypted pairs, which lyncnb
    checks and encrypts again for the folder.
    """
    distributed = pytest.importorskip("distributed")
    work = items(4, "RSA") + items(8)
    with (
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            dashboard_address=None,
            security=distributed.Security.temporary(),
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        assert cluster.scheduler_address.startswith("tls://")
        result = create_pairs(
            work, CIPHER, store=stored, options=Making(executor=client.get_executor(), workers=4)
        )
    assert result == Exported(12, False)
    assert_pairs(stored, work)
