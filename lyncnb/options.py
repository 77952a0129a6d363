"""``PlanOptions``: every choice that the topology table does not hold, and ``plan.toml``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from .fields import KeyParameters


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanOptions:
    """Choices of the planner. As a file it is ``plan.toml``, beside the table."""

    product: str = "lync2013"
    profile: str = "default"  # or "doc_example"
    layout: str = "combined"  # or "separate"
    wildcard: bool = False
    autodiscover_https: bool = True
    edge_member_names: bool = False
    autodiscover_internal_extra_domains: tuple[str, ...] = ()
    key: KeyParameters = KeyParameters()
    hash: str = "sha256"
    organization: str = ""
    organizational_unit: str = ""
    locality: str = ""
    state: str = ""
    country: str = ""
    issuer: Mapping[str, str] = field(default_factory=dict)  # usage ("" = all) -> internal|public
    ca: Mapping[str, str] = field(default_factory=dict)  # usage, internal or public -> CA's name
    planned_issue_date: date | None = None
    validity_days: int | None = None
    target_os: str = ""  # "" = each row's own
    accepted: Mapping[str, str] = field(default_factory=dict)  # finding code -> reason


DEFAULT_OPTIONS = PlanOptions()
