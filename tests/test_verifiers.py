"""Five independent implementations verify the signatures of the requests that lyncnb writes.

OpenSSL, Go, GnuTLS, and NSS verify all requests. Java needs a third of a second for each, so it
verifies about 24. Each implementation must also reject the same requests with one changed bit.
Some tools exit with 0 for any signature; for GnuTLS, the output decides.
"""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cas import BRIEF_JAVA, tool
from folders import planned_certificate

from lyncnb.base.certificate_fields import KeyParameters
from lyncnb.pki import keys
from lyncnb.pki.csr import build_request, parse_request
from lyncnb.plan.model import build_request_content

pytestmark = pytest.mark.tools

# The number of requests in the test: five for each of 24 types. For a longer test, set
# LYNCNB_REQUESTS to 500.
COUNT = int(os.environ.get("LYNCNB_REQUESTS", "120"))
RSA_BITS = (2048, 2048, 2048, 2048, 3072, 4096)
CURVES = (256, 384, 521)
ORGANIZATIONS = ("", "Contoso", 'Fabrikam, "Inc."', "Litware + Söhne; #1", "康托索")


def random_request(chance: random.Random, number: int):
    """Return a random planned request. `number` determines the number of names and the key
    algorithm.
    """
    domain = chance.choice(("contoso.com", "fabrikam.com", "litwareinc.com", "分公司.contoso.com"))
    count = (0, 1, 2, 5, 12, 100)[number % 6]
    names = [f"s{number}-{n}.{domain}" for n in range(count)]
    if count and number % 4 < 2:
        names.append(f"*.{domain}")
    subject = {"organization": chance.choice(ORGANIZATIONS)}
    if not names:
        subject["common_name"] = f"edge{number}.contoso.com"
    elif number % 8 == 0:
        names.insert(0, names.pop())
    algorithm = "ECDSA" if number % 3 == 0 else "RSA"
    return planned_certificate(
        *names,
        algorithm=algorithm,
        bits=chance.choice(CURVES if algorithm == "ECDSA" else RSA_BITS),
        hash=chance.choice(("sha256", "sha256", "sha384", "sha512")),
        usages=chance.choice((("serverAuth",), ("serverAuth", "clientAuth"))),
        locality=chance.choice(("", "臺北", "Taipei")),
        country=chance.choice(("", "TW")),
        **subject,
    )


@pytest.fixture(scope="module")
def plans_made(tmp_path_factory) -> dict[Path, object]:
    """Create requests. All RSA requests share six keys, and each ECDSA request has its own key."""
    chance, folder = random.Random(2013), tmp_path_factory.mktemp("requests")
    reused = {bits: [] for bits in RSA_BITS}
    for bits in RSA_BITS:
        reused[bits].append(keys.generate_key(KeyParameters(bits=bits)))
    plans = {}
    for number in range(COUNT):
        plan = random_request(chance, number)
        pool = reused.get(plan.key.bits)
        key = chance.choice(pool) if pool else keys.generate_key(plan.key)
        path = folder / f"{number:03}.csr"
        path.write_bytes(build_request(build_request_content(plan), key).pem)
        plans[path] = plan
    return plans


@pytest.fixture(scope="module")
def tampered(plans_made, tmp_path_factory) -> list[Path]:
    """Change one bit in the common name or in the signature of each of 24 requests."""
    folder, changed = tmp_path_factory.mktemp("tampered"), []
    for number, (path, plan) in enumerate(list(plans_made.items())[:24]):
        request = parse_request(path.read_bytes())
        name = plan.subject.common_name.encode()
        position = request.der.index(name) if number % 2 else len(request.der) - 1
        der = bytearray(request.der)
        der[position] ^= 1
        changed.append(folder / path.name)
        changed[-1].write_bytes(parse_request(bytes(der)).pem)
    return changed


def find_accepted_files(paths: Sequence[Path], verify: Callable[[Path], bool]) -> set[Path]:
    """Run a program on each file, two at a time, and return the files that the program accepts."""
    with ThreadPoolExecutor(2) as pool:
        return {path for path, good in zip(paths, pool.map(verify, paths), strict=True) if good}


def select_some(paths: Sequence[Path]) -> Sequence[Path]:
    """Return about 24 of the files, at regular intervals."""
    return paths[:: max(1, len(paths) // 24)]


def exits_successfully(*command: object) -> bool:
    """Return whether a program exits with status 0."""
    return subprocess.run(list(map(str, command)), capture_output=True).returncode == 0


def find_accepted_by_openssl(paths: Sequence[Path], _: Path) -> set[Path]:
    """Return the requests whose signature OpenSSL accepts.

    ``openssl req -verify`` fails for an invalid signature since OpenSSL 1.1.1.
    """
    openssl = tool("openssl")
    return find_accepted_files(
        paths, lambda path: exits_successfully(openssl, "req", "-verify", "-noout", "-in", path)
    )


def find_accepted_by_gnutls(paths: Sequence[Path], _: Path) -> set[Path]:
    """Return the requests whose signatures GnuTLS verifies.

    certtool always exits with 0, so its output is searched.
    """
    certtool = tool("certtool")

    def verify(path: Path) -> bool:
        command = [certtool, "--crq-info", "--infile", str(path)]
        result = subprocess.run(command, capture_output=True, text=True)
        return "Self signature: verified" in result.stdout

    return find_accepted_files(paths, verify)


def find_accepted_by_nss(paths: Sequence[Path], folder: Path) -> set[Path]:
    """Return the requests for which the NSS tool certutil issues certificates. The tool rejects
    requests with invalid signatures.
    """
    certutil = tool("certutil")
    (folder / "noise").write_bytes(random.Random(3).randbytes(4096))
    subprocess.run([certutil, "-N", "-d", folder, "--empty-password"], check=True)
    subprocess.run(
        [
            *(certutil, "-S", "-d", folder, "-n", "ca", "-s", "CN=Test CA", "-x", "-t", "C,C,C"),
            *("-k", "ec", "-q", "nistp256", "-m", "1", "-z", folder / "noise"),
        ],
        check=True,
        capture_output=True,
    )

    def verify(path: Path) -> bool:
        issued = folder / f"{path.stem}.crt"
        serial = int(path.stem) + 2
        return (
            exits_successfully(
                certutil,
                "-C",
                "-d",
                folder,
                "-c",
                "ca",
                "-a",
                "-i",
                path,
                "-o",
                issued,
                "-m",
                serial,
            )
            and issued.stat().st_size > 0
        )

    return {path for path in paths if verify(path)}


def find_accepted_by_java(paths: Sequence[Path], _: Path) -> set[Path]:
    """Check every tenth request with Java (keytool -printcertreq), and return the accepted
    requests.
    """
    keytool = tool("keytool")
    options = (*BRIEF_JAVA, "-printcertreq", "-file")
    return find_accepted_files(
        select_some(paths), lambda path: exits_successfully(keytool, *options, path)
    )


#: The results of the Go program, by list of files. They are kept, because two tests need the same
#: results.
_GO_SAID: dict[tuple[Path, ...], dict[Path, list[str]]] = {}


def run_go_program(paths: Sequence[Path], folder: Path) -> dict[Path, list[str]]:
    """Build the Go program without network access, and run it once on all files."""
    if (requested := tuple(paths)) in _GO_SAID:
        return _GO_SAID[requested]
    program = folder / "gorequests"
    source = Path(__file__).parent / "verifiers" / "gorequests" / "main.go"
    # The Go program is built without C and without optimization. Otherwise, compiling Go's library
    # would take most of the time.
    settings = {"GO111MODULE": "off", "GOPROXY": "off", "GOFLAGS": "", "GOTOOLCHAIN": "local"}
    environment = {"HOME": str(folder), **os.environ, **settings, "CGO_ENABLED": "0"}
    command = [tool("go"), "build", "-gcflags=all=-N -l", "-o", program, source]
    subprocess.run(command, check=True, capture_output=True, env=environment)
    output = subprocess.run(
        [program], input="\n".join(map(str, paths)), capture_output=True, text=True, check=True
    ).stdout
    rows = (line.split("\t") for line in output.splitlines())
    return _GO_SAID.setdefault(requested, {Path(name): fields for name, *fields in rows})


def find_accepted_by_go(paths: Sequence[Path], folder: Path) -> set[Path]:
    """Return the requests that Go accepts. Go has the strictest parser, and its function
    CheckSignature verifies the signature.
    """
    return {path for path, answer in run_go_program(paths, folder).items() if answer[0] == "ok"}


VERIFIERS = {
    "OpenSSL": find_accepted_by_openssl,
    "Go": find_accepted_by_go,
    "GnuTLS": find_accepted_by_gnutls,
    "NSS": find_accepted_by_nss,
    "Java": find_accepted_by_java,
}


@pytest.mark.parametrize("verifier", VERIFIERS)
def test_every_request_is_accepted(verifier, plans_made, tmp_path):
    """Each implementation can parse the requests and accepts their signatures. Java verifies only a
    selection of the requests.
    """
    good = VERIFIERS[verifier](list(plans_made), tmp_path)
    requested = set(select_some(list(plans_made))) if verifier == "Java" else set(plans_made)
    assert sorted(path.name for path in requested - good) == []
    assert good == requested


@pytest.mark.parametrize("verifier", VERIFIERS)
def test_every_tampered_request_is_refused(verifier, tampered, tmp_path):
    """If one bit of a request is changed, no implementation accepts the request."""
    assert VERIFIERS[verifier](tampered, tmp_path) == set()


def test_go_finds_the_planned_names(plans_made, tmp_path):
    """Go's parser finds the planned common name and the alternative names in the planned order."""
    answers = run_go_program(list(plans_made), tmp_path)
    parsed_names = {path: (answer[1], answer[2]) for path, answer in answers.items()}
    planned_names = {
        path: (plan.subject.common_name, ",".join(plan.names)) for path, plan in plans_made.items()
    }
    assert parsed_names == planned_names


def test_the_requests_have_every_form(plans_made):
    """The tested requests include RSA and ECDSA keys of every size, wildcards, international names,
    and requests with no names and with 100 names.
    """
    plans = list(plans_made.values())
    assert len(plans) == COUNT
    assert {str(plan.key) for plan in plans} == {
        *("RSA 2048", "RSA 3072", "RSA 4096", "ECDSA 256", "ECDSA 384", "ECDSA 521")
    }
    assert {len(plan.names) for plan in plans} >= {0, 1, 2, 5, 12, 100, 101}
    assert any(plan.subject.common_name.startswith("*.") for plan in plans)
    assert any(name.startswith("xn--") or ".xn--" in name for plan in plans for name in plan.names)
    assert {plan.hash for plan in plans} == {"sha256", "sha384", "sha512"}
