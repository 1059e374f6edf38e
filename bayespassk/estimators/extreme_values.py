"""The largest probability of many queries, from the largest of a few: a line in Gumbel's plot."""

from collections.abc import Iterable

import numpy as np
import xarray as xr

from bayespassk.arguments import check_arguments
from bayespassk.errors import OptionError
from bayespassk.options import check_values, listed, shown

__all__ = ["gumbel_tail"]


def gumbel_tail(
    p: Iterable[float], queries: float | Iterable[float], *, top: int = 10
) -> xr.DataArray:
    """Return the largest success probability among many queries, from those of a few.

    With ``y = -log(-log p)``, the log of the share S of queries at or above y is taken for a
    straight line, ``log S = slope y + intercept``: by least squares of log S on y through the `top`
    largest of m queries, of which the i-th is exceeded or met by i / m. The forecast for Q queries
    is where the line is at ``log (1 / Q)``.

    Parameters
    ----------
    p : sequence of float, dims (query,)
        The success probability of each query, 0 to 1: known, as from log-probabilities, or c / n
        of many attempts. At least `top` must lie strictly between 0 and 1.
    queries : float or sequence of float, dims (queries,)
        How many queries, Q: 1 or more.
    top : int
        How many of the largest the line is drawn through, 2 or more; 10 in the source.

    Returns
    -------
    xarray.DataArray
        The largest p forecast, 0 to 1, dims (queries,). The number has no band.

    Raises
    ------
    OptionError
        If p, queries or `top` mean nothing, or the largest p are all the same.

    Notes
    -----
    Of the source this is the Gumbel-tail method (its section 3.3): score, ten largest and least
    squares are as there. Three things are ours to choose. It does not say which share goes with the
    i-th largest: i / m is what others take who wrote it down anew; with (i - 1/2) / m, as is common
    elsewhere, the largest of many comes out lower. Its last formula for the quantile, as others
    quote it, has the intercept with the other sign; here the line itself is solved. A p of 1, whose
    score is infinite, counts among those above, and the line leaves it out.

    It looks at nothing but the largest, and is about the largest alone: not the risk of all queries
    together. It is the value that one query in Q exceeds, and so the largest of Q with probability
    63%. It is biased upwards in the typical case (arXiv:2605.15134). Points of c / n in place of p
    add to this: the largest of them were lucky. Queries of a kind that is not among the few are
    missed, as by all forecasts.

    References
    ----------
    Jones et al. 2025, arXiv:2502.16797; on its bias arXiv:2605.15134.

    Examples
    --------
    >>> import bayespassk as bp
    >>> p = bp.load_example("arithmetic").covariates["p"]
    >>> found = bp.estimators.gumbel_tail(p, [128, 10_000])
    >>> bool(found[1] > found[0])
    True
    """
    check_arguments("gumbel_tail", locals())
    values = np.asarray(listed(p), dtype=float).ravel()
    if not ((values >= 0) & (values <= 1)).all():
        raise OptionError(f"p must be probabilities, 0 to 1; got {shown(listed(p))}")
    wanted = check_values(queries, "queries", "1 or more", lambda v: 1 <= v < np.inf)
    inner = values[(values > 0) & (values < 1)]
    if len(inner) < top:
        raise OptionError(
            f"p must hold at least top = {top} values between 0 and 1; got {len(inner)} of "
            f"{len(values)}"
        )
    above = (values == 1).sum()
    y = -np.log(-np.log(np.sort(inner)[::-1][:top]))
    log_share = np.log((above + np.arange(1, top + 1)) / len(values))
    spread = y - y.mean()
    if not (spread**2).sum() > 0:
        raise OptionError(f"the {top} largest p must not all be the same; got {shown(y[0])}")
    slope = (spread * log_share).sum() / (spread**2).sum()
    at = y.mean() + (-np.log(wanted) - log_share.mean()) / slope
    return xr.DataArray(
        np.exp(-np.exp(-at)), dims="queries", coords={"queries": wanted}, name="largest_p"
    )
