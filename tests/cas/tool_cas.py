"""Run small CAs with tools that administrators often have: GnuTLS certtool, Java keytool, and
easy-rsa.
"""

from __future__ import annotations

from pathlib import Path

from cryptography import x509
from cryptography.x509.oid import ExtensionOID

from cas import BRIEF_JAVA, run, tool

_DAYS = "40"


def _names(csr: bytes) -> list[str]:
    """Return the DNS names in the subject alternative name of a request."""
    request = x509.load_pem_x509_csr(csr)
    try:
        extension = request.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME)
    except x509.ExtensionNotFound:
        return []
    return extension.value.get_values_for_type(x509.DNSName)


class CerttoolCa:
    """A root CA that uses certtool from GnuTLS, and copies the extensions of a request."""

    def __init__(self, folder: Path):
        folder.mkdir(parents=True)
        self.folder, self._count, self._tool = folder, 0, tool("certtool")
        (folder / "ca.tmpl").write_text(
            'cn = "Fabrikam GnuTLS CA"\nca\ncert_signing_key\ncrl_signing_key\n'
            "expiration_days = 3000\n"
        )
        run(self._tool, "--generate-privkey", "--bits", "2048", "--outfile", folder / "ca.key")
        run(
            *(self._tool, "--generate-self-signed", "--load-privkey", folder / "ca.key"),
            *("--template", folder / "ca.tmpl", "--outfile", folder / "ca.pem"),
        )

    def submit(self, csr: bytes) -> dict[str, bytes]:
        """Submit one CSR, and return the name and content of the file with its certificate."""
        self._count += 1
        (self.folder / "in.csr").write_bytes(csr)
        names = "".join(f'dns_name = "{name}"\n' for name in _names(csr))
        (self.folder / "leaf.tmpl").write_text(
            f"expiration_days = {_DAYS}\nsigning_key\nencryption_key\ntls_www_server\n{names}"
            'crl_dist_points = "http://pki.fabrikam.com/1.crl"\n'
        )
        out = self.folder / f"{self._count}.pem"
        run(
            *(self._tool, "--generate-certificate", "--load-request", self.folder / "in.csr"),
            *("--load-ca-certificate", self.folder / "ca.pem", "--outfile", out),
            *("--load-ca-privkey", self.folder / "ca.key"),
            *("--template", self.folder / "leaf.tmpl"),
        )
        return {out.name: out.read_bytes()}

    def chain(self) -> dict[str, bytes]:
        """Return the CA certificate, which is the complete chain."""
        return {"root.pem": (self.folder / "ca.pem").read_bytes()}


class KeytoolCa:
    """A root CA that uses `keytool -gencert` from Java."""

    def __init__(self, folder: Path):
        folder.mkdir(parents=True)
        self.folder, self._count = folder, 0
        self._keytool = (tool("keytool"), *BRIEF_JAVA)
        self._store = (
            "-keystore",
            folder / "ca.p12",
            "-storepass",
            "for the tests",
            "-alias",
            "ca",
        )
        run(
            *(*self._keytool, "-genkeypair", *self._store, "-keyalg", "RSA", "-keysize", "2048"),
            *("-dname", "CN=Fabrikam Java CA", "-validity", "3000", "-ext", "bc:c=ca:true"),
            *("-ext", "ku:c=keyCertSign,cRLSign"),
        )

    def submit(self, csr: bytes) -> dict[str, bytes]:
        """Submit one CSR, and return the name and content of the file with its certificate."""
        self._count += 1
        (self.folder / "in.csr").write_bytes(csr)
        out = self.folder / f"{self._count}.cer"
        names = ",".join(f"dns:{name}" for name in _names(csr))
        run(
            *(*self._keytool, "-gencert", *self._store, "-infile", self.folder / "in.csr"),
            *("-outfile", out, "-validity", _DAYS, "-sigalg", "SHA256withRSA"),
            *("-ext", "ku:c=digitalSignature,keyEncipherment", "-ext", "eku=serverAuth"),
            *("-ext", "crl=uri:http://pki.fabrikam.com/1.crl"),
            *(("-ext", f"san={names}") if names else ()),
        )
        return {out.name: out.read_bytes()}

    def chain(self) -> dict[str, bytes]:
        """Return the certificate of the CA."""
        out = self.folder / "root.cer"
        run(*self._keytool, "-exportcert", *self._store, "-file", out)
        return {out.name: out.read_bytes()}


class EasyRsaCa:
    """A CA that uses easy-rsa from Debian and copies the extensions of a request."""

    def __init__(self, folder: Path):
        self.folder, self._count, self._tool = folder, 0, folder / "easyrsa"
        run(tool("make-cadir"), folder)
        self._run("init-pki")
        # The easy-rsa tool copies the names from a request. The CRL distribution point is in a
        # separate configuration file.
        types = folder / "x509-types"
        debian_types = types.readlink()
        types.unlink()
        types.mkdir()
        for file in debian_types.iterdir():
            (types / file.name).write_bytes(file.read_bytes())
        with (types / "COMMON").open("a") as common:
            common.write("\ncrlDistributionPoints = URI:http://pki.fabrikam.com/1.crl\n")
        self._run("--req-cn=Fabrikam Easy CA", "build-ca", "nopass")

    def _run(self, *arguments: str | Path) -> bytes:
        options = (f"--pki-dir={self.folder}/pki", "--batch", f"--days={_DAYS}")
        return run("env", f"EASYRSA_EXT_DIR={self.folder}/x509-types", self._tool, *options,
                   *arguments)  # fmt: skip

    def submit(self, csr: bytes) -> dict[str, bytes]:
        """Submit one CSR. Return the name and content of the certificate's file, in which text from
        easy-rsa precedes the certificate.
        """
        self._count += 1
        name = f"request{self._count}"
        (self.folder / f"{name}.csr").write_bytes(csr)
        self._run("import-req", self.folder / f"{name}.csr", name)
        self._run("--copy-ext", "sign-req", "server", name)
        return {f"{name}.crt": (self.folder / "pki" / "issued" / f"{name}.crt").read_bytes()}

    def chain(self) -> dict[str, bytes]:
        """Return the certificate of the CA."""
        return {"ca.crt": (self.folder / "pki" / "ca.crt").read_bytes()}
