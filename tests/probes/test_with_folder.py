"""If a request folder is specified, a probe finds the request for each certificate that a server
presents.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from folders import PASSPHRASE, certify, make_folder, make_plan, quick_cipher
from live_servers import hang, run_tcp_server, speak_tls
from topologies import TWO_FRONT_ENDS

import lyncnb as ln
from lyncnb.cli import main
from lyncnb.probes.targets import list_targets

pytestmark = pytest.mark.usefixtures("quick_cipher")
__all__ = ["quick_cipher"]

TODAY = datetime.now(UTC).date()


def write_server_pem(folder: Path, request: str, destination: Path) -> Path:
    """Write the key and the certificates of a request to one file, for a test server."""
    record = ln.open_requests(folder).manifest.by_id[request]
    key = load_pem_private_key((folder / record.files.key).read_bytes(), PASSPHRASE.encode())
    text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    destination.mkdir(exist_ok=True)
    path = destination / f"{request}-{record.generation}.pem"
    chain = (folder / record.issued.chain).read_bytes() if record.issued.chain else b""
    path.write_bytes(text + (folder / record.issued.file).read_bytes() + chain)
    return path


@contextmanager
def run_servers(plan, pairs: dict[str, Path], work_folder: Path):
    """Run a server for each port of each request, and yield the hosts file."""
    work_folder.mkdir(exist_ok=True)
    hosts, lines = work_folder / "hosts.txt", []
    with ExitStack() as stack:
        for target in list_targets(plan).ports:
            if target.server:
                pair = pairs[target.planned[0]]
                server = stack.enter_context(run_tcp_server(speak_tls([pair])))
                lines.append(f"{target.host} {target.port} 127.0.0.1:{server.port}\n")
        hosts.write_text("".join(lines))
        yield hosts


def issued_folder(parent: Path, name: str = "requests"):
    """Return a plan and its request folder, in which all certificates are issued."""
    plan, folder = make_plan(TWO_FRONT_ENDS.encode()), parent / name
    bundle = make_folder(folder, plan, today=TODAY)
    certify(folder, *(record.id for record in bundle.requests), today=TODAY)
    return plan, folder


@pytest.fixture
def rolled(tmp_path):
    return issued_folder(tmp_path)


def test_old_certificates_of_a_request_are_recognized(rolled, tmp_path):
    """If a server presents the newest certificate of a request, the probe reports no difference. If
    the server presents an older certificate of the request, the probe reports it as different.
    """
    plan, folder = rolled
    ids = [certificate.id for certificate in plan.certificates if certificate.pool]
    before = {identity: write_server_pem(folder, identity, tmp_path) for identity in ids}
    with run_servers(plan, before, tmp_path) as hosts:
        report = ln.probe(plan, hosts=hosts, folder=folder)
    assert report.exit_status == 0, report
    assert report.notes == ()
    assert {line.request for line in report.seen if line.place} == {
        f"request {identity}, generation 1" for identity in ids
    }
    assert {entry.state for entry in report.as_is.planned} == {"covered", "not-seen"}

    ln.write_requests(
        plan, folder, passphrase=PASSPHRASE, renew=ids[:1], reason="yearly renewal", findings=()
    )
    certify(folder, ids[0], today=TODAY)
    after = before | {ids[0]: write_server_pem(folder, ids[0], tmp_path)}
    with run_servers(plan, before, tmp_path) as hosts:
        report = ln.probe(plan, hosts=hosts, folder=folder)
    different = [line for line in report.seen if line.result == "different"]
    assert {line.id for line in different} == {ids[0]}
    assert different[0].request == f"request {ids[0]}, generation 1"
    assert f"request {ids[0]}, generation 2. If you already assigned" in different[0].remarks[0]
    with run_servers(plan, after, tmp_path) as hosts:
        assert ln.probe(plan, hosts=hosts, folder=folder).exit_status == 0


def test_probed_certificates_are_recorded_as_installed(rolled, tmp_path):
    """Users can save the result of a probe, and then record the certificates in the result as
    installed.
    """
    plan, folder = rolled
    ids = [certificate.id for certificate in plan.certificates if certificate.pool]
    pairs = {identity: write_server_pem(folder, identity, tmp_path) for identity in ids}
    with run_servers(plan, pairs, tmp_path) as hosts:
        report = ln.probe(plan, hosts=hosts, folder=folder)
    saved = tmp_path / "seen.json"
    saved.write_bytes(report.as_is.to_json())
    recorded = ln.deployed(folder, reports=[saved])
    assert {record.id: record.servers for record in recorded.recorded} == {
        certificate.id: certificate.servers for certificate in plan.certificates if certificate.pool
    }
    records = ln.open_requests(folder).manifest.by_id
    assert all(records[identity].deployments for identity in ids)


def test_a_server_with_an_old_certificate_on_one_port_is_not_recorded(rolled, tmp_path):
    """While one port of a server presents an old certificate, lyncnb does not record the new
    certificate as installed.
    """
    plan, folder = rolled
    ids = [certificate.id for certificate in plan.certificates if certificate.pool]
    before = {identity: write_server_pem(folder, identity, tmp_path) for identity in ids}
    ln.write_requests(
        plan, folder, passphrase=PASSPHRASE, renew=ids, reason="yearly renewal", findings=()
    )
    certify(folder, *ids, today=TODAY)
    after = {identity: write_server_pem(folder, identity, tmp_path) for identity in ids}
    with (
        run_servers(plan, after, tmp_path) as hosts,
        run_servers(plan, before, tmp_path / "old") as old,
    ):
        first = next(line for line in old.read_text().splitlines() if " 5061 " in line)
        lines = hosts.read_text().splitlines()
        hosts.write_text("\n".join([first, *(line for line in lines if line[:21] != first[:21])]))
        report = ln.probe(plan, hosts=hosts, folder=folder)
    saved = tmp_path / "seen.json"
    saved.write_bytes(report.as_is.to_json())
    recorded = ln.deployed(folder, reports=[saved])
    server = first.partition(" ")[0]
    assert [record.servers for record in recorded.recorded] == [
        certificate.servers
        for certificate in plan.certificates
        if certificate.pool and server not in certificate.servers
    ]


def test_a_compromised_key_is_different(rolled, tmp_path):
    """The result for a server that still presents a certificate with a compromised key is
    "different".
    """
    plan, folder = rolled
    ids = [certificate.id for certificate in plan.certificates if certificate.pool]
    pairs = {identity: write_server_pem(folder, identity, tmp_path) for identity in ids}
    ln.renew(folder, ids[0], passphrase=PASSPHRASE, reason="key compromise", compromised=True)
    with run_servers(plan, pairs, tmp_path) as hosts:
        report = ln.probe(plan, hosts=hosts, folder=folder)
    remarks = {line.id: line.remarks for line in report.seen if line.result == "different"}
    assert (
        "the request folder records that the key of this certificate is compromised"
        in remarks[ids[0]]
    )
    assert {entry.owner: entry.state for entry in report.as_is.planned}["fe01.contoso.net"] == (
        "compromised"
    )


def test_a_folder_without_ca_certificates_is_refused(rolled, tmp_path):
    """If a folder contains neither requests nor CA certificates, the probe reports an error."""
    plan, _ = rolled
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("nothing")
    with pytest.raises(ln.ReturnedFileError, match="neither requests nor CA certificates"):
        ln.probe(plan, folder=tmp_path / "other")


def test_a_request_folder_can_be_probed(rolled, tmp_path, monkeypatch, capsys):
    """A probe of a request folder uses the plan in the folder, and recognizes the certificates."""
    plan, folder = rolled
    ids = [certificate.id for certificate in plan.certificates if certificate.pool]
    pairs = {identity: write_server_pem(folder, identity, tmp_path) for identity in ids}
    monkeypatch.chdir(tmp_path)
    with run_servers(plan, pairs, tmp_path) as hosts:
        assert main(["probe", "requests", "--hosts", str(hosts)]) == 0
    output = " ".join(capsys.readouterr().out.split())
    assert "as planned: fe01.contoso.net ports 443, 444, 4443, 5061: " in output
    assert f"request {ids[0]}, generation 1" in output
    (folder / "plan.json").write_bytes(b"{}")
    assert main(["probe", "requests", "--hosts", str(hosts)]) == 3
    assert "plan.json differs from the plan on record" in capsys.readouterr().err


def test_ctrl_c_shows_the_results_so_far(rolled, tmp_path):
    """After Ctrl+C, the command prints the results so far and ends with exit status 1."""
    with run_tcp_server(hang) as mute:
        lines = f"fe01.contoso.net 444 127.0.0.1:1\nfe01.contoso.net 443 127.0.0.1:{mute.port}\n"
        (tmp_path / "hosts.txt").write_text(lines)
        with subprocess.Popen(
            [Path(sys.executable).with_name("lyncnb"), "probe", "requests", "--hosts", "hosts.txt"],
            cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        ) as process:  # fmt: skip
            while not mute.connections:
                time.sleep(0.02)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert err == "lyncnb stops, and shows the results so far\n"
    assert "refused: fe01.contoso.net port 444 at 127.0.0.1:1: no service listens" in out
    assert "lyncnb did not connect to this port, because the probe was stopped" in " ".join(
        out.split()
    )
