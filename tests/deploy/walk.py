"""Run the generated deployment scripts in PowerShell on simulated servers.

``world.ps1`` simulates the servers. This module sends it the state of the servers and the commands,
one case at a time, in one process. It compares the result with the plan and does not depend on the
code of a script.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from cas.python_ca import PythonCa, der
from powershell_kit import Json, powershell

from lyncnb.authorities.returned.decoding import decode
from lyncnb.deploy.fill_steps import get_ca_store
from lyncnb.deploy.powershell import build_common_script
from lyncnb.deploy.server_script import build_script
from lyncnb.deploy.server_steps import DeploymentSteps, ServerPackage, ServerSteps
from lyncnb.plan.model import CertificatePlan
from lyncnb.plan.plan_json import plan_document

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
END = datetime(2027, 11, 24, 12, tzinfo=UTC)
OLD_END = datetime(2026, 12, 22, 14, tzinfo=UTC)
#: Cultures whose times, numbers or letters differ from the invariant ones.
CULTURES = ("fi-FI", "th-TH", "fa-IR", "tr-TR", "zh-TW")
#: How Get-CsCertificate may show a certificate that waits for its date.
STAGED = ("row", "property", "previous", "hidden")
WEB_CONFIG = "exchange/ClientAccess/Owa/web.config"


@cache
def chains():
    """Return the certificates of an internal and an external CA, with the issuer first."""
    chains_by_kind = {}
    for kind, title in (("internal", "Contoso"), ("public", "Fabrikam")):
        authority = PythonCa(title)
        chains_by_kind[kind] = tuple(decode(der(c)).certificates[0] for c in authority.chain)
    return chains_by_kind


def packages_of(
    plan: CertificatePlan,
    in_use_until: datetime | None = None,
    key_holder: str = "",
    generation: int = 1,
    start: datetime = NOON - timedelta(days=1),
    end: datetime = END,
) -> list[ServerPackage]:
    """Return packages for the certificates in a plan. Each generation has different, invented
    thumbprints.

    With ``key_holder``, the keys of all certificates with a usage are on that computer.
    """
    packages = []
    for number, entry in enumerate(plan_document(plan)["certificates"]):
        common_name = entry["subject"]["CN"]
        packages.append(
            ServerPackage(
                id=entry["id"],
                role=entry["role"],
                pool=entry["pool"],
                servers=tuple(entry["servers"]),
                usages=tuple(entry["usages"]),
                san=tuple(entry["san"]),
                shared_by=entry["shared_by"],
                issuer=entry["issuer"],
                name=common_name,
                file=f"{entry['id']}.pfx",
                sha256=f"{number:064x}",
                friendly_name=f"{common_name} {number} {generation}",
                thumbprint=thumbprint_of(f"{number} {generation}"),
                not_before=start,
                not_after=end,
                path=chains()[entry["issuer"]],
                key_algorithm=entry["key"]["algorithm"],
                in_use_until=in_use_until,
                key_holder=key_holder if entry["usages"] else "",
            )
        )
    if in_use_until is None:
        return packages
    return [replace(package, old=old_thumbprint(package)) for package in packages]


def running(packages: Sequence[ServerPackage]) -> dict[str, str]:
    """Return the cases of servers that are in use, although nothing about them is recorded."""
    return {server: "renew" for package in packages for server in package.servers}


def changes_after_trust(run: Json) -> list[str]:
    """Return the changes of a run, except for the CA certificates that the script installs in its
    first part.
    """
    return [change for change in run["changes"] if not change.startswith("certutil -addstore")]


def thumbprint_of(text: str) -> str:
    """Return an invented thumbprint for a certificate."""
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest().upper()


def old_thumbprint(package: ServerPackage) -> str:
    """Return the thumbprint of the certificate that a package replaces on a server."""
    return thumbprint_of(f"before {package.thumbprint}")


_SERVICES = {  # The start mode and the process type of each service.
    "RTCSRV": ("Auto", "Own Process"),
    "REPLICA": ("Auto", "Own Process"),
    "W3SVC": ("Auto", "Share Process"),
    "RTCXMPP": ("Disabled", "Own Process"),
}


#: The services that run on a server before its first certificate: Enable-CsReplica starts REPLICA,
#: and Windows starts W3SVC.
ALWAYS = ("REPLICA", "W3SVC")


def _services(uses: Mapping[str, Json], *, running: bool) -> Json:
    loaded = {usage: use["current"] for usage, use in uses.items()} if running else {}
    runs = {name for name, (mode, _) in _SERVICES.items() if mode == "Auto"} if running else ALWAYS
    return {
        name: {
            "Status": "Running" if name in runs else "Stopped",
            "StartMode": mode,
            "ServiceType": kind,
            "Started": (NOON - timedelta(days=9)).isoformat(),
            "Loaded": loaded,
        }
        for name, (mode, kind) in _SERVICES.items()
    }


def world_of(
    steps: DeploymentSteps,
    *,
    in_use: bool,
    use_form: str = "",
    staged: str = "row",
    culture: str = "en-US",
) -> Json:
    """Return a simulation of the servers: new servers or, with ``in_use``, servers that use
    certificates that expire on `OLD_END`.

    ``use_form`` precedes each ``Use``. ``staged`` is how Get-CsCertificate shows a certificate
    that waits for its date: as a ``row``, as a ``property``, with the one in use as its ``previous``
    one, or ``hidden``. ``culture`` is the culture of the session, which the regional settings of the
    administrator decide.
    """
    certificates: Json = {}
    for chain in chains().values():
        for issuer in chain:
            name = issuer.thumbprint if issuer.is_self_issued else f"{issuer.thumbprint} sub"
            certificates[issuer.thumbprint] = _certificate(name, NOON, END)
    servers: Json = {}
    everywhere: Json = {}
    for page in steps.servers:
        uses: Json = {}
        server = _computer(page.server, page.pool) | {"uses": uses}
        for package in page.packages:
            certificates |= certificates_of(package)
            certificates[old_thumbprint(package)] = _certificate(
                f"old {package.friendly_name}", NOON - timedelta(days=300), OLD_END
            )
            if not in_use:
                continue
            server["my"].append(old_thumbprint(package))
            server["keys"].append(old_thumbprint(package))
            owner = everywhere if package.shared_by == "deployment" else uses
            for usage in package.usages:
                owner[usage] = {
                    "current": old_thumbprint(package),
                    "next": "",
                    "since": None,
                    "previous": "",
                }
            if package.role == "OfficeWebApps":
                server["farm"] = f"old {package.friendly_name}"
            if package.role == "ExchangeUM":
                server |= {
                    "ummode": "Dual",
                    "exchange": dict.fromkeys(("UM", "SMTP"), old_thumbprint(package)),
                }
            if (
                package.role == "ReverseProxy"
            ):  # One IIS binding has no host name, and the other has one.
                server["bindings"] = dict.fromkeys(
                    ("*:443:", f"*:443:{package.san[-1]}"), old_thumbprint(package)
                )
            if package.role == "ExchangeOWA":
                server["exchangeversion"] = "15.0"
        has_services = any(step.step.does == "start" for step in page.steps)
        server["services"] = _services(uses, running=in_use) if has_services else {}
        servers[page.server] = server
    for page in steps.key_holders:
        (package,) = page.packages
        holder = servers.setdefault(package.key_holder, _computer(package.key_holder, ""))
        holder["pending"].append(package.thumbprint)
        certificates |= certificates_of(package)
    return {
        "servers": servers,
        "everywhere": everywhere,
        "certificates": certificates,
        "now": NOON.isoformat(),
        "overrides": {},
        "useform": use_form,
        "staged": staged,
        "culture": culture,
    }


def computers_of(*names: str) -> Json:
    """Return a simulation of computers that create requests, without servers."""
    return {
        "servers": {name: _computer(name, "") for name in names},
        "everywhere": {},
        "certificates": {},
        "now": NOON.isoformat(),
        "overrides": {},
        "useform": "",
        "staged": "row",
        "culture": "en-US",
    }


def _computer(name: str, pool: str) -> Json:
    stores = ("my", "keys", "ksp", "broken", "root", "ca", "pending")
    server: Json = {"name": name, "pool": pool, "uses": {}, "services": {}, "farm": ""}
    return (
        server
        | {k: [] for k in stores}
        | {
            "toksp": False,
            "ummode": "TCP",
            # The mode of the UM call router, or "" if the server does not have this service.
            "routermode": "",
            "exchange": {},
            "bindings": {},  # The thumbprints of the IIS bindings.
            # The ID of each application of Web Application Proxy, with its URL and certificate
            # thumbprint.
            "applications": {},
            "listener": "",  # The certificate that another reverse proxy presents on port 443.
            "exchangeversion": "",
            "exchangepath": "C:\\exchange",
            "imread": "",  # The certificate that Exchange last read from the override.
            # The value is true if a load balancer decrypts the traffic of the farm.
            "offloads": False,
            "elliptic": [],
            "request": [],  # The pending requests on the computer.
            "exportable": True,
            "writes": 3,  # The number of lines that are written to the disk for a request.
            "replica": True,  # An application that is configured manually has no replica.
        }
    )


def _certificate(name: str, begins: datetime, ends: datetime) -> Json:
    return {"name": name, "begins": begins.isoformat(), "ends": ends.isoformat()}


def certificates_of(package: ServerPackage) -> Json:
    """Return the properties of a package's certificate that the simulation needs."""
    known = _certificate(package.friendly_name, package.not_before, package.not_after)
    return {package.thumbprint: known}


@dataclass
class Walk:
    """A PowerShell process that runs scripts on simulated servers.

    ``begin`` sets the state of the servers, and other methods change it.
    """

    place: Path

    def ask(self, case: Json, answers: str = "") -> list[Any]:
        """Send a test case to PowerShell. The `answers` are entered when a script asks a question."""
        results: list[Any] = powershell().ask(case, answers)
        return results

    def begin(self, world: Json, *steps: DeploymentSteps) -> None:
        """Set the state of the simulated servers, and copy the packages of the given steps to them."""
        self.ask({"world": world, "place": str(self.place), "moves": []})
        for procedure in steps:
            self.bring(procedure)

    def bring(self, steps: DeploymentSteps) -> None:
        """Copy packages and CA certificates to the simulated servers."""
        chain = chain_files()
        self.ask(
            {
                "moves": [
                    {
                        "write": page.server,
                        "files": chain
                        | {WEB_CONFIG: "<configuration />"}
                        | {f"certificates/{p.file}": p.thumbprint for p in page.packages},
                    }
                    for page in steps.servers
                ]
            }
        )

    def run(
        self,
        page: ServerSteps,
        *switches: str,
        fault: Json | None = None,
        password: str = "",
        answers: str = "",
        on: str = "",
        **options: object,
    ) -> Json:
        """Run a page's script, and return the script's result, output and changes.

        ``on`` is the computer, if the page is for a request and not for a server. ``without``
        contains the commands that the computer lacks. With ``otherhost``, PowerShell's host is not
        a console.
        """
        script = str(self.script(page))
        move = {"run": on or page.server, "script": script, "switches": switches, **options}
        (result,) = self.ask({"moves": [{**move, "fault": fault, "password": password}]}, answers)
        assert isinstance(result, dict)
        return result

    def script(self, page: ServerSteps) -> Path:
        """Return the script on a page as the content of a file."""
        data = build_script(page)
        (self.place / "lyncnb.ps1").write_bytes(build_common_script())
        path = self.place / f"{hashlib.sha256(data).hexdigest()[:16]}.ps1"
        if not path.exists():
            path.write_bytes(data)
        return path

    def set(self, server: str, **values: Any) -> None:
        """Change the state of a simulated server."""
        self.ask({"moves": [{"set": server, "values": values}]})

    def write(self, server: str, name: str, text: str) -> None:
        """Write a file on a simulated server."""
        self.ask({"moves": [{"write": server, "files": {f"certificates/{name}": text}}]})

    def delete(self, server: str, name: str) -> None:
        """Delete a file on a simulated server."""
        self.ask({"moves": [{"remove": server, "name": name}]})

    def lock(self, server: str, name: str) -> None:
        """Keep a file open on a simulated server, as another program would, until `unlock` is
        called.
        """
        self.ask({"moves": [{"lock": server, "name": name}]})

    def unlock(self) -> None:
        """Close the file that `lock` keeps open on a simulated server."""
        self.ask({"moves": [{"unlock": True}]})

    def read(self, server: str) -> dict[str, str]:
        """Return the files in a folder on a simulated server."""
        (files,) = self.ask({"moves": [{"read": server}]})
        assert isinstance(files, dict)
        return files

    def file(self, server: str, name: str) -> str:
        """Return the text of a file on a simulated server."""
        (text,) = self.ask({"moves": [{"read": server, "name": name}]})
        return str(text)

    def pass_time(self, to: datetime) -> None:
        """Set the clock of the simulation forward to the given time."""
        self.ask({"moves": [{"now": to.isoformat()}]})

    def world(self) -> Json:
        """Return the current state of the simulated servers."""
        (state,) = self.ask({"moves": [{"snapshot": True}]})
        assert isinstance(state, dict)
        return state

    def save(self) -> None:
        """Save the state and the files of the simulated servers, so that `restore` can restore
        them.
        """
        self.ask({"moves": [{"save": True}]})

    def restore(self) -> None:
        """Restore the saved state and files of the simulated servers."""
        self.ask({"moves": [{"restore": True}]})

    def do_manual_steps(self, page: ServerSteps) -> None:
        """Perform the manual steps on a server's page that follow the import."""
        for package in page.packages:
            if package.role == "OfficeWebApps" and not self.world()["servers"][page.server]["farm"]:
                self.set(page.server, farm=package.friendly_name)
            if package.role == "ReverseProxy":
                self.set(page.server, listener=package.thumbprint)
            if package.role == "ExchangeOWA":
                self.configure(page.server, package.thumbprint)

    def configure(self, server: str, thumbprint: str) -> None:
        """Write the two keys for Outlook Web App to the web.config file on a server."""
        config = (
            "<configuration>\n  <!-- kept -->\n  <appSettings>\n"
            f"    <add key='IMCertificateThumbprint' value='{thumbprint}' />\n"
            "    <add key='IMServerName' value='eepool.contoso.com' />\n"
            "  </appSettings>\n</configuration>"
        )
        self.ask({"moves": [{"write": server, "files": {WEB_CONFIG: config}}]})

    def take(self, page: ServerSteps, *switches: str) -> Json:
        """Perform the steps for a server as an administrator does: run the script, do the manual
        steps, and run the script again.
        """
        result = self.run(page, *switches, answers="Y\n" * 4)
        waits = "manually as the sheet describes" in " ".join(result["output"])
        if (result["code"] == 1 and waits) or (result["code"] == 2 and page.role == "ReverseProxy"):
            self.do_manual_steps(page)
            result = self.run(page, *switches, answers="Y\n" * 4)
        return result

    def day(self, steps: DeploymentSteps, *switches: str) -> dict[str, Json]:
        """Run the steps for all servers in the usual order, and return the result of each run."""
        switches = switches or ("DrainServices", "StartServices", "TrustInstalled")
        for page in steps.servers:
            # All servers of a farm import the certificate before one of them assigns it to the
            # farm.
            if page.role == "OfficeWebApps":
                self.run(page, *switches, answers="N\n")
        return {page.server: self.take(page, *switches) for page in servers_in_order(steps)}


def chain_files() -> dict[str, str]:
    """Return the files with the CA certificates that are sent together with the packages."""
    return {
        f"certificates/chain/{issuer.thumbprint}.cer": issuer.thumbprint
        for issuers in chains().values()
        for issuer in issuers
    }


def facts(run: Json) -> dict[str, str]:
    """Return the output of a script with -Verify: each verified statement without white space, and
    its result.
    """
    answers: dict[str, str] = {}
    last = ""
    for line in run["output"]:
        answer, text = line[:13].strip(), "".join(line[13:].split())
        if answer in ("NO", "CANNOT TELL", "yes"):
            last = text
            answers[last] = answer
        elif not answer and last and not text.startswith("Found:"):
            answers[last + text] = answers.pop(last)
            last += text
    return answers


def servers_in_order(steps: DeploymentSteps) -> Iterator[ServerSteps]:
    """Return the servers in the order in which an administrator changes them."""
    order = steps.procedure.order
    positions = {role: number for number, stage in enumerate(order) for role in stage.roles}
    return iter(sorted(steps.servers, key=lambda server: positions.get(server.role, 99)))


def use_of(world: Json, server: str, usage: str) -> Json:
    """Return the certificate that a server or the deployment uses for a usage."""
    use = world["servers"][server]["uses"].get(usage) or world["everywhere"].get(usage)
    return use or {"current": "", "next": ""}


def assignments(world: Json) -> dict[tuple[str, str], str]:
    """Return the certificates for all usages, so that a test can compare them before and after a
    run.
    """
    owners = {name: server["uses"] for name, server in world["servers"].items()}
    owners["deployment"] = world["everywhere"]
    return {
        (name, usage): use["current"]
        for name, uses in owners.items()
        for usage, use in uses.items()
        if use["current"]
    }


def certificates_by_setting(world: Json) -> dict[tuple[str, str], str]:
    """Return the certificates that the simulated servers use, by server and setting."""
    certificates = assignments(world)
    for name, server in world["servers"].items():
        settings = {
            "farm": server["farm"],
            "imread": server["imread"],
            "listener": server["listener"],
        }
        settings |= server["exchange"] | server["bindings"]
        settings |= {
            key: application["thumbprint"] for key, application in server["applications"].items()
        }
        certificates |= {(name, setting): value for setting, value in settings.items() if value}
    for name, override in world["overrides"].items():
        certificates[name, "override"] = ";".join(override["parameters"])
    return certificates


def get_stable_state(world: Json) -> Json:
    """Return the state of the servers without time stamps, so that the states after two runs can be
    compared.
    """
    state: Json = {"places": certificates_by_setting(world), "stale": services_to_restart(world)}
    for name, server in world["servers"].items():
        uses = server["uses"] | (world["everywhere"] if server["uses"] else {})
        state[name] = {
            "next": {usage: use["next"] for usage, use in uses.items() if use["next"]},
            "services": {n: (s["Status"], s["StartMode"]) for n, s in server["services"].items()},
            "modes": (server["ummode"], server["routermode"]),
            **{store: sorted(server[store]) for store in ("my", "keys", "root", "ca")},
        }
    return state


def list_differences(steps: DeploymentSteps, world: Json) -> list[str]:
    """Return the differences between the servers and the plan in usages, stores, farms, Exchange
    and services.
    """
    differences = []
    for page in steps.servers:
        server = world["servers"][page.server]
        for package in page.packages:
            if package.thumbprint not in server["my"]:
                differences.append(f"{page.server}: {package.file} is not in its store")
            for usage in package.usages:
                use = use_of(world, page.server, usage)
                if use["current"] != package.thumbprint or use["next"]:
                    differences.append(f"{page.server}: {usage} has {use}")
            for issuer in package.path:
                store = server["root" if get_ca_store(issuer) == "Root" else "ca"]
                if issuer.thumbprint not in store:
                    differences.append(f"{page.server}: does not know {issuer.thumbprint}")
            if package.role == "OfficeWebApps" and server["farm"] != package.friendly_name:
                differences.append(f"{page.server}: the farm has {server['farm']}")
            if package.role == "ReverseProxy":
                thumbprints = {*server["bindings"].values()} or {server["listener"]}
                thumbprints = {
                    a["thumbprint"] for a in server["applications"].values()
                } or thumbprints
                if thumbprints != {package.thumbprint}:
                    differences.append(f"{page.server}: port 443 shows {thumbprints}")
            if package.role == "ExchangeUM" and server["exchange"].get("UM") != package.thumbprint:
                differences.append(f"{page.server}: UM has {server['exchange']}")
        differences += [f"{page.server}: {name} is stopped" for name in stopped_services(server)]
    return differences


def stopped_services(server: Json) -> list[str]:
    """Return the services on a server that should be running but are stopped."""
    return [
        name
        for name, service in server["services"].items()
        if service["StartMode"] != "Disabled" and service["Status"] != "Running"
    ]


def services_to_restart(world: Json) -> list[str]:
    """Return the running services that still use a certificate other than the assigned one."""
    return [
        f"{name}: {service} runs with {thumbprint} for {usage}"
        for name, server in world["servers"].items()
        for service, state in server["services"].items()
        if state["Status"] == "Running" and state["ServiceType"] == "Own Process"
        for usage, thumbprint in state["Loaded"].items()
        if usage in ("Default", "Internal", "AccessEdgeExternal", "DataEdgeExternal")
        and server["uses"][usage]["current"] != thumbprint
    ]


def all_lines(runs: Mapping[str, Json] | Sequence[Json]) -> str:
    """Return the combined output of several runs."""
    values = runs.values() if isinstance(runs, Mapping) else runs
    return "\n".join(line for run in values for line in run["output"])


def join_lines(run: Json) -> str:
    """Return the output of a script as one line without line breaks."""
    return " ".join(" ".join(run["output"]).split())


def with_packages(steps: DeploymentSteps, **changes: Any) -> list[ServerPackage]:
    """Return a copy of the steps with other packages."""
    packages = {p.id: p for server in steps.servers for p in server.packages}
    return [replace(package, **changes) for package in packages.values()]
