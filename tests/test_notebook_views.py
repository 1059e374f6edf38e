"""What a notebook shows of counts, priors, families and plans: tables, and text of users as text."""

from html.parser import HTMLParser

import pytest

import bayespassk as bp
from bayespassk.families import family_from_name, family_names
from bayespassk.families.base import declared
from conftest import HOSTILE

TAGS = {"div", "p", "table", "thead", "tbody", "tr", "th", "td"}


class Page(HTMLParser):
    """The rows of a table, as text, the title above it, and the tags it is made of."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.rows, self.title = [], [], ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, _attrs):
        self.tags.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_data(self, text):
        if self.rows:
            self.rows[-1][-1] += text
        else:
            self.title += text


def page(thing):
    found = Page(thing._repr_html_())
    assert set(found.tags) <= TAGS
    assert len({len(row) for row in found.rows}) == 1
    return found


def test_a_prior_shows_what_it_says_on_each_scale():
    found = page(bp.Prior.from_median(0.2, factor=7))
    assert found.title.startswith("Prior(loc=-1.6")
    heads, *rows = found.rows
    assert heads == ["if it is", "median", "95% in"]
    assert rows[1] == ["of a logarithm", "0.2", "0.0044 to 9.1"]  # 7 to the power of 1.96
    assert [row[0] for row in rows] == ["of the value itself", "of a logarithm", "of a logit"]
    rate = page(bp.Prior.beta(2, 18))
    assert rate.rows[3][1] == "0.087"  # the median of a beta(2, 18)


@pytest.mark.parametrize("name", family_names())
def test_a_family_shows_a_row_for_each_of_its_priors(name):
    family = family_from_name(name)
    found = page(family)
    assert found.title == f"{family.full_name}: {family.when}"
    assert len(found.rows) == 1 + len(declared(family))


def test_a_family_shows_its_priors_on_their_natural_scale():
    _, a, mean = page(bp.Beta(log_a=bp.Prior.from_median(0.5, factor=2))).rows
    assert a[:3] == ["a", "0.5", "0.13 to 1.9"]
    assert a[3].startswith("log_a: normal, -0.6931,")
    assert mean[0] == "mean"


def hostile_counts():
    columns = {"attempts": [4, 4], "successes": [1, 2], "problem": ["p", "p"]}
    return bp.Counts(benchmark=[HOSTILE[0]] * 2, system=list(HOSTILE[:2]), **columns)


def test_counts_show_names_as_text():
    _, *rows = page(hostile_counts()).rows
    assert [row[:2] for row in rows] == [[HOSTILE[0], name] for name in HOSTILE[:2]]


@pytest.mark.filterwarnings("ignore::bayespassk.errors.ForecastWarning")
def test_a_plan_shows_where_it_stands_and_its_band():
    plan = bp.Plan(hostile_counts(), 10, 0.01, budget=20, family=bp.Beta(), pooling="none")
    found = page(plan)
    assert found.title == plan.message()
    heads, *rows = found.rows
    assert heads == ["system", "median", "lower", "upper"]
    assert [row[0] for row in rows] == list(HOSTILE[:2])
    assert rows[0][1] == f"{plan.band['median'].iloc[0]:.4f}"


def test_a_plan_without_attempts_shows_no_band():
    counts = bp.Counts(problem=["a", "b"], attempts=[0, 0], successes=[0, 0], system="x")
    found = page(bp.Plan(counts, 10, 0.1, budget=20, family=bp.Beta()))
    assert len(found.rows) == 1
    assert found.title
