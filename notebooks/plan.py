# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Plan the certificates of a Lync Server or Skype for Business deployment
#
# <!-- author -->
# Load a topology CSV into pandas, tune the roles with widgets, and export the CSRs with a summary table. Press
# **Run > Run All Cells** to see this for the sample. To plan your own deployment, change `topology_file`. If you have
# no table, run `ln.GuidePanel()` in a new cell: it asks questions and writes a table.

# %% tags=["parameters"]
topology_file = "../data/contoso.csv"  # the table: .csv, .xlsx, .ods or .tbxml
request_folder = "requests"  # keys, requests and the summary; a new one for each deployment

# %% [markdown]
# <!-- author -->
# ## Load the topology into pandas
#
# <!-- author -->
# `servers` is a pandas DataFrame with a row for each server. `ln.read_table` reads a CSV file in any encoding, and Excel
# and Topology Builder files. For a CSV file in UTF-8, it contains the same as `pd.read_csv(topology_file, dtype=str,
# keep_default_na=False)`.

# %% tags=["author"]
import ipywidgets
import lyncnb as ln

servers = ln.read_table(topology_file)
servers

# %% [markdown]
# ## Tune the roles
#
# The servers, their roles, and the connections that need certificates.
#
# <!-- author -->
# Choose a server, then its role. Or change any cell in the grid: the controls, the grid and the counts follow each other.
# For example, `se01.contoso.net StandardEdition → SBA: 85 → 77 names`. Undo takes a change back. Text that lyncnb cannot
# use is red, and the plan leaves its row out until you correct it and run the cells again. Unsaved edits are kept as
# a draft in `.lyncnb-draft`, which only you can read. All other files are written only when you press a button.

# %%
options = ln.PlanOptions.beside(topology_file)  # the organization, the CAs and the dates
editor = ln.PlanEditor(servers, table=topology_file, options=options)

server = ipywidgets.Dropdown(description="Server")
role = ipywidgets.Dropdown(description="Role")
editor.link_role(server, role)
display(ipywidgets.HBox([server, role]), editor)

# %% [markdown]
# ## The plan
#
# One row for each certificate. Servers that share a certificate have one row: all Edge Servers of a pool share the
# external certificate, and the whole deployment shares the OAuthTokenIssuer certificate.
#
# <!-- author -->
# If you change a role, lyncnb marks this cell as older than the editor. Run it again.

# %%
plan = editor.plan
plan

# %% [markdown]
# ## Keys and requests
#
# Requesting in advance is optional. It is allowed if the certificates are exportable and contain all the required subject
# alternative names. The setup of each server then imports and assigns them. Microsoft's page allows two methods:
#
# - a certificate request procedure of the organization. lyncnb creates the keys and the requests:
#   `ln.write_requests(plan, request_folder, passphrase=ln.ask_passphrase())`, or the button of the panel.
# - a computer with the administrative tools. lyncnb writes scripts, which create the keys there:
#   `ln.write_request_scripts(ln.request_scripts(plan), "request-scripts")`.
#
# *Source: Microsoft, [Request certificates in advance (optional) for Lync Server
# 2013](https://learn.microsoft.com/en-us/previous-versions/office/lync-server-2013/lync-server-2013-request-certificates-in-advance-optional).*
#
# <!-- author -->
# The button exports the CSRs of the current plan in the editor. The panel counts the findings: an error prevents the
# export. lyncnb encrypts each key with your passphrase (at least 12 characters), which it does not store. **Without the
# passphrase, nobody can open the keys.** After a change of the plan, the button replaces only the affected requests.

# %% tags=["author"]
request = ln.RequestPanel(editor, request_folder)
request

# %% [markdown]
# The summary of the requests, which also is in the folder for Excel, pandas, a browser and documentation.
#
# <!-- author -->
# `request.summary.to_frame()` is a DataFrame with all columns. See the [summary and a request of the
# sample](../docs/sample/README.md).

# %%
request.summary

# %% [markdown]
# ## Why each name is there
#
# The names on the certificates of one server, each with its rule and source. The server is the first one with
# a certificate from a public CA, or the first in the table.
#
# <!-- author -->
# Use the name of any server.

# %%
public = [certificate.servers[0] for certificate in plan.certificates if certificate.issuer == "public"]
plan.explain((public or [*editor.texts("server_fqdn")])[0])

# %% [markdown]
# ## Findings and decisions
#
# An **error** prevents the requests until it is fixed, or accepted with a reason. A **warning** describes a likely problem.
# A **notice** is information. The rules for CAs change, so lyncnb applies the rules of the planned issue date.
#
# | Decision | Default | When to change it |
# | --- | --- | --- |
# | **Combined or separate** | one certificate for the Default usage and both web usages of a server | The external web names need another CA, or two teams renew the certificates. |
# | **Internal or public** | internal, but public where external users connect: Edge external and the reverse proxy | All external devices trust the internal CA, or no internal device does. |
# | **Wildcards for simple URLs** | off | There are many SIP domains, and the CA issues wildcards. The wildcard is never the subject. |
# | **Key** | RSA 2048 | The CA requires a longer key, which makes signing slower on the servers. |
# | **Hash** | SHA-256. Microsoft lists five clients that support it: Windows Vista, Windows 7, Windows Server 2008, Windows Server 2008 R2 and Lync Phone Edition. | A CA requires another one. A public CA for external access must also sign with SHA-256. |
# | **At server setup** | all certificates are requested in advance | A certificate is easier to request when its server is set up (`at_set_up`). |
#
# *Sources: Microsoft, Certificate requirements for internal servers in Lync Server 2013; Certificate requirements for
# external user access in Lync Server 2013; Wildcard certificate support in Lync Server 2013.*
#
# <!-- author -->
# The tabs *Deployment* and *Certificates* of the editor contain these options. *Save and open* writes them next to the table.

# %%
ln.check_plan(plan).only("Severity", "Finding", "What to do")

# %% [markdown]
# ## Dates
#
# When to order and install each certificate and its renewals. From 2027-03-15, public certificates are valid for at most
# 100 days, and from 2029-03-15 for at most 47 days. The forecast starts on the planned issue date, or today.
#
# <!-- author -->
# Enter change freezes and maintenance windows under `[freezes]` and `[windows]` in the options.

# %%
from datetime import date

ln.figure(ln.forecast(plan, start=plan.options.planned_issue_date or date.today()))

# %% [markdown]
# ## Next steps
#
# For each request: send it to the CA, match the issued certificate, package it with its key, and write the steps
# for its servers.
#
# <!-- author -->
# Keep the whole folder, and keep the passphrase in another place. The blue button does the next step.
# [receive.ipynb](receive.ipynb) shows the steps with the certificates of the sample, and [explore.ipynb](explore.ipynb)
# answers questions with pandas.

# %% tags=["author"]
ln.StatusPanel(editor, request_folder)
