"""Compare the CPU time to create packages with the time of plain serialization, and compare two
processes with one process.

    python tests/benchmarks/bench_packages.py [COUNT]

Run it manually. Keys and certificates are created once. The same packages are then created in turn
in several rounds, and the medians of each round's ratios are printed.
"""

from __future__ import annotations

import resource
import statistics
import sys
import time
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import NameOID

from lyncnb.base.workers import count_cores
from lyncnb.deploy.package_passwords import generate_password
from lyncnb.deploy.pfx_packages import Task, make_packages
from lyncnb.pki.keys import to_pkcs8
from lyncnb.pki.pkcs12 import KDF_ROUNDS, PfxContent

PROVIDER = "Microsoft RSA SChannel Cryptographic Provider"
ROUNDS = 5


def make_keys_and_certificates(count: int) -> list[tuple[rsa.RSAPrivateKey, x509.Certificate]]:
    """Create a few keys and certificates, and return a list that contains each of them several
    times.
    """
    pairs = []
    for number in range(8):
        key = rsa.generate_private_key(65537, 2048)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"fe{number:02}.contoso.com")])
        builder = x509.CertificateBuilder(
            name, name, key.public_key(), number + 1, datetime(2026, 1, 1), datetime(2030, 1, 1)
        )
        pairs.append((key, builder.sign(key, hashes.SHA256())))
    return [pairs[number % len(pairs)] for number in range(count)]


def create_plain_pfx_files(pairs: list, password: bytes) -> None:
    """Create PFX files with the cryptography library alone, with the same key derivation as lyncnb."""
    for key, certificate in pairs:
        encryption = (
            serialization.PrivateFormat.PKCS12.encryption_builder()
            .kdf_rounds(KDF_ROUNDS)
            .key_cert_algorithm(pkcs12.PBES.PBESv1SHA1And3KeyTripleDESCBC)
            .hmac_hash(hashes.SHA1())
            .build(password)
        )
        pkcs12.serialize_key_and_certificates(b"name", key, certificate, None, encryption)


def tasks(pairs: list) -> list[Task]:
    """Return the tasks that create the packages of a request folder."""
    return [
        Task(
            content=PfxContent(
                certificate=certificate.public_bytes(serialization.Encoding.DER),
                chain=(),
                friendly_name="fe01.contoso.com Default",
                encryption="3des-sha1",
                provider=PROVIDER,
            ),
            key=to_pkcs8(key),
            password=generate_password(),
        )
        for key, certificate in pairs
    ]


def time_call(work) -> tuple[float, float]:
    """Call a function, and return its wall-clock and CPU seconds, including child processes."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    children = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - wall, time.process_time() - cpu + children


def main(count: int) -> None:
    """Measure the time to create packages. Print the ratio of CPU times with and without lyncnb,
    and the ratio of run times with one process and with several.
    """
    pairs = make_keys_and_certificates(count)
    work = tasks(pairs)
    cpu_ratios, wall_ratios = [], []
    for _ in range(ROUNDS):
        _, bare_cpu = time_call(lambda: create_plain_pfx_files(pairs, b"Abcdefghij0123456789Xy"))
        one_wall, one_cpu = time_call(lambda: make_packages(work, workers=1))
        many_wall, _ = time_call(lambda: make_packages(work))
        cpu_ratios.append(one_cpu / bare_cpu)
        wall_ratios.append(one_wall / many_wall)
    print(f"{count} packages, {count_cores()} cores, {ROUNDS} rounds, medians")
    print(f"CPU against the bare serialisation: {statistics.median(cpu_ratios):.2f}")
    print(f"one process against {count_cores()}: {statistics.median(wall_ratios):.2f} x")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
