"""Run the batch file `submit.cmd` as on Windows, but with a simulated certreq."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from folders import make_folder, make_plan
from wine_cmd import WineCmd, needs_wine, wine_cmd

from lyncnb.authorities.handover import hand_over
from lyncnb.authorities.submission import build_submit_script

__all__ = ["wine_cmd"]
pytestmark = needs_wine

FIRST, SECOND, THIRD = "Edge-edge01-0a1b2c3d", "FrontEnd-ee01-0a1b2c3d", "Mediation-med01-0a1b2c3d"
CA = r"ca01.contoso.com\Contoso CA (1)"
PENDING = (
    'RequestId: {0}\nRequestId: "{0}"\nCertificate request is pending: Taken Under Submission (0)\n'
)
ISSUED = 'RequestId: {0}\nRequestId: "{0}"\nCertificate retrieved(Issued) Issued\n'
UNREACHABLE = (
    "Certificate Request Processor: The RPC server is unavailable. 0x800706ba (WIN32: 1722)\n"
)


class Package:
    """An extracted package, and a CA that answers its requests."""

    def __init__(self, folder: Path, windows: WineCmd, *ids: str, config: str = ""):
        self.place, self.windows = folder, windows
        self.answers, self.log, self.ca = folder / "answers", folder / "log.txt", folder / "ca"
        (folder / "csr").mkdir(parents=True)
        self.ca.mkdir()
        for request_id in ids:
            (folder / "csr" / f"{request_id}.csr").write_text("a request")
        script = build_submit_script(ids, template="WebServer", config=config)
        (folder / "submit.cmd").write_bytes(script)

    def set_ca_message(self, request_id: str, text: str, *, certificate: bool = False) -> None:
        """Set the message that the CA returns for a request, and optionally issue its certificate."""
        (self.ca / f"{request_id}.txt").write_bytes(text.replace("\n", "\r\n").encode())
        if certificate:
            (self.ca / f"{request_id}.cer").write_text("a certificate")

    def run(self, typed: str = "") -> tuple[int, str]:
        return self.windows.run(
            self.place / "submit.cmd", typed, CERTREQ_LOG=self.log, CERTREQ_ANSWERS=self.ca
        )

    @property
    def submitted(self) -> list[str]:
        """Return the id of every request that was submitted, in order."""
        calls = [line.split("|") for line in self.log.read_text().splitlines()]
        return [Path(call[5].replace("\\", "/")).stem for call in calls if call[0] == "-submit"]


def test_script_prompts_once_and_submits_each_request_once(wine_cmd, tmp_path):
    """The batch file prompts for the CA only once, and submits each request only once.

    A second run submits nothing and retrieves the issued certificates.
    """
    package = Package(tmp_path / "part one", wine_cmd, FIRST, SECOND)
    package.set_ca_message(FIRST, ISSUED.format(11), certificate=True)
    package.set_ca_message(SECOND, PENDING.format(12))
    status, output = package.run(f'"{CA}"\n')
    assert status == 1
    assert output.count("Which CA issues these certificates?") == 1
    assert f'certreq -retrieve -config "{CA}" 12 "answers\\{SECOND}.cer"' in output
    assert "1 issued, 1 waiting at the CA, 0 not submitted." in output
    first, second = (line.split("|") for line in package.log.read_text().splitlines())
    assert first == [
        *("-submit", "-config", CA, "-attrib", "CertificateTemplate:WebServer"),
        *(f"csr\\{FIRST}.csr", f"answers\\{FIRST}.cer", f"answers\\{FIRST}.p7b"),
    ]
    assert second[:3] == first[:3]
    assert "RequestId: 12" in (package.answers / f"{SECOND}.txt").read_text()

    package.set_ca_message(SECOND, ISSUED.format(12), certificate=True)
    status, output = package.run()
    assert status == 0
    assert "Which CA" not in output
    assert "2 issued, 0 waiting at the CA, 0 not submitted." in output
    assert package.submitted == [FIRST, SECOND]
    assert package.log.read_text().splitlines()[-1].startswith(f"-retrieve|-config|{CA}|12|")
    assert (package.answers / f"{SECOND}.p7b").is_file()


def test_script_asks_before_it_submits_again(wine_cmd, tmp_path):
    """After an unknown message or an interrupted submission, the batch file asks before it submits
    the request again. The default answer is no.
    """
    package = Package(tmp_path / "part", wine_cmd, FIRST, SECOND, THIRD, config=CA)
    package.set_ca_message(
        FIRST, UNREACHABLE + 'Policy: x: "y" & (z)! 7\nSee: http://ca01.contoso.com:80\n'
    )
    # For the second request, certreq returns its message in French.
    package.set_ca_message(SECOND, "ID de demande : 12\n")
    package.set_ca_message(THIRD, PENDING.format(13))
    package.answers.mkdir()
    # The computer was switched off during the submission, so certreq wrote no result.
    (package.answers / f"{THIRD}.txt").write_text("")
    status, output = package.run("n\n")
    assert status == 1
    assert "Which CA" not in output
    assert "The RPC server is unavailable" in output
    assert "0 issued, 1 waiting at the CA, 2 not submitted." in output
    assert package.submitted == [FIRST, SECOND]
    assert not (package.answers / f"{FIRST}.txt").exists()
    assert "0x800706ba" in (package.answers / f"{FIRST}.failed.txt").read_text()

    package.set_ca_message(FIRST, PENDING.format(14))
    status, output = package.run("y\n")
    assert output.count("Submit such requests again (y/n)?") == 1
    assert "0 issued, 3 waiting at the CA, 0 not submitted." in output
    assert package.submitted == [FIRST, SECOND, FIRST, THIRD]
    assert not list(package.answers.glob("*.failed.txt"))


@pytest.mark.parametrize("typed", ["\n", "Contoso CA\n"])
def test_without_a_ca_nothing_is_submitted(wine_cmd, tmp_path, typed):
    """If the CA's name is empty or has no host, the batch file ends without submitting a request."""
    package = Package(tmp_path / "part", wine_cmd, FIRST)
    status, output = package.run(typed)
    assert status == 1
    assert "nothing was submitted" in output
    assert not package.log.exists()


def test_two_internal_cas_are_kept_apart(wine_cmd, tmp_path):
    """If a plan has two internal CAs, the package has a folder for each CA, with a batch file and
    only the requests for that CA.
    """
    cas = {"internal": r"ca01.contoso.com\Contoso CA 1", "Edge": r"ca02.contoso.com\Contoso CA 2"}
    plan = make_plan(ca=cas, issuer={"Edge": "internal"})
    packed = hand_over(make_folder(tmp_path / "requests", plan).folder, tmp_path / "out.zip")
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        archive.extractall(tmp_path / "out")
    ids_by_ca = {}
    for part in packed.parts:
        part_folder = tmp_path / "out" / part.folder
        log = tmp_path / f"{part.folder}.log"
        status, output = wine_cmd.run(
            part_folder / "submit.cmd", CERTREQ_LOG=log, CERTREQ_ANSWERS=tmp_path / "nothing"
        )
        assert (status, "Which CA" in output) == (1, False)
        calls = [line.split("|") for line in log.read_text().splitlines()]
        assert {call[2] for call in calls} == {part.ca}
        ids_by_ca[part.ca] = {Path(call[5].replace("\\", "/")).stem for call in calls}
    assert ids_by_ca == {
        part.ca: {Path(record.files.csr).stem for record in part.requests} for part in packed.parts
    }
    assert set(ids_by_ca) == set(cas.values())
