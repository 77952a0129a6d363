"""Package the key, certificate and chain of each request as a PFX file in ``pfx/``.

A package is suitable for the oldest Windows version among its servers. Each package has a random
password, which is stored only in an encrypted list and never in a script, table or log.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Collection, Container
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from ..authorities.evaluation.evaluation import SEVERAL_ROOTS
from ..authorities.import_certificates import store_returned_certificates
from ..authorities.returned.issued import IssuedCertificate, IssuedCertificates
from ..base.arguments import check_type
from ..base.disk import files
from ..base.disk.folder_lock import confirm_lock
from ..base.pasted_text import shown
from ..base.shown.tables import join_first_texts
from ..base.times import convert_to_time
from ..errors import BundleError, LyncnbError, PackageError, PassphraseError
from ..pki import keys
from ..pki.certificates import read_certificate
from ..pki.passphrase import Secret
from ..pki.pkcs8 import FolderCipher
from ..pki.pkcs12 import PfxContent, PfxContents, PfxNotOpened, open_pfx
from ..request_folder.bundle import RequestBundle
from ..request_folder.files_on_disk import reject_problems, take_survey
from ..request_folder.history import record_changes
from ..request_folder.key_bindings import find_binding_problems, report_unverified_keys
from ..request_folder.leftovers import verify_passphrase
from ..request_folder.manifest import (
    Manifest,
    format_timestamp,
    read_manifest,
    save_manifest,
)
from ..request_folder.plan_file import find_deployment_name
from ..request_folder.recovery_key import seal_new_keys
from ..request_folder.request_record import PackageRecord, RequestRecord, build_file_stem
from ..rules.procedure import Encryption, PackageRules, load_package_rules
from ..rules.rule_files import load_recorded_rules
from .package_passwords import LIST, PasswordList, generate_password
from .pfx_packages import Package, Packages, Task, make_packages
from .recorded_commands import record_commands
from .steps import deployment_steps

FOLDER = "pfx"
# The number of packages in a batch. Packages are created, recorded and renamed in batches, which
# limits the use of memory.
_BATCH = 500
# The largest number of unknown IDs in an error message.
_IDS_SHOWN = 5
# The number of seconds of work that an interrupted run may lose. Saving the manifest after each
# batch would write 43 GiB for 100,000 packages.
_SAVE_EVERY = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """A package to create, with the data that it needs."""

    record: RequestRecord
    issued: IssuedCertificate
    encryption: Encryption
    package: Package


def write_pfx(
    issued: IssuedCertificates,
    folder: str | os.PathLike[str] = FOLDER,
    *,
    passphrase: Secret | str | None,
    target_os: str = "",
    without_chain: Collection[str] = (),
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    today: date | None = None,
    lock_seconds: float = 10.0,
) -> Packages:
    """Package each issued certificate with its key and its chain, without the root.

    Parameters
    ----------
    issued : IssuedCertificates
        n certificates, matched and compared.
    folder : path, optional
        The folder for the packages: the request folder's ``pfx`` or a folder below it. ``purge``
        looks only there.
    passphrase : Secret or str
        The folder's. It may be None if there is nothing to package here (see
        :func:`needs_passphrase`).
    target_os : str, optional
        Windows Server version instead of the plan's, for example ``2012R2`` or ``2019``.
    without_chain : collection of str, optional
        Ids of requests whose package may have an incomplete chain.
    workers : int, optional
        Processes at most; the number of processors if left out.
    progress : callable, optional
        Called with the number of finished packages and their total.
    today : date, optional
        Recorded instead of the present time, for results that can be repeated.
    lock_seconds : float, optional
        How long to wait for another writer, in seconds.

    Returns
    -------
    Packages
        Written, kept (already there for the same certificate and target), deployed, exported on
        the computer that has the key, and refused.

    Raises
    ------
    PackageError
        If the target is unknown.
    BundleError
        If the folder or the passphrase needs attention; nothing was changed.

    Notes
    -----
    Source: RFC 7292; Microsoft, PKCS12_PBES2_EXPORT_PARAMS, for what an old Windows can read.
    """
    check_type("write_pfx: issued", issued, IssuedCertificates)
    check_type("write_pfx: folder", folder, str, os.PathLike)
    base = issued.bundle.folder
    pfx_folder = _get_relative_path(base, folder)
    now = format_timestamp(today)
    if passphrase is None:
        return _build_result_without_keys(issued, pfx_folder, target_os, without_chain)
    cipher = FolderCipher(passphrase)
    # Check the passphrase before the command changes anything.
    verify_passphrase(take_survey(base), read_manifest(base), cipher)
    store_returned_certificates(issued.bundle, issued, today=today, lock_seconds=lock_seconds)
    with record_changes(base, "pfx", now=now, wait_seconds=lock_seconds):
        manifest = read_manifest(base)
        problems = find_binding_problems(take_survey(base), manifest, cipher)
        reject_problems(base, (*problems, *report_unverified_keys(manifest)))
        seal_new_keys(base, cipher, manifest)
        passwords = PasswordList(base, cipher)
        _reject_unknown_ids(manifest, base, without_chain)
        ready, packages = _split_packages(
            manifest, issued, pfx_folder, target_os, passwords, without_chain
        )
        parts = pfx_folder.split("/")
        # The folder of the packages is created first, because the first batch also writes the list
        # of passwords.
        for length in range(1, len(parts) + 1):
            files.make_folder(base.joinpath(*parts[:length]), 0o700)
        manifest, new_packages = _write_all_packages(
            base, manifest, ready, cipher, passwords, workers, now, progress
        )
        packages += new_packages
    if "deploy" in load_recorded_rules(manifest.product, sha256=manifest.product_sha256).settings:
        steps = deployment_steps(issued, today=today)
        manifest = record_commands(base, steps, lock_seconds=lock_seconds)
    order = {record.id: number for number, record in enumerate(manifest.requests)}
    packages.sort(key=lambda package: order[package.request_id])
    return Packages(bundle=replace(issued.bundle, manifest=manifest), packages=tuple(packages))


def is_passphrase_needed(bundle: RequestBundle) -> bool:
    """Return whether packaging needs the passphrase, because the folder contains a planned key."""
    return any(record.has_key and record.state != "retired" for record in bundle.requests)


def _build_result_without_keys(
    issued_certificates: IssuedCertificates,
    pfx_folder: str,
    target_os: str,
    ids_without_chain: Collection[str],
) -> Packages:
    """Return the result for a folder without keys, which are elsewhere or were removed."""
    bundle = issued_certificates.bundle
    if is_passphrase_needed(bundle):
        raise PassphraseError(
            "you did not specify a passphrase",
            hint="specify the folder's passphrase, which decrypts the keys",
        )
    _reject_unknown_ids(bundle.manifest, bundle.folder, ids_without_chain)
    _, packages = _split_packages(
        bundle.manifest, issued_certificates, pfx_folder, target_os, (), ids_without_chain
    )
    return Packages(bundle=bundle, packages=tuple(packages))


def _reject_unknown_ids(manifest: Manifest, base: Path, ids: Collection[str]) -> None:
    unknown = set(ids) - manifest.by_id.keys()
    if unknown:
        noun = "request" if len(unknown) == 1 else "requests"
        quoted_ids = [shown(request_id) for request_id in sorted(unknown)]
        raise BundleError(
            f"the folder {base} has no {noun} {join_first_texts(quoted_ids, _IDS_SHOWN)}",
            hint="enter the ID exactly as lyncnb status shows it",
        )


def _get_relative_path(base: Path, folder: str | os.PathLike[str]) -> str:
    """Return the path of a folder relative to the request folder, with slashes."""
    try:
        full_path, root = (base / folder).resolve(), base.resolve()
    # The error occurs, for example, if links are circular or a name contains a NUL character.
    except (OSError, RuntimeError, ValueError):
        raise BundleError(
            f"{ascii(os.fspath(folder))[1:-1]} is not a valid folder path",
            hint="omit folder=, or specify a folder inside the pfx folder",
        ) from None
    if not full_path.is_relative_to(root / FOLDER):
        raise BundleError(
            (
                f"{folder} cannot contain packages: packages must be in {base / FOLDER} or "
                "in a folder inside it"
            ),
            hint=(
                "omit folder=, so that lyncnb purge can find the packages. Then copy "
                "the packages to the servers from the default folder"
            ),
        )
    return full_path.relative_to(root).as_posix()


def _split_packages(
    manifest: Manifest,
    issued_certificates: IssuedCertificates,
    pfx_folder: str,
    target_os: str,
    passwords: Container[str],
    ids_without_chain: Collection[str],
) -> tuple[list[_Job], list[Package]]:
    """Separate the packages to create from packages that exist or cannot be created."""
    rules = load_package_rules(
        load_recorded_rules(manifest.product, sha256=manifest.product_sha256)
    )
    folder, now = issued_certificates.bundle.folder, convert_to_time(issued_certificates.today)
    deployment = find_deployment_name(folder, manifest)
    ready, settled = [], []
    for record in manifest.requests:
        if record.state == "retired":
            continue
        target = target_os or record.target_os
        encryption = rules.find_encryption(target)
        certificate = issued_certificates.by_id.get(record.id)
        package = Package(
            request_id=record.id,
            file=f"{pfx_folder}/{_choose_file_name(record, certificate)}",
            servers=record.plan.servers,
            usages=record.plan.usages,
            target_os=target,
            encryption=encryption.title,
            friendly_name=_build_friendly_name(record, certificate, deployment)
            if certificate
            else "",
            action="written",
            why=encryption.why + (_explain_start(certificate) if certificate else ""),
        )
        objection = _find_objection(
            record, certificate, issued_certificates, record.id in ids_without_chain
        )
        if record.covered and record.covered.is_in_force(now):
            reason = f"no request is needed, because it is {record.covered}"
            settled.append(replace(package, file="", action="covered", why=reason))
        elif record.deployed_at:
            settled.append(
                replace(package, file="", action="deployed", why=_report_deployed(record))
            )
        elif record.key_holder and not objection:
            settled.append(
                replace(package, file="", action="elsewhere", why=_report_key_elsewhere(record))
            )
        elif objection or certificate is None:
            is_waiting = certificate is None and record.state == "waiting" and not record.refused
            action = "waiting" if is_waiting else "refused"
            settled.append(replace(package, file="", action=action, why=objection))
        elif _is_existing_package(folder, record, certificate, package, encryption, passwords):
            package_record = record.package
            name = package_record.friendly_name if package_record else package.friendly_name
            settled.append(replace(package, action="kept", friendly_name=name))
        else:
            ready.append(
                _Job(record=record, issued=certificate, encryption=encryption, package=package)
            )
    return ready, settled


def _explain_start(certificate: IssuedCertificate) -> str:
    """Return why a package must not be installed yet, or "" if its certificate is valid."""
    starts = [
        finding.message for finding in certificate.findings if finding.code == "not-yet-valid"
    ]
    return "".join(f"; do not install the package yet: {message}" for message in starts)


def _choose_file_name(record: RequestRecord, issued_certificate: IssuedCertificate | None) -> str:
    """Return the file name for a package. An existing package keeps its name."""
    package_record = record.package
    if (
        package_record is not None
        and issued_certificate is not None
        and package_record.certificate == issued_certificate.sha256
    ):
        return package_record.file.rpartition("/")[2]
    return f"{build_file_stem(record.id, record.spki_sha256)}.pfx"


def _find_objection(
    record: RequestRecord,
    certificate: IssuedCertificate | None,
    issued_certificates: IssuedCertificates,
    may_lack_chain: bool,
) -> str:
    """Return why a request cannot be packaged, or "" if it can be packaged."""
    if certificate is None:
        return issued_certificates.why_missing(record.id) or (
            f"no certificate has been issued yet; state: {record.state}"
            if record.is_written or not record.key_holder
            else f"this certificate must still be requested on {record.key_holder}"
        )
    if certificate.generation != record.generation:
        return "the certificate belongs to a superseded request"
    if certificate.has_errors:
        return issued_certificates.explain_refusal(record.id)
    # The operating system already has the root of a public CA in its store.
    has_chain = certificate.chain_complete or (
        record.plan.issuer == "public" and bool(certificate.path)
    )
    doubt = [f.message for f in certificate.findings if f.code == SEVERAL_ROOTS]
    if doubt and not has_chain and not may_lack_chain:
        return (
            f"{doubt[0]}; compare the fingerprints with your CA's, then choose the root: lyncnb "
            f"receive FOLDER --accept {SEVERAL_ROOTS}=FINGERPRINT"
        )
    if not has_chain and not may_lack_chain:
        return (
            "the chain is incomplete; receive the missing CA certificate, or package "
            f"the certificate without the chain: --without-chain {record.id}"
        )
    return ""


def _report_deployed(record: RequestRecord) -> str:
    if record.key_holder:
        return (
            f"the certificate was deployed on {record.deployed_at[:10]}, and its key was "
            "never in this folder"
        )
    return (
        "the certificate is deployed, and its key was removed from this folder on "
        f"{record.deployed_at[:10]}. To create another package, renew the certificate "
        f"(lyncnb renew FOLDER {record.id}), or restore {record.files.key} and run "
        "lyncnb status FOLDER --rebuild"
    )


def _report_key_elsewhere(record: RequestRecord) -> str:
    return (
        f"the key is on {record.key_holder}. Complete the request and export the package "
        "on that computer. To write the commands, run lyncnb steps"
    )


def _build_friendly_name(
    record: RequestRecord, certificate: IssuedCertificate, deployment: str
) -> str:
    """Return the certificate's friendly name, which must be unique in the Windows store.

    Source: Microsoft, Certificate requirements for internal servers in Lync Server 2013.
    """
    plan = record.plan
    whose = (
        plan.servers[0] if plan.servers and plan.shared_by == "server" else plan.pool or deployment
    )
    purpose = "+".join(plan.usages) or plan.role
    return f"{whose} {purpose} {certificate.not_before:%Y-%m-%d} {certificate.thumbprint[:8]}"


def _is_existing_package(
    base: Path,
    record: RequestRecord,
    certificate: IssuedCertificate,
    package: Package,
    encryption: Encryption,
    passwords: Container[str],
) -> bool:
    """Return whether the same package already exists with its file and its password."""
    package_record = record.package
    if package_record is None or package_record.certificate != certificate.sha256:
        return False
    if (package_record.file, package_record.encryption) != (package.file, encryption.id):
        return False
    try:
        data = files.read_file(base / package.file)
    except BundleError:
        return False
    digest = hashlib.sha256(data).hexdigest()
    return digest == package_record.sha256 and digest in passwords


def _write_all_packages(
    base: Path,
    manifest: Manifest,
    jobs: list[_Job],
    cipher: FolderCipher,
    passwords: PasswordList,
    workers: int | None,
    now: str,
    progress: Callable[[int, int], None] | None,
) -> tuple[Manifest, list[Package]]:
    """Create all packages. Save the manifest regularly, at the end, and after a failure."""
    packages: list[Package] = []
    saved_at = time.monotonic()
    try:
        for start in range(0, len(jobs), _BATCH):
            confirm_lock(base)
            batch = jobs[start : start + _BATCH]
            manifest, batch_packages = _write_packages(
                base, manifest, batch, cipher, passwords, workers, now
            )
            packages += batch_packages
            if time.monotonic() - saved_at >= _SAVE_EVERY:
                save_manifest(base, manifest)
                saved_at = time.monotonic()
            if progress is not None:
                progress(min(start + _BATCH, len(jobs)), len(jobs))
    finally:
        save_manifest(base, manifest)
    return manifest, packages


def _write_packages(
    base: Path,
    manifest: Manifest,
    jobs: list[_Job],
    cipher: FolderCipher,
    passwords: PasswordList,
    workers: int | None,
    now: str,
) -> tuple[Manifest, list[Package]]:
    """Create packages, add their passwords to the list, and return the manifest to save."""
    tasks, kept, failed = [], [], []
    rules = load_package_rules(
        load_recorded_rules(manifest.product, sha256=manifest.product_sha256)
    )
    for job in jobs:
        try:
            task = _build_task(base, job, cipher, rules)
        except LyncnbError as error:
            failed.append(replace(job.package, file="", action="refused", why=error.message))
            continue
        if digest := _find_same_package(base, job, task.content, passwords):
            kept.append((job, digest))
        else:
            tasks.append((job, task))
    contents = make_packages([task for _, task in tasks], workers=workers)
    digests = [hashlib.sha256(data).hexdigest() for data in contents]
    added = {digest: task.password for digest, (_, task) in zip(digests, tasks, strict=True)}
    if added:
        passwords.save_passwords(added)
        if LIST not in manifest.encrypted:
            manifest = manifest.with_encrypted_file(LIST)
            save_manifest(base, manifest)
    for (job, _), data in zip(tasks, contents, strict=True):
        files.replace_file(base / job.package.file, data, 0o600)
    written = [job for job, _ in tasks]
    recorded = [*zip(written, digests, strict=True), *kept]
    records = [
        job.record.with_package(_build_package_record(job, digest, now), at=now)
        for job, digest in recorded
    ]
    packages = [job.package for job in written]
    packages += [replace(job.package, action="kept") for job, _ in kept]
    return manifest.with_records(records), packages + failed


def _find_same_package(base: Path, job: _Job, content: PfxContent, passwords: PasswordList) -> str:
    """Return the SHA-256 of the package at its path if it is the one to create, else "".

    Such a package has no record if an earlier run was interrupted, or the manifest was rebuilt. Its
    file may already be on servers, so it is not created again with another password.
    """
    try:
        data = files.read_file(base / job.package.file)
        digest = hashlib.sha256(data).hexdigest()
        found = open_pfx(data, passwords.get_password(digest))
    except (BundleError, PfxNotOpened):
        return ""
    expected = PfxContents(
        certificates=(content.certificate, *content.chain),
        key_spki_sha256=job.record.spki_sha256,
        friendly_name=content.friendly_name,
        encryption=content.encryption,
    )
    return digest if found == expected else ""


def _build_task(base: Path, job: _Job, cipher: FolderCipher, rules: PackageRules) -> Task:
    name = job.record.files.key
    key = cipher.decrypt(files.read_file(base / name), name=name)
    if keys.compute_spki_sha256(key) != job.record.spki_sha256:
        raise PackageError(
            f"{name} is not the key for this request", hint="restore keys/ from a backup"
        )
    content = PfxContent(
        certificate=job.issued.der,
        # The package contains no root, because an import would install it without asking. A
        # separate step compares and installs the root.
        chain=tuple(der for der in job.issued.chain if not read_certificate(der).is_self_issued),
        friendly_name=job.package.friendly_name,
        encryption=job.encryption.id,
        provider=rules.find_provider(keys.find_key_parameters(key)[0]),
    )
    return Task(content=content, key=keys.to_pkcs8(key), password=generate_password())


def _build_package_record(job: _Job, digest: str, now: str) -> PackageRecord:
    return PackageRecord(
        file=job.package.file,
        target_os=job.package.target_os,
        encryption=job.encryption.id,
        friendly_name=job.package.friendly_name,
        certificate=job.issued.sha256,
        sha256=digest,
        packaged_at=now,
    )
