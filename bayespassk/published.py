"""Published curves: pass@k at a few k and the number of problems, where no counts are to be had."""

import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata
from typing import Literal

import numpy as np
import xarray as xr
from scipy import stats
from scipy.interpolate import CubicSpline

from bayespassk.arguments import check_arguments
from bayespassk.arrays import Floats
from bayespassk.errors import FamilyWarning, OptionError, SamplingError
from bayespassk.families import Family, as_family
from bayespassk.families.base import Parameters, declared, draw_prior, log_prior
from bayespassk.families.dependent import dependence
from bayespassk.fitting.importance import (
    draw_t,
    evenly,
    log_t,
    mean_and_covariance,
    normalised,
    tempered,
)
from bayespassk.options import check_k, seed_of

__all__ = ["Curve", "forecast_curve"]

ROUNDS, PROPOSED, LAST = 12, 3000, 20_000
"""Rounds of proposals, and draws in each and in the last."""

POINTS, NARROW = 24, 0.5
"""Points that proposals are made about, and how wide these are, in standard deviations."""

MOST_SHARED = 400
"""Numbers of attempts that two sets may have in common, looked at one by one."""

MIN_ESS = 400.0

DRAWS = 4, 1000

FEW = 2.0
"""Problems that must be solved, and not solved, for a mean over problems to be about normal."""


@dataclass(frozen=True)
class Curve:
    """A published curve: pass@k at some k, as a paper or a system card prints it.

    Parameters
    ----------
    k : sequence of int
        Rising, 1 or more.
    pass_at_k : sequence of float
        Of each k, 0 to 1, not falling: means over problems, by Chen's estimator or as the share of
        problems solved by k attempts.
    problems : int
        How many there are.
    attempts : int, optional
        Made at each problem; the largest k at least. If it is not known, they are taken to be as
        many as the largest k, which leaves most to luck.
    decimals : int
        Of the printed values as shares: 3 for 12.3%. Rounding is a part of the error.
    system : str

    Raises
    ------
    OptionError
        If a value breaks one of these rules, or at some k fewer than two problems' worth are
        solved, or are not: a mean of these is not about normal. Leave such a k out.

    Examples
    --------
    >>> import bayespassk as bp
    >>> curve = bp.Curve([1, 10, 100], [0.118, 0.46, 0.77], problems=164, attempts=200)
    >>> band = bp.summarize(bp.forecast_curve(curve, 1000, family=bp.Beta(), random_seed=1))
    >>> band[["lower", "upper"]].round(1).values.tolist()
    [[0.9, 0.9]]
    """

    k: tuple[int, ...]
    pass_at_k: tuple[float, ...]
    problems: int
    attempts: int | None = None
    decimals: int = 3
    system: str = "system"

    def __init__(
        self,
        k: Iterable[float],
        pass_at_k: Iterable[float],
        problems: int,
        *,
        attempts: int | None = None,
        decimals: int = 3,
        system: str = "system",
    ) -> None:
        check_arguments("Curve", {n: v for n, v in locals().items() if n != "self"})
        ks, values = check_k(k), np.asarray(pass_at_k, dtype=float).ravel()
        if len(ks) != len(values) or (np.diff(ks) <= 0).any():
            raise OptionError(
                f"k must be rising, and pass_at_k have a value for each; got {len(ks)} and "
                f"{len(values)} values"
            )
        bad = ~((values >= 0) & (values <= 1))
        if bad.any() or (np.diff(values) < 0).any():
            raise OptionError(f"pass_at_k must lie in 0 to 1, and not fall; got {values.tolist()}")
        few = (values * problems < FEW) | ((1 - values) * problems < FEW)
        if few.any():
            at = int(few.argmax())
            raise OptionError(
                f"at k = {ks[at]:,} fewer than two of {problems:,} problems are solved, or not, "
                f"which says too little by a mean ({values[at]:g}). What to do: leave this k out"
            )
        if attempts is not None and attempts < ks[-1]:
            raise OptionError(
                f"attempts must be {ks[-1]:,}, the largest k, or more; got {attempts}"
            )
        object.__setattr__(self, "k", tuple(int(one) for one in ks))
        object.__setattr__(self, "pass_at_k", tuple(float(one) for one in values))
        object.__setattr__(self, "problems", problems)
        object.__setattr__(self, "attempts", attempts)
        object.__setattr__(self, "decimals", decimals)
        object.__setattr__(self, "system", system)


def forecast_curve(
    curve: Curve,
    k: float | Iterable[float],
    target: Literal["benchmark", "population"] = "benchmark",
    *,
    family: Family | str | None = None,
    random_seed: int | None = None,
) -> xr.DataArray:
    """Return the posterior of pass@k given a published curve alone, one value a draw.

    Parameters
    ----------
    curve : Curve
        What is printed.
    k : int or sequence of int, dims (k,)
        1 to 1e12.
    target : {"benchmark", "population"}
        Of the very problems the curve is of, or of others of their kind.
    family : Family or str
        As for :func:`bayespassk.fit`.
    random_seed : int, optional
        Repeats the draws.

    Returns
    -------
    xarray.DataArray
        pass@k, 0 to 1, dims (chain, draw, system, k); :func:`bayespassk.summarize` makes a table
        of it. Its ``attrs`` say what it rests on, and `ess`, the effective number of draws.

    Raises
    ------
    OptionError
        If an argument means nothing, or attempts are taken for dependent.
    SamplingError
        If too few draws agree with the curve.

    Warns
    -----
    FamilyWarning
        If no parameters make the curve plausible.

    Notes
    -----
    The likelihood is that of the printed values given the parameters of the family: normal, with
    their means and their covariance over problems and attempts, of which all moments are the
    family's, and the error of rounding. It is less than counts would say: which problems are solved
    is not known, and forecasts are wider. Problems that are attempted in one another's company,
    values of several runs that were selected, and k taken from different runs are not known either.
    For "benchmark" the values printed and pass@k of the same problems are taken to be jointly
    normal given the parameters, cut at 0 and 1, and not falling.

    Posteriors are by importance sampling with proposals that adapt (Cappé et al. 2004), and checked
    by their effective size.

    Examples
    --------
    >>> import bayespassk as bp
    >>> curve = bp.Curve([1, 10, 100], [0.118, 0.46, 0.77], problems=164, attempts=200)
    >>> forecast = bp.forecast_curve(curve, [100, 10_000], family=bp.Beta(), random_seed=1)
    >>> forecast.sizes["k"]
    2
    """
    check_arguments("forecast_curve", locals())
    if not isinstance(curve, Curve):
        raise OptionError(f"curve must be a bayespassk.Curve; got {type(curve).__name__}")
    if target not in ("benchmark", "population"):
        raise OptionError(
            "target must be 'benchmark' or 'population' for a published curve: of one run at these "
            f"problems it says no more; got {target!r}"
        )
    ks, own, seed = check_k(k), as_family(family), seed_of(random_seed)
    if dependence(own) is not None or own.name == "verified":
        raise OptionError(f"a published curve is of independent attempts; got {own.full_name}")
    task = _Task(curve, own)
    rng = np.random.default_rng([seed, 21])
    free, weight = _posterior(task, rng)
    ess = float(1 / (weight**2).sum())
    if not ess >= MIN_ESS:
        raise SamplingError(
            f"only {ess:.0f} effective draws of {own.full_name} agree with the curve. What to do: "
            "leave out a k, say the attempts, or take a family with fewer parameters, as bp.Beta()"
        )
    chosen = evenly(weight, DRAWS[0] * DRAWS[1], rng)
    natural = own.natural({name: values[chosen] for name, values in free.items()})
    _warn_of_family(task, natural)
    drawn = task.forecast(natural, ks.astype(float), target, rng)
    return xr.DataArray(
        drawn.reshape(*DRAWS, 1, len(ks)),
        dims=("chain", "draw", "system", "k"),
        coords={"system": [curve.system], "k": ks},
        name="pass_at_k",
        attrs={
            "target": target,
            "forecast_seed": seed,
            "family": own.full_name,
            "bayespassk_version": metadata.version("bayespassk"),
            "curve": repr(curve),
            "ess": ess,
        },
    )


class _Task:
    """Means and covariances of a curve under a family."""

    def __init__(self, curve: Curve, family: Family) -> None:
        self.curve, self.family = curve, family
        self.ks = np.array(curve.k, dtype=float)
        self.values = np.array(curve.pass_at_k)
        self.made = curve.k[-1] if curve.attempts is None else curve.attempts

    def fails(self, natural: Parameters, exponents: Floats) -> Floats:
        """Return E(1-p)^m, dims (draw, m)."""
        return np.exp(self.family.log_moment(natural, 0.0, exponents))

    def moments(self, natural: Parameters) -> tuple[Floats, Floats]:
        """Return means, dims (draw, k), and covariances, dims (draw, k, k), of what is printed."""
        fail = self.fails(natural, self.ks)
        # Two sets of attempts, of k and l of those made, share some: their union has fewer.
        grid = np.unique(np.round(np.geomspace(self.ks[0], 2 * self.ks[-1], 160)))
        along = CubicSpline(np.log(grid), self.fails(natural, grid), axis=1)
        many = len(self.ks)
        both = np.empty((len(fail), many, many))
        for i, one in enumerate(self.ks):
            for j, other in enumerate(self.ks[: i + 1]):
                union, share = _union(self.made, int(one), int(other))
                both[:, i, j] = both[:, j, i] = along(np.log(union)) @ share
        covariance = (both - fail[:, :, None] * fail[:, None, :]) / self.curve.problems
        rounding = 10.0 ** (-2 * self.curve.decimals) / 12
        return 1 - fail, covariance + rounding * np.eye(many)

    def squares(self, natural: Parameters) -> tuple[Floats, Floats]:
        """Return how far what is printed is from its mean, in squares of sds, and log sds.

        Dims (draw,); infinite where the family has no numbers.
        """
        mean, covariance = self.moments(natural)
        good = np.isfinite(mean).all(1) & np.isfinite(covariance).all((1, 2))
        squares, log_sds = np.full((2, len(good)), np.inf)
        value, vectors = np.linalg.eigh(covariance[good])
        value = np.maximum(value, 10.0 ** (-2 * self.curve.decimals) / 12)  # that of rounding
        off = np.einsum("dij,di->dj", vectors, self.values - mean[good])
        squares[good], log_sds[good] = (off**2 / value).sum(1), 0.5 * np.log(value).sum(1)
        return squares, log_sds

    def log_likelihood(self, natural: Parameters) -> Floats:
        """Return the log density of what is printed, dims (draw,)."""
        squares, log_sds = self.squares(natural)
        return -0.5 * squares - log_sds

    def forecast(
        self, natural: Parameters, ks: Floats, target: str, rng: np.random.Generator
    ) -> Floats:
        """Draw pass@k, dims (draw, k)."""
        log_fail = self.family.log_moment(natural, 0.0, ks)
        new = -np.expm1(log_fail)
        if target == "population":
            return np.asarray(new)
        mean, covariance = self.moments(natural)
        fail, at = np.exp(log_fail), self.fails(natural, self.ks)
        every = np.concatenate([ks[:, None] + self.ks, ks[:, None] + ks], axis=1)
        joint = self.fails(natural, every.ravel()).reshape(len(fail), *every.shape)
        cross = joint[:, :, : len(self.ks)] - fail[:, :, None] * at[:, None, :]
        own = joint[:, :, len(self.ks) :] - fail[:, :, None] * fail[:, None, :]
        cross, own = cross / self.curve.problems, own / self.curve.problems
        gain = np.linalg.solve(covariance, np.swapaxes(cross, 1, 2))  # (draw, seen, k)
        centre = new + np.einsum("dsk,ds->dk", gain, self.values - mean)
        left = own - np.einsum("dks,dsl->dkl", cross, gain)
        value, vectors = np.linalg.eigh((left + np.swapaxes(left, 1, 2)) / 2)
        root = vectors * np.sqrt(np.maximum(value, 0))[:, None, :]
        drawn = centre + np.einsum("dkl,dl->dk", root, rng.standard_normal(fail.shape))
        return np.asarray(np.maximum.accumulate(np.clip(drawn, 0.0, 1.0), axis=1))


def _union(made: int, one: int, other: int) -> tuple[Floats, Floats]:
    """Return how many attempts are in either of two sets of those made, and how probable it is.

    Where there are many numbers, some within nine standard deviations of the mean stand for all.
    """
    of = stats.hypergeom(made, one, other)
    low, high = max(0, one + other - made), min(one, other)
    if high - low > MOST_SHARED:
        mean, sd = of.mean(), max(float(of.std()), 1.0)
        low, high = max(low, int(mean - 9 * sd)), min(high, int(mean + 9 * sd) + 1)
    shared = np.unique(np.linspace(low, high, MOST_SHARED + 1).astype(np.int64))
    share = of.pmf(shared)
    return one + other - shared.astype(float), share / share.sum()


def _posterior(task: _Task, rng: np.random.Generator) -> tuple[dict[str, Floats], Floats]:
    """Return weighted draws of the free parameters, dims (draw,)."""
    family, names = task.family, list(declared(task.family))

    def weights(x: Floats, log_proposal: Floats | None) -> Floats:
        free = dict(zip(names, x.T, strict=True))
        with np.errstate(all="ignore"):
            logs = task.log_likelihood(family.natural(free))
            if log_proposal is not None:
                logs = logs + log_prior(family, free) - log_proposal
        return np.where(np.isfinite(logs), logs, -np.inf)

    def prior(number: int) -> Floats:
        drawn = draw_prior(family, rng, (number,))
        return np.stack([drawn[name] for name in names], axis=1)

    x = prior(PROPOSED)
    log_weight = weights(x, None)
    for turn in range(ROUNDS):
        power, weight = tempered(log_weight, 0.05 * len(x))
        enough = power == 1.0 and 1 / (weight**2).sum() > 0.2 * len(x)
        last = (enough and turn > 2) or turn == ROUNDS - 1
        number = LAST if last else PROPOSED
        mean, covariance = mean_and_covariance(x, weight)
        # About all of it, and about some of its points, as it may be bent or in two parts.
        about = np.concatenate([mean[None], x[evenly(weight, POINTS, rng)]])
        wide, narrow = 1.2 * covariance, NARROW**2 * covariance
        shares = np.array([0.3, *[0.6 / POINTS] * POINTS])
        each = rng.multinomial(number, [*shares, 1 - shares.sum()])
        drawn = [
            draw_t(rng, one, narrow if i else wide, many)
            for i, (one, many) in enumerate(zip(about, each, strict=False))
        ]
        x = np.concatenate([*drawn, prior(each[-1])])
        logs = [log_t(x, one, narrow if i else wide) for i, one in enumerate(about)]
        logs.append(log_prior(family, dict(zip(names, x.T, strict=True))))
        shares = np.append(shares, 1 - shares.sum())
        log_weight = weights(x, np.logaddexp.reduce(np.log(shares)[:, None] + logs))
        if last:
            break
    return dict(zip(names, x.T, strict=True)), normalised(log_weight)


def _warn_of_family(task: _Task, natural: Parameters) -> None:
    p_value = float(stats.chi2.sf(task.squares(natural)[0], len(task.ks)).mean())
    if p_value < 0.01:
        warnings.warn(
            FamilyWarning(
                f"the curve contradicts {task.family.full_name}: values as far from it are rare "
                f"(p = {p_value:.2g}). A forecast beyond them is off. What to do: another family; "
                "and are all values of one run, and of these problems?",
                systems=[task.curve.system],
                p_value=[p_value],
            ),
            stacklevel=3,
        )
