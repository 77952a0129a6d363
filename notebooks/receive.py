# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Out to the CA and back
#
# The requests are written; now they go to certification authorities, and what comes back is never
# quite what was asked. This page hands one package to each CA, takes in whatever returns, and says
# exactly what differs from the plan.
#
# Press **Run All Cells** to see it with the sample deployment and with a CA that this page makes
# itself. For your own deployment you need sections 1, 3 and 4 only.

# %% tags=["parameters"]
topology_file = "../data/contoso.csv"  # your table, one row per server
request_folder = "sample-requests"  # yours: "requests"; the sample has a folder of its own

# %% [markdown]
# ## 1. The requests
#
# With a folder of your own, `bundle = ln.open_requests(request_folder)` is all you need here. The
# sample's requests are written first; the passphrase for their keys is asked for once.

# %%
import datetime

import lyncnb as ln

today = datetime.date(2026, 11, 24)  # so that this page looks the same whenever it is run
options = ln.PlanOptions(organization="Contoso", validity_days=730)
topology, rules = ln.read_topology(topology_file), ln.load_rules("lync2013")
plan = ln.plan_certificates(topology, rules, options=options)
bundle = ln.write_requests(plan, request_folder, passphrase=ln.ask_passphrase(), today=today)
bundle.to_frame()[["Role", "Servers", "Type", "Subject name", "State"]]

# %% [markdown]
# One package per CA: the requests, a summary, a page for the CA's people and, for AD CS, the
# submission lines. No private key is in it; the package is searched for one before it is written.
# The subject alternative names are inside the requests, so nothing has to be typed in at the CA
# and `EDITF_ATTRIBUTESUBJECTALTNAME2` stays off.
# *Source: Microsoft, MS-WCCE section 3.2.1.4.2.1.2.*

# %%
import pathlib

pathlib.Path("for-the-cas.zip").unlink(missing_ok=True)  # the package of an earlier run
package = ln.hand_over(request_folder, "for-the-cas.zip")
print(package.summary())

# %% [markdown]
# What is in a package: each CA has a folder of its own.

# %%
import zipfile

inside = zipfile.ZipFile("for-the-cas.zip").namelist()
print("\n".join(name for name in inside if "csr/" not in name))

# %% [markdown]
# ## 2. A CA for this page
#
# This section stands for the people at the CA; you will not need it. Two keys, two certificates: a
# root that signs itself, and nothing more.

# %%
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

ca_key = ec.generate_private_key(ec.SECP256R1())
ca_name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Contoso Test CA")])
begins = datetime.datetime(2026, 11, 24)
flags = ["digital_signature", "content_commitment", "key_encipherment", "data_encipherment",
         "key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"]

# %% [markdown]
# The root certificate says that it is a CA and may sign certificates.

# %%
root = x509.CertificateBuilder(ca_name, ca_name, ca_key.public_key(), 1, begins,
                               begins.replace(year=2036))
ca_usage = x509.KeyUsage(**{flag: flag == "key_cert_sign" for flag in flags})
own_id = x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key())
root = root.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
root = root.add_extension(ca_usage, critical=True).add_extension(own_id, critical=False)
root = root.sign(ca_key, hashes.SHA256())

# %% [markdown]
# It sets what a web server template sets: server authentication, key usage, which of the CA's keys
# signed, and the place of its revocation list, which Lync Server requires in every certificate.
# *Source: Microsoft, Certificate infrastructure requirements for Lync Server 2013.*

# %%
place = [x509.UniformResourceIdentifier("http://pki.contoso.net/test.crl")]
crl = x509.CRLDistributionPoints([x509.DistributionPoint(place, None, None, None)])
server = x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.SERVER_AUTH])
signer = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own_id)
allowed = ("digital_signature", "key_encipherment")
usage = x509.KeyUsage(**{flag: flag in allowed for flag in flags})

# %% [markdown]
# It issues for each request as asked, except for three: the first Front End Server's certificate
# lacks a name, the Director's has no revocation list, and the Mediation pool's second request
# stays unanswered.

# %%
returned = pathlib.Path("answers")
returned.mkdir(exist_ok=True)
requests = {record.id: record for record in bundle.requests}
csrs = {name: x509.load_pem_x509_csr((bundle.folder / record.files.csr).read_bytes())
        for name, record in requests.items()}
names = {name: [e.value for e in csr.extensions if e.oid.dotted_string == "2.5.29.17"]
         for name, csr in csrs.items()}
odd = next(name for name in csrs if "fe01" in name)
names[odd] = [x509.SubjectAlternativeName(list(names[odd][0])[:-1])]
late = next(name for name in csrs if "med02" in name)

# %% [markdown]
# Public certificates last at most 200 days now, the others get the two years that were asked for.
# *Source: CA/Browser Forum, Baseline Requirements section 6.3.2.*

# %%
for number, name in enumerate(sorted(csrs.keys() - {late}), start=100):
    days = 199 if requests[name].plan.issuer == "public" else 730
    builder = x509.CertificateBuilder(ca_name, csrs[name].subject, csrs[name].public_key(),
                                      number, begins, begins + datetime.timedelta(days))
    wanted = [*names[name], server, signer, usage] + ([] if "dir01" in name else [crl])
    for extension in wanted:
        builder = builder.add_extension(extension, critical=extension is usage)
    certificate = builder.sign(ca_key, hashes.SHA256())
    (returned / f"{number}.cer").write_bytes(certificate.public_bytes(Encoding.DER))
_ = (returned / "root.pem").write_bytes(root.public_bytes(Encoding.PEM))

# %% [markdown]
# ## 3. What came back
#
# Drop the files into a folder, under any name and in any form: PEM, DER, PKCS #7, text from a
# mail, a zip. They are told apart by what is inside and matched by public key.

# %%
issued = ln.match_certificates(bundle, "answers", today=today)
issued.to_frame()[["Servers", "Type", "Valid until", "Chain", "Findings", "File"]]

# %% [markdown]
# Every difference is a finding with its source. An error must not go on a server; a warning is
# yours to decide; a notice is good to know.

# %%
issued.findings_frame()[["Severity", "Code", "About", "Finding", "What to do"]]

# %% [markdown]
# The requests that still wait for an answer:

# %%
print(issued.waiting)

# %% [markdown]
# Up to here nothing was written. `ln.receive` does the same and keeps the certificates with their
# chain in the request folder. Received again, the same files change nothing.

# %%
issued = ln.receive(request_folder, "answers", today=today)
status = ln.folder_status(request_folder, today=today)
status.to_frame()[["State", "Role", "Servers", "Type", "Valid until", "Days left"]]

# %% [markdown]
# ## 4. When to renew
#
# A certificate counts as expiring in the last third of its life, so a short one is renewed late
# and a long one early. The calendar file opens in Outlook.

# %%
renewals = ln.list_renewals(request_folder, today=today)
ln.write_renewals(request_folder, "renewals.ics")
renewals.to_frame()[["Renew from", "Valid until", "Days left", "Servers", "Type"]]

# %% [markdown]
# Next: `lyncnb pfx` packages the certificates for the servers, and `lyncnb steps` writes the changed
# deployment procedure.
