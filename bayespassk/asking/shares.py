"""Shares of problems: how many lie above a success probability, and which seem impossible."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import xarray as xr

from bayespassk.arguments import check_arguments
from bayespassk.arrays import CHUNK, Floats
from bayespassk.asking.question import Kind, Question, ask
from bayespassk.asking.seen import Seen
from bayespassk.options import Known, check_values
from bayespassk.posterior.fitted import Fitted, Part, opened

__all__ = ["ShareAbove", "probability_impossible", "share_above"]


def share_above(
    fit: xr.DataTree,
    p: float | Iterable[float],
    target: Known = "benchmark",
    *,
    random_seed: int | None = None,
) -> xr.DataArray:
    """Return the posterior of the share of problems whose success probability is above p.

    Parameters
    ----------
    fit : DataTree
        From :func:`bayespassk.fit` or :func:`bayespassk.load`.
    p : float or sequence of float, dims (p,)
        Thresholds, 0 or more and below 1. Above 0 lie all problems that are not impossible.
    target : {"benchmark", "population"}
        Share of the problems attempted, or of all problems of the kind.
    random_seed : int, optional
        As for :func:`bayespassk.forecast`. The draws of which problems lie above are other than
        those of a forecast with the same seed; "population" draws nothing.

    Returns
    -------
    xarray.DataArray
        The share, dims (chain, draw, system, p), joint over p.

    Raises
    ------
    OptionError
        If a threshold or the target means nothing.

    Notes
    -----
    A problem's probability to lie above p, given its counts and the parameters, is
    E[p'^c (1-p')^f [p' > p]] / E[p'^c (1-p')^f]; how many of the problems with equal counts do is
    multinomial over the intervals between the thresholds. So the cost does not grow with the
    number of problems.

    Attempts say nothing about success probabilities far below 1/n: the share above 1e-6 after 100
    attempts a problem is what the family and the prior make of it.

    Examples
    --------
    >>> import bayespassk as bp
    >>> counts = bp.thin(bp.load_example(), 100, random_seed=1)
    >>> fit = bp.fit(counts, bp.Beta(), pooling="none", random_seed=1)
    >>> share = bp.share_above(fit, [0.01, 0.5])
    >>> bool((share.sel(p=0.01) >= share.sel(p=0.5)).all())
    True
    """
    check_arguments("share_above", locals())
    thresholds = check_values(p, "p", "0 or more and below 1", lambda v: 0 <= v < 1)
    return ask(opened(fit, evidence=True), ShareAbove(thresholds), target, random_seed)


def probability_impossible(fit: xr.DataTree, p: float = 0.0) -> xr.DataArray:
    """Return for each problem the probability that its success probability is at most p.

    With p = 0, the posterior probability that the problem cannot be solved at all; with a p such
    as 1e-9, that it practically cannot.

    Parameters
    ----------
    fit : DataTree
        From :func:`bayespassk.fit` or :func:`bayespassk.load`.
    p : float
        0 or more and below 1.

    Returns
    -------
    xarray.DataArray
        dims (row,), with the coordinates of ``fit["observed_data"]``: averaged over the draws of
        the posterior, and given the parameters exact, not from draws of p.

    Raises
    ------
    OptionError
        If p means nothing.

    Notes
    -----
    At p = 0 it is 0 for every family that gives no weight to p = 0: all but the zero-inflated. For
    those it is, for a problem without success in n attempts, zero / (zero + (1 - zero) M(0, n)),
    where M(0, n) is the family's fail@n; a problem that was solved once is not impossible.

    It does not tell that a problem *is* impossible. Without a success, impossible and hardly ever
    solved look alike: how the problems without success are shared out between the two is decided
    by the family near p = 0 and by the prior of the share. A beta with a small tail exponent fits
    such counts as well, and calls none of them impossible. Use it to choose which problems to look
    at by eye, the largest first.

    Examples
    --------
    >>> import bayespassk as bp
    >>> counts = bp.thin(bp.load_example(), 100, random_seed=1)
    >>> fit = bp.fit(counts, bp.Beta(), pooling="none", random_seed=1)
    >>> float(bp.probability_impossible(fit).max())
    0.0
    """
    check_arguments("probability_impossible", locals())
    (threshold,) = check_values(p, "p", "0 or more and below 1", lambda v: 0 <= v < 1)
    values = impossible(opened(fit, evidence=True), threshold)
    rows = fit["observed_data"].dataset.coords
    coords = {name: rows[name] for name in rows if rows[name].dims == ("row",)}
    return xr.DataArray(
        values, dims="row", coords=coords, name="probability_impossible", attrs={"p": threshold}
    )


def impossible(fitted: Fitted, threshold: float = 0.0) -> Floats:
    """Return for each problem the probability that its p is at most `threshold`, dims (row,)."""
    values = np.empty(len(fitted.attempts))
    for parts in fitted.parts:
        for part in parts:
            blocks = [1 - above for _, above in _above(fitted.family, part, np.array([threshold]))]
            chances = np.concatenate(blocks).mean(0)[:, 0]
            values[part.rows] = chances[part.cells.inverse]
    return values


# The question ------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class ShareAbove(Question):
    """The share of problems whose p lies above a threshold."""

    values: Floats
    name: ClassVar[str] = "share_above"
    dim: ClassVar[str] = "p"
    not_of_runs: ClassVar[str] = "share_above, which is no matter of one run"

    def of_kind(self, kind: Kind) -> Floats:
        """Return the share of all problems of the kind."""
        return kind.mean(lambda given: kind.family.survival(given, self.values))

    def of_problems(self, seen: Seen) -> Floats:
        """Return draws of the share of the problems attempted."""
        thresholds, order = self.values, np.argsort(self.values)
        rng = np.random.default_rng([seen.seed, 2])
        number = np.zeros((seen.shape[0] * seen.shape[1], len(thresholds)))
        for part in seen.parts:
            for draws, above in _above(seen.family, part, thresholds[order]):
                falling = np.minimum.accumulate(above, axis=-1)
                between = -np.diff(falling, prepend=1.0, append=0.0)
                landed = rng.multinomial(part.cells.problems, between)
                number[draws, order] += landed[..., :0:-1].cumsum(-1)[..., ::-1].sum(1)
        return number / seen.problems

    def far(self, fitted: Fitted, answers: Any) -> None:
        """Return nothing: the threshold itself says how far below 1/n it is."""
        del fitted, answers


def _above(family: Any, part: Part, thresholds: Floats) -> Iterator[tuple[slice, Floats]]:
    """Yield some draws with the probability of lying above, dims (draw, cell, threshold)."""
    c, f = (v[:, None].astype(float) for v in (part.cells.successes, part.cells.failures))
    flat = {name: value.ravel() for name, value in part.parameters.items()}
    total = len(next(iter(flat.values())))
    step = max(1, CHUNK // (len(c) * len(thresholds)))
    for i in range(0, total, step):
        draws = slice(i, min(i + step, total))
        given = {name: value[draws] for name, value in flat.items()}
        yield draws, family.survival(given, thresholds, c, f)
