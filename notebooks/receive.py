# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # From the requests to the servers
#
# The requests are written. The next steps are to send them to the certification authority (CA), match the issued
# certificates, package them, import them and assign them. lyncnb compares each issued certificate with its
# request.
#
# <!-- author -->
# 1. Press **Run > Run All Cells** to see the steps with the requests of the sample.
# 2. For your own deployment, change one line: `request_folder`.
# 3. Copy the files that the CA returns to the folder `answers`.
#
# <!-- author -->
# In your own folder, lyncnb writes a file only when you press a button of the panel, or if you set
# `write_in_code`.

# %% tags=["parameters"]
import lyncnb as ln

request_folder = "sample-requests"  # or "requests", the folder of the plan
answers = "answers"  # the files that the CA returned, under any name
write_in_code = False  # True: the code below the panel writes into any folder

# %% [markdown]
# ## 1. The requests
#
# The requests in the folder and their state.
#
# <!-- author -->
# For the sample, this cell prompts for a passphrase and writes the requests. If the folder is your own, the cell
# only opens it.

# %%
import datetime

is_sample = request_folder == "sample-requests"
writes = is_sample or write_in_code
today = datetime.date(2026, 11, 24) if is_sample else datetime.date.today()
if is_sample:
    options = ln.PlanOptions(organization="Contoso", validity_days=730, planned_issue_date=today)
    table = ln.read_topology("../data/contoso.csv")
    plan = ln.plan_certificates(table, ln.load_rules(), options=options)
    ln.write_requests(plan, request_folder, passphrase=ln.ask_passphrase(), today=today)
bundle = ln.open_requests(request_folder)
bundle.only("Role", "Servers", "Type", "Subject name", "State")

# %% [markdown]
# ## 2. The status panel
#
# The next step of each request: package the requests for the CA, match the files that the CA returned, package
# the certificates with their keys, and write the steps for each server.
#
# <!-- author -->
# The blue button does the next step. If lyncnb refuses a certificate, open its line for the reason and the
# solution. *What you can do* lists every panel and command.

# %%
panel = ln.StatusPanel(request_folder, answers=answers, today=today)
panel

# %% [markdown]
# ## 3. Packages for the CAs
#
# <!-- author -->
# The code below does the same as the panel, for scripts and for readers without a kernel. The panel shows
# the result. In your own folder, the code only reads, unless you set `write_in_code` to `True`.
#
# The package has a folder for each CA: the requests, a summary, a page for the CA's administrators and, for
# AD CS, the commands for submission. It contains no private key; lyncnb verifies this before it writes the
# package. The requests contain the subject alternative names, so the administrators type no names, and
# `EDITF_ATTRIBUTESUBJECTALTNAME2` stays off.
# *Source: Microsoft, MS-WCCE section 3.2.1.4.2.1.2.*

# %%
import pathlib

if writes:
    pathlib.Path("for-the-cas.zip").unlink(missing_ok=True)  # the package of an earlier run
    package = ln.hand_over(request_folder, "for-the-cas.zip")
    print(package.summary())

# %% [markdown]
# The files in the package, without the requests.

# %%
import zipfile

if writes:
    entry_names = zipfile.ZipFile("for-the-cas.zip").namelist()
    print("\n".join(name for name in entry_names if "csr/" not in name))

# %% [markdown]
# ## 4. The CA issues certificates
#
# In the sample, `ln.demo` is a demonstration CA. It signs only the samples, and never writes its key.
# Its first response contains three common mistakes: a name is missing, a certificate has no CRL distribution
# point (which Lync Server requires), and one certificate is missing. Public certificates are valid
# for as long as the current rules allow, and internal certificates for two years.
#
# <!-- author -->
# For your own folder, your CA issues the certificates, and this cell does nothing. To practice a renewal, request
# it, and run this cell and the next cells again. A new kernel creates a new CA. In that case, first delete
# `sample-requests` and `answers`.
#
# *Sources: Microsoft, Certificate infrastructure requirements for Lync Server 2013; CA/Browser Forum,
# Baseline Requirements section 6.3.2.*

# %%
ln.demo.answer(bundle, answers, today=today) if is_sample else f"Your CA answers into {answers}."

# %% [markdown]
# ## 5. Matching
#
# The CA's files can have any name and format: PEM, DER, PKCS #7, text from an email, or a ZIP file. lyncnb
# recognizes them by their content, and matches each certificate by its public key.

# %%
returned = [answers] if pathlib.Path(answers).exists() else []  # else the folder's own
issued = ln.match_certificates(bundle, *returned, today=today)
issued.only("Servers", "Type", "Valid until", "Chain", "Findings", "File")

# %% [markdown]
# Each difference is a finding with its source. Do not install a certificate with an
# error. A warning needs a decision. A notice is information only. The table omits the notice `root-to-compare`,
# which shows the fingerprint of the root certificate, because the sample's CA has a new root in each run.

# %%
findings = issued.findings.to_frame()[["Severity", "Code", "About", "Finding", "What to do"]]
findings[findings["Code"] != "root-to-compare"]

# %% [markdown]
# These requests are still waiting for a certificate:

# %%
print("\n".join(issued.waiting))

# %% [markdown]
# Matching writes nothing. `ln.receive` also saves the certificates and their chains in the
# request folder. If the same files are received again, nothing changes.

# %%
if writes:
    issued = ln.receive(request_folder, *returned, today=today)
status = ln.folder_status(request_folder, today=today)
status.only("State", "Role", "Servers", "Type", "Usable until", "Days left")

# %% [markdown]
# ## 6. When to renew
#
# A certificate is expiring in the last third of its validity period. The calendar file opens in
# Outlook.

# %%
renewals = ln.list_renewals(request_folder, today=today)
if writes:
    ln.write_renewals(request_folder, "renewals.ics")
renewals.only("Renew from", "Usable until", "Days left", "Servers", "Type")

# %% [markdown]
# The same dates as a picture, for all certificates in the folder.

# %%
ln.figure(status)

# %% [markdown]
# The last steps: package each certificate with its key, and write the steps for each server.
#
# <!-- author -->
# Use the panel above, or `ln.write_pfx` and `ln.write_steps`.
