"""Estimates of log p in counts: their rules, who keeps them, who refuses them, what a fit makes of them."""

import json
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import special as sp

import bayespassk as bp
from bayespassk.evidence import Evidence
from commands import run

NAN = np.nan
ROWS = {
    "problem": list("abcdef"),
    "attempts": [50, 50, 50, 0, 0, 20],
    "successes": [7, 0, 1, 0, 0, 0],
    "log_p": [NAN, NAN, NAN, -9.0, -4.0, -6.0],
    "log_p_se": [NAN, NAN, NAN, 0.5, 0.1, 1.0],
}
LOG_A, LOG_B = bp.Beta().log_a, bp.Beta().log_b


def counts(**changed):
    return bp.Counts(**(ROWS | changed))


@pytest.fixture(scope="module")
def fit():
    return bp.fit(counts(), bp.Beta(), random_seed=1, progress=False)


def quiet(of, *args, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.errors.ForecastWarning)
        return of(*args, **options)


# Counts ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"log_p": [NAN, NAN, NAN, 0.5, -4.0, 0.1]}, "log_p must not be above 0: 2 of 6 .* row 4"),
        ({"log_p": [NAN, NAN, NAN, -np.inf, -4, -6]}, "log_p must be at least -700.* row 4"),
        ({"log_p": [NAN, NAN, NAN, np.inf, -4, -6]}, "log_p must not be above 0"),
        ({"log_p_se": [NAN, NAN, NAN, 0.5, 0.0, -1]}, "log_p_se must be finite .* 2 of 6.* row 5"),
        ({"log_p_se": [NAN, NAN, NAN, np.inf, 1, 1]}, "log_p_se must be finite"),
        ({"log_p_se": [NAN, NAN, NAN, 0.5, NAN, 1]}, "together: 1 of 6 .* row 5"),
        ({"log_p": [-1.0, NAN, NAN, -9.0, -4.0, -6.0]}, "together: 1 of 6 .* row 1"),
        ({"log_p_se": None}, "together: log_p_se is not"),
        ({"log_p": None}, "together: log_p is not"),
        ({"log_p": [NAN, NAN, NAN, "low", -4.0, -6.0]}, "log_p must be numbers.* row 4"),
        ({"log_p": [True, NAN, NAN, -9.0, -4.0, -6.0]}, "log_p must be numbers.* row 1"),
        ({"log_p": [-1.0]}, "log_p must have one value for each of the 6"),
        ({"log_p": -1.0}, "log_p must be a sequence"),
        ({"covariates": {"log_p": range(6)}}, "must not be called 'log_p'"),
    ],
)
def test_what_breaks_a_rule_is_told_with_the_first_row(changed, said):
    with pytest.raises(bp.errors.CountsError, match=said):
        counts(**changed)


def test_without_an_estimate_counts_are_as_they_were():
    plain = {name: ROWS[name] for name in ("problem", "attempts", "successes")}
    empty = counts(log_p=[NAN] * 6, log_p_se=[None] * 6)
    assert empty == bp.Counts(**plain)
    assert empty.evidence is None
    assert "log_p" not in empty.to_dataframe()
    assert counts() != empty
    assert counts() != counts(log_p=[NAN, NAN, NAN, -9.0, -4.0, -6.000001])
    assert "log p of 3" in repr(counts())


def test_they_stay_with_their_problems(tmp_path):
    one = counts()
    assert isinstance(one.evidence, Evidence)
    assert pickle.loads(pickle.dumps(one)) == one  # noqa: S301
    assert bp.Counts.from_dataframe(one.to_dataframe()) == one
    assert one.of_rows(np.array([4, 0])).log_p.tolist()[0] == -4.0
    assert one.evidence.of_rows([5]).log_p_se.tolist() == [1.0]
    twice = bp.Counts.from_dataframe(
        pd.concat([one.to_dataframe().assign(system=name) for name in "xy"])
    )
    assert twice.select("y").log_p_se[3] == 0.5
    for name in ("one.csv", "one.parquet"):
        frame = one.to_dataframe()
        path = tmp_path / name
        frame.to_csv(path, index=False) if name.endswith("csv") else frame.to_parquet(path)
        assert bp.read(path).sha256() == one.sha256()
    assert bp.read_csv(tmp_path / "one.csv") == one
    with pytest.raises(ValueError, match="read-only"):
        one.log_p[0] = 1


def test_in_text_an_empty_field_is_no_estimate(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("problem,n,c,lp,se\na,5,1,,\nb,0,0,-9.5,0.5\nc,5,0,NA,NA\n")
    columns = {"n": "attempts", "c": "successes", "lp": "log_p", "se": "log_p_se"}
    assert bp.read(path, columns=columns).evidence.there.tolist() == [False, True, False]


def test_thinning_leaves_them():
    thinned = bp.thin(counts(), 20, random_seed=1)
    assert thinned.attempts.tolist() == [20, 20, 20, 0, 0, 20]
    assert thinned.log_p_se[3] == 0.5
    with pytest.raises(bp.errors.OptionError, match="as few as 20"):
        bp.thin(counts(), 21)


def test_runs_do_not_go_with_them():
    frame = pd.DataFrame({"problem": ["a", "a"], "run": [1, 2], "attempts": 5, "successes": 1})
    with pytest.raises(bp.errors.CountsError, match="divide into runs"):
        bp.Counts.from_runs(frame.assign(log_p=-1.0, log_p_se=0.1))
    runs = bp.Counts.from_runs(frame).runs
    with pytest.raises(bp.errors.CountsError, match="divide into runs"):
        bp.Counts(
            problem=["a"], attempts=[10], successes=[2], log_p=[-1], log_p_se=[0.1], runs=runs
        )


# A fit -------------------------------------------------------------------------------------------


def brute(ks, draws=20_000):
    """pass@k of the population and the benchmark by sums over grids of a, b and log p."""
    log_a, step_a = np.linspace(-4.5, 2.5, 90, retstep=True)
    log_b, step_b = np.linspace(-8, 14, 160, retstep=True)
    del step_a, step_b
    a, b = (one.ravel() for one in np.meshgrid(np.exp(log_a), np.exp(log_b), indexing="ij"))
    log_weight = -(((np.log(a) - LOG_A.loc) / LOG_A.scale) ** 2) / 2
    z = np.abs(np.log(b) - LOG_B.loc) / LOG_B.scale
    log_weight += -z - 2 * np.log1p(np.exp(-z))
    u = -np.exp(np.linspace(np.log(60), np.log(1e-6), 1500))  # log p
    v = np.log(-np.expm1(u))
    width = np.gradient(u)
    kernels = []
    for c, n, m, s in zip(*[ROWS[name] for name in ("successes", "attempts")], ROWS["log_p"], ROWS["log_p_se"], strict=True):  # fmt: skip
        normal = 0.0 if np.isnan(m) else -(((m - u) / s) ** 2) / 2
        kernels.append(np.exp(c * u + (n - c) * v + normal))
    of_p = np.array(kernels) * width
    density = np.exp(a[:, None] * u + (b[:, None] - 1) * v - sp.betaln(a, b)[:, None])  # of log p
    for one in of_p:
        with np.errstate(divide="ignore"):
            log_weight = log_weight + np.log(density @ one)
    weight = np.exp(log_weight - log_weight.max())
    rng = np.random.default_rng(1)
    chosen = rng.choice(len(a), draws, p=weight / weight.sum())
    population = [1 - np.exp(sp.betaln(a, b + k) - sp.betaln(a, b))[chosen] for k in ks]
    benchmark = np.zeros((len(ks), draws))
    points, which = np.unique(chosen, return_inverse=True)
    for one in of_p:
        cumulative = np.cumsum(density[points] * one, axis=1)
        cumulative /= cumulative[:, -1:]
        place = (cumulative[which] < rng.random((draws, 1))).sum(1)
        benchmark += [1 - np.exp(k * v[place]) for k in ks]
    return np.array(population), benchmark / len(of_p)


def test_forecasts_are_those_of_sums_over_grids(fit):
    ks = [1, 100, 10_000, 1_000_000]
    population, benchmark = brute(ks)
    for target, expected in (("population", population), ("benchmark", benchmark)):
        found = quiet(bp.forecast, fit, ks, target).values.reshape(-1, len(ks)).T
        for q in (0.025, 0.25, 0.5, 0.75, 0.975):
            ours, theirs = (np.quantile(one, q, axis=-1) for one in (found, expected))
            assert np.abs(ours - theirs).max() < 0.025, (target, q, ours, theirs)


def test_an_estimate_narrows_what_is_known_of_its_problem(fit):
    from bayespassk.asking.seen import Seen
    from bayespassk.posterior.fitted import opened

    p, rows = Seen(opened(fit, evidence=True), 0, 1).each_row()
    log_p = np.log(p[:, np.argsort(rows)])
    assert abs(log_p[:, 4].mean() + 4.0) < 0.05
    assert abs(log_p[:, 4].std() - 0.1) < 0.01
    assert abs(log_p[:, 3].mean() + 9.0) < 0.3
    assert log_p[:, 1].std() > 1.0


def test_a_saved_fit_is_what_it_was(fit, tmp_path):
    path = tmp_path / "fit.nc"
    bp.save(fit, path)
    again = bp.load(path)
    assert np.array_equal(again["constant_data"]["log_p"], ROWS["log_p"], equal_nan=True)
    for target in ("population", "benchmark", "realised"):
        assert quiet(bp.forecast, again, [10, 1e6], target).equals(
            quiet(bp.forecast, fit, [10, 1e6], target)
        )
    assert bp.family_of(again) == bp.Beta()
    assert bp.diagnostics(again).converged


@pytest.mark.parametrize(
    ("name", "value"),
    [("log_p", 0.5), ("log_p", np.inf), ("log_p_se", 0.0), ("log_p_se", NAN), ("log_p", -1e9)],
)
def test_a_fit_with_other_estimates_is_refused(fit, tmp_path, name, value):
    changed = fit.copy(deep=True)
    changed["constant_data"][name].values[3] = value
    with pytest.raises(bp.errors.FitFileError, match="log_p"):
        bp.save(changed, tmp_path / "fit.nc")


def test_what_else_can_be_asked_agrees_with_itself(fit):
    share = bp.share_above(fit, [1e-6, 1e-3], "benchmark").mean(("chain", "draw")).values.ravel()
    below = [bp.probability_impossible(fit, p).mean().item() for p in (1e-6, 1e-3)]
    assert np.allclose(share, 1 - np.array(below), atol=0.01)
    assert bp.probability_impossible(fit).max() == 0
    reliable = quiet(bp.pass_hat_k, fit, 1).mean().item()
    assert abs(reliable - quiet(bp.forecast, fit, 1).mean().item()) < 1e-9
    assert np.isfinite(bp.tail_exponent(fit, 100)).all()
    assert fit["log_likelihood"]["successes"].shape[-1] == 6


def test_an_impossible_problem_has_no_estimate():
    one = bp.fit(counts(), bp.ZeroInflated(bp.Beta()), random_seed=1, progress=False)
    never = bp.probability_impossible(one).values
    assert (never[3:] == 0).all()
    assert never[1] > 0
    assert never[0] == 0


def test_systems_are_pooled_with_them():
    frame = counts().to_dataframe()
    other = frame.assign(system="other", log_p=NAN, log_p_se=NAN)
    two = bp.Counts.from_dataframe(pd.concat([frame, other[other.attempts > 0]]))
    fits = [bp.fit(two, bp.Beta(), pooling=p, random_seed=1) for p in ("none", "partial")]
    alone, pooled = (
        quiet(bp.forecast, one, 1e4, "population").std(("chain", "draw")) for one in fits
    )
    assert (pooled.sel(system="other") < alone.sel(system="other")).all()


def test_problems_with_estimates_only_are_a_benchmark():
    rng = np.random.default_rng(1)
    log_p = np.log(rng.beta(0.3, 8.0, 40))
    only = bp.Counts(
        problem=range(40),
        attempts=[0] * 40,
        successes=[0] * 40,
        log_p=np.minimum(log_p, 0),
        log_p_se=[1e-3] * 40,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # there is no success in any attempt, and that is no matter
        one = bp.fit(only, bp.Beta(), random_seed=1, progress=False)
        draws = bp.forecast(one, [100, 1e6])
    truth = [(1 - (1 - np.exp(log_p)) ** k).mean() for k in (100, 1e6)]
    assert np.abs(draws.mean(("chain", "draw")).values.ravel() - truth).max() < 2e-3
    assert draws.std(("chain", "draw")).max() < 2e-3


def test_the_command_line_forecasts_with_them(tmp_path):
    path = tmp_path / "log.csv"
    counts().to_dataframe().to_csv(path, index=False)
    options = "--family", "beta", "--seed", "1", "--k", "100,1e6"
    shown = run("forecast", path, *options, "--format", "json").stdout
    table = json.loads(shown)
    one = bp.fit(bp.read(path), bp.Beta(), random_seed=1, progress=False)
    expected = quiet(bp.forecast, one, [100, 1e6]).mean(("chain", "draw")).values.ravel()
    rows = table["forecast"] if "forecast" in table else table["rows"]
    assert np.allclose([row["mean"] for row in rows], expected)
    run("check", path, status=2)
    run("backtest", path, "-o", tmp_path / "out", status=2)


def test_a_scaled_beta_that_ends_near_one_is_the_beta(fit):
    """With its end held there by the prior, all that is left of it are its nodes."""
    at_one = bp.ScaledBeta(logit_s=bp.Prior(14.0, 0.1))
    one = bp.fit(counts(), at_one, random_seed=1, progress=False)
    for target in ("benchmark", "population"):
        first, second = (
            quiet(bp.forecast, each, [10, 1e4], target).quantile([0.1, 0.5, 0.9], ("chain", "draw"))
            for each in (fit, one)
        )
        assert np.abs(first - second).max() < 0.02


@pytest.mark.parametrize(
    "options",
    [
        {"family": bp.Beta(), "method": "nuts"},
        {"family": bp.Beta(), "method": "fullrank_advi"},
        {"family": bp.Mixture(bp.Beta(), bp.ScaledBeta()), "draws": 400, "tune": 400},
        {"family": bp.Beta(), "covariates": "level"},
        {"family": bp.ScaledBeta(), "method": "nuts", "pooling": "partial"},
    ],
    ids=str,
)
def test_what_samples_takes_them(fit, options, full_size):
    if not full_size:
        pytest.skip("with --slow: each compiles a model, whose graph other tests evaluate")
    one = counts(covariates={"level": [0, 1, 0, 1, 0, 1]})
    if "pooling" in options:
        frame = one.to_dataframe()
        one = bp.Counts.from_dataframe(pd.concat([frame.assign(system=name) for name in "xy"]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sampled = bp.fit(one, random_seed=1, progress=False, **options)
    draws = quiet(bp.forecast, sampled, [10, 1e4], "benchmark")
    assert np.isfinite(draws).all()
    if options["family"] == bp.Beta() and "covariates" not in options:
        middle = quiet(bp.forecast, fit, [10, 1e4]).mean(("chain", "draw"))
        assert np.abs(draws.mean(("chain", "draw")) - middle).max() < 0.03


# Who refuses them --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {"family": bp.Dependent(bp.Beta())},
        {"family": bp.Verified(bp.Beta(), true_positive_rate=1.0, false_positive_rate=0.01)},
        {"family": bp.OneInflated(bp.ScaledBeta()), "method": "nuts"},
        {"family": bp.OneInflated(bp.Beta())},
    ],
    ids=str,
)
def test_a_fit_that_cannot_take_them_is_refused_before_sampling(options):
    log_p = [*ROWS["log_p"][:5], -0.01]
    one = counts(covariates={"level": range(6)}, log_p=log_p, attempts=[50, 50, 50, 0, 0, 0])
    with pytest.raises(bp.errors.OptionError, match="log_p"):
        bp.fit(one, **{"family": bp.Beta(), "random_seed": 1} | options)


@pytest.mark.parametrize(
    "ask",
    [
        bp.check,
        bp.loo_pit,
        bp.agreement,
        bp.add_predictive,
        lambda fit: bp.sensitivity(fit, 10),
        lambda fit: bp.allocate(fit, 100),
        lambda fit: bp.deployment_risk(fit, 10),
        lambda fit: bp.budget_for(fit, 0.5),
        lambda fit: bp.at_least(fit, 2, 10),
        lambda fit: bp.report(fit, "report.html"),
        lambda fit: bp.compare({"a": fit, "b": fit}),
    ],
)
def test_a_verb_that_does_not_know_them_refuses_the_fit(fit, ask):
    with pytest.raises(bp.errors.OptionError, match="log_p"):
        ask(fit)


@pytest.mark.parametrize(
    "ask",
    [
        lambda one: bp.estimators.chen(one, 10),
        lambda one: bp.estimators.brown(one, [10]),
        bp.build_model,
        bp.independence,
        lambda one: bp.Plan(one, "plan"),
        bp.backtest,
    ],
)
def test_a_verb_that_does_not_know_them_refuses_the_counts(ask):
    with pytest.raises(bp.errors.OptionError, match="log_p"):
        ask(counts())


def test_many_problems_alike_beside_one_estimate():
    rng = np.random.default_rng(2)
    c = np.sort(rng.binomial(30, rng.beta(0.2, 4.0, 160)))
    assert (c == 0).sum() > 80
    plain = {"problem": range(160), "attempts": [30] * 160, "successes": c}
    one = {
        name: np.append([value], [NAN] * 159) for name, value in (("log_p", -5), ("log_p_se", 20))
    }
    fits = [
        bp.fit(
            bp.Counts(**plain, **more), bp.ZeroInflated(bp.Beta()), random_seed=1, progress=False
        )
        for more in ({}, one)
    ]  # an estimate that says next to nothing, but that the problem is not impossible
    for target in ("benchmark", "realised", "population"):
        first, second = (quiet(bp.forecast, each, [10, 300], target) for each in fits)
        quantiles = [
            each.quantile([0.025, 0.5, 0.975], ("chain", "draw")) for each in (first, second)
        ]
        assert np.abs(quantiles[0] - quantiles[1]).max() < 0.02


def test_clusters_and_many_fits_take_them(tmp_path):
    clustered = counts(cluster=list("uuvvww"))
    one = bp.fit(clustered, bp.Beta(), random_seed=1, progress=False)
    assert np.isfinite(quiet(bp.forecast, one, 1e4, "population")).all()
    table = bp.fit_many(counts(), family="beta", k=[10_000], output=tmp_path / "out", cores=1)
    assert (table["status"] == "ok").all(), table.to_dict("records")
