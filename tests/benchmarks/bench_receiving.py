"""Measure how long matching, verifying, comparing and storing returned certificates takes. This
benchmark is run manually.

    python tests/benchmarks/bench_receiving.py [COUNT ...]

COUNT certificates (default 1,000, 10,000) for RSA-2048 requests with five names, signed by an
RSA-2048 issuing CA, are returned as one PKCS #7 file each (server certificate, issuing CA, root).
The requests use a few keys with other moduli pasted in, because only their public keys matter here.
"""

from __future__ import annotations

import resource
import shutil
import sys
import tempfile
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from cas.python_ca import PythonCa, issue, p7b
from cryptography.hazmat.primitives.asymmetric import rsa

from lyncnb.authorities.import_certificates import receive
from lyncnb.authorities.returned.match_certificates import match_certificates
from lyncnb.base.planned_entry import PlannedEntry, PlannedKey
from lyncnb.pki.keys import compute_spki_sha256
from lyncnb.request_folder.bundle import open_requests
from lyncnb.request_folder.manifest import Manifest, save_manifest
from lyncnb.request_folder.request_record import RequestRecord, list_current_files

TODAY = date(2026, 11, 24)
SEED = rsa.generate_private_key(65537, 2048).public_key().public_numbers()


def entry(number: int) -> PlannedEntry:
    """Return the entry for one Front End Server in the JSON document of a plan."""
    pool = f"pool{number // 12:05}.contoso.com"
    names = [pool, f"fe{number:06}.contoso.com", "sip.contoso.com", "meet.contoso.com"]
    return PlannedEntry(
        id=f"FrontEnd-fe{number:06}-contoso-com-{number:08x}",
        role="FrontEnd",
        site="Taipei",
        pool=pool,
        servers=(names[1],),
        usages=("Default", "WebServicesInternal", "WebServicesExternal"),
        subject={"CN": pool},
        san=(*names, "dialin.contoso.com"),
        eku=("serverAuth",),
        issuer="internal",
        key=PlannedKey(algorithm="RSA", bits=2048),
        hash="sha256",
        shared_by="server",
    )


def lay_out(folder: Path, count: int, ca: PythonCa) -> Path:
    """Write a manifest with `count` waiting requests, create their certificates, and return the
    folder with the certificates.
    """
    answers = folder / "answers"
    answers.mkdir(parents=True)
    records, begins = [], datetime.combine(TODAY, datetime.min.time(), UTC) - timedelta(days=1)
    for number in range(count):
        plan = entry(number)
        key = rsa.RSAPublicNumbers(SEED.e, SEED.n + 2 * (number + 1)).public_key()
        leaf = issue(
            key, ca.issuing.subject, ca.key, begins=begins,
            subject=[("CN", plan.common_name)], san=plan.san,
        )  # fmt: skip
        (answers / f"{number:06}.p7b").write_bytes(p7b(leaf, *ca.chain))
        records.append(
            RequestRecord(
                id=plan.id,
                state="waiting",
                files=list_current_files(plan.id),
                csr_sha256="0" * 64,
                spki_sha256=compute_spki_sha256(key),
                key_sha256="0" * 64,
                plan=plan,
            )
        )
    requests = folder / "requests"
    requests.mkdir(mode=0o700)
    save_manifest(requests, Manifest(product="lync2013", requests=tuple(records)))
    return answers


def time_call(label: str, count: int, work):
    """Run a function, print its wall-clock and CPU seconds, and return its result."""
    clock, cpu = time.perf_counter(), time.process_time()
    result = work()
    clock, cpu = time.perf_counter() - clock, time.process_time() - cpu
    print(f"  {label:<34} {clock:7.2f} s  ({cpu:6.2f} s CPU, {cpu / count * 1e3:5.2f} ms each)")
    return result


def measure(count: int, ca: PythonCa) -> None:
    """Measure the time to receive the given number of certificates."""
    temp_folder = Path(tempfile.mkdtemp(prefix="lyncnb-bench-"))
    try:
        answers = lay_out(temp_folder, count, ca)
        folder = temp_folder / "requests"
        print(f"{count:,} certificates")
        bundle = time_call("open the folder", count, lambda: open_requests(folder))
        issued = time_call(
            "match, verify, compare", count,
            lambda: match_certificates(bundle, answers, today=TODAY),
        )  # fmt: skip
        assert len(issued.certificates) == count
        assert issued.exit_status == 0, issued.findings
        time_call(
            "receive (the same, and keep)", count, lambda: receive(folder, answers, today=TODAY)
        )
        time_call("receive again", count, lambda: receive(folder, answers, today=TODAY))
        time_call(
            "match what was kept", count,
            lambda: match_certificates(open_requests(folder), today=TODAY),
        )  # fmt: skip
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"  peak memory of the process so far  {peak:7.0f} MB")
    finally:
        shutil.rmtree(temp_folder)


if __name__ == "__main__":
    ca = PythonCa(make_key=lambda: rsa.generate_private_key(65537, 2048))
    for number in map(int, sys.argv[1:] or ["1000", "10000"]):
        measure(number, ca)
