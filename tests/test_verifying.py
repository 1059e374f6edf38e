"""The truth behind verdicts: bands that cover it, and answers that are never confused."""

import warnings

import arviz as az
import numpy as np
import pytest
from scipy import special, stats

import bayespassk as bp
from bayespassk.asking import seen
from bayespassk.families.base import draw_prior

FALSE_ALARM = 1e-4

# The prior of these tests is narrow, so that what is simulated from it can be attempted at all.
pytestmark = [
    pytest.mark.filterwarnings("ignore:at k = .* the prior weighs more"),
    pytest.mark.filterwarnings("ignore:the prior moves the forecast"),
]
BASE = bp.Beta(log_a=bp.Prior(np.log(0.4), 0.5), log_b=bp.Prior(np.log(3.0), 0.5, "logistic"))
KNOWN = bp.Verified(BASE, true_positive_rate=0.9, false_positive_rate=0.03)
LEARNED = bp.Verified(
    BASE,
    true_positive_rate=bp.Prior.beta(45, 5),
    false_positive_rate=bp.Prior.beta(3, 97),
)
CURVES = (
    bp.verifier.apparent_pass_at_k,
    bp.verifier.true_pass_at_k,
    bp.verifier.first_pass_correct_at_k,
)
TARGETS = "benchmark", "population"


def attempted(p, t, phi, attempts, rng, system="simulated"):
    """Counts of verdicts on attempts at problems of given p: correct ones, and then accepted."""
    correct = rng.binomial(attempts, p)
    accepted = rng.binomial(correct, t) + rng.binomial(attempts - correct, phi)
    return bp.Counts(
        problem=np.arange(len(p)),
        attempts=np.full(len(p), attempts),
        successes=accepted,
        system=system,
    )


@pytest.fixture(scope="module")
def verdicts():
    rng = np.random.default_rng(1)
    systems = [
        attempted(rng.beta(0.3, b, 120), 0.9, 0.03, 40, rng, name).to_dataframe()
        for name, b in (("good", 2.0), ("poor", 20.0))
    ]
    import pandas as pd

    return bp.Counts.from_dataframe(pd.concat(systems))


@pytest.fixture(scope="module")
def known(verdicts):
    return bp.fit(verdicts, KNOWN, pooling="none", draws=500, random_seed=1, progress=False)


@pytest.fixture(scope="module")
def learned(verdicts):
    good = verdicts.select("good")
    return bp.fit(good, LEARNED, pooling="none", draws=500, random_seed=1, progress=False)


def ranks_of_the_truth(family, number, seed, problems):
    """Simulate from the prior, fit, and return where the truths lie among the draws, 0 to 1.

    Each problem has as many attempts as there are problems.
    """
    found = []
    size = {"tune": 300} if family is LEARNED else {"method": "quadrature"}
    for i in range(number):
        rng = np.random.default_rng([seed, i])
        own = {n: v[0] for n, v in family.natural(draw_prior(family, rng, (1,))).items()}
        t, phi = own.get("true_positive_rate", 0.9), own.get("false_positive_rate", 0.03)
        p = rng.beta(own["a"], own["b"], problems)
        q = p * t + (1 - p) * phi
        counts = attempted(p, t, phi, problems, rng)
        fit = bp.fit(
            counts, family, pooling="none", draws=300, chains=2, random_seed=i, progress=False, **size
        )  # fmt: skip
        truths = 1 - (1 - p) ** 50, p * t / q * (1 - (1 - q) ** 5), p * t / q
        bands = bp.verifier.true_pass_at_k(fit, 50), bp.verifier.first_pass_correct_at_k(fit, 5), bp.verifier.first_pass_ceiling(fit)  # fmt: skip
        found.append([(b < t.mean()).mean() for b, t in zip(bands, truths, strict=True)])
        new = (
            bp.verifier.true_pass_at_k(fit, 50, "population"),
            bp.verifier.first_pass_ceiling(fit, "population"),
        )
        of_kind = family.log_truth(own, 50.0), family.log_truth(own, np.inf, first_pass=True)
        found[-1] += [(b < np.exp(t)).mean() for b, t in zip(new, of_kind, strict=True)]
    return np.array(found).T


@pytest.mark.parametrize(
    ("family", "few", "many"), [(KNOWN, 60, 400), (LEARNED, 15, 200)], ids=["known", "learned"]
)
def test_bands_cover_the_truth_as_often_as_they_say(family, few, many, full_size):
    """Problems, rates and parameters are drawn from the prior: ranks of the truth are uniform.

    Each of five quantities by the Kolmogorov-Smirnov distance and by how many lie in the 80% band;
    one false alarm in 1,000 runs of all ten.
    """
    number = many if full_size else few
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.errors.ConvergenceWarning)  # ESS of few draws
        ranks = ranks_of_the_truth(family, number, 3, problems=30 if full_size else 15)
    for rank in ranks:
        assert stats.kstest(rank, "uniform").pvalue > FALSE_ALARM
        inside = int(((rank > 0.1) & (rank < 0.9)).sum())
        assert stats.binomtest(inside, number, 0.8).pvalue > FALSE_ALARM


@pytest.mark.filterwarnings("ignore::bayespassk.errors.FamilyWarning")  # of the plain beta
def test_without_correction_the_band_misses_the_truth():
    """Of many simulated benchmarks, the forecast of a plain beta covers the true pass@k of few."""
    inside = {"plain": 0, "verified": 0}
    for i in range(10):
        rng = np.random.default_rng([5, i])
        p = rng.beta(0.3, 3.0, 60)
        counts = attempted(p, 0.9, 0.03, 50, rng)
        plain = bp.fit(counts, BASE, pooling="none", random_seed=i, progress=False)
        corrected = bp.fit(counts, KNOWN, pooling="none", draws=1000, random_seed=i, progress=False)
        for name, draws in (
            ("plain", bp.forecast(plain, 100)),
            ("verified", bp.verifier.true_pass_at_k(corrected, 100)),
        ):
            lower, upper = np.quantile(draws, [0.005, 0.995])
            inside[name] += lower < (1 - (1 - p) ** 100).mean() < upper
    assert inside["verified"] >= 8  # fewer once in 10,000 runs
    assert inside["plain"] <= 2


def test_what_is_apparent_is_what_the_general_forecast_says(known):
    for target in TARGETS:
        apparent = bp.verifier.apparent_pass_at_k(known, [1, 100], target)
        assert apparent.name == "apparent_pass_at_k"
        np.testing.assert_array_equal(apparent, bp.forecast(known, [1, 100], target))


def test_dims_attributes_and_tables_are_those_of_a_forecast(known):
    for curve in CURVES:
        for target in TARGETS:
            draws = curve(known, [1, 100], target)
            assert draws.dims == ("chain", "draw", "system", "k")
            assert draws["k"].values.tolist() == [1, 100]
            assert draws["k"].dtype == np.int64
            assert draws.name == curve.__name__
            assert draws.attrs["target"] == target
            assert set(draws.attrs) == set(bp.forecast(known, 1).attrs) - {"agreement"}
            assert len(bp.summarize(draws)) == 4
    ceiling = bp.verifier.first_pass_ceiling(known)
    assert ceiling.name == "first_pass_ceiling"
    assert bp.summarize(ceiling)["k"].tolist() == [np.inf, np.inf]


@pytest.mark.parametrize("target", TARGETS)
def test_the_curves_are_in_order_at_every_draw(known, learned, target):
    for fit in (known, learned):
        ks = [1, 3, 10, 30, 300]
        apparent, true, first = (curve(fit, ks, target).values for curve in CURVES)
        ceiling = bp.verifier.first_pass_ceiling(fit, target).values
        for curve in (apparent, true, first):
            assert (np.diff(curve) >= -1e-9).all()
        assert (first <= np.minimum(np.minimum(apparent, true), ceiling) + 1e-9).all()
        many = bp.verifier.apparent_pass_at_k(fit, 10**6, target).values
        assert many.min() > 0.999


def test_a_verifier_without_error_shows_the_truth(verdicts):
    family = bp.Verified(BASE, true_positive_rate=1.0, false_positive_rate=0.0)
    fit = bp.fit(verdicts, family, pooling="none", draws=500, random_seed=1, progress=False)
    for target in TARGETS:
        apparent, true, first = (curve(fit, [1, 100], target) for curve in CURVES)
        np.testing.assert_allclose(true, apparent, atol=1e-8)
        np.testing.assert_allclose(first, apparent, atol=1e-8)
        np.testing.assert_allclose(bp.verifier.first_pass_ceiling(fit, target), 1.0, atol=1e-8)


@pytest.mark.parametrize("copies", [3, 64], ids=["many problems a cell", "few"])
def test_benchmark_has_the_mean_of_the_problems_own_truth(known, verdicts, copies, monkeypatch):
    """The draws less their expectations given the parameters and the counts are 0 on average."""
    monkeypatch.setattr(seen, "COPIES", copies)
    mine = verdicts.select("poor")
    c, f = mine.successes.astype(float), (mine.attempts - mine.successes).astype(float)
    posterior = known["posterior"].dataset.sel(system="poor")
    own = {name: posterior[name].values.ravel()[::2] for name in ("a", "b")}
    seen_so = KNOWN.log_moment(own, c, f)
    for curve, k, first_pass in ((bp.verifier.true_pass_at_k, 20, False), (bp.verifier.first_pass_correct_at_k, 20, True)):  # fmt: skip
        draws = curve(known, k, random_seed=4).sel(system="poor", k=k).values.ravel()[::2]
        want = np.exp(KNOWN.log_truth(own, k, c, f, first_pass=first_pass) - seen_so).mean(1)
        error = (draws - want).std() / np.sqrt(len(draws))
        assert abs((draws - want).mean()) < stats.norm.isf(FALSE_ALARM / 2) * error


@pytest.mark.parametrize("target", TARGETS)
def test_utility_is_right_answers_less_wrong_ones(known, learned, target):
    for fit in (known, learned):
        utility = bp.verifier.resampling_utility(fit, 2.5, [1, 10, 100], target)
        assert utility["k"].values.tolist() == [0, 1, 10, 100]
        assert (utility.sel(k=0) == 0).all()
        apparent, _, first = (curve(fit, [1, 10, 100], target) for curve in CURVES)
        want = first - 2.5 * (apparent - first)
        np.testing.assert_allclose(utility.sel(k=[1, 10, 100]), want, atol=1e-9)


def test_the_best_number_of_attempts_falls_with_the_cost_of_a_wrong_answer(known):
    best = []
    for cost in (0, 1, 4, 1000):
        utility = bp.verifier.resampling_utility(known, cost)
        table = bp.verifier.best_resampling(utility)
        assert table["cost"].tolist() == [cost] * 2
        assert (table["lower"] <= table["best_k"]).all()
        assert (table["best_k"] <= table["upper"]).all()
        mean = utility.mean(("chain", "draw")).sel(system="good")
        assert table["best_k"][0] == mean.idxmax("k")
        assert table["utility"][0] == pytest.approx(float(mean.max()))
        best.append(table["best_k"][0])
    assert best == sorted(best, reverse=True)
    assert best[0] > 1000
    assert best[-1] == 0


def test_the_best_number_is_that_of_attempts_judged_one_by_one(known):
    """The posterior is near the truth, and so is its optimum to that of 10^6 new problems."""
    rng = np.random.default_rng(6)
    p = rng.beta(0.3, 2.0, 10**6)
    q = p * 0.9 + (1 - p) * 0.03
    ks = np.arange(1, 41)
    gain = (p * 0.9 - 4 * (1 - p) * 0.03) / q
    want = np.array([(gain * (1 - (1 - q) ** k)).mean() for k in ks])
    utility = bp.verifier.resampling_utility(known, 4, ks, "population").sel(system="good")
    table = bp.verifier.best_resampling(utility.expand_dims("system"))
    assert table["lower"][0] <= ks[want.argmax()] <= table["upper"][0]
    lower, upper = np.quantile(utility.sel(k=ks), [0.0005, 0.9995], axis=(0, 1))
    assert ((lower < want) & (want < upper)).all()


def test_rates_are_learned_with_the_parameters(learned):
    """They are in the tables of ArviZ, and verdicts tell little more than the audit did."""
    posterior = learned["posterior"].dataset
    for name, prior in LEARNED.verifier.learned.items():
        assert name in az.summary(learned).index.str.replace(r"\[.*", "", regex=True).tolist()
        before = special.expit(prior.draw(np.random.default_rng(1), prior.loc, (20_000,)))
        assert 0.3 < float(posterior[name].std()) / before.std() < 1.2
    assert bp.diagnostics(learned).converged


def test_a_saved_fit_says_the_same(known, learned, tmp_path):
    for fit in (known, learned):
        bp.save(fit, tmp_path / "fit.nc")
        again = bp.load(tmp_path / "fit.nc")
        assert bp.family_of(again) == bp.family_of(fit)
        for curve in CURVES:
            np.testing.assert_array_equal(curve(again, 10), curve(fit, 10))


def test_checks_and_leave_one_out_are_of_verdicts(known, verdicts):
    assert (bp.check(known, random_seed=1)["p_value"] > 0.001).all()
    plain = bp.fit(verdicts, BASE, pooling="none", random_seed=1, progress=False)
    table = bp.compare({"verified": known, "plain": plain})
    good = table[table["system"] == "good"].set_index("family")["elpd"]
    assert good["verified"] > good["plain"]


@pytest.mark.filterwarnings("ignore::bayespassk.errors.ConvergenceWarning")  # of so few draws
@pytest.mark.filterwarnings("ignore::bayespassk.errors.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore::bayespassk.errors.ForecastWarning")
def test_systems_may_share_what_is_known_of_rates(verdicts, full_size):
    """It holds at every draw, of whatever chain: a few draws of a small log will do."""
    if not full_size:
        pytest.skip("compiles for a minute: run with --slow")
    frame = verdicts.to_dataframe()
    few = bp.Counts.from_dataframe(frame[frame["problem"].astype(int) < 6])
    fit = bp.fit(
        few, LEARNED, pooling="partial", draws=20, tune=20, target_accept=0.8, chains=2, random_seed=1, progress=False
    )  # fmt: skip
    assert {"centre_logit_false_positive_rate", "false_positive_rate"} <= set(fit["posterior"].data_vars)  # fmt: skip
    first, ceiling = (
        bp.verifier.first_pass_correct_at_k(fit, 10),
        bp.verifier.first_pass_ceiling(fit),
    )
    assert (first.values <= ceiling.values + 1e-9).all()


def test_beyond_false_positives_the_prior_is_said_to_rule():
    """Problems that are never solved are accepted now and then: of p far below phi none tells."""
    rng = np.random.default_rng(7)
    counts = attempted(np.zeros(50), 0.9, 0.03, 200, rng)
    fit = bp.fit(counts, KNOWN, pooling="none", random_seed=1, progress=False)
    with pytest.warns(bp.errors.ForecastWarning, match="at k = 1,000 the prior weighs more"):
        bp.verifier.true_pass_at_k(fit, 1000)
    solved = attempted(rng.beta(1.0, 3.0, 50), 0.9, 0.03, 200, rng)
    fit = bp.fit(solved, KNOWN, pooling="none", random_seed=1, progress=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bp.verifier.true_pass_at_k(fit, 10)


def test_questions_that_mean_nothing_are_refused(known, fit):
    for curve in CURVES:
        with pytest.raises(
            bp.errors.OptionError, match=r"needs a fit with bp\.Verified.*this one of beta"
        ):
            curve(fit, 10)
        with pytest.raises(
            bp.errors.OptionError, match=r"'benchmark' or 'population'.*got 'realised'"
        ):
            curve(known, 10, "realised")
        with pytest.raises(bp.errors.OptionError, match="k must be a whole number"):
            curve(known, 0)
    with pytest.raises(bp.errors.OptionError, match=r"needs a fit with bp.Verified"):
        bp.verifier.first_pass_ceiling(fit)
    for cost in (-1, np.inf, "high", None, True):
        with pytest.raises(bp.errors.OptionError, match="cost must be a finite number"):
            bp.verifier.resampling_utility(known, cost)
    with pytest.raises(bp.errors.OptionError):
        bp.verifier.best_resampling(bp.verifier.resampling_utility(known, 1, [1, 2]), prob=2)
