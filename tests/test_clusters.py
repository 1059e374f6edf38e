"""Problems in clusters: what they are worth, and bands that take account of it."""

import json

import numpy as np
import pytest
from scipy import stats
from scipy.special import expit, logit

import bayespassk as bp
from bayespassk.fitting.clusters import _effect


def clustered(seed, sd, clusters=20, size=5, attempts=50, named=True):
    rng = np.random.default_rng([seed, 9])
    x = logit(rng.beta(0.5, 2.0, clusters * size).clip(1e-9, 1 - 1e-9))
    x += np.repeat(sd * rng.standard_normal(clusters), size)
    return bp.Counts(
        problem=np.arange(len(x)),
        attempts=np.full(len(x), attempts),
        successes=rng.binomial(attempts, expit(x)),
        cluster=np.repeat(np.arange(clusters), size) if named else None,
    )


def effect(fit):
    return json.loads(fit.attrs["design_effect"])["system"]


def test_copies_of_problems_are_worth_one():
    """Each problem five times: the effect is 5, but for what so few clusters add."""
    rng = np.random.default_rng(1)
    own = rng.standard_normal((500, 30))
    together = _effect(np.repeat(own, 5, axis=1), np.repeat(np.arange(30), 5))
    few = 30 / 29 * (stats.t(29).ppf(0.975) / stats.norm.ppf(0.975)) ** 2
    assert together == pytest.approx(5 * few)
    independent = rng.standard_normal((2000, 60))
    assert _effect(independent, np.repeat(np.arange(12), 5)) < 1.6


def test_clusters_make_bands_of_the_population_wider_where_there_are_effects():
    for sd, least, most in ((2.0, 1.3, 3.0), (0.0, 1.0, 1.5)):
        found = [effect(bp.fit(clustered(seed, sd), bp.Beta(), random_seed=1)) for seed in range(5)]
        assert least < np.median(found) < most


@pytest.mark.filterwarnings("ignore::bayespassk.errors.FamilyWarning")
@pytest.mark.parametrize("method", ["quadrature", "nuts"])
def test_every_sampler_takes_account_of_them(method):
    fits = [
        bp.fit(
            clustered(3, 2.0, named=named), bp.Beta(), method=method, random_seed=1, draws=500,
        )
        for named in (True, False)
    ]  # fmt: skip
    wide, narrow = (
        np.ptp(np.quantile(bp.forecast(fit, 1, "population"), [0.025, 0.975])) for fit in fits
    )
    assert wide == pytest.approx(narrow * np.sqrt(effect(fits[0])), rel=0.15)


def test_one_cluster_or_none_changes_nothing():
    alone = clustered(4, 0.0, clusters=1, size=40)
    assert effect(bp.fit(alone, bp.Beta(), random_seed=1)) == 1.0
    assert (
        "design_effect"
        not in bp.fit(clustered(4, 0.0, named=False), bp.Beta(), random_seed=1).attrs
    )


def test_a_fit_keeps_its_clusters(tmp_path):
    fit = bp.fit(clustered(5, 1.0), bp.Beta(), random_seed=1)
    bp.save(fit, tmp_path / "fit.nc")
    again = bp.load(tmp_path / "fit.nc")
    assert effect(again) == effect(fit)
    assert "constant_data" in again.children
    assert len(np.unique(again["constant_data"]["cluster"])) == 20


@pytest.mark.filterwarnings("ignore::bayespassk.errors.FamilyWarning")
def test_bands_of_the_population_hold_new_clusters(full_size):
    """95% bands hold at least 80% of truths, where bands without clusters hold fewer."""
    number = 200 if full_size else 16
    many = np.random.default_rng(0)
    x = logit(many.beta(0.5, 2.0, 200_000)) + 2.0 * many.standard_normal(200_000)
    truth = expit(x).mean()
    held = np.zeros(2, dtype=int)
    for seed in range(number):
        for i, named in enumerate((True, False)):
            fit = bp.fit(clustered(seed, 2.0, named=named), bp.Beta(), random_seed=1)
            low, high = np.quantile(bp.forecast(fit, 1, "population"), [0.025, 0.975])
            held[i] += low <= truth <= high
    assert held[0] > held[1]
    assert stats.binom.cdf(held[0], number, 0.9) > 1e-3  # one false alarm in 1,000
