"""Families are judged by leave-one-out as ArviZ would, and averages are mixtures of forecasts."""

import json

import arviz as az
import click
import numpy as np
import pytest
import xarray as xr
from click.testing import CliRunner
from scipy import stats

import bayespassk as bp
from bayespassk import cli, texts
from bayespassk.judging import averaging, comparing, leave_one_out
from bayespassk.posterior.fitted import opened

KS = [1, 100, 10**6]
FALSE_ALARM = 1e-4


@pytest.fixture(scope="module")
def other(counts):
    return bp.fit(
        counts, bp.Kumaraswamy(), pooling="none", draws=500, random_seed=2, progress=False
    )


@pytest.fixture(scope="module")
def fits(fit, other):
    return {"beta": fit, "kumaraswamy": other}


@pytest.fixture(scope="module")
def table(fits):
    return bp.compare(fits, progress=False)


@pytest.fixture(scope="module")
def skewed():
    """One family far from the truth: half of the problems never solved, half easy."""
    p = np.repeat([0.0, 0.5], 60)
    successes = np.random.default_rng(1).binomial(50, p)
    counts = bp.Counts(problem=range(120), attempts=[50] * 120, successes=successes)
    families = {"beta": bp.Beta(), "zero-inflated": bp.ZeroInflated(bp.Beta())}
    return {
        name: bp.fit(counts, family, pooling="none", draws=500, random_seed=1, progress=False)
        for name, family in families.items()
    }


def of_system(fit, position):
    """One system of a fit, as ArviZ takes it: the efficiency of draws is that of the whole fit."""
    mine = fit["constant_data"].dataset["system_index"].values == position
    return xr.DataTree.from_dict(
        {
            "posterior": fit["posterior"].dataset,
            "log_likelihood": fit["log_likelihood"].dataset.isel(row=mine),
        }
    )


def test_elpd_is_that_of_arviz_though_equal_rows_are_computed_once(counts, fits, table):
    assert len(opened(fits["beta"]).cells.problems) < len(counts)
    rows = table.set_index(["system", "family"])
    for position, system in enumerate(counts.systems):
        for name, fit in fits.items():
            want, got = az.loo(of_system(fit, position), pointwise=True), rows.loc[system, name]
            for column in ("elpd", "se", "p"):
                assert got[column] == pytest.approx(want[column], abs=1e-6)
            assert got["max_pareto_k"] == pytest.approx(want.pareto_k.max().item(), abs=1e-6)
            assert got["exact"] == 0


def test_each_problem_is_judged_as_by_arviz(fits):
    """The pointwise values of `az.loo` of the tree are those that `compare` sums."""
    for fit in fits.values():
        fitted = opened(fit)
        by_arviz = az.loo(fit, pointwise=True)
        found = comparing._left_out("it", fitted, fitted.cells, exact=False, progress=False)
        for i, loo in enumerate(found):
            rows = np.flatnonzero(fitted.system_index == i)
            inverse = fitted.cells.of_system(i).inverse
            np.testing.assert_allclose(loo.elpd[inverse], by_arviz.elpd_i.values[rows], atol=1e-9)
            np.testing.assert_allclose(loo.pareto_k[inverse], by_arviz.pareto_k.values[rows])


def test_differences_and_weights_are_those_of_arviz(counts, fits, table):
    for position, system in enumerate(counts.systems):
        loos = {n: az.loo(of_system(f, position), pointwise=True) for n, f in fits.items()}
        want = az.compare(loos, round_to="none")
        got = table[table["system"] == system].set_index("family")
        assert got.index.tolist() == want.index.tolist()
        assert got["rank"].tolist() == want["rank"].tolist() == [0, 1]
        np.testing.assert_allclose(got["elpd_diff"], want["elpd_diff"], atol=1e-6)
        np.testing.assert_allclose(got["dse"], want["dse"], rtol=0.01)
        np.testing.assert_allclose(got["weight_stacking"], want["weight"], atol=1e-3)
        bma = az.compare(loos, method="BB-pseudo-BMA", round_to="none")["weight"]
        np.testing.assert_allclose(got["weight_pseudo_bma"], bma.loc[got.index], atol=0.06)


def test_weights_sum_to_one(table):
    for _, rows in table.groupby("system"):
        for column in ("weight_stacking", "weight_pseudo_bma"):
            assert rows[column].sum() == pytest.approx(1)
            assert (rows[column] >= 0).all()


def test_all_is_the_sum_of_independent_systems(table):
    rows = table.set_index(["family", "system"])
    for name in ("beta", "kumaraswamy"):
        small, large, both = (rows.loc[name, system] for system in ("small", "large", "all"))
        for column in ("elpd", "p"):
            assert both[column] == pytest.approx(small[column] + large[column])
        assert both["se"] == pytest.approx(np.hypot(small["se"], large["se"]))
        assert both["max_pareto_k"] == max(small["max_pareto_k"], large["max_pareto_k"])


def test_the_right_family_wins_over_a_clearly_wrong_one(skewed):
    table = bp.compare(skewed, progress=False)
    assert table["family"].tolist() == ["zero-inflated", "beta"]
    worse = table.iloc[1]
    assert worse["elpd_diff"] < -4 * worse["dse"]
    assert table["weight_stacking"].iloc[0] > 0.99
    assert table["weight_pseudo_bma"].iloc[0] > 0.99
    assert (
        "zero-inflated foretells unseen problems clearly better than beta."
        in texts.families_verdict(table)
    )


def test_many_cells_are_taken_in_parts(fits, table, monkeypatch):
    monkeypatch.setattr(leave_one_out, "CHUNK", 4_000)
    parts = bp.compare(fits, progress=False)
    np.testing.assert_allclose(parts["elpd"], table["elpd"], atol=1e-6)


def test_a_million_problems_cost_no_more_than_their_distinct_rows(fits, table):
    """8,000 copies of each problem: the same posterior is given, the sums are 8,000-fold."""
    many = {}
    for name, fit in fits.items():
        many[name] = fit.copy(deep=True)
        del many[name]["log_likelihood"]
        rows = np.tile(np.arange(fit["observed_data"].sizes["row"]), 8000)
        for group in ("observed_data", "constant_data"):
            many[name][group] = xr.DataTree(many[name][group].dataset.isel(row=rows))
    got = bp.compare(many, progress=False)
    np.testing.assert_allclose(got["elpd"], 8000 * table["elpd"], rtol=1e-9)
    np.testing.assert_allclose(got["dse"], np.sqrt(8000) * table["dse"], rtol=0.01)


@pytest.fixture(scope="module")
def few():
    """Seven problems, of which two are equal, and one that nobody attempted."""
    successes = [3, 3, 9, 5, 1, 12, 7, 0]
    return bp.Counts(problem=list("abcdefgh"), attempts=[20] * 7 + [0], successes=successes)


@pytest.fixture(scope="module")
def few_fits(few):
    families = (bp.Beta(), bp.Kumaraswamy())
    return [
        bp.fit(few, family, pooling="none", random_seed=1, progress=False) for family in families
    ]


# Of these 21 fits, by chance the R-hat of one is 1.011.
@pytest.mark.filterwarnings("ignore:the fit did not converge")
def test_fits_made_again_agree_with_brute_force_and_with_importance_sampling(
    few, few_fits, monkeypatch
):
    monkeypatch.setattr(leave_one_out, "_good_k", lambda _: np.inf)
    sampled = bp.compare(few_fits, progress=False).set_index("family")
    assert sampled["exact"].tolist() == [0, 0]
    assert sampled["max_pareto_k"].max() < 1
    monkeypatch.setattr(leave_one_out, "_good_k", lambda _: -np.inf)
    exact = bp.compare(few_fits, progress=False).set_index("family")
    assert exact["exact"].tolist() == [8, 8]
    np.testing.assert_allclose(exact["elpd"], sampled["elpd"][exact.index], atol=0.1)
    lppd = (one["p"] + one["elpd"] for one in (exact, sampled.loc[exact.index]))
    np.testing.assert_allclose(*lppd)
    frame, brute = few.to_dataframe(), 0.0
    for row in (0, 0, 2, 3, 4, 5, 6):
        rest = bp.fit(
            bp.Counts.from_dataframe(frame.drop(row)),
            bp.Beta(),
            pooling="none",
            random_seed=7,
            progress=False,
        )
        p, c = rest["posterior"].dataset, frame["successes"][row]
        brute += np.log(stats.betabinom.pmf(c, 20, p["a"].values, p["b"].values).mean())
    assert exact["elpd"]["beta"] == pytest.approx(brute, abs=0.05)


def test_unreliable_importance_sampling_is_told(few_fits, monkeypatch):
    monkeypatch.setattr(leave_one_out, "_good_k", lambda _: -1.0)
    with pytest.warns(bp.errors.LooWarning, match="Use exact=True") as caught:
        table = bp.compare(few_fits, exact=False)
    assert [warning.message.family for warning in caught] == ["beta", "kumaraswamy"]
    assert caught[0].filename == __file__
    assert {warning.message.system for warning in caught} == {"system"}
    assert caught[0].message.problems == 8
    by_name = table.set_index("family")
    assert caught[0].message.max_pareto_k == by_name["max_pareto_k"]["beta"]
    assert table["exact"].tolist() == [0, 0]


def test_a_threshold_that_grows_with_the_draws():
    assert leave_one_out._good_k(100) == pytest.approx(0.5)
    assert leave_one_out._good_k(100_000) == 0.7


# Averages --------------------------------------------------------------------------------------


def test_an_average_with_all_weight_on_one_is_that_one(fit, fits):
    for target in ("benchmark", "population", "realised"):
        got = bp.average(fits, KS, target, weights={"kumaraswamy": 0, "beta": 2})
        want = bp.forecast(fit, KS, target)
        assert got.dims == want.dims
        np.testing.assert_array_equal(*(np.sort(f.values.reshape(-1, 6), 0) for f in (got, want)))


def test_an_equal_average_is_the_pool_of_both(fits):
    got = bp.average(fits, KS)
    one, two = (bp.forecast(fit, KS, random_seed=1) for fit in fits.values())
    for system in ("small", "large"):
        for k in KS:
            values, first, second = (
                f.sel(system=system, k=k).values.ravel() for f in (got, one, two)
            )
            pool = np.concatenate([first, np.repeat(second, 2)])  # of 4000 draws and of 2000
            assert stats.ks_2samp(values, pool).pvalue > FALSE_ALARM


def test_draws_of_an_average_stay_joint_over_k_and_share_their_family_over_systems(fits):
    got = bp.average(fits, KS)
    one = bp.forecast(fits["beta"], KS, random_seed=1).values.reshape(-1, 2, 3)
    flat = got.values.reshape(-1, 2, 3)
    whole = {row.tobytes() for row in one}
    assert sum(row.tobytes() in whole for row in flat) == 2000
    assert (got.diff("k") >= 0).all()


@pytest.mark.parametrize("shares", [[0.5, 0.5], [1 / 3, 2 / 3], [0.1, 0.9], [0.0, 1.0]])
def test_families_get_their_share_of_draws_to_within_one(shares):
    parts = [np.full((50, 1), 0.0), np.full((7, 1), 1.0)]
    rng = np.random.default_rng(1)
    for size in (1, 10, 101):
        got = averaging._mix(parts, np.array(shares), size, rng)
        assert len(got) == size
        assert abs(got.sum() - shares[1] * size) <= 1


def test_weights_by_loo_are_those_of_each_system(fits, table):
    rows = table.set_index(["family", "system"])
    for rule in ("stacking", "pseudo_bma"):
        got = bp.average(fits, 100, weights=rule)
        for name, shares in json.loads(got.attrs["families"]).items():
            for system, share in shares.items():
                assert share == pytest.approx(rows[f"weight_{rule}"][name, system], abs=1e-9)


def with_diagnostics(fit, **found):
    """Return the fit as if this had been found of it: a sampler would first have to compile."""
    other = fit.copy()
    other.attrs["diagnostics"] = json.dumps(json.loads(fit.attrs["diagnostics"]) | found)
    return other


def test_an_average_tells_the_worst_of_its_fits(fits):
    """Of one that says that it was sampled, and badly."""
    sampled = with_diagnostics(fits["beta"], min_ess=1234.5)
    sampled.attrs["method"] = "nuts"
    both = {"sampled": sampled, "kumaraswamy": fits["kumaraswamy"]}
    meta = texts.average_provenance(both, bp.average(both, KS))
    assert meta["diagnostics"]["min_ess"] == 1234.5
    assert meta["method"] == "nuts, quadrature"


def test_averages_repeat_and_say_where_they_come_from(counts, fits):
    got = bp.average(fits, KS)
    xr.testing.assert_identical(got, bp.average(fits, KS))
    xr.testing.assert_identical(got, bp.average(list(fits.values()), KS, random_seed=1))
    assert not got.equals(bp.average(fits, KS, random_seed=5))
    assert got.attrs["input_sha256"] == counts.sha256()
    meta = texts.average_provenance(fits, got)
    assert meta["family"] == "average of beta, kumaraswamy with equal weights"
    assert meta["weights"]["beta"] == {"small": 0.5, "large": 0.5}
    assert meta["fits"]["kumaraswamy"]["seed"] == 2
    assert meta["diagnostics"]["converged"] is True
    summary = bp.summarize(got)
    assert "Family average of beta, kumaraswamy with equal weights" in texts.caption(summary, meta)
    assert json.loads(texts.as_json(summary, meta))["meta"]["target"] == "benchmark"
    bp.plot_forecast(got)


def test_an_average_reports_the_worst_of_its_fits(fits):
    bad = with_diagnostics(fits["kumaraswamy"], min_ess=30.0, max_rhat=1.2, systems=["small"])
    assert not bp.diagnostics(bad).converged
    fits = {"beta": fits["beta"], "kumaraswamy": bad}
    found = texts.average_provenance(fits, bp.average(fits, 10))["diagnostics"]
    assert found["converged"] is False
    assert found["message"].startswith("kumaraswamy: the fit did not converge")


# Errors ----------------------------------------------------------------------------------------


def test_fits_must_be_of_the_same_counts(few_fits, fit):
    another = few_fits[0]
    for verb in (bp.compare, lambda fits: bp.average(fits, 10)):
        with pytest.raises(
            bp.errors.OptionError, match=r"of the same counts: that of 'b' is of others"
        ):
            verb({"a": fit, "b": another})
        with pytest.raises(bp.errors.OptionError, match="at least two families; got 1"):
            verb({"a": fit})
        with pytest.raises(bp.errors.OptionError, match="at least two families; got 1"):
            verb(fit)
        with pytest.raises(bp.errors.OptionError, match="two of them are of the family 'beta'"):
            verb([fit, fit])
        with pytest.raises(bp.errors.FitFileError, match="not a fit"):
            verb({"a": fit, "b": xr.DataTree()})


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ("evidence", "weights must be 'equal', 'stacking'.*got 'evidence'"),
        ({"beta": 1}, "exactly the fits' names.*'kumaraswamy' is only a fit"),
        ({"beta": 1, "kumaraswamy": 1, "gamma": 1}, "'gamma' is only a weight"),
        ({"beta": 1, "kumaraswamy": -1}, "at least 0; got -1.0 for 'kumaraswamy'"),
        ({"beta": float("nan"), "kumaraswamy": 1}, "finite"),
        ({"beta": 0, "kumaraswamy": 0}, "must not all be 0"),
    ],
)
def test_weights_must_mean_something(fits, weights, message):
    with pytest.raises(bp.errors.OptionError, match=message):
        bp.average(fits, 10, weights=weights)


def test_a_fit_with_too_few_draws_for_loo_is_refused(few):
    with pytest.warns(bp.errors.ConvergenceWarning):
        fits = {
            n: bp.fit(
                few, bp.Beta(), pooling="none", draws=4, tune=1, random_seed=1, progress=False
            )
            for n in "ab"
        }
    with pytest.raises(bp.errors.OptionError, match="enough draws for LOO: that of 'a'"):
        bp.compare(fits)


# The command line ------------------------------------------------------------------------------


def run(*arguments):
    """Run a command in this process, where the families are compiled already."""
    done = CliRunner().invoke(cli.cli, [*map(str, arguments)], standalone_mode=False)
    if done.exception is not None:
        raise done.exception
    return done.stdout


@pytest.fixture(scope="module")
def few_path(few, tmp_path_factory):
    path = tmp_path_factory.mktemp("counts") / "few.csv"
    few.to_dataframe().to_csv(path, index=False)
    return path


def test_compare_from_the_command_line(few_path, tmp_path):
    arguments = ("compare", few_path, "--families", "beta, kumaraswamy", "--seed", 1)
    text = run(*arguments)
    assert "Here no family is clearly better" in text
    assert "little about k far beyond" in text
    assert text.count("integrated exactly") == 2
    out = tmp_path / "out"
    assert run(*arguments, "--format", "json", "-o", out) == ""
    found = json.loads(out.read_text())
    assert [row["rank"] for row in found["rows"]] == [0, 1]
    assert set(found["meta"]["fits"]) == {"beta", "kumaraswamy"}
    assert run(*arguments, "--format", "csv").startswith("system,family,rank,elpd,se,")


def test_an_average_from_the_command_line(few_path):
    arguments = ("forecast", few_path, "--family", "beta,kumaraswamy", "--k", "10,1e6", "--seed", 1)
    found = json.loads(run(*arguments, "--format", "json"))
    assert found["meta"]["family"] == "average of beta, kumaraswamy with equal weights"
    assert len(found["rows"]) == 2
    assert "average of beta, kumaraswamy with stacking weights" in run(
        *arguments, "--weights", "stacking"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["compare", "{counts}", "--families", "beta"], "must name at least two"),
        (["compare", "{counts}", "--families", "beta,gamma"], "family must be one of"),
        (["forecast", "{counts}", "--family", "beta,beta"], "families must differ"),
        (["forecast", "{counts}", "--weights", "evidence"], "is not one of 'equal'"),
        (["forecast", "{fit}", "--weights", "equal"], "--weights has no meaning for a saved fit"),
    ],
)
def test_bad_options_are_refused_before_anything_is_sampled(arguments, message, few_path, fit_path):
    with pytest.raises((bp.errors.OptionError, click.BadParameter), match=message):
        run(*(a.format(counts=few_path, fit=fit_path) for a in arguments))


def test_disagreement_is_the_share_of_the_variance_between_families(fits):
    """By hand, from the draws of each; 0 for a family and itself; and an average warns of it."""
    ks = [10, 1000]
    table = bp.disagreement(fits, ks)
    draws = {name: bp.forecast(fit, ks) for name, fit in fits.items()}
    means = np.stack([one.mean(("chain", "draw")).values.ravel() for one in draws.values()])
    within = np.stack([one.var(("chain", "draw")).values.ravel() for one in draws.values()])
    between = means.var(0)
    np.testing.assert_allclose(table["family_share"], between / (between + within.mean(0)))
    for name, one in draws.items():
        np.testing.assert_allclose(table[name], one.median(("chain", "draw")).values.ravel())
    fit = next(iter(fits.values()))
    assert (bp.disagreement({"one": fit, "two": fit}, ks)["family_share"] < 1e-12).all()


def test_an_average_warns_where_the_families_decide(fits, monkeypatch):
    monkeypatch.setattr(averaging, "LIMIT", 0.0)
    with pytest.warns(bp.errors.ForecastWarning, match="families disagree") as caught:
        bp.average(fits, [10, 10**6])
    found = caught[-1].message
    assert found.k == 10**6
    assert len(found.family_share) == len(found.systems) > 0


def test_rows_are_called_after_families(counts):
    """As az.plot_compare labels them."""
    one = counts.select("small")
    few = {"draws": 100, "random_seed": 1, "progress": False}
    fits = [bp.fit(one, family, **few) for family in (bp.Beta(), bp.Kumaraswamy())]
    table = bp.compare(fits, progress=False)
    assert sorted(table.index) == ["beta", "kumaraswamy"]
    assert list(table.index) == list(table["family"])
