"""Before any attempt: how wide a band to expect of so many problems and attempts."""

from collections.abc import Iterable
from statistics import NormalDist
from typing import TYPE_CHECKING, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.special import expit, logit

from bayespassk.arguments import check_arguments
from bayespassk.arrays import Floats
from bayespassk.errors import OptionError
from bayespassk.families import Family, as_family
from bayespassk.families.base import declared, draw_prior
from bayespassk.families.dependent import require_independent
from bayespassk.options import check_interval, check_k, check_target, listed, seed_of
from bayespassk.planning.lessons import Cloud, lessons_of, variance_after
from bayespassk.posterior.fitted import opened

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["design"]


PRIOR_DRAWS = 4000
"""Draws of the prior that its covariance is taken from."""

PASSES = 2
"""How often the spread of the parameters is found, from the information at the last spread."""


def design(
    source: Family | str | xr.DataTree,
    problems: int | Iterable[int],
    attempts: int | Iterable[int],
    k: float | Iterable[float] = 1000,
    *,
    target: Literal["benchmark", "population"] = "benchmark",
    prob: float = 0.95,
    system: str | None = None,
    truths: int = 40,
    random_seed: int = 1,
) -> "pd.DataFrame":
    """Return how wide a band to expect, for a grid of problems and attempts at each.

    "What does it take to know pass@10,000 to within 2 points?", asked before any attempt.

    Parameters
    ----------
    source : Family or DataTree
        What is known. A family: truths are drawn from its prior. A pilot, from
        :func:`bayespassk.fit`: truths are drawn from its posterior, and the fits to come have the
        prior of its family, as if the pilot's own attempts were not used again.
    problems, attempts : int or sequence of int
        How many problems, and attempts at each of them.
    k : int or sequence of int
        Attempts allowed, 1 to 1e12.
    target : {"benchmark", "population"}
        As for :func:`bayespassk.forecast`.
    prob : float
        Posterior probability of the band.
    system : str, optional
        Which system of the pilot, if there are several.
    truths : int
        How many truths.
    random_seed : int
        Repeats the truths.

    Returns
    -------
    pandas.DataFrame
        One row for each k, number of problems and number of attempts: columns k, problems,
        attempts, total (attempts in all), half_width (half the width of the band: the median over
        truths), lower and upper (of 80% of the truths). The ``attrs`` hold what was asked.
        :func:`bayespassk.plot_design` draws it.

    Raises
    ------
    OptionError
        If an argument means nothing.

    Notes
    -----
    No data are simulated and nothing is fitted: the expected posterior variance is computed as by
    :func:`bayespassk.allocate`, about each truth, and made a band on the logit scale. Against fits
    to simulated evaluations it was mostly within 15%, and up to 1.6 times too wide with 50
    problems and pass@k near 1 ("Where to make the next attempts" in the documentation).

    From a family the answer is about benchmarks as its prior has them, which are of all kinds:
    look at lower and upper. A pilot of 20 attempts at 20 problems says far more.

    Examples
    --------
    >>> import bayespassk as bp
    >>> table = bp.design(bp.Beta(), problems=[50, 200], attempts=[10, 100], k=1000, truths=10)
    >>> wide, narrow = table["half_width"].iloc[[0, -1]]
    >>> bool(narrow < wide)
    True
    """
    check_arguments("design", locals())
    import pandas as pd

    ks = check_k(k)
    sizes = {"problems": _whole(problems, "problems"), "attempts": _whole(attempts, "attempts")}
    check_target(target, "a design, which is no matter of one run")
    check_interval(prob, "eti")
    if not truths >= 1:
        raise OptionError(f"truths must be 1 or more; got {truths!r}")
    source = source if isinstance(source, xr.DataTree) else as_family(source)
    seed = seed_of(random_seed)
    rng = np.random.default_rng(seed)
    family, centres, pilot = _truths(source, system, truths, rng)
    require_independent(family, "design")
    prior = np.stack(list(_free(family, draw_prior(family, rng, (PRIOR_DRAWS,)))), 1)
    root = np.linalg.cholesky(np.atleast_2d(np.cov(prior.T)))
    z = NormalDist().inv_cdf((1 + prob) / 2)
    rows = []
    for one in ks:
        for many in sizes["problems"]:
            for n in sizes["attempts"]:
                widths = [
                    _half_width(family, centre, root, int(many), int(n), int(one), target, z, rng)
                    for centre in centres
                ]
                lower, middle, upper = np.quantile(widths, [0.1, 0.5, 0.9])
                rows.append((int(one), int(many), int(n), int(many * n), middle, lower, upper))
    columns = ["k", "problems", "attempts", "total", "half_width", "lower", "upper"]
    table = pd.DataFrame(rows, columns=columns)
    table.attrs = {
        "family": family.full_name,
        "pilot": bool(pilot),
        "attempted": pilot,
        "target": target,
        "prob": prob,
        "truths": truths,
        "seed": seed,
    }
    return table


def _whole(values: int | Iterable[int], name: str) -> NDArray[np.int64]:
    given = listed(values)
    for value in given:
        whole = isinstance(value, int | float | np.number) and float(value).is_integer()
        if not whole or isinstance(value, bool) or not 1 <= value <= 2**53:
            raise OptionError(f"{name} must be whole numbers, 1 or more; got {value!r}")
    if not given:
        raise OptionError(f"{name} must hold at least one number; got none")
    return np.array([int(value) for value in given], dtype=np.int64)


def _truths(
    source: Family | xr.DataTree, system: str | None, truths: int, rng: np.random.Generator
) -> tuple[Family, Floats, str]:
    """Return the family, the free parameters of truths (truth, parameter), and of which pilot."""
    if isinstance(source, Family):
        if system is not None:
            raise OptionError(f"system needs a pilot; got {system!r} and a family")
        return source, np.stack(list(_free(source, draw_prior(source, rng, (truths,)))), 1), ""
    pilot = opened(source)
    at = pilot.position(system, of="those of the pilot")
    free = np.stack([values.ravel() for values in pilot.free(at).values()], 1)
    middle = ((np.arange(truths) + 0.5) / truths * len(free)).astype(np.int64)
    whose = f"{pilot.systems[at]} on {pilot.attempted(at)}"
    return pilot.family, free[rng.permutation(len(free))[middle]], whose


def _free(family: Family, values: dict[str, Floats]) -> Iterable[Floats]:
    return (np.asarray(values[name]) for name in declared(family))


def _half_width(
    family: Family,
    centre: Floats,
    root: Floats,
    problems: int,
    attempts: int,
    k: int,
    target: str,
    z: float,
    rng: np.random.Generator,
) -> float:
    """Return half the expected width of a band if this is the truth.

    `root`, dims (parameter, axis), is that of the covariance of the prior.
    """
    none, sizes = np.zeros(1, dtype=np.int64), np.array([0, attempts])
    names, axes = list(declared(family)), len(centre)
    spread = root / 2
    for _ in range(PASSES):
        away = np.sqrt(axes) * np.concatenate([np.zeros((1, axes)), np.eye(axes), -np.eye(axes)])
        points = centre + away @ spread.T
        of_prior = np.linalg.solve(root, (points - centre).T).T
        natural = family.natural(dict(zip(names, points.T, strict=True)))
        lessons = lessons_of(family, Cloud(natural, of_prior), none, none, k, sizes, rng)
        information = problems * lessons.information[0, 1]
        left = np.linalg.inv(information + np.eye(axes))
        spread = root @ np.linalg.cholesky((left + left.T) / 2)
    fail = float(np.exp(family.log_moment({n: v[0] for n, v in natural.items()}, 0, k)))
    if target == "population":
        variance = variance_after(0.0, lessons.slope[0, 0], information)
    else:
        within = lessons.within[0, 1] / problems
        variance = variance_after(within, lessons.slope[0, 1], information)
    inside = np.clip(fail, 1e-300, 1 - 1e-16)
    wide = z * np.sqrt(float(variance)) / (inside * (1 - inside))
    return float(expit(logit(inside) + wide) - expit(logit(inside) - wide)) / 2
