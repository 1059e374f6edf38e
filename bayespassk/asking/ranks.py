"""Ranks: which system is the best, the second, and so on."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from bayespassk.arguments import check_arguments
from bayespassk.arrays import Ints
from bayespassk.asking.pass_at_k import PassAtK
from bayespassk.asking.question import ask
from bayespassk.errors import OptionError
from bayespassk.options import Target, check_k
from bayespassk.posterior.fitted import Fitted, opened

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["rank_systems"]


def rank_systems(
    fit: xr.DataTree,
    k: float | Iterable[float],
    target: Target = "benchmark",
    *,
    benchmark: str | None = None,
    random_seed: int | None = None,
) -> "pd.DataFrame":
    """Return the posterior probability that each system is the best, the second, and so on.

    Parameters
    ----------
    fit : DataTree
        From :func:`bayespassk.fit` or :func:`bayespassk.load`, of two or more systems.
    k, target, random_seed
        As for :func:`bayespassk.forecast`.
    benchmark : str, optional
        Rank the systems on this benchmark. Needed if the fit has more than one.

    Returns
    -------
    pandas.DataFrame
        One row for each k and system, the best mean rank first. Columns k, system, mean_rank
        (1 is the best), and rank_1 to rank_S, the probability that the system has that rank by
        pass@k: rank_1 is that it is the best. Where draws tie, the ranks are shared equally.

    Raises
    ------
    OptionError
        If k or the target means nothing, or there are fewer than two systems to rank, or they are
        of different benchmarks and none is chosen.

    Warns
    -----
    ForecastWarning
        As :func:`bayespassk.forecast`.

    Notes
    -----
    The draws of p of different systems are independent given the parameters, though the systems
    attempted the same problems: which problems are hard for both is not used. A high probability of
    being the best says nothing about by how much; look at differences of forecasts for that. With
    "benchmark" it is about these very problems: with others, of the same kind, the order is less
    sure, which "population" tells.

    Examples
    --------
    >>> import bayespassk as bp
    >>> counts = bp.thin(bp.load_example(), 100, random_seed=1)
    >>> fit = bp.fit(counts, bp.Beta(), pooling="none", random_seed=1)
    >>> table = bp.rank_systems(fit, 10)
    >>> table["system"].tolist()
    ['large', 'small']
    """
    check_arguments("rank_systems", locals())
    import pandas as pd
    from scipy.stats import rankdata

    fitted = opened(fit)
    chosen = _of_one_benchmark(fitted, benchmark)
    draws = ask(fitted, PassAtK(check_k(k)), target, random_seed)
    names = draws["system"].values[chosen]
    tables = []
    for one in draws["k"].values:
        values = draws.sel(k=one).values[..., chosen].reshape(-1, len(chosen))
        first, last = (rankdata(-values, method, axis=1) for method in ("min", "max"))
        table = pd.DataFrame(
            {"k": one, "system": names, "mean_rank": ((first + last) / 2).mean(0)}
            | {
                f"rank_{r}": (((first <= r) & (r <= last)) / (last - first + 1)).mean(0)
                for r in range(1, len(chosen) + 1)
            }
        )
        tables.append(table.sort_values("mean_rank", kind="stable"))
    return pd.concat(tables, ignore_index=True)


def _of_one_benchmark(fitted: Fitted, benchmark: str | None) -> Ints:
    """Return the positions of the systems to rank, or raise an error: what to choose from."""
    of = np.array(fitted.benchmarks)
    known = list(dict.fromkeys(of.tolist()))
    if benchmark is None and len(known) > 1:
        raise OptionError(
            "systems on different benchmarks cannot be ranked against each other: choose one with "
            f"benchmark=, of {', '.join(map(repr, known))}"
        )
    if benchmark is not None and benchmark not in known:
        raise OptionError(
            f"benchmark must be one of {', '.join(map(repr, known))}; got {benchmark!r}"
        )
    chosen = np.flatnonzero(of == (known[0] if benchmark is None else benchmark))
    if len(chosen) < 2:
        raise OptionError(f"a ranking needs two or more systems of a benchmark; got {len(chosen)}")
    return chosen
