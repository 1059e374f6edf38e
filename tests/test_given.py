"""Draws from elsewhere become a fit, or it is said what they lack."""

import arviz as az
import numpy as np
import pytest
import xarray as xr

import bayespassk as bp
from bayespassk.families import family_names
from bayespassk.families.base import draw_prior
from bayespassk.families.quadrature import prior_parameters

QUIET = {"progress": False}
FAMILIES = [*map(bp.family_from_name, sorted(family_names())), bp.Mixture(bp.Beta(), bp.Kumaraswamy())]  # fmt: skip
FAMILIES = [one for one in FAMILIES if one.name != "dependent"]
FAMILIES.append(bp.Verified(bp.ZeroInflated(bp.Beta()), true_positive_rate=bp.Prior.beta(95, 5), false_positive_rate=0.01))  # fmt: skip


@pytest.mark.parametrize("family", FAMILIES, ids=lambda one: one.full_name)
def test_free_parameters_follow_from_natural_ones(family):
    free = draw_prior(family, np.random.default_rng(1), (50,))
    back = family.free(family.natural(free))
    assert list(back) == list(free)
    for name, values in free.items():
        np.testing.assert_allclose(back[name], values, rtol=1e-6, atol=1e-6)


def natural_of(fit, family):
    posterior = fit["posterior"].dataset
    return posterior[list(prior_parameters(family))].drop_vars("benchmark", errors="ignore")


def test_a_fit_given_back_says_the_same(counts, fit):
    """From natural parameters, in another order of systems and of dims."""
    draws = natural_of(fit, bp.Beta()).isel(system=[1, 0]).transpose("system", "draw", "chain")
    given = bp.from_posterior(draws, counts, bp.Beta(), random_seed=fit.attrs["random_seed"])
    for name in ("log_a", "logit_mean", "a", "b"):
        np.testing.assert_allclose(given["posterior"][name], fit["posterior"][name], rtol=1e-12)
    ours, theirs = (bp.forecast(one, [10, 10_000]) for one in (given, fit))
    np.testing.assert_allclose(ours, theirs, rtol=1e-9)
    assert given.attrs["method"] == "given"
    assert bp.diagnostics(given).converged
    xr.testing.assert_allclose(
        given["log_likelihood"].to_dataset(), fit["log_likelihood"].to_dataset()
    )


def test_all_verbs_take_it(counts, fit, tmp_path):
    given = bp.from_posterior(natural_of(fit, bp.Beta()), counts, bp.Beta(), random_seed=1)
    bp.save(given, tmp_path / "fit.nc")
    back = bp.load(tmp_path / "fit.nc")
    assert not bp.summarize(bp.forecast(back, [10, 1000])).isna().any(axis=None)
    assert set(bp.check(back, draws=100)["system"].values) == set(counts.systems)
    assert set(bp.compare({"given": back, "fitted": fit})["family"]) == {"given", "fitted"}
    bp.report(back, tmp_path / "report.html", k=[10, 100])
    assert "given" in (tmp_path / "report.html").read_text()
    assert len(bp.sensitivity(back, 100)) == 2


def test_a_refit_without_a_problem_is_refused(counts, fit, monkeypatch):
    """The model that the draws are from is not known."""
    monkeypatch.setattr("bayespassk.judging.leave_one_out._good_k", lambda _draws: -1.0)
    given = bp.from_posterior(natural_of(fit, bp.Beta()), counts, bp.Beta(), random_seed=1)
    with pytest.raises(bp.errors.OptionError, match="cannot be done for the family 'given'"):
        bp.compare({"given": given, "fitted": fit}, exact=True)


def test_draws_of_one_system_need_no_dim_for_it(counts, fit):
    one = natural_of(fit, bp.Beta()).isel(system=0, drop=True)
    given = bp.from_posterior(one, counts.select(counts.systems[0]), bp.Beta(), random_seed=1)
    assert given["posterior"]["a"].dims == ("chain", "draw", "system")


def test_groups_of_the_sampler_are_kept(counts, fit):
    rng = np.random.default_rng(1)
    tree = az.from_dict(
        {
            "posterior": {n: fit["posterior"][n].values for n in ("log_a", "logit_mean")},
            "prior": {n: rng.normal(size=(4, 1000, 2)) for n in ("log_a", "logit_mean")},
            "sample_stats": {"diverging": np.arange(4000).reshape(4, 1000) == 7},
        },
        dims={"log_a": ["system"], "logit_mean": ["system"]},
    )
    tree["posterior"].attrs |= {"inference_library": "own", "inference_library_version": "3"}
    with pytest.warns(bp.errors.ConvergenceWarning, match="1 divergences"):
        given = bp.from_posterior(tree, counts, bp.Beta())
    assert given.attrs["sampler"] == "own 3"
    np.testing.assert_array_equal(given["prior"]["log_a"], tree["prior"]["log_a"])
    assert given["sample_stats"]["diverging"].sum() == 1


def test_chains_that_did_not_mix_are_warned_of(counts, fit):
    draws = natural_of(fit, bp.Beta()).copy(deep=True)
    draws["a"][0] *= 3
    with pytest.warns(bp.errors.ConvergenceWarning, match="R-hat"):
        bp.from_posterior(draws, counts, bp.Beta())


def broken(draws, how):
    draws = draws.copy(deep=True)
    if how == "missing":
        return draws.drop_vars("b")
    if how == "dims":
        return draws.rename(system="model")
    if how == "systems":
        return draws.assign_coords(system=["small", "other"])
    if how == "number":
        return draws.isel(system=[0, 0, 1]).drop_vars("system")
    if how == "finite":
        draws["a"][1, 7, 0] = np.nan
    if how == "positive":
        draws["b"][2, 5, 1] = -1.0
    return draws


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("missing", "there is no 'b' among a"),
        ("dims", r"must have the dims chain, draw and system; got chain, draw, model.*rename"),
        ("systems", "must be those of the counts, 'small', 'large'; 'large' is not in both"),
        ("number", "must have 2 systems, as the counts; got 3"),
        ("finite", r"a must be finite: 1 of 8000 values are not, the first at chain=1, draw=7, system='small'"),
        ("positive", r"b must be above 0: 1 of 8000 values are not, the first at chain=2, draw=5, system='large'"),
    ],
)  # fmt: skip
def test_what_draws_lack_is_told(counts, fit, how, message):
    draws = broken(natural_of(fit, bp.Beta()), how)
    with pytest.raises(bp.errors.OptionError, match=message):
        bp.from_posterior(draws, counts, bp.Beta())


def test_what_is_no_posterior_is_refused(counts, fit):
    with pytest.raises(bp.errors.OptionError, match=r"got dict\. What to do: az\.from_dict"):
        bp.from_posterior({"a": [1.0]}, counts, bp.Beta())
    with pytest.raises(bp.errors.OptionError, match="must have the group posterior"):
        bp.from_posterior(xr.DataTree.from_dict({"prior": xr.Dataset()}), counts, bp.Beta())
    draws = natural_of(fit, bp.Beta())
    with pytest.raises(bp.errors.OptionError, match=r"counts must be a bayespassk\.Counts"):
        bp.from_posterior(draws, counts.to_dataframe(), bp.Beta())
    with pytest.raises(bp.errors.OptionError, match="family must be"):
        bp.from_posterior(draws, counts, 3)
    with pytest.raises(bp.errors.OptionError, match="no 'run_sd' among"):
        bp.from_posterior(draws, counts, bp.Dependent(bp.Beta()))


def test_components_of_a_mixture_must_be_in_order(counts):
    rng = np.random.default_rng(1)
    own = {"a_1": 5.0, "b_1": 1.0, "a_2": 1.0, "b_2": 5.0, "weight_1": 0.5, "weight_2": 0.5}
    draws = xr.Dataset(
        {n: (("chain", "draw"), v * rng.uniform(0.99, 1.01, (2, 50))) for n, v in own.items()}
    )
    one = counts.select("small")
    with pytest.raises(bp.errors.OptionError, match="such that log_gap_2 is finite"):
        bp.from_posterior(draws, one, bp.Mixture(bp.Beta(), bp.Beta()))
