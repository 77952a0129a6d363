# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Questions about a certificate plan
#
# A planner answers questions before anything is ordered: what a merger adds, when certificates expire, and
# what an optional role costs. This notebook answers five questions about the sample deployment. Each answer
# is a table from pandas, or a picture. Nothing is written.
#
# <!-- author -->
# Change `topology_file` to ask the same questions about your own table. `to_frame()` makes a DataFrame of
# every table that lyncnb shows. [Columns of the DataFrames](../docs/frames.md) lists all columns.

# %% tags=["parameters"]
topology_file = "../data/contoso.csv"  # the table: .csv, .xlsx, .ods or .tbxml
new_domain = "litwareinc.com"  # the SIP domain of the other company
optional_role = "Director"

# %% [markdown]
# ## The plan
#
# The plan has one row for each certificate. The number of names is the number of subject alternative names.

# %%
import lyncnb as ln
import pandas as pd

pd.set_option("display.max_colwidth", None)
topology = ln.read_topology(topology_file)
options = ln.PlanOptions.beside(topology_file)
plan = ln.plan_certificates(topology, ln.load_rules(options.product), options=options)
certificates = plan.to_frame()
alternative = certificates["Subject alternative names"].str.split("; ")
certificates["Names"] = alternative.map(lambda names: len([name for name in names if name]))
certificates.groupby("Role", sort=False).agg(Certificates=("Names", "size"), Names=("Names", "sum"))

# %% [markdown]
# ## 1. Which names would a merger add?
#
# The other company brings one more SIP domain. The table is a DataFrame, so one line adds the domain to a
# copy. lyncnb plans the copy like any other table.

# %%
servers = topology.to_frame()
servers.loc[servers["sip_domains"] != "", "sip_domains"] += f";{new_domain}"
merger = ln.plan_certificates(ln.read_topology(servers), plan.rules, options=options)
before, after = plan.names().to_frame(), merger.names().to_frame()
added = after[~after["Name"].isin(before["Name"])]
added.groupby("Name")["Why"].first().to_frame()

# %% [markdown]
# The new names are on these certificates. Each of them needs a new request, because a CA cannot add a name to an
# issued certificate.

# %%
new_names = added.drop_duplicates(["Certificate", "Name"]).groupby("Certificate")["Name"].agg(", ".join)
certificates.merge(new_names.rename("New names"), on="Certificate")[["Servers", "Issuer", "New names"]]

# %% [markdown]
# The same as a picture. A mark shows each certificate that changes.

# %%
difference = ln.compare_plans(plan, merger)
ln.figure(difference)

# %% [markdown]
# ## 2. Which certificates expire in the same month?
#
# The forecast lists each certificate and each renewal, until the end of 2030. Count the certificates that
# expire in each month. A month with many certificates needs more time for changes on the servers.

# %%
from datetime import date

ahead = ln.forecast(plan, start=options.planned_issue_date or date.today())
orders = ahead.to_frame()
month = orders["Expires"].dt.strftime("%Y-%m")
by_month = orders.groupby([month, "Issuer"])["Certificate"].count().unstack(fill_value=0)
by_month.rename_axis("Expire in", axis=0).head(8)

# %% [markdown]
# The month with the most certificates, and their servers. Public certificates expire more and more often, because
# their maximum validity decreases to 100 days and then to 47 days.
# *Source: CA/Browser Forum, Baseline Requirements section 6.3.2.*

# %%
busiest = month.value_counts().sort_index().idxmax()
orders[month == busiest].groupby("Servers")["Type"].agg("; ".join).to_frame(f"Expire in {busiest}")

# %% [markdown]
# ## 3. What do the Directors cost?
#
# Directors are optional. Remove their rows from a copy of the table, and compare both plans. The difference is
# the cost of the role in certificates and names.
# *Source: Microsoft, Components required for the Director in Lync Server 2013.*

# %%
frame = topology.to_frame().query("role != @optional_role")
without = ln.plan_certificates(ln.read_topology(frame), plan.rules, options=options)
plans = {"with Directors": plan, "without Directors": without}
costs = {
    title: {"Certificates": len(plan.certificates), "Names": sum(len(c.names) for c in plan.certificates)}
    for title, plan in plans.items()
}
cost = pd.DataFrame(costs).T
cost.loc["Difference"] = cost.iloc[0] - cost.iloc[1]
cost

# %% [markdown]
# The forecast of both plans shows the work until the end of 2030.

# %%
forecasts = {title: ln.forecast(plan, start=ahead.start) for title, plan in plans.items()}
counts = {title: len(forecast.to_frame()) for title, forecast in forecasts.items()}
pd.Series(counts, name="Orders").to_frame()

# %% [markdown]
# ## 4. Which names does everybody see?
#
# Public CAs publish every certificate in Certificate Transparency logs. Check that none of these names says
# more than you want to publish.

# %%
public = certificates.loc[certificates["Issuer"] == "public", ["Subject name", "Subject alternative names"]]
public.assign(Name=alternative).explode("Name")[["Subject name", "Name"]].reset_index(drop=True)

# %% [markdown]
# ## 5. Which names are on the most certificates?
#
# If such a name changes, you request all these certificates again. Decide about these names first.

# %%
pairs = before.drop_duplicates(["Certificate", "Name"])
uses = pairs.groupby("Name").agg(Certificates=("Certificate", "count"), Why=("Why", "first"))
uses.sort_values(["Certificates", "Name"], ascending=[False, True]).head(8)

# %% [markdown]
# The picture shows every name and its certificates.
#
# <!-- author -->
# [Explore a plan with pandas](../docs/explore.md) has more questions in code.

# %%
ln.figure(plan, "coverage")
