"""Forecasts that others would make, besides `bp.estimators`, each with a bootstrap over problems.

Methods for `bp.backtest`: functions of (counts, k, seed) that return draws, dims (draw, system, k),
of which the first is the estimate of all problems.
"""

from collections.abc import Callable

import numpy as np
import xarray as xr
from scipy import optimize, special as sp

import bayespassk as bp

REPLICATES = 100
"""Resamplings of the problems."""

GRID = np.r_[0.0, sp.expit(np.linspace(-16, 8, 193)), 1.0]
"""Where the nonparametric mixture may have mass."""

STEPS = 400
"""Of the EM algorithm: its forecasts change by less than 0.001 after these."""


def npmle(counts: bp.Counts, k: list[int], seed: int) -> xr.DataArray:
    """Forecast by the mixture of binomials of largest likelihood (Kiefer and Wolfowitz 1956)."""

    def of(attempts, successes, weights):
        a, b = successes[:, None], (attempts - successes)[:, None]
        log_like = sp.xlogy(a, GRID) + sp.xlogy(b, 1 - GRID)
        like = np.exp(log_like - log_like.max(1, keepdims=True))
        mass = np.full((len(weights), len(GRID)), 1 / len(GRID))
        share = weights / weights.sum(1, keepdims=True)
        for _ in range(STEPS):
            fitted = mass @ like.T
            ratio = np.divide(share, fitted, out=np.zeros_like(share), where=share > 0)
            mass = mass * (ratio @ like)
        return 1 - mass @ np.power.outer(1 - GRID, k)

    return _of_systems(of, counts, seed)


def good_toulmin(counts: bp.Counts, k: list[int], seed: int) -> xr.DataArray:
    """Forecast problems solved anew, as species found anew: Good and Toulmin's series, smoothed.

    With the Poisson weights of Orlitsky, Suresh and Wu (2016, doi:10.1073/pnas.1607774113), where k
    is at most n log n; beyond, nothing is said.
    """

    def of(attempts, successes, weights):
        n = int(attempts.min())
        further = np.array(k) / n - 1
        problems = weights.sum(1)
        solved = weights @ (successes > 0)
        seen = np.arange(1, int(successes.max(initial=1)) + 1)
        times = weights @ (successes[:, None] == seen)
        found = np.full((len(weights), len(k)), np.nan)
        for i, t in enumerate(further):
            if t + 1 > max(np.log(n), 2):
                continue
            log_term = sp.xlogy(seen, t)
            if t > 1:
                rate = np.log(problems.mean() * (t + 1) ** 2 / (t - 1)) / (2 * t)
                log_term = log_term + np.log(sp.pdtrc(seen - 1, rate).clip(1e-300))
            new = -(times * np.exp(log_term)) @ (-1.0) ** seen
            found[:, i] = np.clip((solved + new) / problems, solved / problems, 1.0)
        return found

    return _of_systems(of, counts, seed)


def zero_inflated_mle(counts: bp.Counts, k: list[int], seed: int) -> xr.DataArray:
    """Forecast by the beta with a share of impossible problems, where the likelihood is largest."""

    def of(attempts, successes, weights):
        a, b = successes.astype(float), (attempts - successes).astype(float)
        start = np.array([np.log(0.3), np.log(3.0), -1.0])
        rows = []
        for weight in weights:

            def loss(theta, weight=weight):
                (alpha, beta), share = np.exp(theta[:2]), sp.expit(theta[2])
                inner = sp.betaln(alpha + a, beta + b) - sp.betaln(alpha, beta)
                both = np.log1p(-share) + inner
                return -weight @ np.where(a > 0, both, np.logaddexp(np.log(share), both))

            bounds = [(np.log(0.01), np.log(1e3)), (np.log(0.01), np.log(1e6)), (-12, 12)]
            found = optimize.minimize(loss, start, method="L-BFGS-B", bounds=bounds)
            if not rows:
                start = found.x
            (alpha, beta), share = np.exp(found.x[:2]), sp.expit(found.x[2])
            fail = np.exp(sp.betaln(alpha, beta + np.array(k)) - sp.betaln(alpha, beta))
            rows.append((1 - share) * (1 - fail))
        return np.array(rows)

    return _of_systems(of, counts, seed)


RIVALS = {
    "npmle": npmle,
    "good-toulmin": good_toulmin,
    "zero-inflated-beta-mle": zero_inflated_mle,
}


def _of_systems(of: Callable, counts: bp.Counts, seed: int) -> xr.DataArray:
    """Return what a function of attempts, successes and weights says of each system."""
    found = []
    for label in counts.systems:
        mine = counts.select(label)
        rng = np.random.default_rng([seed, len(found)])
        pairs = np.stack([mine.attempts, mine.successes], -1)
        cells, inverse = np.unique(pairs, axis=0, return_inverse=True)
        drawn = rng.integers(len(mine), size=(REPLICATES, len(mine)))
        weights = [np.bincount(inverse.ravel(), minlength=len(cells))]
        weights += [np.bincount(inverse.ravel()[one], minlength=len(cells)) for one in drawn]
        found.append(of(cells[:, 0], cells[:, 1], np.array(weights, dtype=float)))
    return xr.DataArray(np.stack(found, 1), dims=("draw", "system", "k"))


def main() -> None:
    """Print what each says of the bundled example."""
    counts = bp.thin(bp.load_example(), 20, random_seed=1)
    for name, rival in RIVALS.items():
        draws = rival(counts, [20, 40, 1000], 1)
        print(name, draws[0].values.round(3).tolist(), draws.std("draw").values.round(3).tolist())


if __name__ == "__main__":
    main()
