"""List the next steps for a request folder, each with the command to run.

The most urgent step is first. The steps depend only on the rows of the folder's status, so all
commands show the same steps.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

from ..base.shown.tables import format_count, join_first_texts
from ..base.terminal import quote_argument

_NAMED = 3


class StatusRow(Protocol):
    """The data about one request that determines the next steps for it."""

    @property
    def id(self) -> str:
        """The ID of the request."""

    @property
    def servers(self) -> Sequence[str]:
        """The servers that need the certificate."""

    @property
    def has_next(self) -> Sequence[str]:
        """The servers on which the next certificate is already installed."""

    @property
    def state(self) -> str:
        """The state of the certificate, in one word."""

    @property
    def under_way(self) -> str:
        """The progress of the certificate's next generation, or blank if there is none."""

    @property
    def change_by(self) -> str:
        """The last date on which the next certificate can be installed, or blank."""

    @property
    def deployed_on(self) -> str:
        """The date since which all servers have had the certificate, or blank if it is unknown."""

    @property
    def key_holder(self) -> str:
        """The computer that has the private key, or blank if the key is in the folder."""

    @property
    def revoke(self) -> tuple[str, ...]:
        """The serial numbers of certificates that the CA must still revoke."""

    @property
    def is_revoked(self) -> bool:
        """Whether the certificate in use is revoked or must be revoked."""

    @property
    def usages(self) -> Sequence[str]:
        """The usages of the certificate."""

    @property
    def handed_over_on(self) -> str:
        """The date on which the request was packaged for a CA that has not answered, or blank."""


def list_next_steps(folder: str | os.PathLike[str], rows: Iterable[StatusRow]) -> tuple[str, ...]:
    """Return the next steps for a request folder, the most urgent first.

    Parameters
    ----------
    folder : path
        The request folder, for the commands.
    rows : iterable of StatusRow
        n certificates. For superseded and retired ones, only a pending revocation counts.

    Returns
    -------
    tuple of str
        A sentence with a command for each step; empty if there is nothing to do.
    """
    all_rows = tuple(rows)
    present = [row for row in all_rows if row.state not in ("superseded", "retired")]
    quoted_folder = quote_argument(os.fspath(folder))
    return (
        *_list_revocations(all_rows, quoted_folder),
        *_list_steps(present, quoted_folder),
    )


def _list_revocations(rows: Sequence[StatusRow], quoted_folder: str) -> Iterator[str]:
    if matching_rows := [row for row in rows if row.revoke]:
        serials = [serial for row in matching_rows for serial in row.revoke]
        names = " ".join(row.id for row in matching_rows[:_NAMED])
        yield (
            f"Ask the CA to revoke {_describe_certificates(matching_rows)} (serial number "
            f"{join_first_texts(serials, _NAMED)}). Then record the revocation: lyncnb deployed "
            f"{quoted_folder} {names} --revoked"
        )


def _list_steps(rows: Sequence[StatusRow], quoted_folder: str) -> Iterator[str]:
    if matching_rows := [row for row in rows if row.is_revoked and not row.revoke]:
        yield (
            f"Replace {_describe_certificates(matching_rows)}: servers still have a revoked "
            f"certificate. {_suggest_renewal(matching_rows, quoted_folder)}"
        )
    yield from _list_renewals(rows, quoted_folder)
    if matching_rows := [row for row in rows if find_stage(row) == "refused"]:
        yield (
            f"Ask the CA for another certificate, because {_describe_certificates(matching_rows)} "
            f"must not be installed. To see why, run: lyncnb status {quoted_folder} "
            f"{matching_rows[0].id}"
        )
    for stage, tell in _BY_STAGE.items():
        if matching_rows := [row for row in rows if find_stage(row) == stage]:
            last = min((row.change_by for row in matching_rows if row.change_by), default="")
            yield tell(matching_rows, quoted_folder) + (
                f". Last possible installation date: {last}" if last else ""
            )


def _suggest_renewal(rows: Sequence[StatusRow], quoted_folder: str) -> str:
    """Return the command for certificates that nobody has renewed yet."""
    names = " ".join(row.id for row in rows if not row.under_way)
    if not names:
        return "The replacement is under way."
    return f"To renew: lyncnb renew {quoted_folder} {names} --reason TEXT"


def _list_renewals(rows: Sequence[StatusRow], quoted_folder: str) -> Iterator[str]:
    due = [row for row in rows if row.state in ("expired", "expiring") and not row.under_way]
    for state, words in (("expired", "expired"), ("expiring", "due now")):
        if matching_rows := [row for row in due if row.state == state]:
            yield (
                f"Renew {_describe_certificates(matching_rows)} ({words}): "
                f"lyncnb renew {quoted_folder} --due --reason TEXT"
            )
    if late := [row for row in rows if row.state == "expired" and row.under_way]:
        servers = dict.fromkeys(
            server for row in late for server in row.servers if server not in row.has_next
        )
        # If the manifest was rebuilt without a plan, the servers are not known.
        on_servers = f" on {join_first_texts(list(servers), _NAMED)}" if servers else ""
        yield (
            f"No valid certificate{on_servers}: "
            f"{_describe_certificates(late)}. The state of the new certificate is "
            f"{join_first_texts(list(dict.fromkeys(row.under_way for row in late)), _NAMED)}."
        )


def find_stage(row: StatusRow) -> str:
    """Return the next stage for a certificate, or "" if it is installed on all servers.

    In the stage ``sent``, the request was packaged for the CA, and the CA has not answered.
    """
    is_renewal = bool(row.under_way) or row.state in ("expired", "expiring")
    stage = row.under_way if is_renewal else row.state
    if stage in ("issued", "packaged") and row.deployed_on and not is_renewal:
        return ""
    if stage == "waiting" and row.handed_over_on:
        return "sent"
    # If the key is on another computer, lyncnb cannot package the certificate. The administrators
    # continue on the servers, as they would after packaging.
    return "packaged" if stage == "issued" and row.key_holder else stage


def _describe_certificates(rows: Sequence[StatusRow]) -> str:
    """Return the number of certificates and their servers, by name if there are few."""
    servers = list(dict.fromkeys(server for row in rows for server in row.servers))
    if not servers:  # The folder was rebuilt without a plan.
        names = join_first_texts([row.id for row in rows], _NAMED)
    elif len(servers) <= _NAMED:
        names = join_first_texts(servers, _NAMED)
    else:
        names = format_count(len(servers), "server")
    if len(rows) == 1:
        usage = f"{rows[0].usages[0]} " if rows[0].usages else ""
        return f"the {usage}certificate of {names}"
    return f"{len(rows):,} certificates of {names}"


def _describe_install(rows: Sequence[StatusRow], quoted_folder: str) -> str:
    return (
        f"Install {_describe_certificates(rows)}. To write the instructions: lyncnb steps "
        f"{quoted_folder}. After the installation, record the deployment: lyncnb "
        f"deployed {quoted_folder}"
    )


def _describe_package(rows: Sequence[StatusRow], quoted_folder: str) -> str:
    return f"Package {_describe_certificates(rows)}: lyncnb pfx {quoted_folder}"


def _describe_requests_to_send(rows: Sequence[StatusRow], quoted_folder: str) -> str:
    return (
        f"Send the {'request' if len(rows) == 1 else 'requests'} for "
        f"{_describe_certificates(rows)} to the CA: lyncnb handover {quoted_folder} OUT.zip. When "
        f"the CA returns certificates: lyncnb receive {quoted_folder} FILE"
    )


def _describe_sent_requests(rows: Sequence[StatusRow], quoted_folder: str) -> str:
    since = min(row.handed_over_on for row in rows)
    return (
        f"Wait until the CA issues {_describe_certificates(rows)} (packaged for the CA "
        f"{'on' if all(row.handed_over_on == since for row in rows) else 'since'} {since}). When "
        f"the CA returns certificates: lyncnb receive {quoted_folder} FILE"
    )


def _describe_request(rows: Sequence[StatusRow], quoted_folder: str) -> str:
    if all(row.key_holder for row in rows):
        return (
            f"To request {_describe_certificates(rows)}, run the scripts in steps/ on "
            f"{rows[0].key_holder}. Then import the requests: lyncnb receive "
            f"{quoted_folder} --request "
            "FILE"
        )
    if all(row.under_way for row in rows):  # Their earlier certificates are still in use.
        return (
            f"Complete the renewal of {_describe_certificates(rows)}: repeat the command that was "
            f"interrupted, such as lyncnb renew {quoted_folder} {rows[0].id} --reason TEXT"
        )
    return f"Request {_describe_certificates(rows)}: lyncnb request TOPOLOGY {quoted_folder}"


_BY_STAGE: dict[str, Callable[[Sequence[StatusRow], str], str]] = {
    "issued": _describe_package,
    "packaged": _describe_install,
    "waiting": _describe_requests_to_send,
    "sent": _describe_sent_requests,
    "planned": _describe_request,
}
