"""Find the CA certificates that each server must trust, based on a trust plan for the packages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property

from ..authorities.trust.trust_plan import trust
from ..authorities.trust.trust_tables import RequiredCa, TrustPlan
from ..base.certificate_fields import DistinguishedName, KeyParameters
from ..base.planned_entry import list_importing_servers
from ..pki.certificates import Certificate
from ..plan.model import PlannedCertificate
from ..plan.recorded_plan import build_recorded_plan
from ..rules.model import Rules
from .server_steps import ServerPackage

# A placeholder for the key of an issued certificate. The trust plan uses neither the key nor the
# hash.
_KEY = KeyParameters(algorithm="RSA", bits=2048)


def list_issuers(packages: Iterable[ServerPackage]) -> tuple[Certificate, ...]:
    """Return the CA certificates in the chains of packages without duplicates, roots first."""
    issuers = {issuer.sha256: issuer for package in packages for issuer in package.path}
    return tuple(sorted(issuers.values(), key=lambda issuer: not issuer.is_self_issued))


class TrustOfPackages:
    """The trust plan for packages, with the CA certificates above the packaged certificates.

    Parameters
    ----------
    packages : iterable of ServerPackage
        n of them.
    rules : Rules
        Of the product.
    """

    def __init__(self, packages: Iterable[ServerPackage], rules: Rules):
        self.packages = tuple(packages)
        self.rules = rules

    @cached_property
    def cas_by_hash(self) -> Mapping[str, Certificate]:
        """The CA certificates in the chains of the packages, by their SHA-256."""
        return {issuer.sha256: issuer for issuer in list_issuers(self.packages)}

    @cached_property
    def plan(self) -> TrustPlan:
        """The trust plan for all packages."""
        planned = {
            _build_planned_certificate(package, self.rules): package.path
            for package in self.packages
        }
        plan = build_recorded_plan([*planned], self.rules, source="")
        return trust(plan, chains={certificate.id: path for certificate, path in planned.items()})

    def list_cas_of_server(self, server: str) -> tuple[tuple[Certificate, tuple[str, ...]], ...]:
        """Return the CA certificates that a server must trust, roots first, with the reasons."""
        reasons_by_hash: dict[str, dict[str, None]] = {}
        for requirement in self._required_cas_by_server.get(server, ()):
            if requirement.ca.sha256:
                reasons_by_hash.setdefault(requirement.ca.sha256, {}).update(
                    dict.fromkeys(requirement.reasons)
                )
        # The certificate of the deployment is imported on one server, which can have any role.
        for package in self._shared_packages.get(server, ()):
            for issuer in package.path:
                reasons_by_hash.setdefault(issuer.sha256, {"its own certificate": None})
        known = [
            (self.cas_by_hash[sha256], tuple(reasons))
            for sha256, reasons in reasons_by_hash.items()
        ]
        return tuple(sorted(known, key=lambda pair: not pair[0].is_self_issued))

    @cached_property
    def _required_cas_by_server(self) -> Mapping[str, list[RequiredCa]]:
        by_server: dict[str, list[RequiredCa]] = {}
        for requirement in self.plan.required:
            for server in requirement.servers:
                by_server.setdefault(server, []).append(requirement)
        return by_server

    @cached_property
    def _shared_packages(self) -> Mapping[str, list[ServerPackage]]:
        by_server: dict[str, list[ServerPackage]] = {}
        for package in self.packages:
            if package.shared_by == "deployment":
                for server in list_importing_servers(package.servers, package.shared_by):
                    by_server.setdefault(server, []).append(package)
        return by_server


def _build_planned_certificate(package: ServerPackage, rules: Rules) -> PlannedCertificate:
    """Return the planned certificate for a package, with the fields that the trust plan needs."""
    rule = next(
        (r for r in rules.certificates if (r.role, r.usages) == (package.role, package.usages)),
        None,
    )
    return PlannedCertificate(
        role=package.role,
        site=package.site,
        pool=package.pool,
        usages=package.usages,
        extended_key_usage=package.eku or (rule.extended_key_usage if rule else ()),
        key=_KEY,
        hash="",
        shared_by=package.shared_by,
        rule=rule.id if rule else "",
        servers=package.servers,
        subject=DistinguishedName(common_name=package.name),
        subject_alt_name=(),
        issuer=package.issuer,
        ca="",
        target_os="",
    )
