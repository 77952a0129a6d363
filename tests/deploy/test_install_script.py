"""A server's script is short enough to read, and refuses to run where it does not belong."""

from __future__ import annotations

import subprocess

import pytest
from deploy.sheet_blocks import paste, render_sheet
from deploy.test_core_walk import POOL, SWITCHES, begin_simulation
from deploy.walk import (
    NOON,
    OLD_END,
    all_lines,
    assignments,
    join_lines,
    old_thumbprint,
    packages_of,
    running,
    world_of,
)
from places import DATA
from powershell_kit import commands, needs_pwsh
from topologies import edge, plan

from lyncnb.deploy.powershell import build_common_script, fill_script
from lyncnb.deploy.request_scripts import request_scripts
from lyncnb.deploy.server_script import build_script
from lyncnb.deploy.steps import build_procedure
from lyncnb.plan.planner import plan_certificates
from lyncnb.rules.rule_files import load_rules
from lyncnb.topology.topology import read_topology

EDGES = (edge(1), edge(2))
SIGNATURE = "\r\n# SIG # Begin signature block\r\n# MIIabc\r\n# SIG # End signature block\r\n"


@pytest.mark.parametrize("in_use", [False, True], ids=["new", "renew"])
def test_scripts_are_short_enough_to_read(in_use, deployment):
    """The script of a server has at most 200 lines, or 300 for an Edge Server or a proxy of a
    strange deployment. A request script has about 60 lines of its own.
    """
    plans = [plan_certificates(read_topology(DATA / "contoso.csv"), load_rules())]
    plans.append(deployment.plan())
    for planned in plans:
        packages = packages_of(planned, OLD_END if in_use else None)
        cases = running(packages) if in_use else None
        pools = planned.topology.pools
        steps = build_procedure(packages, planned.rules, now=NOON, pools=pools, cases=cases)
        for page in steps.servers:
            has_many = planned is not plans[0] and page.role in ("Edge", "ReverseProxy")
            assert build_script(page).count(b"\n") <= (300 if has_many else 200), page.server
    requests = request_scripts(plans[0]).pages
    assert max(build_script(page).count(b"\n") for page in requests) <= 110


@needs_pwsh[1]
@pytest.mark.posix
def test_process_ends_with_the_status_of_the_common_script(tmp_path):
    """A process that runs install.ps1 as the sheet says has the exit status of the common script."""
    steps = build_procedure(packages_of(plan(*POOL)), load_rules(), now=NOON)
    script = build_script(steps.servers[0]).decode("utf-8-sig")
    path = tmp_path / "install.ps1"
    common = "function Stop-Run { exit 2 }; try { Stop-Run } finally { $null = 1 }"
    last = script[script.index(". ([scriptblock]") :]
    path.write_text(f"$Text = '{common}'\n{last}", "utf-8-sig")
    run = subprocess.run(["pwsh", "-NoProfile", "-File", str(path)], check=False)
    assert run.returncode == 2


def test_scripts_have_one_statement_a_line():
    """No line of a script is longer than 120 characters, apart from the values, and no line of the
    common script contains two statements, apart from short blocks in braces.
    """
    lines = build_common_script().decode("utf-8-sig").splitlines()
    fixed = fill_script("install", {}).decode("utf-8-sig").splitlines()
    assert [line for line in (*lines, *fixed) if len(line) > 120] == []
    outside = [line for line in lines if ";" in line and "{" not in line and "'" not in line]
    assert outside == []
    assert len(lines) <= 660


def run_beside(walk, page, folder, common):
    """Run the script of a server beside another version of the common script."""
    (folder / "install.ps1").write_bytes(build_script(page))
    if common is not None:
        (folder / "lyncnb.ps1").write_bytes(common)
    move = {"run": page.server, "script": str(folder / "install.ps1"), "switches": SWITCHES}
    (run,) = walk.ask({"moves": [move]})
    return run


FOREIGN = {
    "missing": None,
    "changed": build_common_script().replace(b"$Left = @()", b"$Left = @( )"),
    "longer": build_common_script() + b"Remove-Item C:\\\r\n",
    "code after the signature": build_common_script()
    + SIGNATURE.encode()
    + b"Remove-Item C:\\\r\n",
    "hidden code": build_common_script() + SIGNATURE.encode() + b"# x\rRemove-Item C:\\\r\n",
}


@pytest.mark.posix
@pytest.mark.parametrize("common", FOREIGN.values(), ids=FOREIGN)
def test_foreign_common_script_is_not_used(walk, tmp_path, common):
    """If lyncnb.ps1 is missing, or is not the file of this script, nothing is changed."""
    steps = begin_simulation(walk, *EDGES)
    run = run_beside(walk, steps.servers[0], tmp_path, common)
    assert (run["code"], run["changes"], run["calls"]) == (1, [], 0), all_lines([run])
    assert "is missing, or is not the file for this script" in join_lines(run)


@pytest.mark.posix
def test_signed_common_script_is_used(walk, tmp_path):
    """A signature at the end of lyncnb.ps1, which AllSigned requires, does not change its hash."""
    steps = begin_simulation(walk, *EDGES)
    signed = build_common_script() + SIGNATURE.encode()
    run = run_beside(walk, steps.servers[0], tmp_path, signed)
    assert run["code"] == 0, all_lines([run])
    assert run["output"][-1] == "done"


@pytest.mark.posix
def test_nothing_behind_the_signature_runs(walk, tmp_path):
    """A module that a line behind the signature marker names is not loaded."""
    steps = begin_simulation(walk, *EDGES)
    module, seen = tmp_path / "planted.psm1", tmp_path / "seen"
    module.write_text(f"[IO.File]::WriteAllText('{seen}', 'x')\n")
    planted = f"{SIGNATURE}#requires -Modules {module}\r\n".encode()
    run = run_beside(walk, steps.servers[0], tmp_path, build_common_script() + planted)
    assert run["output"][-1] == "done", all_lines([run])
    assert not seen.exists()


class TestPlace:
    """The script looks at the computer before it changes anything."""

    pytestmark = needs_pwsh

    def test_32_bit_powershell_is_refused(self, walk):
        """The modules of the products exist only in the 64-bit PowerShell."""
        steps = begin_simulation(walk, *EDGES)
        page = steps.servers[0]
        walk.set(page.server, wow64="AMD64")
        run = walk.run(page, *SWITCHES)
        assert (run["code"], run["changes"]) == (1, [])
        assert "This is the 32-bit PowerShell" in join_lines(run)

    @pytest.mark.parametrize("switches", [("WhatIf", *SWITCHES), SWITCHES, ("StartServices",)])
    def test_open_folder_is_refused(self, walk, switches):
        """Who can change the folder can plant a record, and with it keep services stopped. The
        script runs only after the sheet's block has closed the folder.
        """
        steps = begin_simulation(walk, *EDGES)
        page = steps.servers[0]
        walk.set(page.server, writers=["S-1-5-32-545"])
        run = walk.run(page, *switches)
        assert (run["code"], run["changes"]) == (1, []), all_lines([run])
        assert "accounts other than administrators can change" in join_lines(run).lower()
        assert "S-1-5-32-545" in join_lines(run)
        assert "accounts other than" not in join_lines(walk.run(page, "Verify")).lower()
        rows = render_sheet(steps, page.server)
        (block,) = [block for row in rows for block in row.blocks if block[0].startswith("icacls")]
        paste(walk, page.server, block)
        assert walk.run(page, *switches)["code"] in (0, 2)

    @pytest.mark.parametrize("rows", [POOL, EDGES], ids=["FE", "Edge"])
    def test_server_in_use_is_not_new(self, walk, rows):
        """If the plan takes a server in use for a new one, the script stops before any change."""
        steps = begin_simulation(walk, *rows, in_use=False)
        page = steps.servers[0]
        walk.begin(world_of(steps, in_use=True), steps)
        before = assignments(walk.world())
        for switches in ((), ("WhatIf",), SWITCHES):
            run = walk.run(page, *switches)
            assert (run["code"], run["changes"]) == (1, []), all_lines([run])
            assert "This server is in use, but the plan says that it is new" in join_lines(run)
        assert assignments(walk.world()) == before

    @pytest.mark.parametrize("rows", [POOL, EDGES], ids=["FE", "Edge"])
    def test_new_server_is_not_renewed(self, walk, rows):
        """If the plan takes a new server for one in use, the script stops before any change."""
        steps = begin_simulation(walk, *rows)
        walk.begin(world_of(steps, in_use=False), steps)
        run = walk.run(steps.servers[0], *SWITCHES)
        assert (run["code"], run["changes"]) == (1, [])
        assert "no certificate is assigned" in join_lines(run)

    def test_oauth_alone_is_renewed(self, walk):
        """A server whose own certificate stays has only the OAuth certificate of the deployment to
        renew, and that no usage of its own changes does not make it a new server.
        """
        packages = packages_of(plan(*POOL), OLD_END)
        (package,) = [p for p in packages if "OAuthTokenIssuer" in p.usages]
        steps = build_procedure([package], load_rules(), now=NOON, cases=running([package]))
        walk.begin(world_of(steps, in_use=True), steps)
        run = walk.run(steps.servers[0], *SWITCHES)
        assert (run["code"], run["harm"]) == (0, []), all_lines([run])
        assert [call for call in run["changes"] if package.thumbprint in call]

    def test_unknown_certificate_stops_a_renewal(self, walk):
        """If a usage shows neither the recorded nor the new certificate, the script stops."""
        steps = begin_simulation(walk, *EDGES)
        page = steps.servers[0]
        uses = walk.world()["servers"][page.server]["uses"]
        other = old_thumbprint(steps.servers[0].packages[1])
        uses["AccessEdgeExternal"]["current"] = other
        uses["Internal"]["current"] = old_thumbprint(steps.servers[0].packages[0])
        walk.set(page.server, uses=uses)
        run = walk.run(page, *SWITCHES)
        assert (run["code"], run["changes"]) == (1, [])
        assert f"AccessEdgeExternal uses {other}" in join_lines(run)

    def test_verify_names_each_certificate_once(self, walk):
        """-Verify prints the name of a certificate once, in the check of its key, dates, and chain."""
        steps = begin_simulation(walk, *EDGES)
        page = steps.servers[0]
        assert walk.run(page, *SWITCHES)["code"] == 0
        text = join_lines(walk.run(page, "Verify"))
        for package in page.packages:
            assert text.count(package.friendly_name) == 1
            assert f"yes certutil -verifystore accepts {package.friendly_name}: its key" in text


class TestVerifiedCertificate:
    """One ``certutil -verifystore`` decides whether an imported certificate can be assigned."""

    pytestmark = needs_pwsh

    def run_with(self, walk, answers="", **state):
        """Renew an Edge Server whose first package is in a state, and return its run."""
        steps = begin_simulation(walk, *EDGES)
        page = steps.servers[0]
        thumbprint = page.packages[0].thumbprint
        imported = walk.run(page, "Prepare", "TrustInstalled")
        assert imported["code"] == 0, all_lines([imported])
        values = {key: [thumbprint] if value is list else value for key, value in state.items()}
        walk.set(page.server, **values)
        return page, walk.run(page, *SWITCHES, answers=answers)

    def test_unusable_key_stops_before_the_services_stop(self, walk):
        """If the key of the certificate cannot be opened, the script stops before it stops the
        services, and prints the error code of certutil.
        """
        _, run = self.run_with(walk, broken=list)
        assert (run["code"], run["changes"]) == (1, []), all_lines([run])
        assert "CertUtil: -verifystore: 0x80090016" in join_lines(run)

    def test_key_in_another_provider_must_be_confirmed(self, walk):
        """If an RSA key is in a Key Storage Provider, the script asks before it stops the services."""
        page, run = self.run_with(walk, "N\n" * 3, ksp=list)
        assert (run["code"], run["changes"]) == (1, []), all_lines([run])
        assert "its key is in a Key Storage Provider" in join_lines(run)
        verified = walk.run(page, "Verify")
        assert "CANNOT TELL certutil -verifystore accepts" in join_lines(verified)

    def test_missing_crl_is_a_warning(self, walk):
        """If the server cannot download a CRL, the script says so, and assigns the certificate."""
        page, run = self.run_with(walk, offline=True)
        assert run["code"] == 0, all_lines([run])
        thumbprint = page.packages[0].thumbprint
        warning = f"WARNING this server cannot download the CRLs for {thumbprint}"
        assert warning in join_lines(run)


@pytest.mark.posix
@pytest.mark.parametrize("in_use", [False, True], ids=["new", "renew"])
def test_no_script_handles_a_password(in_use, deployment):
    """A script passes no password, because module logging writes the parameters of cmdlets to the
    event log: certutil asks for it, and no script reads or converts a secret.
    """
    planned = deployment.plan()
    packages = packages_of(planned, OLD_END if in_use else None)
    steps = build_procedure(packages, planned.rules, now=NOON, pools=planned.topology.pools)
    scripts = [build_common_script(), *(build_script(page) for page in steps.servers)]
    called = [call for script in scripts for call in commands(script.decode("utf-8-sig"))]
    secret = {"Read-Host", "Get-Credential", "ConvertTo-SecureString", "Import-PfxCertificate"}
    assert {command.name for command in called}.isdisjoint(secret)
    imports = [str(command) for command in called if "-importpfx" in str(command)]
    assert imports
    assert [text for text in imports if "assword" in text or "'-p'" in text] == []
