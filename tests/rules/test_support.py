"""For each product, the data contains the date on which its support ends, with the source."""

from __future__ import annotations

from datetime import date

import pytest

from lyncnb.errors import RulesError
from lyncnb.rules.rule_files import list_products
from lyncnb.rules.support import find_support, parse_support


@pytest.mark.parametrize(
    ("product", "end_date"),
    [("lync2013", "2023-04-11"), ("sfb2015", "2025-10-14"), ("sfb2019", "2025-10-14")],
)
def test_end_of_support_has_a_source(product, end_date):
    """The text about a product contains its source, and says whether support has ended by the
    evaluation date.
    """
    support = find_support(product)
    assert product in list_products()
    assert support.describe_support(date(2026, 12, 1)).startswith(
        f"ended on {end_date} (Microsoft Lifecycle, "
    )
    assert support.describe_support(support.ends).startswith(f"ends on {end_date}")


def test_some_products_have_no_known_end_of_support():
    """lyncnb has no end-of-support date for Subscription Edition and for custom products."""
    assert find_support("sfbse") is None
    assert find_support("mine") is None


def test_mistakes_in_the_support_file_are_reported():
    """The error message names the location of each mistake in support.toml."""
    with pytest.raises(RulesError, match=r"support\.toml contains errors") as caught:
        parse_support('[[support]]\nproduct = "x"\nends = "soon"\n')
    assert any("ends" in str(problem) for problem in caught.value.problems)
