"""Detect that a request folder and a plan are for different servers."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from ..base.shown.tables import format_count, join_first_texts
from ..errors import BundleError
from ..plan.model import CertificatePlan
from ..request_folder.bundle import open_requests

_NAMED = 2  # The largest number of servers that a message lists for each deployment.


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherDeployment:
    """The sorted servers of a request folder, and those of a plan for another deployment."""

    in_folder: tuple[str, ...]
    planned: tuple[str, ...]

    @property
    def description(self) -> str:
        """Describe the two deployments, and what would change if the requests were written."""
        return (
            "This folder contains the requests of another deployment: "
            f"{_describe_servers(self.in_folder)}. If you continue, lyncnb retires these "
            f"requests and writes the requests for {_describe_servers(self.planned)}."
        )

    @property
    def consent_text(self) -> str:
        """The text that the user confirms. It contains the names of both deployments."""
        names = _find_main_domain(self.in_folder), _find_main_domain(self.planned)
        if names[0] == names[1]:
            names = self.in_folder[0], self.planned[0]
        return f"Retire the requests for {names[0]} and write the requests for {names[1]}"


def compare_deployments(
    plan: CertificatePlan, folder: str | os.PathLike[str]
) -> OtherDeployment | None:
    """Compare the servers in the requests of a folder with the servers in a plan.

    Returns
    -------
    OtherDeployment or None
        None if they share a server, or if the folder has no requests yet.
    """
    try:
        records = open_requests(folder).requests
    except BundleError:  # The folder is new, or the run reports the problem later.
        return None
    in_folder = _list_servers(
        record.plan.servers for record in records if record.state != "retired"
    )
    planned = _list_servers(certificate.servers for certificate in plan.certificates)
    if not in_folder or not planned or set(in_folder) & set(planned):
        return None
    return OtherDeployment(in_folder=in_folder, planned=planned)


def _list_servers(server_lists: Iterable[Iterable[str]]) -> tuple[str, ...]:
    return tuple(sorted({str(server).lower() for servers in server_lists for server in servers}))


def _find_main_domain(servers: tuple[str, ...]) -> str:
    """Return the DNS domain to which most of the servers belong."""
    domains = Counter(server.partition(".")[2] or server for server in servers)
    return domains.most_common(1)[0][0]


def _describe_servers(servers: tuple[str, ...]) -> str:
    first_servers = join_first_texts(list(servers), _NAMED)
    return f"{_find_main_domain(servers)} ({format_count(len(servers), 'server')}: {first_servers})"
