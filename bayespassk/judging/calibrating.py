"""Calibration: the sampler and the forecast against simulated truth."""

import warnings
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from bayespassk.arguments import check_arguments
from bayespassk.asking.pass_at_k import PassAtK
from bayespassk.asking.question import ask
from bayespassk.errors import (
    ConvergenceWarning,
    ForecastWarning,
    OptionError,
    PriorDrivenWarning,
)
from bayespassk.families import Family, as_family
from bayespassk.families.base import draw_prior
from bayespassk.fitting.verb import fit
from bayespassk.options import TARGETS, check_k, listed, seed_of
from bayespassk.posterior.diagnostics import MAX_PARETO_K, diagnostics_of
from bayespassk.posterior.fitted import Fitted, opened
from bayespassk.simulating import made_with

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["calibrate", "summarize_calibration"]

KEPT = 99
"""Draws kept of each fit, evenly spread: about as many as are independent of each other."""

TIE = 1e-12
"""Values closer than this are equal: pass@k saturates at 1, up to rounding."""


def calibrate(
    family: Family | str | None = None,
    *,
    problems: int = 40,
    attempts: ArrayLike = 100,
    simulations: int = 200,
    k: float | Iterable[float] | None = None,
    method: Literal["quadrature", "nuts", "advi", "fullrank_advi"] = "nuts",
    draws: int = 500,
    tune: int = 500,
    chains: int = 2,
    run_length: int | None = None,
    random_seed: int | None = None,
) -> xr.Dataset:
    """Return the ranks of simulated truths among draws from their posteriors (SBC).

    Parameters from the prior, p of each problem from the family, counts from p, then a fit and a
    forecast. If priors, likelihood, sampler and forecast are right, the rank of the truth among
    the draws is uniform, and the band of every probability covers what it says, for data that
    the prior finds plausible.

    Parameters
    ----------
    family : Family, default that of :func:`bayespassk.fit`
        The family, with the priors to be tested.
    problems : int
        Problems in each simulated benchmark.
    attempts : int or array of int, dims (problem,)
        Attempts at each problem.
    simulations : int
        How many times.
    k : int or sequence of int, optional
        Attempts allowed in the forecasts whose ranks are returned; by default 10 and 1,000 times
        the most attempts made.
    method, draws, tune, chains
        As for :func:`bayespassk.fit`. Fewer draws than there do, as 99 of them are used.
    run_length : int, optional
        Of a :class:`bayespassk.Dependent`, which needs it; see :func:`bayespassk.simulate`.
    random_seed : int, optional
        Repeats the result.

    Returns
    -------
    xarray.Dataset
        `rank`, dims (simulation, quantity): 0 to 99, how many of 99 draws lie below the truth,
        equal values ranked at random. Quantities are the free parameters, and pass@k at each k
        of the benchmark, of the population and realised. `converged`, dims (simulation,): whether
        the fit had no divergence, no R-hat above 1.05 and no Pareto k above 0.7 (with so few draws
        an R-hat a little above 1.01 means little). Attributes: family, method, seed.

    Notes
    -----
    It tests computation, not the family: data that no member of the family could have made are
    not among those simulated. For that see :func:`bayespassk.check`.

    References
    ----------
    Talts et al. 2018, arXiv:1804.06788.

    Examples
    --------
    >>> import bayespassk as bp
    >>> ranks = bp.calibrate(bp.Beta(), simulations=4, random_seed=1)
    >>> ranks.sizes["simulation"]
    4
    """
    check_arguments("calibrate", locals())
    family = as_family(family)
    each = np.array(listed(attempts), dtype=np.int64)
    if len(each) not in (1, problems):
        raise OptionError(
            f"attempts must be one number, or one for each of the {problems:,} problems; got "
            f"{len(each):,}"
        )
    made = np.broadcast_to(each, (problems,))
    if simulations < 1 or problems < 1 or made.min() < 1:
        raise OptionError(
            "calibration needs at least one simulation, one problem and one attempt at each; got "
            f"simulations={simulations!r}, problems={problems!r}, attempts={attempts!r}"
        )
    most = int(made.max())
    ks = check_k([10 * most, 1000 * most] if k is None else k)
    seed = seed_of(random_seed)
    options = {"method": method, "draws": draws, "tune": tune, "chains": chains}
    results = [
        _simulate_once(family, made, ks, run_length, options, np.random.default_rng([seed, i]))
        for i in range(simulations)
    ]
    return xr.Dataset(
        {
            "rank": (("simulation", "quantity"), [list(ranks.values()) for ranks, _ in results]),
            "converged": ("simulation", [converged for _, converged in results]),
        },
        {"quantity": list(results[0][0])},
        {"family": family.full_name, "method": method, "random_seed": seed, "draws": KEPT},
    )


def summarize_calibration(ranks: xr.Dataset, bins: int = 10) -> "pd.DataFrame":
    """Return for each quantity whether its ranks are uniform, and what its bands covered.

    Parameters
    ----------
    ranks : Dataset
        From :func:`calibrate`.
    bins : int
        Bins of the test; a divisor of 100.

    Returns
    -------
    pandas.DataFrame
        Columns quantity, p_value (chi-squared test of uniform ranks), coverage_50 and coverage_95
        (share of truths in the equal-tailed 50% and 95% bands), simulations, converged.

    Notes
    -----
    With S simulations the standard error of a coverage c is sqrt(c (1 - c) / S).
    """
    check_arguments("summarize_calibration", locals())
    import pandas as pd
    from scipy import stats

    size = int(ranks.attrs["draws"]) + 1
    values = ranks["rank"].transpose("quantity", "simulation").values
    rows = []
    for quantity, rank in zip(ranks["quantity"].values, values, strict=True):
        seen = np.bincount(rank * bins // size, minlength=bins)
        rows.append(
            {
                "quantity": str(quantity),
                "p_value": float(stats.chisquare(seen).pvalue),
                "coverage_50": _coverage(rank, size, 0.5),
                "coverage_95": _coverage(rank, size, 0.95),
                "simulations": len(rank),
                "converged": int(ranks["converged"].sum()),
            }
        )
    return pd.DataFrame(rows)


def _coverage(rank: NDArray[np.int64], size: int, prob: float) -> float:
    """Return the share of truths in the middle `prob` of the draws.

    A rank stands for a range of shares, one part in `size` wide, that may be half inside.
    """
    low, high = (1 - prob) / 2 * size, (1 + prob) / 2 * size
    inside = np.minimum(rank + 1, high) - np.maximum(rank, low)
    return float(inside.clip(0.0, 1.0).mean())


def _simulate_once(
    family: Family,
    attempts: NDArray[np.int64],
    ks: NDArray[np.int64],
    run_length: int | None,
    options: dict[str, Any],
    rng: np.random.Generator,
) -> tuple[dict[str, int], bool]:
    """Return the ranks of one simulated truth, and whether its fit converged."""
    free = draw_prior(family, rng, (1,))
    natural = family.natural(free)
    p = family.draw({n: np.full(len(attempts), v[0]) for n, v in natural.items()}, rng)
    one = {name: value[0] for name, value in natural.items()}
    counts = made_with(family, one, p, attempts, rng, run_length)
    with warnings.catch_warnings():
        for expected in (PriorDrivenWarning, ConvergenceWarning, ForecastWarning):
            warnings.simplefilter("ignore", expected)
        posterior = opened(
            fit(counts, family, random_seed=int(rng.integers(2**31)), progress=False, **options)
        )
        truth, draws = _quantities(family, free, p, ks, posterior, rng)
    ranks = {name: _rank(draws[name], truth[name], rng) for name in truth}
    found = diagnostics_of(posterior)
    good = found.divergences == 0 and not (found.max_rhat or 1.0) > 1.05
    return ranks, good and not (found.pareto_k or 0.0) > MAX_PARETO_K


def _quantities(
    family: Family,
    free: dict[str, NDArray[np.float64]],
    p: NDArray[np.float64],
    ks: NDArray[np.int64],
    posterior: Fitted,
    rng: np.random.Generator,
) -> tuple[dict[str, float], dict[str, NDArray[np.float64]]]:
    """Return the truth and the draws of every quantity."""
    with np.errstate(divide="ignore"):
        rate = -np.log1p(-p)
    truth = {name: float(value[0]) for name, value in free.items()}
    draws = {name: posterior.posterior[name].values.ravel() for name in free}
    population = -np.expm1(family.log_moment(family.natural(free), 0, ks.astype(float)))[0]
    patience = rng.standard_exponential(p.shape)
    for target in TARGETS:
        values = ask(posterior, PassAtK(ks), target, warn=False).values.reshape(-1, len(ks))
        for i, k in enumerate(ks):
            name = f"{target} pass@{k:,}"
            draws[name] = values[:, i]
            truth[name] = {
                "benchmark": float(-np.expm1(-k * rate).mean()),
                "population": float(population[i]),
                "realised": float((k * rate >= patience).mean()),
            }[target]
    return truth, draws


def _rank(draws: NDArray[np.float64], truth: float, rng: np.random.Generator) -> int:
    kept = draws[np.linspace(0, len(draws) - 1, KEPT).astype(int)]
    ties = np.abs(kept - truth) < TIE
    return int((kept[~ties] < truth).sum() + rng.integers(0, ties.sum() + 1))
