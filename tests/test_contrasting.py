"""Two systems on the same problems: their difference, a band for it, and where they cross."""

import mpmath
import numpy as np
import passk_inference
import pytest
import xarray as xr
from scipy import optimize, special, stats

import bayespassk as bp
from bayespassk.asking import crossings

KS = [1, 3, 10, 30, 100, 1000]
TARGETS = ("benchmark", "population", "realised")
TUNED, BASE = (0.3, 0.6), (0.6, 5.0)
"""Shape parameters: ahead at one attempt and behind at many; and the other way round."""


def two_systems(p_tuned, p_base, attempts, rng):
    """Counts of both at the same problems."""
    size = len(p_tuned)
    return bp.Counts(
        problem=np.tile(np.arange(size), 2),
        attempts=np.full(2 * size, attempts),
        successes=rng.binomial(attempts, np.append(p_tuned, p_base)),
        system=np.repeat(["tuned", "base"], size),
    )


@pytest.fixture(scope="module")
def crossing_fit():
    """Systems that cross, with independent p."""
    rng = np.random.default_rng(3)
    counts = two_systems(rng.beta(*TUNED, 600), rng.beta(*BASE, 600), 100, rng)
    return bp.fit(counts, bp.Beta(), pooling="none", random_seed=1, progress=False)


@pytest.fixture(scope="module")
def paired_counts():
    """Systems that cross, for which the same problems are hard."""
    rng = np.random.default_rng(3)
    u = rng.random(600)
    return two_systems(stats.beta.ppf(u, *TUNED), stats.beta.ppf(u, *BASE), 100, rng)


@pytest.fixture(scope="module")
def paired_fit(paired_counts):
    return bp.fit(paired_counts, bp.Beta(), pooling="none", random_seed=1, progress=False)


# The difference --------------------------------------------------------------------------------


@pytest.mark.parametrize("target", TARGETS)
def test_the_difference_is_that_of_the_forecasts_draw_by_draw(fit, target):
    forecast = bp.forecast(fit, KS, target, random_seed=7)
    difference = bp.difference(fit, "large", "small", KS, target, random_seed=7)
    assert difference.dims == ("chain", "draw", "k")
    assert difference.name == "difference"
    want = forecast.sel(system="large") - forecast.sel(system="small")
    np.testing.assert_allclose(difference, want, atol=1e-12)
    del forecast.attrs["agreement"]  # of each system with its own attempts
    assert forecast.attrs.items() <= difference.attrs.items()
    assert (difference.attrs["a"], difference.attrs["b"]) == ("large", "small")
    back = bp.difference(fit, "small", "large", KS, target, random_seed=7)
    np.testing.assert_array_equal(back, -difference)


def test_differences_repeat_and_a_saved_fit_gives_the_same(fit, fit_path):
    one = bp.difference(fit, "large", "small", KS)
    xr.testing.assert_identical(one, bp.difference(fit, "large", "small", KS))
    xr.testing.assert_identical(one, bp.difference(bp.load(fit_path), "large", "small", KS))
    assert not one.equals(bp.difference(fit, "large", "small", KS, random_seed=9))
    some = bp.difference(fit, "large", "small", [1000, 10])
    np.testing.assert_array_equal(some, one.sel(k=[1000, 10]))


def overlapping(fit, counts):
    """The fit as if "small" had only tried the first 100 problems, "large" the last 100."""
    small = counts.system == "small"
    number = np.where(small, np.cumsum(small), np.cumsum(~small)) - 1
    keep = np.where(small, number < 100, number >= 28)
    some = fit.copy(deep=True)
    for group in ("observed_data", "constant_data"):
        some[group] = xr.DataTree(some[group].dataset.isel(row=keep))
    common = bp.Counts(
        **{
            name: getattr(counts, name)[(number >= 28) & (number < 100)]
            for name in ("problem", "attempts", "successes", "system")
        }
    )
    return some, common


def test_systems_are_compared_at_the_problems_that_both_attempted(fit, counts):
    """The mean of each draw given its parameters is known, and the spread about it."""
    some, common = overlapping(fit, counts)
    difference = bp.difference(some, "large", "small", 10)
    assert (difference.attrs["problems"], difference.attrs["dropped"]) == (72, 56)
    mean, variance = 0.0, 0.0
    for system, sign in (("large", 1), ("small", -1)):
        mine = common.select(system)
        c, f = mine.successes, mine.attempts - mine.successes
        p = fit["posterior"].dataset.sel(system=system)
        a, b = (p[name].values.ravel()[:, None] for name in ("a", "b"))
        fail, second = (
            np.exp(special.betaln(a + c, b + f + j) - special.betaln(a + c, b + f))
            for j in (10, 20)
        )
        mean = mean + sign * (1 - fail.mean(1))
        variance = variance + (second - fail**2).sum(1) / len(mine) ** 2
    z = (difference.values.ravel() - mean) / np.sqrt(variance)
    assert abs(z.mean()) < stats.norm.isf(5e-5) / np.sqrt(z.size)
    assert (z**2).mean() == pytest.approx(1, abs=0.15)
    population = bp.difference(some, "large", "small", 10, "population")
    np.testing.assert_array_equal(
        population, bp.difference(fit, "large", "small", 10, "population")
    )
    assert "dropped" not in population.attrs


@pytest.mark.filterwarnings("ignore::bayespassk.errors.ForecastWarning")  # of four problems
def test_digits_are_kept_where_both_are_near_zero_and_near_one():
    """Nearly all attempts fail, or nearly all succeed: then 1 - (1 - fail) would round to 0."""
    counts = bp.Counts(
        problem=[*"abcd"] * 2,
        attempts=[1000] * 8,
        successes=[999, 1000, 998, 1000, 995, 1000, 997, 999],
        system=["x"] * 4 + ["y"] * 4,
    )
    fit = bp.fit(counts, bp.Beta(), pooling="none", random_seed=1, progress=False)
    ks = [1, 1000, 10_000]
    population = bp.difference(fit, "x", "y", ks, "population")
    parameters = fit["posterior"].dataset.isel(chain=0, draw=0)
    for k in ks:
        fails = [
            mpmath.beta(a, mpmath.mpf(b) + k) / mpmath.beta(a, b)
            for a, b in zip(parameters["a"].values, parameters["b"].values, strict=True)
        ]
        want = float(fails[1] - fails[0])
        assert population.isel(chain=0, draw=0).sel(k=k).item() == pytest.approx(want, rel=1e-6)
    benchmark = bp.difference(fit, "x", "y", [10, 20])
    assert 0 < abs(benchmark.sel(k=20)).median() < 1e-15
    assert (benchmark != 0).all()


def test_what_cannot_be_compared_is_said(fit, counts):
    with pytest.raises(
        bp.errors.OptionError, match=r"a must be one of .*'small', 'large'; got 'none'"
    ):
        bp.difference(fit, "none", "small", 10)
    with pytest.raises(bp.errors.OptionError, match=r"b must be one of the systems"):
        bp.crossing_budget(fit, "small", "none")
    with pytest.raises(bp.errors.OptionError, match="two different systems; got 'small' twice"):
        bp.difference(fit, "small", "small", 10)
    with pytest.raises(bp.errors.OptionError, match="k must be a whole number"):
        bp.difference(fit, "small", "large", 0)
    with pytest.raises(bp.errors.OptionError, match="target must be"):
        bp.difference(fit, "small", "large", 10, "future")
    with pytest.raises(
        bp.errors.OptionError, match=r"must be 'benchmark' or 'population'.*'realised'"
    ):
        bp.crossing_budget(fit, "small", "large", "realised")
    for most in (1, 0, 2.5, 10**13, np.nan, True, "many"):
        with pytest.raises(
            bp.errors.OptionError, match="most must be a whole number from 2 to 1e12"
        ):
            bp.crossing_budget(fit, "small", "large", most=most)
    with pytest.raises(bp.errors.FitFileError, match="not a fit"):
        bp.difference(xr.DataTree(), "small", "large", 10)
    for prob in (0, 1, 95, np.nan):
        with pytest.raises(bp.errors.OptionError, match="prob must lie between 0 and 1"):
            bp.summarize_difference(bp.difference(fit, "small", "large", 10), prob)
    apart = fit.copy(deep=True)
    rows = apart["observed_data"].dataset
    renamed = [f"{s}-{p}" for s, p in zip(counts.system, counts.problem, strict=True)]
    apart["observed_data"] = xr.DataTree(rows.assign_coords(problem=("row", renamed)))
    with pytest.raises(
        bp.errors.OptionError, match="none of the 128 of 'small' is among the 128 of 'lar"
    ):
        bp.difference(apart, "small", "large", 10)


def test_systems_of_different_benchmarks_are_refused_and_labels_tell_them_apart():
    """Names may hold anything; one that repeats is called benchmark/system."""
    counts = bp.Counts(
        problem=[*"abc"] * 4,
        attempts=[100] * 12,
        successes=[1, 50, 90, 5, 70, 80, 3, 40, 60, 2, 30, 95],
        system=["x,1"] * 3 + ["y/z"] * 3 + ["x,1"] * 6,
        benchmark=["MATH"] * 6 + ["code"] * 3 + ["other"] * 3,
    )
    fit = bp.fit(counts, bp.Beta(), pooling="none", random_seed=1, progress=False)
    assert bp.difference(fit, "MATH/x,1", "MATH/y/z", 1).attrs["problems"] == 3
    with pytest.raises(bp.errors.OptionError, match=r"same benchmark.*'MATH/x,1' is on 'MATH', 'code/x,1' on 'code'"):  # fmt: skip
        bp.difference(fit, "MATH/x,1", "code/x,1", 1, "population")


@pytest.mark.filterwarnings("ignore::bayespassk.errors.PriorDrivenWarning")
def test_a_difference_of_forecasts_that_are_mostly_prior_is_warned_about_as_they_are():
    few = bp.Counts(
        problem=[*"abcde"] * 2,
        attempts=[5] * 10,
        successes=[0, 0, 1, 0, 2, 0, 0, 0, 1, 0],
        system=["x"] * 5 + ["y"] * 5,
    )
    fit = bp.fit(few, bp.Beta(), pooling="none", random_seed=1, progress=False)
    bp.difference(fit, "x", "y", 50)
    with pytest.warns(bp.errors.ForecastWarning, match="which the difference rests on: ") as caught:
        bp.difference(fit, "x", "y", [1, 10**6], "population")
    with pytest.warns(
        bp.errors.ForecastWarning, match="attempts in the forecast of 2 of 2"
    ) as same:
        bp.forecast(fit, [1, 10**6], "population")
    said, want = caught[0].message, same[0].message
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert (said.systems, said.k) == (want.systems, want.k) == (("x", "y"), 10**6)
    assert said.prior_share == want.prior_share
    with pytest.warns(
        bp.errors.ForecastWarning, match="which the crossing budget rests on: .* for 'y'"
    ):
        bp.crossing_budget(fit, "x", "y", "population")


# The table and its band ------------------------------------------------------------------------


@pytest.mark.parametrize("target", TARGETS)
def test_the_band_holds_whole_curves_and_grows_with_prob(fit, target):
    """Of the draws of the table, at least prob are inside everywhere; one rank less is not enough."""
    difference = bp.difference(fit, "large", "small", KS, target)
    curves = difference.values.reshape(-1, len(KS))
    before = None
    for prob in (0.01, 0.3, 0.5, 0.8, 0.95, 0.99, 0.9999):
        table = bp.summarize_difference(difference, prob)
        low, high = table["lower_simultaneous"].values, table["upper_simultaneous"].values
        inside = ((curves >= low) & (curves <= high)).all(1).mean()
        assert inside >= prob
        assert target == "realised" or inside < prob + 0.01  # runs have ties
        assert (low <= table["lower"]).all()
        assert (table["upper"] <= high).all()
        if before is not None:
            assert (low <= before[0]).all()
            assert (high >= before[1]).all()
        before = low, high


def test_the_band_of_one_k_is_its_interval_and_one_that_moves_as_one_is_no_wider():
    rng = np.random.default_rng(1)
    one = rng.standard_normal((4, 1000, 1))
    dims = ("chain", "draw", "k")
    draws = xr.DataArray(np.repeat(one, 3, axis=2), dims=dims, coords={"k": [1, 2, 3]})
    table = bp.summarize_difference(draws, 0.9)
    np.testing.assert_allclose(table["lower_simultaneous"], table["lower"], atol=0.01)
    np.testing.assert_allclose(table["upper_simultaneous"], table["upper"], atol=0.01)
    loose = xr.DataArray(rng.standard_normal((4, 1000, 3)), dims=dims, coords={"k": [1, 2, 3]})
    table = bp.summarize_difference(loose, 0.9)
    want = stats.norm.isf((1 - 0.9 ** (1 / 3)) / 2)  # independent: Sidak
    np.testing.assert_allclose(table["upper_simultaneous"], want, atol=0.15)


def test_the_table_says_who_is_above_and_ties_are_split():
    values = np.array([[[-1.0, 0.0], [1.0, 0.0]], [[1.0, 0.0], [1.0, 1.0]]])
    draws = xr.DataArray(values, dims=("chain", "draw", "k"), coords={"k": [1, 10]})
    table = bp.summarize_difference(draws)
    assert list(table.columns) == ["k", "mean", "median", "lower", "upper", "lower_simultaneous", "upper_simultaneous", "probability_a_above"]  # fmt: skip
    assert table["k"].tolist() == [1, 10]
    assert table["probability_a_above"].tolist() == [0.75, 0.625]
    assert table["mean"].tolist() == [0.5, 0.25]
    assert table.attrs == {"prob": 0.95, "kind": "eti"}


# The crossing ----------------------------------------------------------------------------------


def test_the_crossing_budget_is_where_the_exact_curves_cross(crossing_fit):
    """The whole k from a root of the difference of two betas; within the accuracy promised."""
    crossing = bp.crossing_budget(crossing_fit, "tuned", "base", "population")
    assert crossing.dims == ("chain", "draw")
    posterior = crossing_fit["posterior"].dataset.isel(chain=0)

    def gap(log_k, a, b):
        fail = np.exp(special.betaln(a, b + np.exp(log_k)) - special.betaln(a, b))
        return fail[1] - fail[0]

    for draw in range(0, 1000, 20):
        a, b = (posterior[name].values[draw] for name in ("a", "b"))
        root = np.exp(optimize.brentq(gap, 0, np.log(10**6), args=(a, b)))
        found = crossing.values[0, draw]
        assert found == np.ceil(found)
        if root < 29:
            assert found == np.ceil(root)
        assert root * 0.998 <= found <= root * 1.002 + 1
    assert set(np.unique(crossing["leader"])) == {"tuned"}
    assert crossing.attrs["probability_a_leads"] == 1
    truth = np.exp(optimize.brentq(gap, 0, 10, args=(np.array([0.3, 0.6]), np.array([0.6, 5.0]))))
    low, high = np.quantile(crossing, [0.0005, 0.9995])
    assert low < truth < high


def test_up_to_30_the_crossing_is_that_of_the_draws_exactly():
    """Also for the benchmark: the first whole k where the difference has the other sign."""
    rng = np.random.default_rng(2)
    p = rng.beta(0.5, 0.5, 40), rng.beta(2.0, 5.0, 40)
    fit = bp.fit(two_systems(*p, 50, rng), bp.Beta(), pooling="none", random_seed=1, progress=False)
    ks = np.arange(1, 31)
    gap = bp.difference(fit, "base", "tuned", ks).values
    crossing = bp.crossing_budget(fit, "base", "tuned", most=1000)
    other = np.sign(gap) == -np.sign(gap[..., :1])
    want = np.where(other.any(-1), ks[other.argmax(-1)], np.inf)
    np.testing.assert_array_equal(np.where(crossing <= 30, crossing, np.inf), want)
    assert len(np.unique(want)) > 5


def test_a_larger_most_only_adds_crossings_beyond_the_smaller(fit):
    near = bp.crossing_budget(fit, "small", "large", most=1000)
    far = bp.crossing_budget(fit, "small", "large", most=10**7)
    np.testing.assert_array_equal(near, far.where(far <= 1000, np.inf))
    assert ((far > 1000) & np.isfinite(far)).any()


FIRST = {
    "never": ([3, 2, 1, 1, 1], 1, np.inf),
    "at the second": ([1, -1, -1, -1, -1], 1, 2),
    "b leads": ([-1, -1, 1, 1, 1], -1, 3),
    "between, linear in log k": ([1, 1, 1, 3, -1], 1, np.ceil(10 * 10**0.75)),
    "only the first": ([1, -1, 1, -1, 1], 1, 2),
    "touching is not crossing": ([1, 0, 0, 1, 1], 1, np.inf),
    "after a tie": ([1, 1, 1, 0, -1], 1, 11),
    "equal at first": ([0, 0, -1, 1, 1], -1, 6),
    "equal everywhere": ([0, 0, 0, 0, 0], 0, np.inf),
}


@pytest.mark.parametrize(("gap", "ahead", "budget"), FIRST.values(), ids=FIRST.keys())
def test_the_first_crossing_of_curves_drawn_by_hand(gap, ahead, budget):
    found = crossings._first_crossing(np.array([gap], float), np.array([1, 2, 3, 10, 100]))
    assert (found[0].item(), found[1].item()) == (ahead, budget)


def test_the_k_looked_at_are_dense_whole_and_end_where_asked():
    for most in (2, 17, 31, 12_345, 10**6, 10**12):
        ks = crossings._grid(most)
        assert ks[0] == 1
        assert ks[-1] == most
        assert (np.diff(ks) > 0).all()
        assert ks[: min(most, 30)].tolist() == list(range(1, min(most, 30) + 1))
        assert (ks[1:] <= np.maximum(ks[:-1] + 1, ks[:-1] * 1.15)).all()


def test_the_table_of_crossings_does_not_interpolate_with_never():
    leader = np.array([["x"] * 6, ["x"] * 2 + ["y", "y", "y", ""]])
    budget = [[10, 20, 30, 40, np.inf, np.inf], [50, 60, 7, np.inf, np.inf, np.inf]]
    crossing = xr.DataArray(
        np.array(budget),
        dims=("chain", "draw"),
        coords={"leader": (("chain", "draw"), leader)},
        attrs={"a": "y", "b": "x", "most": 100, "target": "benchmark"},
    )
    table = bp.summarize_crossing(crossing, 0.6).set_index("leader")
    assert list(table.index) == ["y", "x"]
    assert table["overtaken_by"].tolist() == ["x", "y"]
    assert table["probability_leads"].tolist() == [3 / 12, 8 / 12]
    assert table["probability_overtaken"].tolist() == [1 / 12, 6 / 12]
    assert table.attrs["probability_never"] == 5 / 12
    never = table.attrs["probability_never"] + table["probability_overtaken"].sum()
    assert never == pytest.approx(1)
    assert table.loc["x", ["median", "lower", "upper"]].tolist() == [40, 20, np.inf]
    assert table.loc["y", ["median", "lower", "upper"]].tolist() == [np.inf, 7, np.inf]
    alone = crossing.isel(chain=[0])
    assert np.isnan(bp.summarize_crossing(alone)["median"][0])


# Paired intervals without a family -------------------------------------------------------------


WITHIN = [1, 3, 10, 30]


def without_family(counts, a, b, ks=WITHIN):
    """Differences and their standard errors over problems, by passk-inference."""
    a, b = counts.select(a), counts.select(b)
    found = passk_inference.compare(
        b.successes, b.attempts, a.successes, a.attempts, ks=ks, bootstrap=2000, seed=0
    )
    return {name: np.array(found[name]) for name in ("mean", "se", "critical_value")}


def spread(fit, a, b, target, ks=WITHIN):
    return bp.difference(fit, a, b, ks, target).std(("chain", "draw")).values


@pytest.mark.parametrize("which", ["independent", "paired"])
def test_point_estimates_agree_with_passk_inference(which, paired_counts, paired_fit, crossing_fit):
    """The benchmark's posterior mean is within 0.3 standard errors of theirs."""
    fit = paired_fit if which == "paired" else crossing_fit
    counts = paired_counts if which == "paired" else counts_of(crossing_fit)
    theirs = without_family(counts, "tuned", "base")
    chen = bp.estimators.chen(counts, WITHIN)
    np.testing.assert_allclose(theirs["mean"], chen[0] - chen[1], atol=1e-12)
    mean = bp.difference(fit, "tuned", "base", WITHIN).mean(("chain", "draw"))
    assert (abs(mean - theirs["mean"]) < 0.3 * theirs["se"]).all()


def counts_of(fit):
    data, constant = fit["observed_data"].dataset, fit["constant_data"].dataset
    return bp.Counts(
        problem=data["problem"].values,
        attempts=constant["attempts"].values,
        successes=data["successes"].values,
        system=data["row_system"].values,
    )


def test_where_p_are_independent_the_population_has_their_interval(crossing_fit):
    """Theirs is about new problems, as our target "population" is; also the simultaneous band."""
    theirs = without_family(counts_of(crossing_fit), "tuned", "base")
    ours = spread(crossing_fit, "tuned", "base", "population")
    np.testing.assert_allclose(ours / theirs["se"], 1, atol=0.1)
    table = bp.summarize_difference(
        bp.difference(crossing_fit, "tuned", "base", WITHIN, "population")
    )
    width = (table["upper_simultaneous"] - table["lower_simultaneous"]) / 2
    np.testing.assert_allclose(width / (theirs["critical_value"] * theirs["se"]), 1, atol=0.12)


def test_where_the_same_problems_are_hard_theirs_lies_between_ours(paired_counts, paired_fit):
    """They see which problems are hard for both. We do not: "population" is as if unpaired."""
    theirs = without_family(paired_counts, "tuned", "base")["se"]
    benchmark, population = (
        spread(paired_fit, "tuned", "base", target) for target in ("benchmark", "population")
    )
    assert (benchmark < 0.9 * theirs).all()
    assert (theirs < 0.75 * population).all()
    rows = [
        [passk_inference.pass_at_k(mine.successes, mine.attempts, k) for k in WITHIN]
        for mine in map(paired_counts.select, ("tuned", "base"))
    ]
    unpaired = np.sqrt(np.var(rows, axis=-1).sum(0) / 600)
    np.testing.assert_allclose(population / unpaired, 1, atol=0.1)


def test_the_benchmarks_spread_is_that_of_new_attempts_at_the_same_problems(crossing_fit):
    """Counts made again at problems of known p: Chen's differences vary as the posterior says."""
    rng = np.random.default_rng(3)
    p = rng.beta(*TUNED, 600), rng.beta(*BASE, 600)  # as in the fixture
    by_count = np.stack([passk_inference.pass_at_k(np.arange(101), 100, k) for k in WITHIN])
    again = np.array(
        [
            np.subtract(*(by_count[:, rng.binomial(100, each)].mean(-1) for each in p))
            for _ in range(1000)
        ]
    )
    ours = spread(crossing_fit, "tuned", "base", "benchmark")
    ratio = ours / again.std(0)
    np.testing.assert_allclose(ratio[:3], 1, atol=0.1)
    assert 0.7 < ratio[3] < 1  # nearer to n, the posterior knows more than Chen's estimator


def test_on_real_logs_theirs_lies_between_ours(real_logs):
    """Two sizes of one LLM on MATH, 100 of 10,000 attempts: the same problems are hard for both."""
    logs = bp.thin(bp.read_csv(real_logs / "monkeys_math.csv"), 100, random_seed=1)
    table = logs.to_dataframe()
    two = table["system"].isin(["Pythia 12B", "Pythia 2.8B"])
    counts = bp.Counts.from_dataframe(table[two])
    fit = bp.fit(counts, bp.Beta(), pooling="none", random_seed=1, progress=False)
    names = "Pythia 12B", "Pythia 2.8B"
    theirs = without_family(counts, *names)
    mean = bp.difference(fit, *names, WITHIN).mean(("chain", "draw"))
    assert (abs(mean - theirs["mean"]) < 0.3 * theirs["se"]).all()
    assert (spread(fit, *names, "benchmark") < theirs["se"]).all()
    assert (theirs["se"] < 0.7 * spread(fit, *names, "population")).all()
