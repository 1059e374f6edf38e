"""Further attempts go where they narrow the forecast, and what is expected of them happens."""

import numpy as np
import pytest
from scipy import stats

import bayespassk as bp
from bayespassk.families import family_names
from bayespassk.families.base import declared, draw_prior
from bayespassk.planning.lessons import Cloud, free_parameters, lessons_of, standardised
from bayespassk.posterior.fitted import opened

K = 1000


@pytest.fixture(scope="module")
def few():
    """20 attempts at each of 128 problems of one system."""
    return bp.thin(bp.load_example().select("small"), 20, random_seed=1)


@pytest.fixture(scope="module")
def few_fit(few):
    return bp.fit(few, bp.Beta(), pooling="none", random_seed=1, progress=False)


def further(fit, budget, strategy="bayes", k=K, target="benchmark", **options):
    return bp.allocate(fit, budget, k, target, strategy, **options)


def attempts(*arguments, **options):
    return further(*arguments, **options)["attempts"].values


# What further attempts teach ----------------------------------------------------------------------


@pytest.mark.parametrize(("c", "n", "m"), [(0, 20, 1), (0, 20, 300), (3, 20, 300), (1, 1000, 5000)])
def test_variance_within_a_problem_is_that_of_a_sum_over_all_outcomes(c, n, m):
    a, b = 0.2, 5.0
    parameters = {"a": np.full(4, a), "b": np.full(4, b)}
    z = np.array([[1.0], [-1.0], [1.0], [-1.0]])
    lessons = lessons_of(
        bp.Beta(),
        Cloud(parameters, z),
        np.array([c]),
        np.array([n - c]),
        K,
        np.array([0, m]),
        np.random.default_rng(1),
    )
    y = np.arange(m + 1)
    chance = stats.betabinom.pmf(y, m, a + c, b + n - c)

    def moment(j):
        each = bp.Beta().log_moment(parameters, c + y, n - c + m - y + j)[0]
        return np.exp(each - bp.Beta().log_moment(parameters, c + y, n - c + m - y)[0])

    exact = chance @ (moment(2 * K) - moment(K) ** 2)
    assert lessons.within[0, 1] == pytest.approx(exact, rel=0.02)


def nested(fit, more, k, outer=40, inner=600, seed=1):
    """Return the expected posterior sd after `more` attempts: of benchmark and population.

    Outcomes are simulated from the posterior, and the draws weighted by their likelihood.
    """
    rng = np.random.default_rng(seed)
    (part,) = opened(fit).parts[0]
    family = bp.family_of(fit)
    flat = {name: value.ravel() for name, value in part.parameters.items()}
    size = len(next(iter(flat.values())))
    c = part.cells.successes[part.cells.inverse]
    f = part.cells.failures[part.cells.inverse]
    some = {name: value[rng.integers(size, size=inner)] for name, value in flat.items()}
    before = family.log_moment(some, c, f)
    new = np.exp(family.log_moment(some, 0, k))
    found = []
    for at in rng.integers(size, size=outer):
        one = {name: value[[at]] for name, value in flat.items()}
        y = rng.binomial(more, family.draw_seen(one, rng, c, f)[0])
        exponents = (f + more - y)[:, None] + k * np.arange(3)
        after = family.log_moment(some, (c + y)[:, None], exponents)
        log_weight = (after[..., 0] - before).sum(1)
        weight = np.exp(log_weight - log_weight.max())
        weight /= weight.sum()
        x, square = np.exp(after[..., 1:] - after[..., :1]).transpose(2, 0, 1)
        within = weight @ (square - x**2).sum(1) / len(c) ** 2
        mean = x.mean(1)
        found.append(
            (within + weight @ (mean - weight @ mean) ** 2, weight @ (new - weight @ new) ** 2)
        )
    return np.sqrt(np.mean(found, 0))


@pytest.mark.parametrize("target", ["benchmark", "population"])
@pytest.mark.parametrize(("strategy", "budget"), [("bayes", 3000), ("uniform", 10_000)])
def test_the_expected_posterior_sd_is_that_of_nested_simulation(few_fit, strategy, budget, target):
    """Within 15%; the simulation's own error is about 5%."""
    found = further(few_fit, budget, strategy, target=target, new_problems=0)
    simulated = nested(few_fit, found["attempts"].values, K)[int(target == "population")]
    assert float(found["sd_expected"][0]) == pytest.approx(simulated, rel=0.15)
    assert float(found["sd"][0]) > 1.1 * simulated


def test_the_sd_of_now_is_that_of_the_forecast(few_fit):
    for target in ("benchmark", "population"):
        draws = bp.forecast(few_fit, K, target)
        found = further(few_fit, 100, target=target)
        assert float(found["sd"][0]) == pytest.approx(float(draws.std()), rel=0.1)


@pytest.mark.parametrize("name", sorted(set(family_names()) - {"dependent-beta"}))
def test_every_family_says_what_attempts_teach(name):
    """Uncertainty within a problem falls, information grows and is of a positive form."""
    family, rng = bp.family_from_name(name), np.random.default_rng(1)
    free = draw_prior(family, rng, (30,))
    z, _ = standardised(np.stack([free[n] for n in declared(family)], 1))
    lessons = lessons_of(
        family,
        Cloud(family.natural(free), z),
        np.array([0, 2]),
        np.array([20, 18]),
        K,
        np.array([0, 1, 10, 1000]),
        rng,
    )
    assert (np.diff(lessons.within) <= 0).all()
    assert (lessons.within[:, -1] < 0.7 * lessons.within[:, 0]).all()
    assert np.abs(lessons.information[:, 0]).max() < 1e-9
    assert (np.linalg.eigvalsh(lessons.information) > -1e-9).all()
    trace = np.trace(lessons.information, axis1=-2, axis2=-1)
    assert (np.diff(trace) > 0).all()


def test_gains_are_not_concave(few_fit):
    """At a problem with little known of p, what one more attempt teaches grows at first."""
    part = opened(few_fit).parts[0][0]
    z, _ = standardised(free_parameters(opened(few_fit), 0))
    cloud = Cloud({n: v.ravel()[::200] for n, v in part.parameters.items()}, z[::200])
    hard = np.array([0]), np.array([2000])
    sizes = np.array([0, 100, 2000])
    lessons = lessons_of(bp.Beta(), cloud, *hard, 10, sizes, np.random.default_rng(1))
    assert lessons.within[0, 0] > lessons.within[0, 1]
    easy = np.array([1]), np.array([1])
    lessons = lessons_of(
        bp.Beta(), cloud, *easy, 10**4, np.array([0, 1, 100]), np.random.default_rng(1)
    )
    gain = -np.diff(lessons.within[0]) / np.diff(lessons.sizes)
    assert gain[1] > gain[0]


# Strategies ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("k", [100, 10_000])
@pytest.mark.parametrize("budget", [300, 10_000])
def test_bayes_expects_no_more_variance_than_any_rule(few_fit, k, budget):
    expected = {
        name: float(further(few_fit, budget, name, k)["sd_expected"][0])
        for name in ("bayes", "uniform", "fewest-successes", "reset-and-discard")
    }
    assert expected["bayes"] <= 1.01 * min(expected.values()), expected


def test_bayes_leaves_problems_alone_whose_forecast_is_known(few, few_fit):
    more = attempts(few_fit, 2000, k=10_000)
    assert more.sum() == 2000
    assert more[few.successes > 5].sum() < 0.05 * 2000
    assert (more[few.successes == 0] > 0).mean() > 0.9


def test_at_small_k_bayes_attempts_problems_that_are_solved_too(few, few_fit):
    more = attempts(few_fit, 5000, k=1)
    middle = (few.successes > 3) & (few.successes < 17)
    assert more[middle].mean() > more[few.successes == 0].mean()


@pytest.mark.parametrize("strategy", ["bayes", "uniform", "fewest-successes", "reset-and-discard"])
def test_the_budget_is_spent_and_limits_hold(few, few_fit, strategy):
    limit = np.full(len(few), 30)
    limit[:5] = 0
    found = further(few_fit, 1000, strategy, limit=limit)
    more = found["attempts"].values
    assert more.sum() == found.attrs["spent"] == 1000
    assert (more <= limit).all()
    everything = attempts(few_fit, 10**6, strategy, limit=limit)
    may = few.successes == 0 if strategy == "reset-and-discard" else np.full(len(few), True)
    np.testing.assert_array_equal(everything, np.where(may, limit, 0))


def test_uniform_evens_out_what_was_made(few):
    uneven = bp.thin(few, np.arange(len(few)) % 21, random_seed=1)
    fit = bp.fit(uneven, bp.Beta(), pooling="none", random_seed=1, progress=False)
    total = uneven.attempts + attempts(fit, 1600, "uniform")
    assert total.sum() == uneven.attempts.sum() + 1600
    assert np.ptp(total) <= 1


def test_fewest_successes_fills_up_those_with_the_fewest(few, few_fit):
    more = attempts(few_fit, 500, "fewest-successes")
    assert more[few.successes > 0].sum() == 0
    assert np.ptp(more[few.successes == 0]) <= 1


def test_reset_and_discard_leaves_solved_problems(few, few_fit):
    more = attempts(few_fit, 500, "reset-and-discard")
    assert more[few.successes > 0].sum() == 0
    assert more.sum() == 500


def test_the_oracle_follows_theorem_1(few_fit):
    p = np.full(128, 0.5)
    p[:3] = [1 / (2 * K), 1e-5, 0.0]
    more = attempts(few_fit, 50_000, "oracle", p=p)
    total = more + 20.0
    exact = np.sqrt(p * (1 - p) ** (2 * K - 1))
    assert total[0] / total[1] == pytest.approx(exact[0] / exact[1], rel=0.01)
    assert more[2:].sum() == 0


def test_attempts_that_cost_more_are_fewer(few, few_fit):
    unsolved = np.flatnonzero(few.successes == 0)
    costs = np.ones(len(few))
    costs[unsolved[::2]] = 8.0
    found = further(few_fit, 2000, costs=costs)
    more = found["attempts"].values
    assert more @ costs == pytest.approx(found.attrs["spent"])
    assert 1990 <= found.attrs["spent"] <= 2000
    assert more[unsolved[::2]].mean() < 0.5 * more[unsolved[1::2]].mean()


def test_the_first_part_of_a_longer_plan(few_fit):
    """With a horizon the problems are those of the whole plan, not the best for so few attempts."""
    part, whole = attempts(few_fit, 300, horizon=20_000), attempts(few_fit, 20_000)
    assert part.sum() == 300
    assert part[whole == 0].sum() == 0
    assert np.corrcoef(part, whole)[0, 1] > 0.8


def test_the_path_says_how_much_it_takes(few_fit):
    found = further(few_fit, 20_000)
    spent, sd = found["path_spent"].values, found["path_sd"].values[:, 0]
    assert sd[0] == pytest.approx(float(found["sd"][0]))
    assert sd[-1] == pytest.approx(float(found["sd_expected"][0]), rel=0.02)
    assert (np.diff(sd) <= 1e-12).all()
    fewer = further(few_fit, 5000)
    assert float(fewer["sd_expected"][0]) == pytest.approx(np.interp(5000, spent, sd), rel=0.05)


def test_new_problems_are_part_of_the_decision_for_the_population(few_fit):
    old = further(few_fit, 5000, target="population", new_problems=0)
    new = further(few_fit, 5000, target="population")
    assert old["new_problems"].values.tolist() == [0]
    assert int(new["new_problems"][0]) > 100
    assert int(new["new_attempts"][0]) + int(new["attempts"].sum()) == 5000
    assert float(new["sd_expected"][0]) < 0.92 * float(old["sd_expected"][0])
    dear = further(few_fit, 5000, target="population", new_problem_cost=2000.0)
    assert int(dear["new_problems"][0]) <= 1
    assert int(further(few_fit, 5000)["new_problems"][0]) == 0


def test_new_problems_narrow_the_population_as_expected(few_fit):
    """The gain of new problems is that of nested simulation with problems seen 0 times."""
    found = further(few_fit, 4000, target="population", limit=0)
    problems, made = int(found["new_problems"][0]), int(found["new_attempts"][0])
    rng, k = np.random.default_rng(2), K
    (part,) = opened(few_fit).parts[0]
    flat = {name: value.ravel() for name, value in part.parameters.items()}
    some = {name: value[rng.integers(4000, size=600)] for name, value in flat.items()}
    of_new = np.exp(bp.Beta().log_moment(some, 0, k))
    variance = []
    each = np.full(problems, made // problems)
    for at in rng.integers(4000, size=40):
        y = rng.binomial(each, rng.beta(flat["a"][at], flat["b"][at], problems))
        log_weight = bp.Beta().log_moment(some, y, each - y).sum(1)
        weight = np.exp(log_weight - log_weight.max())
        weight /= weight.sum()
        variance.append(weight @ (of_new - weight @ of_new) ** 2)
    assert float(found["sd_expected"][0]) == pytest.approx(np.sqrt(np.mean(variance)), rel=0.2)


def test_systems_share_a_budget(counts, fit):
    found = bp.allocate(fit, 3000, 10_000)
    by_system = found["attempts"].groupby("system").sum()
    assert int(by_system.sum()) == 3000
    assert found.sizes["system_index"] == 2
    sd = found["sd"].values
    assert int(by_system.sel(system=counts.systems[int(sd.argmax())])) > 1500


@pytest.mark.parametrize("strategy", ["bayes", "uniform"])
def test_the_same_seed_gives_the_same_allocation(few_fit, strategy):
    one, same, other = (attempts(few_fit, 50, strategy, random_seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    if strategy == "uniform":  # 50 of 128 problems that are alike
        assert (one != other).any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"budget": 0}, "budget must be positive"),
        ({"budget": float("nan")}, "budget must be positive"),
        ({"budget": 10, "horizon": 5}, "horizon must be at least the budget"),
        ({"budget": 10, "k": 0}, "k must be a whole number"),
        ({"budget": 10, "target": "all"}, "target must be"),
        ({"budget": 10, "strategy": "best"}, "strategy must be one of 'bayes'"),
        ({"budget": 10, "strategy": "oracle"}, "needs p"),
        ({"budget": 10, "strategy": "oracle", "p": [0.1]}, "one for each of the 128 rows"),
        ({"budget": 10, "strategy": "oracle", "p": 1.5}, "p must be between 0 and 1"),
        ({"budget": 10, "costs": [1.0] * 127 + [0.0]}, "the first is row 128: 0.0"),
        ({"budget": 10, "limit": -1}, "limit must be 0 or more"),
        ({"budget": 10, "new_problems": -1}, "new_problems must be 0 or more"),
        ({"budget": 10, "new_problem_cost": -1.0}, "new_problem_cost must be 0 or more"),
    ],
)
def test_bad_arguments_are_refused(few_fit, options, message):
    with pytest.raises(bp.errors.OptionError, match=message):
        bp.allocate(few_fit, **options)
