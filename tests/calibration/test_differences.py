"""Differences and crossings against simulated truth: ranks of what is true are uniform."""

import warnings

import numpy as np
import pytest
from scipy import special, stats

import bayespassk as bp
from bayespassk.families.base import draw_prior

# For all quantities of this file together.
FALSE_ALARM = 1e-3

KS = [10, 1000]
ATTEMPTS = 50
PROBLEMS = 30
BACKWARDS = "b minus a: "
"""A truth of the wrong sign, to show that the test can fail."""

KEPT = 49
"""Draws of which the rank is taken: about as many as are independent of each other."""


def simulate_two(rng):
    """Return counts of two systems whose parameters are from the prior, a, b, and p of each."""
    natural = bp.Beta().natural(draw_prior(bp.Beta(), rng, (2, 1)))
    p = rng.beta(natural["a"], natural["b"], (2, PROBLEMS))
    counts = bp.Counts(
        problem=np.tile(np.arange(PROBLEMS), 2),
        attempts=np.full(2 * PROBLEMS, ATTEMPTS),
        successes=rng.binomial(ATTEMPTS, p.ravel()),
        system=np.repeat(["x", "y"], PROBLEMS),
    )
    return counts, natural, p


def true_crossing(fail_of, most):
    """Return the crossing of two curves of fail@k by looking at many k; inf if there is none."""
    ks = np.unique(np.rint(np.logspace(0, np.log10(most), 4000)))
    x, y = fail_of(ks)
    other = np.sign(y - x) == -np.sign(y[0] - x[0])
    return float(ks[other.argmax()]) if other.any() else np.inf


def rank(draws, truth, rng):
    """Return how many of some draws are below the truth; ties at random, also up to rounding."""
    kept = draws.values.ravel()[np.linspace(0, draws.size - 1, KEPT).astype(int)]
    ties = np.isclose(kept, truth, rtol=0, atol=1e-12)
    return int((kept[~ties] < truth).sum() + rng.integers(0, ties.sum() + 1))


def ranks_of_one(rng):
    counts, natural, p = simulate_two(rng)
    a, b = natural["a"], natural["b"]

    def population(ks):
        return np.exp(special.betaln(a, b + ks) - special.betaln(a, b))

    def benchmark(ks):
        return np.exp(np.multiply.outer(np.log1p(-p), ks)).mean(1)

    found = {}
    with warnings.catch_warnings():
        for expected in (
            bp.errors.PriorDrivenWarning,
            bp.errors.ConvergenceWarning,
            bp.errors.ForecastWarning,
        ):
            warnings.simplefilter("ignore", expected)
        seed = int(rng.integers(2**31))
        fit = bp.fit(
            counts,
            bp.Beta(),
            pooling="none",
            draws=300,
            chains=2,
            random_seed=seed,
            progress=False,
        )
        for target, fail in (("population", population), ("benchmark", benchmark)):
            draws = bp.difference(fit, "x", "y", KS, target)
            truth = -np.subtract(*fail(np.array(KS)))
            for k, true in zip(KS, truth, strict=True):
                found[f"{target}, difference at {k}"] = rank(draws.sel(k=k), true, rng)
                found[f"{BACKWARDS}{target} at {k}"] = rank(draws.sel(k=k), -true, rng)
            crossing = bp.crossing_budget(fit, "x", "y", target, most=10_000)
            true = true_crossing(fail, 10_000)
            found[f"{target}, crossing"] = rank(crossing, true, rng)
    return found


@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning")
def test_ranks_of_the_true_difference_and_crossing_are_uniform(full_size):
    rng = np.random.default_rng(11)
    ranks = [ranks_of_one(rng) for _ in range(1000 if full_size else 80)]
    for name in ranks[0]:
        seen = np.bincount([one[name] * 5 // (KEPT + 1) for one in ranks], minlength=5)
        p_value = stats.chisquare(seen).pvalue
        if name.startswith(BACKWARDS):
            assert p_value < 1e-6, (name, seen)
        else:
            assert p_value > FALSE_ALARM / len(ranks[0]), (name, seen)
