"""Define what a check yields: the place, the message, and the edits that resolve the finding."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from ..base.dns_name import DnsName
from ..plan.model import PlannedCertificate
from ..rules.findings import Edit
from ..rules.model import CheckRule
from .plan_lookups import PlanView

# The maximum number of choices that a finding offers. A longer list does not help the user, and a
# plan with 1,000 pools would have 1,000 choices.
MOST_CHOICES = 8


@dataclass(frozen=True, slots=True)
class Found:
    """What a check found.

    ``subject`` is the ID of a certificate, or the first server in the affected pools. ``edits`` is
    the fix, if there is exactly one safe fix. ``choices`` has the edits of each sensible answer, if
    there are several. Two checks of one place with the same message found the same.

    A fix is safe if it writes down what the plan already contains, or what the product requires.
    For a required name that is missing, a fix proposes the usual name in the planner's SIP domains.
    """

    subject: str
    message: str
    edits: tuple[Edit, ...] = field(default=(), compare=False)
    choices: Iterable[tuple[Edit, ...]] = field(default=(), compare=False)


CertificateTest = Callable[[PlannedCertificate, PlanView, CheckRule], Iterator[Found]]
NameTest = Callable[[DnsName, PlanView, CheckRule], str]
DeploymentTest = Callable[[PlanView, CheckRule], Iterator[Found]]
