"""Check whether a request folder still matches its saved plan.

The folder, the plan, and the issued certificates agree if two conditions are met: the recorded
requests have the digest of the plan, and no issued certificate for them was refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..base.records import JsonSerializable
from ..base.shown.tables import format_count
from ..errors import Problem
from ..request_folder.manifest import NAME, Manifest
from ..request_folder.request_record import PlanOnRecord
from .read_plan import compute_recorded_digest
from .returned.issued import IssuedCertificates

_HINT = (
    "to list the differences, run lyncnb compare PLAN FOLDER. Then run "
    "lyncnb request --plan again with the saved plan, or save the current plan and use it"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedPlanStatus(JsonSerializable):
    """The result of comparing a request folder with the saved plan of its latest requests.

    ``follows`` is true if the folder's requests match the plan. ``certificates`` is the number of
    issued certificates for these requests. ``refused`` is the number of requests whose certificate
    must not be used. ``covered`` is the number of planned certificates that are not requested
    because installed certificates cover them.
    """

    json_keys: ClassVar = (
        "sha256=plan.shown_sha256",
        "judged_on=plan.judged_on",
        "requested_at=plan.requested_at",
        "approvals=plan.approvals.signer,key,verified_at",
        "agrees",
        "folder_follows=follows",
        "requests",
        "certificates",
        "refused",
        "covered",
    )

    plan: PlanOnRecord
    follows: bool
    requests: int
    certificates: int
    refused: int
    covered: int = 0

    @property
    def agrees(self) -> bool:
        """Whether the folder, the plan and the issued certificates agree."""
        return self.follows and not self.refused

    @property
    def description(self) -> str:
        """Describe in one line how the request folder compares with its saved plan."""
        digest = f"{self.plan.shown_as} {self.plan.shown_sha256[:12]}…"
        plan = f"the saved plan ({digest}), evaluation date {self.plan.judged_on}"
        names = ", ".join(
            f"{approval.signer} ({approval.key}) on {approval.verified_at[:10]}"
            for approval in self.plan.approvals
        )
        by = (
            f"approved by {names}"
            if names
            else "not approved, because lyncnb has not verified a signature of the plan"
        )
        if not self.follows:
            return f"the folder differs from {plan} ({by})"
        requests = format_count(self.requests, "request")
        if self.covered:
            requests = f"{requests} (plus {self.covered:,} that installed certificates cover)"
        parts = [
            f"{requests} as in {plan} ({by})",
            f"{format_count(self.certificates, 'certificate')} received",
        ]
        if self.refused:
            parts.append(
                f"lyncnb refused the certificates of {format_count(self.refused, 'request')}"
            )
        elif self.certificates:
            parts.append("the certificates match the plan")
        return "; ".join(parts)

    @property
    def problem(self) -> Problem | None:
        """The problem to report if the request folder does not match its saved plan, or None."""
        return None if self.follows else Problem(message=self.description, file=NAME, hint=_HINT)


def compare_with_saved_plan(
    manifest: Manifest, issued_certificates: IssuedCertificates
) -> SavedPlanStatus | None:
    """Compare a request folder with the saved plan of its latest requests.

    Returns
    -------
    SavedPlanStatus or None
        None if the folder was not created from a saved plan.
    """
    if not manifest.plans:
        return None
    plan = manifest.plans[-1]
    follows = manifest.plan_sha256 == plan.plan_sha256
    # The manifest can agree with a plan although the requests do not. Therefore, each recorded
    # request is compared.
    if follows:
        follows = compute_recorded_digest(manifest) == plan.plan_sha256
    present = [record for record in manifest.requests if record.state != "retired"]
    covered = sum(record.covered is not None for record in present)
    refused = issued_certificates.refusals
    return SavedPlanStatus(
        plan=plan,
        follows=follows,
        requests=len(present) - covered,
        covered=covered,
        certificates=sum(record.issued is not None for record in present),
        refused=sum(record.id in refused for record in present),
    )
