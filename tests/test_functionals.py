"""Budgets, reliability, coverage, shares and ranks: against closed forms, sums and simulation."""

import csv
import io
import json

import numpy as np
import pytest
import xarray as xr
from scipy import special, stats

import bayespassk as bp
import commands
from bayespassk.asking import coverage, seen
from bayespassk.asking.pass_at_k import fail_of_kind, fail_of_problems
from bayespassk.asking.question import Kind
from bayespassk.posterior.fitted import opened

FALSE_ALARM = 1e-4
LIMIT = stats.norm.isf(FALSE_ALARM / 2)

quiet = pytest.mark.filterwarnings("ignore::bayespassk.errors.ForecastWarning")


@pytest.fixture(scope="module")
def zero_inflated(counts):
    family = bp.ZeroInflated(bp.Beta(), bp.Prior(-2.0, 1.0, "logistic"))
    return bp.fit(counts, family, pooling="none", draws=500, random_seed=1, progress=False)


def like(fit, **parameters):
    """A fit with these natural parameters at every draw, for closed forms."""
    few = fit.copy(deep=True)
    p = fit["posterior"].dataset.isel(draw=slice(5))
    free = {"log_a": np.log(parameters["a"]), "logit_mean": np.log(parameters["a"] / parameters["b"])}  # fmt: skip
    if "zero" in parameters:
        free["logit_zero"] = special.logit(parameters["zero"])
    few["posterior"] = xr.DataTree(p.assign({n: xr.full_like(p[n], v) for n, v in free.items()}))
    return few


def of_systems(fit, *chosen):
    """The fit, of systems (position, name, benchmark) with the counts and draws of that position."""
    other = fit.copy(deep=True)
    position, names, benchmarks = zip(*chosen, strict=True)
    p = fit["posterior"].dataset.isel(system=list(position))
    p = p.assign_coords(system=list(names), benchmark=("system", list(benchmarks)))
    other["posterior"] = xr.DataTree(p)
    index = fit["constant_data"].dataset["system_index"].values
    rows = [np.flatnonzero(index == one) for one in position]
    observed, constant = (
        fit[group].dataset.isel(row=np.concatenate(rows))
        for group in ("observed_data", "constant_data")
    )
    again = np.repeat(np.arange(len(chosen)), [len(one) for one in rows])
    other["observed_data"] = xr.DataTree(observed)
    other["constant_data"] = xr.DataTree(constant.assign(system_index=("row", again)))
    return other


@quiet
@pytest.mark.parametrize("target", ["benchmark", "population"])
def test_a_budget_is_the_inverse_of_the_forecast(fit, target):
    """At the budget the forecast of the same draw is there, and one attempt before it is not."""
    shares = [0.2, 0.5, 0.8]
    budget = bp.budget_for(fit, shares, target, random_seed=4)
    assert budget.dims == ("chain", "draw", "system", "pass_at_k")
    for draw in range(0, 1000, 200):
        for one in budget.isel(chain=0, draw=draw).stack(each=("system", "pass_at_k")):
            k, want = int(one), one["pass_at_k"].item()
            forecast = bp.forecast(fit, [k - 1, k], target, random_seed=4)
            before, there = (
                forecast.isel(chain=0, draw=draw).sel(system=one["system"].item()).values
            )
            assert before < want <= there


@quiet
def test_budgets_far_in_the_tail_are_right_to_one_in_a_thousand(fit):
    """Where few draws lie; and infinite exactly where 1e12 attempts are not enough."""
    for target in ("benchmark", "population"):
        budget = bp.budget_for(fit, 0.99, target).isel(system=0, pass_at_k=0).values.ravel()
        fitted = opened(fit)
        of = {"benchmark": fail_of_problems(seen.Seen(fitted, 0, 1)), "population": fail_of_kind(Kind.of(fitted, 0))}  # fmt: skip
        fail_at = of[target]
        np.testing.assert_array_equal(np.isinf(budget), fail_at(np.array([1e12]))[:, 0] > 0.01)
        order = np.argsort(budget)[: np.isfinite(budget).sum()]
        for draw in order[[0, 3, 30, 300, -300, -30, -3, -1]]:
            more, less = fail_at(budget[draw] * np.array([1.001, 0.999]))[draw]
            assert more <= 0.01 < less


@quiet
def test_a_budget_is_what_the_tail_of_the_beta_says(fit):
    """For a = 1, fail@k = b / (b + k), so that pass@k = v at k = b v / (1 - v)."""
    budget = bp.budget_for(like(fit, a=1.0, b=1000.0), [0.5, 0.9, 0.999], "population")
    assert budget.sel(pass_at_k=0.5).values == pytest.approx(1000, abs=1)
    assert budget.sel(pass_at_k=0.9).values == pytest.approx(9000, abs=1)
    assert budget.sel(pass_at_k=0.999).values == pytest.approx(999_000, abs=1)
    one = bp.budget_for(like(fit, a=1.0, b=1e-6), 0.9, "population")
    assert (one == 1).all()


@quiet
def test_a_plateau_is_never_passed(zero_inflated):
    stuck = like(zero_inflated, a=1.0, b=10.0, zero=0.2)
    budget = bp.budget_for(stuck, [0.79, 0.81], "population")
    assert np.isfinite(budget.sel(pass_at_k=0.79)).all()
    assert np.isinf(budget.sel(pass_at_k=0.81)).all()
    table = bp.summarize_budget(budget)
    assert table["probability_never"].tolist() == [0, 1, 0, 1]
    assert table["median"].tolist() == [pytest.approx(790, abs=1), np.inf] * 2


@quiet
def test_the_realised_budget_is_distributed_as_the_realised_forecast(fit):
    """A run has solved half by k where its budget is at most k; problem by problem simulated."""
    budget = bp.budget_for(fit, [0.3, 0.5], "realised", random_seed=2)
    for k in (25, 100, 150):
        solved = bp.forecast(fit, k, "realised", random_seed=3).sel(k=k)
        for share in (0.3, 0.5):
            one = (budget.sel(pass_at_k=share) <= k).mean(("chain", "draw"))
            other = (solved >= share - 1e-12).mean(("chain", "draw"))
            sd = np.sqrt((one * (1 - one) + other * (1 - other)) / 4000)
            assert (abs(one - other) <= LIMIT * sd + 1e-12).all()


@quiet
def test_the_table_of_budgets_never_averages_with_infinity(zero_inflated):
    budget = bp.budget_for(zero_inflated, [0.5, 0.9, 0.99])
    table = bp.summarize_budget(budget, 0.8)
    assert not table.isna().any(axis=None)
    assert table["attempts_made"].tolist() == [100] * 6
    for row in table.itertuples():
        values = budget.sel(system=row.system, pass_at_k=row.pass_at_k).values.ravel()
        assert row.probability_never == np.isinf(values).mean()
        for name, q in (("lower", 0.1), ("median", 0.5), ("upper", 0.9)):
            value = getattr(row, name)
            assert (values <= value).mean() >= q > (values < value).mean()
    assert 0.1 < table["probability_never"].max() < 1


def test_a_budget_that_the_prior_makes_is_warned_about(counts):
    few = bp.thin(counts, 2, random_seed=1)
    fit = bp.fit(few, bp.Beta(), pooling="none", random_seed=1, progress=False)
    with pytest.warns(bp.errors.ForecastWarning, match="which the median budget rests on") as found:
        bp.budget_for(fit, 0.99, "population")
    (warning,) = [one.message for one in found]
    assert warning.k > 20
    assert all(share > 0.5 for share in warning.prior_share)
    with pytest.warns(
        bp.errors.ForecastWarning, match="which the coverage at the largest cost rests on"
    ):
        bp.coverage_at_cost(fit, 128e6, "population")


def test_budgets_within_the_attempts_are_not_warned_about(fit):
    bp.budget_for(fit, 0.4)
    bp.coverage_at_cost(fit, 1280)


def test_pass_hat_k_is_the_product_of_conditional_successes(fit, counts):
    p = fit["posterior"].dataset
    product = 1.0
    for j in range(5):
        product = product * (p["a"] + j) / (p["a"] + p["b"] + j)
    population = bp.pass_hat_k(fit, [1, 5], "population")
    np.testing.assert_allclose(population.sel(k=5), product, rtol=1e-9)
    for system in counts.systems:  # the mean over problems of their own moments
        mine, own = counts.select(system), p.sel(system=system)
        a, b = (own[name].values.ravel() for name in ("a", "b"))
        c, f = mine.successes, mine.attempts - mine.successes
        moment = bp.Beta().log_moment
        some = {"a": a, "b": b}
        mean = np.exp(moment(some, c + 5, f) - moment(some, c, f))
        second = np.exp(moment(some, c + 10, f) - moment(some, c, f))
        sd = np.sqrt((second - mean**2).sum(1)) / len(mine)
        luck = np.sqrt((mean - mean**2).sum(1)) / len(mine)
        for target, spread in (("benchmark", sd), ("realised", luck)):
            draws = bp.pass_hat_k(fit, 5, target).sel(system=system, k=5).values.ravel()
            z = (draws - mean.mean(1)) / spread
            assert abs(z.mean()) < LIMIT / np.sqrt(z.size)
            assert abs((z**2).mean() - 1) < LIMIT * np.sqrt((z**4).mean() / z.size)


def test_a_new_run_passes_whole_problems(fit):
    passed = bp.pass_hat_k(fit, [1, 3, 100], "realised")
    np.testing.assert_allclose(passed * 128, (passed * 128).round(), atol=1e-9)
    assert (passed.diff("k") <= 0).all()
    assert (passed >= 0).all()


def brute_force(fail, cost, rounds):
    """The cost and the coverage after every round, and between them in proportion."""
    each = fail(np.arange(rounds + 1.0))
    spent = np.append(0.0, each[:-1].cumsum())
    assert spent[-1] > max(cost)
    return np.interp(cost, spent, 1 - each)


@quiet
def test_coverage_is_the_sum_over_rounds(fit):
    """Of a beta, and of a beta with an exponential tail, against sums over a million rounds."""
    a, b = 0.3, 20.0
    costs = np.array([1.0, 64.0, 128.0, 200.0, 1000.0, 5000.0, 1e5, 1e6])
    coverage = bp.coverage_at_cost(like(fit, a=a, b=b), costs, "population").isel(chain=0, draw=0)

    def fail(k):
        return np.exp(special.betaln(a, b + k) - special.betaln(a, b))

    want = brute_force(fail, costs / 128, 1_000_000)
    np.testing.assert_allclose(coverage.isel(system=1), want, atol=3e-5)
    near = costs <= 1000  # within the rounds that are summed one by one
    np.testing.assert_allclose(coverage.isel(system=1)[near], want[near], rtol=1e-9)


@quiet
@pytest.mark.parametrize("kind", ["exponential", "two rates", "plateau", "steep", "slow"])
def test_rounds_are_summed_whatever_the_shape_of_the_tail(kind):
    a, b = {"steep": (2.0, 50.0), "slow": (0.02, 0.5)}.get(kind, (3.0, 2.0))

    def fail(k):
        if kind == "exponential":
            return np.exp(-0.003 * k)
        if kind == "two rates":
            return 0.5 * np.exp(-1e-4 * k) + 0.5 * np.exp(-0.02 * k)
        beta = np.exp(special.betaln(a, b + k) - special.betaln(a, b))
        return 0.3 + 0.7 * beta if kind == "plateau" else beta

    _, spent, failed = coverage._rounds(lambda k: fail(k)[None])
    total = fail(np.arange(1e6)).sum()
    costs = np.geomspace(0.1, 0.999 * total, 60)
    got = [coverage._solved_at(one, spent, failed)[0] for one in costs]
    np.testing.assert_allclose(got, brute_force(fail, costs, 1_000_000), atol=5e-5)


@quiet
def test_coverage_at_cost_is_what_a_run_with_discarding_does(fit):
    """Simulated: problems drawn from a beta, attempted in rounds until the money is gone."""
    a, b, cost, problems = 0.4, 10.0, 700.0, 128
    rng = np.random.default_rng(5)
    rate = -np.log1p(-rng.beta(a, b, (4000, problems)))
    first = np.ceil(rng.standard_exponential(rate.shape) / rate)
    solved = np.empty(len(first))
    for i, when in enumerate(first):
        left = cost
        for j in range(1, 10_000):
            unsolved = (when >= j).sum()
            if unsolved > left:
                solved[i] = (when < j).sum() + left / unsolved * (when == j).sum()
                break
            left -= unsolved
    want = bp.coverage_at_cost(like(fit, a=a, b=b), cost, "population").values.ravel()[0]
    # The coverage of a run is a concave function of its luck, which costs it less than 1/problems.
    assert abs(solved.mean() / problems - want) < 1 / problems


@quiet
def test_coverage_with_less_than_a_round_and_with_all_the_money_in_the_world(fit):
    coverage = bp.coverage_at_cost(fit, [64.0, 128.0, 1e300])
    pass_at_1 = bp.forecast(fit, 1).sel(k=1)
    np.testing.assert_allclose(coverage.sel(cost=128.0), pass_at_1, rtol=1e-9)
    np.testing.assert_allclose(coverage.sel(cost=64.0), pass_at_1 / 2, rtol=1e-9)
    np.testing.assert_allclose(
        coverage.sel(cost=1e300), bp.forecast(fit, 10**12).sel(k=10**12), rtol=1e-6
    )


def test_discarding_what_is_solved_beats_attempts_for_all(fit):
    for k in (100,):
        saved = bp.coverage_at_cost(fit, 128 * k).isel(cost=0)
        assert (saved > bp.forecast(fit, k).sel(k=k)).all()


@pytest.mark.parametrize("copies", [3, 64], ids=["many problems a cell", "few"])
def test_coverage_of_the_benchmark_has_its_own_rounds(fit, copies, monkeypatch):
    """Sums of the forecast of the same draws."""
    monkeypatch.setattr(seen, "COPIES", copies)
    fail = 1 - bp.forecast(fit, range(1, 31)).isel(system=0, chain=0).values
    spent = np.append(np.ones((1000, 1)), 1 + fail.cumsum(1), axis=1)
    coverage = bp.coverage_at_cost(fit, 128 * 12.5).isel(system=0, chain=0, cost=0).values
    want = [np.interp(12.5, s, 1 - f) for s, f in zip(spent[:, :-1], fail, strict=True)]
    np.testing.assert_allclose(coverage, want, rtol=1e-9)


def test_share_above_of_the_population_is_the_incomplete_beta(fit):
    p = fit["posterior"].dataset
    above = [1e-9, 0.01, 0.5, 0.999]
    share = bp.share_above(fit, above, "population")
    for one in above:
        want = stats.beta(p["a"].values, p["b"].values).sf(one)
        np.testing.assert_allclose(share.sel(p=one), want, rtol=1e-9)


def test_share_above_of_the_benchmark_is_a_count_of_independent_problems(fit, counts):
    """Standardised by the exact moments of each draw, it has mean 0 and variance 1."""
    above = [0.3, 0.01]
    share = bp.share_above(fit, above)
    np.testing.assert_allclose(share * 128, (share * 128).round(), atol=1e-9)
    assert (share.sel(p=0.01) >= share.sel(p=0.3)).all()
    for system in counts.systems:
        own = fit["posterior"].dataset.sel(system=system)
        mine = counts.select(system)
        a, b = (own[name].values.ravel()[:, None] for name in ("a", "b"))
        for one in above:
            each = stats.beta(a + mine.successes, b + mine.attempts - mine.successes).sf(one)
            sd = np.sqrt((each * (1 - each)).sum(1)) / len(mine)
            z = (share.sel(system=system, p=one).values.ravel() - each.mean(1)) / sd
            assert abs(z.mean()) < LIMIT / np.sqrt(z.size)
            assert abs((z**2).mean() - 1) < LIMIT * np.sqrt((z**4).mean() / z.size)


def test_shares_are_joint_over_thresholds(fit):
    """How many lie between two thresholds is as sure as how many lie above one."""
    share = bp.share_above(fit, [0.02, 0.03]).isel(system=0).values.reshape(-1, 2)
    between = (share[:, 0] - share[:, 1]).var()
    assert between < 0.7 * (share[:, 0].var() + share[:, 1].var())


def test_only_zero_inflation_makes_a_problem_impossible(fit, zero_inflated, counts):
    assert (bp.probability_impossible(fit) == 0).all()
    found = bp.probability_impossible(zero_inflated)
    assert found.dims == ("row",)
    assert found["problem"].values.tolist() == counts.problem.tolist()
    assert (found[counts.successes > 0] == 0).all()
    p = zero_inflated["posterior"].dataset.sel(system="small")
    fail = np.exp(special.betaln(p["a"], p["b"] + 100) - special.betaln(p["a"], p["b"]))
    want = (p["zero"] / (p["zero"] + (1 - p["zero"]) * fail)).mean()
    mine = (counts.successes == 0) & (found["row_system"].values == "small")
    assert mine.sum() > 10
    np.testing.assert_allclose(found[mine], want, rtol=1e-9)


def test_practically_impossible_is_the_mean_of_the_posterior_of_each_problem(fit, counts):
    found = bp.probability_impossible(fit, 1e-3)
    for row in (0, 7, 200):
        own = fit["posterior"].dataset.sel(system=found["row_system"].values[row])
        c, n = counts.successes[row], counts.attempts[row]
        want = stats.beta(own["a"] + c, own["b"] + n - c).cdf(1e-3).mean()
        assert found[row].item() == pytest.approx(want, rel=1e-6, abs=1e-13)
    assert (bp.probability_impossible(fit, 0.1) >= found).all()


def test_a_ranking_of_two_is_the_sign_of_their_difference(fit):
    draws = bp.forecast(fit, [1, 10**6])
    table = bp.rank_systems(fit, [1, 10**6])
    for k in (1, 10**6):
        rows = table[table["k"] == k].set_index("system")
        better = (draws.sel(k=k, system="large") > draws.sel(k=k, system="small")).mean().item()
        assert rows.loc["large", "rank_1"] == pytest.approx(better, abs=1e-12)
        np.testing.assert_allclose(rows["rank_1"] + rows["rank_2"], 1)
        np.testing.assert_allclose(rows["mean_rank"], rows["rank_1"] + 2 * rows["rank_2"])
    assert table["system"].tolist()[0] == "large"


def test_ties_share_their_ranks(fit):
    """Three systems of which two have the same draws."""
    tied = of_systems(fit, (0, "x", "A"), (0, "y", "A"), (1, "z", "A"))
    table = bp.rank_systems(tied, 1, "population").set_index("system")
    for name in ("x", "y"):
        assert table.loc[name, ["rank_1", "rank_2", "rank_3"]].tolist() == [0, 0.5, 0.5]
        assert table.loc[name, "mean_rank"] == 2.5
    assert table.loc["z", "rank_1"] == 1


def test_systems_of_different_benchmarks_are_not_ranked(fit):
    two = of_systems(fit, (0, "a", "A"), (1, "b", "A"), (0, "c", "B"), (1, "d", "B"))
    with pytest.raises(bp.errors.OptionError, match="choose one with benchmark=, of 'A', 'B'"):
        bp.rank_systems(two, 1, "population")
    with pytest.raises(bp.errors.OptionError, match="benchmark must be one of 'A', 'B'; got 'C'"):
        bp.rank_systems(two, 1, "population", benchmark="C")
    table = bp.rank_systems(two, 1, "population", benchmark="B")
    assert table["system"].tolist() == ["d", "c"]
    alone = of_systems(fit, (0, "a", "A"), (1, "b", "A"), (0, "c", "B"))
    with pytest.raises(bp.errors.OptionError, match="two or more systems"):
        bp.rank_systems(alone, 1, "population", benchmark="B")


@quiet
@pytest.mark.parametrize("family", [bp.Kumaraswamy(), bp.ZeroInflated(bp.Beta())])
def test_any_family_answers_every_question(counts, family):
    small = bp.fit(counts.select("small"), family, pooling="none", random_seed=1, progress=False)
    for target in ("benchmark", "population"):
        budget = bp.budget_for(small, 0.5, target)
        assert (abs(np.log(budget / 100)) < 2.5).mean() > 0.99
        assert (bp.pass_hat_k(small, 2, target) < bp.forecast(small, 1, target).values).all()
        assert (bp.coverage_at_cost(small, 12_800, target) > 0.3).all()
        assert (bp.share_above(small, 0.01, target) < bp.share_above(small, 1e-4, target).values).all()  # fmt: skip
    assert bp.probability_impossible(small, 1e-3).max() > 0.3


@quiet
def test_answers_repeat(fit):
    for verb in (
        lambda seed: bp.budget_for(fit, 0.5, "realised", random_seed=seed),
        lambda seed: bp.pass_hat_k(fit, 5, random_seed=seed),
        lambda seed: bp.share_above(fit, 0.01, random_seed=seed),
    ):
        xr.testing.assert_identical(verb(None), verb(None))
        assert not verb(9).equals(verb(None))


@pytest.mark.parametrize("value", [0, 1, -0.1, np.nan, "0.5", [], [0.5, 0.5], True])
def test_a_pass_at_k_to_reach_must_mean_something(fit, value):
    with pytest.raises(bp.errors.OptionError, match="pass_at_k must"):
        bp.budget_for(fit, value)


def test_other_arguments_must_mean_something(fit):
    with pytest.raises(bp.errors.OptionError, match="cost must be positive and finite; got 0"):
        bp.coverage_at_cost(fit, 0)
    with pytest.raises(bp.errors.OptionError, match="p must be 0 or more and below 1; got 1"):
        bp.share_above(fit, 1)
    with pytest.raises(bp.errors.OptionError, match="p must be 0 or more and below 1; got -1"):
        bp.probability_impossible(fit, -1)
    for verb in (bp.coverage_at_cost, bp.share_above):
        with pytest.raises(bp.errors.OptionError, match="no matter of one run; got 'realised'"):
            verb(fit, 0.5, "realised")
    for verb in (bp.budget_for, bp.pass_hat_k, bp.rank_systems):
        with pytest.raises(bp.errors.OptionError, match=r"target must be .* got 'future'"):
            verb(fit, 0.5 if verb is bp.budget_for else 5, "future")
    for verb in (bp.budget_for, bp.probability_impossible):
        with pytest.raises(bp.errors.FitFileError, match="not a fit"):
            verb(xr.DataTree(), 0.5)
    with pytest.raises(bp.errors.OptionError, match="prob must lie between 0 and 1"):
        bp.summarize_budget(bp.budget_for(fit, 0.3), 95)


def run(*arguments, status=0):
    return commands.run("budget", *arguments, status=status)


@pytest.fixture(scope="module")
def zero_inflated_path(zero_inflated, tmp_path_factory):
    path = tmp_path_factory.mktemp("fits") / "zero.nc"
    bp.save(zero_inflated, path)
    return path


def test_the_command_says_never_and_its_json_is_valid(zero_inflated_path, tmp_path):
    text = run(zero_inflated_path, "--pass-at-k", "0.5,0.995", "--prob", 0.5).stdout
    assert "target benchmark: the mean over the problems attempted" in text
    assert "50% equal-tailed credible interval" in text
    assert text.count(" never ") >= 2
    given = ["--pass-at-k", "0.5,0.995", "--target", "population"]
    found = json.loads(run(zero_inflated_path, *given, "--format", "json").stdout)
    assert [row["pass_at_k"] for row in found["rows"]] == [0.5, 0.995] * 2
    assert [row["median"] is None for row in found["rows"]] == [False, True] * 2
    assert found["meta"]["target"] == "population"
    assert found["meta"]["null"] == "not within 1e12 attempts"
    out = tmp_path / "out.csv"
    done = run(zero_inflated_path, *given, "--format", "csv", "-o", out)
    assert done.stdout == ""
    rows = list(csv.DictReader(io.StringIO(out.read_text())))
    assert [float(row["median"]) for row in rows][1] == np.inf


def test_the_command_fits_counts_first(counts, fit, tmp_path):
    path = tmp_path / "counts.csv"
    counts.to_dataframe().to_csv(path, index=False)
    found = json.loads(
        run(
            path, "--family", "beta", "--pooling", "none", "--pass-at-k", 0.5, "--format", "json"
        ).stdout
    )
    want = bp.summarize_budget(bp.budget_for(fit, 0.5))
    assert [row["median"] for row in found["rows"]] == want["median"].tolist()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--pass-at-k", "population"],
            "--pass-at-k must be values separated by commas, as in 0.5,0.9",
        ),
        (["--pass-at-k", "0.5,1"], "pass_at_k must be between 0 and 1; got 1.0"),
        (["--target", "future"], "target must be 'benchmark', 'population' or 'realised'"),
        (["--prob", "95"], "prob must lie between 0 and 1"),
        (["--family", "kumaraswamy"], "--family has no meaning for a saved fit"),
    ],
)
def test_bad_options_give_status_2_and_one_line(fit_path, arguments, message):
    done = run(fit_path, *arguments, status=2)
    assert message in " ".join(done.stderr.split())
    assert done.stderr.count("\n") == 1
