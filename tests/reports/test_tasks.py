"""At each situation in the life of a folder, every surface shows the same step and the same day."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from cas.python_ca import PythonCa, pem
from folders import PASSPHRASE, TODAY, issue_all, make_folder, make_plan
from topologies import TWO_FRONT_ENDS

from lyncnb.authorities.handover import hand_over
from lyncnb.authorities.import_certificates import receive
from lyncnb.authorities.record_deployments import deployed
from lyncnb.authorities.returned.match_certificates import match_certificates
from lyncnb.authorities.status import FolderStatus, folder_status, list_next_steps_from_manifest
from lyncnb.authorities.summary_files import explain_stale_summary
from lyncnb.checks.check_plan import check_plan
from lyncnb.deploy.write_pfx import write_pfx
from lyncnb.export.renew import renew
from lyncnb.export.requests_elsewhere import request_elsewhere
from lyncnb.forecasts.make_forecast import forecast
from lyncnb.reports.tasks import KINDS
from lyncnb.request_folder.bundle import open_requests
from lyncnb.request_folder.manifest import read_manifest
from lyncnb.request_folder.renewals import list_renewals
from lyncnb.widgets.status_texts import describe_request, find_next_step

pytestmark = pytest.mark.usefixtures("quick_cipher")

#: What the status and the panel say about the three certificates at each kind of step, what the
#: summary says, and the button of the panel.
WORDS = {
    "revoke": (
        "Ask the CA to revoke 3 certificates",
        "Ask the CA to revoke certificates 1 to 3",
        "",
    ),
    "outage": (
        "No valid certificate on fe01.contoso.net and fe02.contoso.net: 3 certificates",
        "",
        "",
    ),
    "expiring": ("Renew 3 certificates", "Renew certificates 1 to 3", "renew"),
    "refused": (
        "Ask the CA for another certificate, because 3 certificates",
        "Ask the CA for another certificate, because certificates 1 to 3",
        "handover",
    ),
    "elsewhere": (
        "To request 3 certificates of fe01.contoso.net and fe02.contoso.net, run the scripts",
        "To request certificates 1 to 3, run the scripts",
        "",
    ),
    "issued": ("Package 3 certificates", "Package certificates 1 to 3", "package"),
    "waiting": (
        "Send the requests for 3 certificates",
        "Send the requests for certificates 1 to 3",
        "handover",
    ),
    "packaged": ("Install 3 certificates", "Install certificates 1 to 3", "steps"),
    "sent": ("Wait until the CA issues 3 certificates", "Wait until the CA issues", "receive"),
}


class Life:
    """A request folder with three certificates of a pool, and what people do with it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.day, self.ca = folder, TODAY, PythonCa()

    def request(self) -> None:
        """Write the requests."""
        plan = make_plan(TWO_FRONT_ENDS.encode())
        accept = {"oauth-key-too-small": "the test needs fast keys"}
        make_folder(self.folder, plan, findings=check_plan(plan, on=TODAY), accept=accept)

    def request_elsewhere(self) -> None:
        """Plan the requests, whose keys another computer creates."""
        plan = make_plan(TWO_FRONT_ENDS.encode())
        request_elsewhere(plan, self.folder, findings=(), computer="TOOLS", today=self.day)

    def hand_over(self) -> None:
        """Package the requests for the CA."""
        hand_over(self.folder, self.folder.parent / f"{self.day}.zip", today=self.day)

    def answer(self, **changes: object) -> None:
        """Receive a certificate for each request from the CA."""
        begins = datetime(self.day.year, self.day.month, self.day.day, tzinfo=UTC)
        changes = {"begins": begins, "days": 180, **changes}
        answers = issue_all(open_requests(self.folder), self.ca, **changes)
        with tempfile.TemporaryDirectory() as place:
            (Path(place) / "answers.pem").write_bytes(pem(*answers.values(), *self.ca.chain))
            receive(self.folder, place, today=self.day)

    def answer_badly(self) -> None:
        """Receive certificates without a CRL distribution point."""
        self.answer(crl=())

    def package(self) -> None:
        """Package the certificates for the servers."""
        issued = match_certificates(open_requests(self.folder), today=self.day)
        write_pfx(issued, passphrase=PASSPHRASE, today=self.day)

    def install_on_one(self) -> None:
        """Record the deployment on one of the two servers."""
        deployed(self.folder, "fe01.contoso.net", on=self.day, today=self.day)

    def install(self) -> None:
        """Record the deployment on all servers."""
        deployed(self.folder, on=self.day, today=self.day)

    def renew(self) -> None:
        """Renew all certificates."""
        renew(self.folder, "*", passphrase=PASSPHRASE, reason="renewal", today=self.day)

    def lose_keys(self) -> None:
        """Renew all certificates because their keys may be compromised."""
        renew(
            self.folder,
            "*",
            passphrase=PASSPHRASE,
            reason="a stolen backup",
            compromised=True,
            today=self.day,
        )

    def wait(self) -> None:
        """Do nothing."""


#: Each situation: what happens, on which day after the requests are written, the steps that every
#: surface then shows, and the exit status of the status command.
SITUATIONS = (
    (Life.request, 0, ("waiting",), 0),
    (Life.wait, 1, ("waiting",), 1),
    (Life.hand_over, 2, ("sent",), 1),
    (Life.answer_badly, 3, ("refused",), 1),
    (Life.hand_over, 4, ("sent",), 1),
    (Life.answer, 5, ("issued",), 0),
    (Life.wait, 6, ("issued",), 1),
    (Life.package, 7, ("packaged",), 1),
    (Life.install, 9, (), 0),
    (Life.wait, 100, (), 0),
    (Life.wait, 126, ("expiring",), 1),
    (Life.renew, 127, ("waiting",), 1),
    (Life.hand_over, 128, ("sent",), 1),
    (Life.wait, 190, ("outage", "sent"), 1),
    (Life.answer, 191, ("outage", "issued"), 1),
    (Life.package, 192, ("outage", "packaged"), 1),
    (Life.install, 193, (), 0),
    (Life.lose_keys, 200, ("revoke", "waiting"), 1),
)


def check_surfaces(life: Life, kinds: tuple[str, ...], exit_status: int) -> list[str]:
    """Return what a surface shows and should not, or should show and does not."""
    status = folder_status(life.folder, today=life.day)
    document = json.loads(json.dumps(status.to_document()))
    page = (life.folder / "summary.md").read_text("utf-8").replace("\\", "")
    found = [step.kind for row in status.requests for step in row.steps]
    wrong = []
    if tuple(kind for kind in KINDS if kind in found) != kinds:
        wrong.append(f"steps are {sorted(set(found))}")
    if status.exit_status != exit_status:
        wrong.append(f"exit status {status.exit_status}")
    if document["next_steps"] != list(status.next_steps):
        wrong.append("JSON differs")
    recorded = list_next_steps_from_manifest(
        life.folder, read_manifest(life.folder), today=life.day
    )
    if recorded != status.next_steps:
        wrong.append(f"after a change: {recorded}")
    starts = [WORDS[kind][0] for kind in kinds]
    if len(starts) != len(recorded) or not all(map(str.startswith, recorded, starts)):
        wrong.append(f"status: {recorded}")
    shown = [kind for kind in kinds if kind != "outage"]
    panel = find_next_step(status, None)
    words, _, button = WORDS[shown[0]] if shown else ("All requests are complete", "", "")
    if not panel["words"].startswith(words) or panel["step"] != button:
        wrong.append(f"panel: {panel}")
    if button and "lyncnb " in panel["words"]:
        wrong.append(f"panel speaks of the shell: {panel}")
    for row in status.shown:
        if bool(row.steps) != (describe_request(row, None).startswith("The certificate has been")):
            continue
        wrong.append(f"row: {describe_request(row, None)}")
    # The summary lists each renewal with its date, also before it is due, and the later work of the
    # server team.
    later = {"expiring"}
    if {"elsewhere", "waiting", "sent", "refused", "issued"} & set(kinds):
        later.add("packaged")
    for kind, (_, in_summary, _) in WORDS.items():
        if in_summary and kind not in later and (in_summary in page) != (kind in kinds):
            wrong.append(f"summary and {kind}: {in_summary in page}")
    wrong += check_days(life, status)
    if stale := explain_stale_summary(life.folder, read_manifest(life.folder)):
        wrong.append(f"summary: {stale}")
    return wrong


def check_days(life: Life, status: FolderStatus) -> Iterator[str]:
    """Yield the days on which the forecast or the calendar differs from the status."""
    calendar = {item.request_id: item for item in list_renewals(life.folder, today=life.day)}
    next_entries = {
        entry.id: entry
        for entry in reversed(forecast(life.folder, start=life.day).entries)
        if entry.number == 1
    }
    for row in status.shown:
        entry, event = next_entries[row.id], calendar.get(row.id)
        if row.change_on:
            days = {date.fromisoformat(row.change_on), event.install_on}
            if len(days) != 1 or max(*days, life.day) != entry.change_on:
                yield f"{row.id}: {days}, and {entry.change_on} in the forecast"
        elif not row.steps and event.renew_from != date.fromisoformat(row.due_on):
            yield f"{row.id}: {row.due_on}, and {event.renew_from} in the calendar"
        elif not row.steps and entry.order_on != event.renew_from:
            yield f"{row.id}: {event.renew_from}, and {entry.order_on} in the forecast"


def walk(life: Life, situations: Sequence[tuple]) -> Iterator[str]:
    """Go through situations, and yield what a surface shows otherwise than expected."""
    for number, (move, day, kinds, exit_status) in enumerate(situations):
        life.day = TODAY + timedelta(days=day)
        move(life)
        for text in check_surfaces(life, kinds, exit_status):
            yield f"{number} {move.__name__} on day {day}: {text}"


def test_every_surface_shows_the_same_step(tmp_path):
    """In each situation, the status, its exit status, its JSON, the panel, its rows, the summary,
    the calendar, the forecast, and the commands after a change show the same step.
    """
    assert not list(walk(Life(tmp_path / "requests"), SITUATIONS))


def test_keys_on_another_computer(tmp_path):
    """If another computer creates the keys, every surface names it and the scripts."""
    situations = ((Life.request_elsewhere, 0, ("elsewhere",), 0), (Life.wait, 1, ("elsewhere",), 1))
    assert not list(walk(Life(tmp_path / "requests"), situations))
