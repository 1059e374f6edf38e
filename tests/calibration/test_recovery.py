"""The sampler against simulated truth: ranks of what is true among draws are uniform.

Simulation-based calibration (Talts et al. 2018, arXiv:1804.06788), for the parameters and for the
forecast: parameters from the prior, p from the family, counts from p, then a fit. If priors,
likelihood, sampler and forecast are right, the rank of the truth among independent draws is
uniform, whatever the prior. The band of every probability then covers what it says.
"""

import warnings

import numpy as np
import pytest
from scipy import stats

import bayespassk as bp
from bayespassk.families.base import draw_prior

# For all tests of this file together, each of which tests four quantities.
FALSE_ALARM = 1e-3
BINS = 10
KEPT = 99  # draws kept of each fit, about as many as are independent of each other


def attempts(rng, problems):
    """Return attempts that differ between problems, from a few to a few hundred."""
    return rng.integers(5, 300, problems)


def simulate_once(seed, problems=40):
    """Return the ranks, among draws from the posterior, of what was true."""
    family = bp.Beta()
    rng = np.random.default_rng([seed, 7])
    free = draw_prior(family, rng, (1,))
    p = family.draw({n: np.full(problems, v[0]) for n, v in family.natural(free).items()}, rng)
    n = attempts(rng, problems)
    counts = bp.Counts(problem=range(problems), attempts=n, successes=rng.binomial(n, p))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.PriorDrivenWarning)
        warnings.simplefilter("ignore", bp.ConvergenceWarning)  # few draws: the ESS is short of 400
        fit = bp.fit(counts, draws=200, tune=400, chains=2, random_seed=seed, progress=False)
    k = 10 * 300
    truth = {
        "log_a": free["log_a"][0],
        "logit_mean": free["logit_mean"][0],
        "benchmark": -np.expm1(k * np.log1p(-p)).mean(),
        "realised": (rng.random(problems) < -np.expm1(k * np.log1p(-p))).mean(),
    }
    draws = {name: fit["posterior"][name] for name in ("log_a", "logit_mean")} | {
        target: bp.forecast(fit, k, target=target) for target in ("benchmark", "realised")
    }
    ranks = {}
    for name, value in truth.items():
        values = draws[name].values.ravel()
        values = values[np.linspace(0, values.size - 1, KEPT).astype(int)]
        # A realised share is one of a few numbers, and a benchmark that is always solved has a
        # pass@k of 1 up to rounding: equal values are ranked at random.
        ties = np.abs(values - value) < 1e-12
        ranks[name] = (values[~ties] < value).sum() + rng.integers(0, ties.sum() + 1)
    return ranks


@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning")
def test_ranks_of_the_truth_are_uniform(full_size):
    simulations = 2000 if full_size else 200
    ranks = [simulate_once(seed) for seed in range(simulations)]
    for name in ranks[0]:
        bins = np.array([rank[name] for rank in ranks]) * BINS // (KEPT + 1)
        seen = np.bincount(bins, minlength=BINS)
        assert stats.chisquare(seen).pvalue > FALSE_ALARM / len(ranks[0]), (name, seen.tolist())
