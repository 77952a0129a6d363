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
# The requests are written. The panel below takes them to the certification authority (CA) and back: hand over,
# match, package, import and assign. It compares every certificate that the CA issues with its request.
#
# <!-- author -->
# Press **Run > Run All Cells** to see it with the sample's requests. For your own deployment, change one line:
# `request_folder`. Put the files that the CA returns into the folder `answers`. Then lyncnb writes a file only
# when you press a button of the panel, or if you set `write_in_code`.

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
# For the sample, this cell asks for a passphrase and writes the requests. It only opens a folder of your own.

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
# What each request needs: pack the requests for the CA, match the files that the CA returned, package
# certificates with their keys, and write the steps for each server.
#
# <!-- author -->
# The blue button does the next step. If a certificate is refused, open its line to see why, and what to do.
# *What you can do* lists every panel and command.

# %%
panel = ln.StatusPanel(request_folder, answers=answers, today=today)
panel

# %% [markdown]
# ## 3. The same in code: hand over
#
# <!-- author -->
# Everything below is the second way, for scripts and for readers without a kernel. The panel follows. In
# a folder of your own this code shows what is there; it writes if you set `write_in_code`
# to `True`.
#
# One package per CA: the requests, a summary, a page for the CA's people and, for AD CS, the
# submission lines. No private key is in it; the package is searched for one before it is written.
# The subject alternative names are inside the requests, so nothing has to be typed in at the CA
# and `EDITF_ATTRIBUTESUBJECTALTNAME2` stays off.
# *Source: Microsoft, MS-WCCE section 3.2.1.4.2.1.2.*

# %%
import pathlib

if writes:
    pathlib.Path("for-the-cas.zip").unlink(missing_ok=True)  # the package of an earlier run
    package = ln.hand_over(request_folder, "for-the-cas.zip")
    print(package.summary())

# %% [markdown]
# What is in a package: each CA has a folder of its own.

# %%
import zipfile

if writes:
    inside = zipfile.ZipFile("for-the-cas.zip").namelist()
    print("\n".join(name for name in inside if "csr/" not in name))

# %% [markdown]
# ## 4. The CA answers
#
# In the sample, `ln.demo` plays the CA. It signs nothing but the samples, and its key is never written.
# The first time it makes three usual mistakes: a name is left out, a certificate does not say where its
# revocation list is (Lync Server requires that), and one request is forgotten. Public certificates last
# as long as the rules of the day allow, the others two years.
#
# <!-- author -->
# With a folder of your own, your CA answers, and this cell does nothing. To practise a renewal, request it
# and run this cell and the next ones again. A new kernel is a new CA: then delete `sample-requests` and
# `answers` first.
#
# *Sources: Microsoft, Certificate infrastructure requirements for Lync Server 2013; CA/Browser Forum,
# Baseline Requirements section 6.3.2.*

# %%
ln.demo.answer(bundle, answers, today=today) if is_sample else f"Your CA answers into {answers}."

# %% [markdown]
# ## 5. The same in code: match
#
# The CA's files can have any name and form: PEM, DER, PKCS #7, text from a mail, or a ZIP file. lyncnb
# recognizes them by their content and matches each certificate by its public key.

# %%
returned = [answers] if pathlib.Path(answers).exists() else []  # else the folder's own
issued = ln.match_certificates(bundle, *returned, today=today)
issued.only("Servers", "Type", "Valid until", "Chain", "Findings", "File")

# %% [markdown]
# Every difference is a finding with its source. Do not install a certificate with an
# error. A warning needs a decision. A notice is information only. The notice `root-to-compare` is left out here: it shows
# the fingerprint of the root certificate, and the sample's CA has a new one in each run.

# %%
findings = issued.findings.to_frame()[["Severity", "Code", "About", "Finding", "What to do"]]
findings[findings["Code"] != "root-to-compare"]

# %% [markdown]
# The requests that still wait for an answer:

# %%
print("\n".join(issued.waiting))

# %% [markdown]
# Matching writes nothing. `ln.receive` does the same and keeps the certificates with their chain in the
# request folder. Received again, the same files change nothing.

# %%
if writes:
    issued = ln.receive(request_folder, *returned, today=today)
status = ln.folder_status(request_folder, today=today)
status.only("State", "Role", "Servers", "Type", "Valid until", "Days left")

# %% [markdown]
# ## 6. When to renew
#
# A certificate counts as expiring in the last third of its life, so a short one is renewed late
# and a long one early. The calendar file opens in Outlook.

# %%
renewals = ln.list_renewals(request_folder, today=today)
if writes:
    ln.write_renewals(request_folder, "renewals.ics")
renewals.only("Renew from", "Valid until", "Days left", "Servers", "Type")

# %% [markdown]
# The same days as a picture, of all that is in the folder.

# %%
ln.figure(status)

# %% [markdown]
# After this, each certificate is packaged with its key, and each server gets its steps.
#
# <!-- author -->
# Use the panel above, or `ln.write_pfx` and `ln.write_steps`.
