"""Run `certutil -C` from the NSS tools, a CA that stores its key in a database and adds a CRL
distribution point on request.
"""

from __future__ import annotations

from pathlib import Path

from cas import run, tool


class NssCa:
    """A single-tier CA that returns PEM files whose names end in .der."""

    def __init__(
        self, folder: Path, *, months: int = 1, crl: str = "http://pki.fabrikam.com/1.crl"
    ):
        folder.mkdir(parents=True)
        self._crl = crl
        self.folder, self._months, self._count = folder, months, 0
        self._certutil = tool("certutil")
        self._noise = folder / "noise"
        self._noise.write_bytes(bytes(range(256)) * 8)
        self._run("-N", "--empty-password")
        self._run(
            *("-S", "-x", "-n", "root", "-s", "CN=Fabrikam NSS CA,O=Fabrikam", "-t", "CT,,"),
            *("-m", "1", "-v", "120", "-k", "rsa", "-g", "2048", "-z", self._noise, "-2"),
            *("--keyUsage", "certSigning,crlSigning,critical"),
            # The inputs for the prompts of certutil: the certificate is a CA certificate, any path
            # length is allowed, and the extension is critical.
            text="y\n-1\ny\n",
        )

    def _run(self, *arguments: str | Path, text: str = "") -> bytes:
        return run(self._certutil, "-d", f"sql:{self.folder}", *arguments, text=text)

    def submit(self, csr: bytes) -> dict[str, bytes]:
        """Submit one CSR, and return the name and content of the file with its certificate."""
        self._count += 1
        (self.folder / "in.csr").write_bytes(csr)
        out = self.folder / f"{self._count}.der"
        self._run(
            *("-C", "-c", "root", "-a", "-i", self.folder / "in.csr", "-o", out),
            *("-m", str(1000 + self._count), "-v", str(self._months)),
            *("--keyUsage", "digitalSignature,keyEncipherment,critical"),
            *("--extKeyUsage", "serverAuth", *(("-4",) if self._crl else ())),
            # The inputs for the prompts of certutil: a full name, a URI, the URL of the CRL, no
            # further values, and a non-critical extension.
            text=f"1\n7\n{self._crl}\n-1\n-1\n-1\nn\nn\n" if self._crl else "",
        )
        return {out.name: out.read_bytes()}

    def chain(self) -> dict[str, bytes]:
        """Return the CA certificate, which is the complete chain."""
        return {"root.cer": self._run("-L", "-n", "root", "-r")}
