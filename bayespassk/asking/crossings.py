"""Where the curves of two systems cross: by which k one overtakes the other."""

from typing import TYPE_CHECKING, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayespassk.arguments import check_arguments
from bayespassk.arrays import Floats, Ints
from bayespassk.asking.pairs import Pair, attributes, gap, pair_of, warn_of_pair
from bayespassk.errors import OptionError
from bayespassk.options import MOST_K, check_interval, check_target, shown

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["crossing_budget", "summarize_crossing"]

EXACT = 30
"""Every whole k up to this one is looked at for a crossing."""

PER_DECADE = 20
"""How many k are looked at in each factor of ten beyond."""

SEARCHED = [10**2, 10**3, 10**4, 10**6, 10**8]
"""The search for crossings may end before any of these."""


def crossing_budget(
    fit: xr.DataTree,
    a: str,
    b: str,
    target: Literal["benchmark", "population"] = "benchmark",
    *,
    most: int = 10**6,
    random_seed: int | None = None,
) -> xr.DataArray:
    """Return the posterior of the attempts at which the system behind at k = 1 takes the lead.

    The smallest whole k at which the order of the two pass@k is the opposite of that at k = 1;
    infinite if there is none up to `most`.

    Parameters
    ----------
    fit : DataTree
        As for :func:`difference`.
    a, b : str
        Labels of two systems of the fit, on the same benchmark.
    target : {"benchmark", "population"}
        As for :func:`difference`. Not "realised": in single runs the lead changes by luck.
    most : int
        The largest k looked at, 2 to 1e12.
    random_seed : int, optional
        As for :func:`difference`: with the same seed the curves are those of its draws, whatever
        `most` is.

    Returns
    -------
    xarray.DataArray
        The crossing budget, in attempts, whole or infinite, dims (chain, draw). The coordinate
        `leader` has the label of the system ahead at k = 1 (where both are equal there, at the
        first k where they differ; empty if there is none). :func:`summarize_crossing` makes a
        table of it. Attributes: `most`, `probability_a_leads`, and those of :func:`difference`.

    Warns
    -----
    ForecastWarning
        As :func:`bayespassk.forecast`, for either system at the k beyond which are 2.5% of the
        draws, or at `most`.

    Raises
    ------
    OptionError
        As :func:`difference`; and if `most` means nothing or the target is "realised".

    Notes
    -----
    Every k up to 30 is looked at, then 20 in each factor of ten; between two of these the
    difference is taken to be linear in log k. Curves may cross more than once: this is the first
    time, and two crossings between neighbouring k are not seen.

    "Never" means not by `most`. A crossing far beyond the attempts made is one of two
    extrapolations, each of which rests on the family: look at another family before believing it.

    References
    ----------
    Yue et al. 2025, arXiv:2504.13837 (systems trained by reinforcement learning lead at small k
    and are overtaken by their base at large k).

    Examples
    --------
    >>> import bayespassk as bp
    >>> a = bp.simulate(bp.Beta(), {"a": 0.3, "b": 0.6}, problems=100, attempts=50, random_seed=1)
    >>> b = bp.simulate(bp.Beta(), {"a": 0.6, "b": 5.0}, problems=100, attempts=50, random_seed=2)
    >>> counts = bp.Counts(
    ...     problem=[*a.problem, *b.problem],
    ...     attempts=[*a.attempts, *b.attempts],
    ...     successes=[*a.successes, *b.successes],
    ...     system=["tuned"] * 100 + ["base"] * 100,
    ... )
    >>> fit = bp.fit(counts, bp.Beta(), pooling="none", random_seed=1)
    >>> crossing = bp.crossing_budget(fit, "tuned", "base")
    >>> list(bp.summarize_crossing(crossing)["leader"])
    ['tuned', 'base']
    """
    check_arguments("crossing_budget", locals())
    check_target(target, "a crossing, as in single runs the lead changes by luck")
    ks, pair = _grid(most), pair_of(fit, a, b)
    seed = pair.fitted.seed_or(random_seed)
    ahead, budget = _search(pair, ks, target, seed)
    far = min(float(np.quantile(budget, 0.975, method="inverted_cdf")), float(most))
    warn_of_pair(pair, int(far), target, seed, "the crossing budget")
    leader = np.where(ahead > 0, pair.a, np.where(ahead < 0, pair.b, ""))
    return xr.DataArray(
        budget,
        dims=("chain", "draw"),
        coords=pair.fitted.outer | {"leader": (("chain", "draw"), leader)},
        name="crossing_budget",
        attrs=attributes(pair, target, seed)
        | {"most": int(most), "probability_a_leads": float((ahead > 0).mean())},
    )


def summarize_crossing(crossing: xr.DataArray, prob: float = 0.95) -> "pd.DataFrame":
    """Return a table of who leads at first, whether it is overtaken, and by which k.

    Parameters
    ----------
    crossing : DataArray, dims (chain, draw)
        From :func:`crossing_budget`.
    prob : float
        Posterior probability of the interval, between 0 and 1.

    Returns
    -------
    pandas.DataFrame
        Two rows: `a` leads at k = 1, and `b` does. Columns:

        * leader, overtaken_by
        * probability_leads: that `leader` is ahead at k = 1
        * probability_overtaken: that it is ahead at k = 1 and overtaken
        * median, lower, upper: of the crossing budget if it leads, equal-tailed; each is one
          of the draws, infinite for "never up to `most`", and NaN if it leads in no draw

        Its ``attrs`` hold `prob`, `kind`, `target`, `most` and `probability_never`: that nobody is
        overtaken.

    Raises
    ------
    OptionError
        If `prob` has a value that means nothing.

    Notes
    -----
    What is below `most` does not depend on it: a larger one only moves probability from "never"
    to crossings beyond. The interval of a leader that seldom leads is from few draws.
    """
    check_arguments("summarize_crossing", locals())
    import pandas as pd

    check_interval(prob, "eti")
    a, b = crossing.attrs["a"], crossing.attrs["b"]
    budget, ahead = crossing.values.ravel(), crossing["leader"].values.ravel()
    rows = []
    for leader, other in ((a, b), (b, a)):
        mine = budget[ahead == leader]
        median, lower, upper = (
            np.quantile(mine, [0.5, (1 - prob) / 2, (1 + prob) / 2], method="inverted_cdf")
            if len(mine)
            else np.full(3, np.nan)
        )
        rows.append(
            {
                "leader": leader,
                "overtaken_by": other,
                "probability_leads": len(mine) / len(budget),
                "probability_overtaken": float(np.isfinite(mine).sum()) / len(budget),
                "median": float(median),
                "lower": float(lower),
                "upper": float(upper),
            }
        )
    table = pd.DataFrame(rows)
    table.attrs = {
        "prob": prob,
        "kind": "eti",
        "target": crossing.attrs["target"],
        "most": crossing.attrs["most"],
        "probability_never": float(np.isinf(budget).mean()),
    }
    return table


# The search --------------------------------------------------------------------------------------


def _grid(most: int) -> Ints:
    """Return the k at which crossings are looked for."""
    number = isinstance(most, int | float | np.number) and not isinstance(most, bool)
    if not (number and 2 <= most <= MOST_K and most == int(most)):
        raise OptionError(f"most must be a whole number from 2 to 1e12; got {shown(most)}")
    decades = np.log10(MOST_K)
    spread = np.rint(np.logspace(0, decades, int(PER_DECADE * decades) + 1)).astype(np.int64)
    every = np.union1d(np.arange(1, EXACT + 1), spread)
    return np.append(every[every < most], int(most))


def _search(pair: Pair, ks: Ints, target: str, seed: int) -> tuple[Floats, Floats]:
    """Return what `_first_crossing` does; no k is looked at beyond the last crossing."""
    gaps: list[Floats] = []
    for part in np.split(ks, np.searchsorted(ks, SEARCHED)):
        if len(part):
            gaps.append(gap(pair, part, target, seed))
            found = np.concatenate(gaps, -1)
            ahead, budget = _first_crossing(found, ks[: found.shape[-1]])
            if np.isfinite(budget).all():
                break
    return ahead, budget


def _first_crossing(gap: Floats, ks: Ints) -> tuple[Floats, Floats]:
    """Return who is ahead at first (1: a, -1: b, 0: nobody ever), and when that is reversed.

    `gap` has dims (..., k).
    """

    def at(values: Floats, index: NDArray[np.intp]) -> Floats:
        return np.take_along_axis(values, index[..., None], -1)[..., 0]

    sign = np.sign(gap)
    ahead = at(sign, (sign != 0).argmax(-1))
    reversed_ = (sign == -ahead[..., None]) & (sign != 0)
    after = reversed_.argmax(-1)
    before = np.maximum(after - 1, 0)
    from_zero, to_zero = np.abs(at(gap, before)), np.abs(at(gap, after))
    with np.errstate(invalid="ignore"):  # 0 / 0 where they are never reversed
        share = from_zero / (from_zero + to_zero)
        between = ks[before] * (ks[after] / ks[before]) ** share
    budget = np.clip(np.ceil(between), ks[before] + 1, ks[after])
    return ahead, np.where(reversed_.any(-1), budget, np.inf)
