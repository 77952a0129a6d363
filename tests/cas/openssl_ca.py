"""Run `openssl ca` with a root CA and an issuing CA, which have the structure of a Microsoft
enterprise CA.
"""

from __future__ import annotations

from pathlib import Path

from cas import run, tool
from cas.python_ca import POLICIES, TIMESTAMP_LIST, TIMESTAMPS, timestamp_list

_PROOF = f"{TIMESTAMP_LIST.dotted_string} = DER:{timestamp_list(TIMESTAMPS).hex()}"
# The OpenSSL configuration format allows no comment after a value.
CONFIG = """\
[ca]
default_ca = issuing
[issuing]
dir = {folder}
database = $dir/index.txt
new_certs_dir = $dir/issued
certificate = $dir/issuing.pem
private_key = $dir/issuing.key
default_md = sha256
default_days = {days}
policy = anything
copy_extensions = copy
unique_subject = no
rand_serial = yes
preserve = yes
x509_extensions = server
email_in_dn = no
[anything]
commonName = optional
organizationName = optional
organizationalUnitName = optional
localityName = optional
stateOrProvinceName = optional
countryName = optional
[req]
distinguished_name = empty
[empty]
[root]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
[subordinate]
basicConstraints = critical,CA:TRUE,pathlen:0
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[server]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature,keyEncipherment
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
crlDistributionPoints = URI:http://pki.contoso.net/issuing1.crl
authorityInfoAccess = caIssuers;URI:http://pki.contoso.net/issuing1.cer
1.3.6.1.4.1.311.20.2 = ASN1:BMPSTRING:WebServer
certificatePolicies = {policy}
{proof}
"""


class OpensslCa:
    """A two-tier CA that returns certificates in several formats: DER, PEM, and PKCS #7."""

    def __init__(self, folder: Path, *, days: int = 40):
        self.folder, self._openssl, self._count = folder, tool("openssl"), 0
        (folder / "issued").mkdir(parents=True)
        (folder / "index.txt").touch()
        self.config = folder / "ca.cnf"
        self.config.write_text(
            CONFIG.format(folder=folder, days=days, policy=POLICIES[0], proof=_PROOF)
        )
        for name in ("root", "issuing"):
            self._run("genpkey", "-algorithm", "RSA", "-out", f"{name}.key")
        self._run(
            *("req", "-x509", "-config", "ca.cnf", "-extensions", "root", "-key", "root.key"),
            *("-subj", "/CN=Contoso Root CA", "-days", "3650", "-out", "root.pem"),
        )
        self._run(
            *("req", "-new", "-config", "ca.cnf", "-key", "issuing.key", "-out", "issuing.csr"),
            *("-subj", "/O=Contoso/CN=Contoso Issuing CA 1"),
        )
        self._run(
            *("x509", "-req", "-in", "issuing.csr", "-CA", "root.pem", "-CAkey", "root.key"),
            *("-extfile", "ca.cnf", "-extensions", "subordinate", "-days", "1825"),
            *("-out", "issuing.pem"),
        )

    def _run(self, *arguments: str) -> bytes:
        return run(self._openssl, *arguments, cwd=self.folder)

    def submit(self, csr: bytes) -> dict[str, bytes]:
        """Submit one CSR, and return the name and content of the file with its certificate."""
        self._count += 1
        stem = f"answer{self._count}"
        (self.folder / "in.csr").write_bytes(csr)
        leaf = self.folder / f"{stem}.pem"
        self._run(
            "ca", "-batch", "-config", "ca.cnf", "-in", "in.csr", "-notext", "-out", leaf.name
        )
        # If the signature of a request is invalid, `openssl ca` exits with status 0 and writes no
        # certificate.
        assert leaf.is_file()
        assert leaf.stat().st_size
        return self._answer(stem, self._count % 4)

    def _answer(self, stem: str, form: int) -> dict[str, bytes]:
        if form == 0:
            return {f"{stem}.crt": (self.folder / f"{stem}.pem").read_bytes()}
        if form == 1:
            data = self._run("x509", "-in", f"{stem}.pem", "-outform", "DER")
            return {f"{stem}.cer": data}
        encoding = "DER" if form == 2 else "PEM"
        data = self._run(
            *("crl2pkcs7", "-nocrl", "-certfile", f"{stem}.pem", "-certfile", "issuing.pem"),
            *("-certfile", "root.pem", "-outform", encoding),
        )
        return {f"{stem}.p7b": data}

    def verify(self, leaf: Path, name: str) -> None:
        """Verify a certificate for a host name with OpenSSL in strict mode."""
        self._run(
            *("verify", "-CAfile", "root.pem", "-untrusted", "issuing.pem", "-x509_strict"),
            *("-purpose", "sslserver", "-verify_hostname", name, str(leaf)),
        )
