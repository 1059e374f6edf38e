"""A family against the counts: posterior predictive checks, replicated by the stopping rule."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from bayespassk.arguments import check_arguments
from bayespassk.arrays import CHUNK, Floats, Ints
from bayespassk.asking.agreement import LEFT, Agreement, agreement
from bayespassk.cells import Cells, coded, distinct
from bayespassk.counts import batch_size
from bayespassk.errors import OptionError
from bayespassk.families import Family
from bayespassk.families.dependent import dependence
from bayespassk.options import FINDING, system_seed
from bayespassk.posterior.fitted import Fitted, opened
from bayespassk.posterior.likelihood import cell_log_moments
from bayespassk.runs import Runs
from bayespassk.simulating import in_runs
from bayespassk.special import log_binomial

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Log", "check", "checked", "summarize_check", "thin_draws"]


REPLICATED = CHUNK // 2
"""Replicated problems held at a time."""

WORTH = 4
"""How many times more problems than outcomes there must be to draw how many have each outcome."""

NUMBERS = ("observed", "lower", "upper", "p_value")

MOST_REPLICATED = 100_000_000
"""Replicated problems of a system, above which fewer draws are made; 100 at the least."""


def check(fit: xr.DataTree, *, random_seed: int | None = None, draws: int = 1000) -> xr.Dataset:
    """Return how the data compare with data replicated from the fit: a posterior predictive check.

    For each draw of the posterior, new problems are drawn from the family and attempted as the
    stopping rule of the counts says. Where the data look unlike all of that, the family is wrong
    about them in that respect.

    Parameters
    ----------
    fit : DataTree
        From :func:`bayespassk.fit` or :func:`bayespassk.load`.
    random_seed : int, optional
        Repeats the replicated data; by default follows from the seed of the fit.
    draws : int
        Replicated data sets, at most as many as there are draws in the fit. Where many problems
        had equally many attempts, it is drawn at once how many of them show each number of
        successes. Other problems are replicated one by one: of more than 100,000 of these in a
        system fewer sets are made, so that no more than 1e8 are replicated, but at least 100.

    Returns
    -------
    xarray.Dataset
        With dims (system, statistic): `observed`; `lower` and `upper`, which hold 95% of what is
        to be expected if the family is right; `p_value`, two-sided and with ties counted half, at
        least 1 over the number of replicated data sets, except that of "curve"; `finding`, a
        sentence. `replicated` has dims (sample, system, statistic). `histogram` (system, bin) and
        `replicated_histogram` (sample, system, bin) count problems by their successes, or by the
        attempts they took where those end at a success. :func:`summarize_check` makes a table.

        The statistics: "unsolved" and "always solved", shares of problems; "pass@k" for k = 1,
        10, 100 ... below the attempts at every problem, by Chen's estimator; "spread", the
        standard deviation of c/n over problems; "histogram", how many standard deviations the
        worst bin of the histogram is from what is expected, whose p-value is one-sided. "curve" is
        pass@k by Chen's estimator where it is furthest from the family's, of k = 1, 3, 10, 30 ...
        up to the attempts that at least half of the problems had; lower, upper and p-value are of
        all these k together, and nothing is replicated for it. Where attempts end at a success:
        "attempts", a problem; "success rate", that of all attempts; "unsolved" and "histogram".
        NaN where a statistic has no meaning for a system. Problems without attempts are left out.

    Raises
    ------
    OptionError
        If `draws` is below 100.

    Notes
    -----
    The data were used twice, to fit and to check, so that they are nearer to what the fit expects
    than replicated data are. How much nearer follows from the replicated data: of two sets made
    with the same draw of the parameters, the correlation r of a statistic is the share of its
    variance that is not known of the parameters, and the data are nearer by sqrt(1 - 2 r). With
    this, p-values of statistics are near uniform if the family is right, and too large where
    fitting leaves next to nothing of a statistic's variance. Of 100 right families each of four
    kinds, 6% to 16% had a p-value below 0.05 of at least one statistic, the most of 40 problems
    tried 20 times. U-shaped data and two modes were found in 89% to 100%, a fifth of impossible
    problems in 37% at 100 attempts and in 92% at 1,000: see "Calibration" in the documentation.

    Data within n attempts cannot check the family far below p = 1/n, which forecasts at large k
    rest on.

    With stopping="adaptive" each problem is given the attempts it had, since how they were allotted
    is not known, and of "pass@k" only k = 1 is looked at, as Chen's estimator is biased then. If
    attempts were stopped because of successes, p-values can be small though the family is right.

    References
    ----------
    Pierce 1982, "The asymptotic effect of substituting estimators for parameters in certain types
    of statistics" (what fitting takes away of a variance); Gelman et al. 1996, "Posterior
    predictive assessment of model fitness via realized discrepancies"; Gabry et al. 2019,
    arXiv:1709.01449.

    Examples
    --------
    >>> import bayespassk as bp
    >>> counts = bp.thin(bp.load_example(), 100, random_seed=1)
    >>> fit = bp.fit(counts, bp.Beta(), pooling="none", random_seed=1)
    >>> found = bp.check(fit)
    >>> float(found["p_value"].sel(system="small", statistic="unsolved")) > 0.05
    True
    """
    check_arguments("check", locals())
    if draws < 100:
        raise OptionError(f"draws must be at least 100; got {draws!r}")
    return checked(opened(fit), random_seed, draws)


def checked(fitted: Fitted, random_seed: int | None = None, draws: int = 1000) -> xr.Dataset:
    """Return what :func:`check` does, of a fit that is opened."""
    seed = fitted.seed_or(random_seed)
    logs = [Log.of(fitted, position) for position in range(len(fitted.systems))]
    most = max((int(log.attempts.max()) for log in logs if len(log.attempts)), default=0)
    bins = _bins(most, logs[0].size)
    attempted = fitted.attempts > 0
    each = [
        [
            (np.searchsorted(log.rows, part.rows), part.parameters)
            for part in fitted.parts_of(position, attempted)
        ]
        for position, log in enumerate(logs)
    ]
    alone = [
        sum(int(_alone(log, place).sum()) for place, _ in each[i]) for i, log in enumerate(logs)
    ]
    most_draws = [max(100, MOST_REPLICATED // max(1, 2 * problems)) for problems in alone]
    draws = min([draws, fitted.draws, *most_draws])
    found = []
    for system, log, parts in zip(fitted.systems, logs, each, strict=True):
        thinned = [(place, thin_draws(parameters, draws)) for place, parameters in parts]
        rng = np.random.default_rng([system_seed(seed, system), 1])
        curve = agreement(fitted, fitted.systems.index(system))
        found.append(_check_system(system, log, fitted.family, thinned, draws, bins, rng, curve))
    result = xr.concat(found, dim="system", join="outer", fill_value={"finding": ""})
    result = result.sel(statistic=_in_order([one["statistic"].values for one in found]))
    result.attrs = {
        "family": fitted.origin["family"],
        "input_sha256": fitted.origin["input_sha256"],
        "stopping": fitted.stopping,
        "check_seed": seed,
        "histogram_of": "successes" if logs[0].size is None else "attempts",
    }
    coords = fitted.coords
    return result.assign_coords(
        {name: coords[name] for name in ("benchmark", "problems", "attempts")}
    )


def summarize_check(check: xr.Dataset) -> "pd.DataFrame":
    """Return a table of a check: one row for each system and statistic.

    Parameters
    ----------
    check : Dataset
        From :func:`check`.

    Returns
    -------
    pandas.DataFrame
        Columns system, statistic, observed, lower, upper, p_value, finding. lower and upper hold
        95% of what is to be expected if the family is right; the finding says "misses" where
        p_value is below 0.05 (see :func:`check` for how often that is).
    """
    check_arguments("summarize_check", locals())
    names = [*NUMBERS, "finding"]
    table = check[names].to_dataframe().reset_index()[["system", "statistic", *names]]
    order = {str(name): i for i, name in enumerate(check["system"].values)}
    table = table[table["observed"].notna()]
    return table.sort_values(
        "system", key=lambda column: column.map(order), kind="stable", ignore_index=True
    )


type _Parameters = list[tuple[Ints, dict[str, Floats]]]
"""Which problems, and the parameters, dims (draw,), that these have."""


@dataclass(frozen=True)
class Log:
    """The attempted problems of one system, and how their attempts were ended."""

    attempts: Ints
    successes: Ints
    stopping: str
    size: int | None
    rows: Ints
    runs: Runs | None = None

    @classmethod
    def of(cls, fitted: Fitted, system: int) -> "Log":
        """Return that of one system of a fit."""
        mine = (fitted.system_index == system) & (fitted.attempts > 0)
        size, rows = batch_size(fitted.stopping), np.flatnonzero(mine)
        runs = None
        if fitted.runs is not None and dependence(fitted.family) is not None:
            if size is not None:
                raise OptionError(
                    "check replicates dependent attempts whose number was fixed in advance; these "
                    f"have stopping={fitted.stopping!r}"
                )
            runs = fitted.runs.of_rows(mine)
        own = fitted.attempts[mine], fitted.successes[mine]
        return cls(*own, fitted.stopping, size, rows, runs)

    @property
    def cap(self) -> Ints:
        """The most attempts that each problem could have been given, where a success ends them."""
        return np.where(self.successes == 0, self.attempts, self.attempts.max(initial=0))

    def replicate(
        self, place: Ints, p: Floats, rng: np.random.Generator, sd: Floats | float = 0.0
    ) -> tuple[Ints, Ints]:
        """Return attempts and successes at these problems, given p with dims (draw, problem).

        `sd`, dims (draw,) or one number, is that of effects of runs.
        """
        if self.runs is not None:
            runs = self.runs.of_rows(place)
            of_draw = np.broadcast_to(sd, len(p))[:, None]
            each = in_runs(runs.attempts, p[:, runs.row], of_draw, rng)
            starts = np.searchsorted(runs.row, np.arange(len(place)))
            return (
                np.broadcast_to(self.attempts[place], p.shape),
                np.add.reduceat(each, starts, axis=1),
            )
        if self.size is None:
            attempts = self.attempts[place]
            return np.broadcast_to(attempts, p.shape), rng.binomial(attempts, p)
        cap = self.cap[place]
        with np.errstate(divide="ignore"):
            wait = np.ceil(rng.standard_exponential(p.shape) / -np.log1p(-p))
        first = np.maximum(np.minimum(wait, cap + 1.0), 1.0).astype(np.int64)
        end = np.minimum(-(-first // self.size) * self.size, cap)
        solved = first <= cap
        after = rng.binomial(np.maximum(end - first, 0), p)
        return end, np.where(solved, 1 + after, 0)


def thin_draws(parameters: Mapping[str, Floats], draws: int) -> dict[str, Floats]:
    """Return at most `draws` draws, evenly taken, each with dims (draw,)."""
    total = next(iter(parameters.values())).size
    taken = np.linspace(0, total - 1, min(draws, total)).astype(int)
    return {name: values.ravel()[taken] for name, values in parameters.items()}


def _in_order(each: list[NDArray[Any]]) -> list[str]:
    """Return the names in all lists in the order of the longest."""
    return [str(name) for name in max(each, key=len)]


# Bins and statistics ---------------------------------------------------------------------------


def _bins(most: int, size: int | None) -> list[str]:
    """Return the labels of the bins of a histogram: 0, 1, 2-3, 4-7 ..., each twice the last."""
    if size is None:
        last = int(np.frexp(max(0, most - 1))[1])
        middle = [(2 ** (i - 1), min(2**i - 1, most - 1)) for i in range(1, last + 1)]
        return ["0", *(_range(low, high) for low, high in middle), "all"]
    last = int(np.frexp(-(-most // size))[1])
    edges = [(size * (2 ** (i - 1) - 1) + 1, size * (2**i - 1)) for i in range(1, last + 1)]
    return [*(_range(low, min(high, most)) for low, high in edges), "never"]


def _range(low: int, high: int) -> str:
    return f"{low:,}" if low == high else f"{low:,}-{high:,}"


@dataclass(frozen=True)
class _Outcomes:
    """What some problems showed, and how many problems showed it, dims (draw, outcome)."""

    attempts: Ints
    successes: Ints
    problems: Ints

    @classmethod
    def of(cls, log: Log) -> "_Outcomes":
        """Return those of a log, as one draw."""
        failures = log.attempts - log.successes
        cells = distinct(np.zeros_like(failures), log.successes, failures)
        attempts = cells.successes + cells.failures
        return cls(attempts[None], cells.successes[None], cells.problems[None])

    def mean(self, values: Any) -> Floats:
        """Return the mean over problems of something of each, dims (draw,)."""
        return np.asarray((values * self.problems).sum(-1) / self.problems.sum(-1))

    def histogram(self, size: int | None, bins: int) -> Ints:
        """Return how many problems are in each bin, dims (draw, bin)."""
        if size is None:
            index = np.frexp(self.successes.astype(float))[1]
            index = np.where(self.successes == self.attempts, bins - 1, index)
        else:
            batches = -(-self.attempts // size)
            index = np.frexp(batches.astype(float))[1] - 1
            index = np.where(self.successes == 0, bins - 1, index)
        flat = index + bins * np.arange(len(index))[:, None]
        each = np.broadcast_to(self.problems, flat.shape).ravel()
        count = np.bincount(flat.ravel(), each, minlength=bins * len(index))
        return count.astype(np.int64).reshape(-1, bins)


def _statistics(log: Log, seen: _Outcomes) -> dict[str, Floats]:
    """Return the statistics of what was seen, each with dims (draw,)."""
    attempts, successes = seen.attempts, seen.successes
    unsolved = seen.mean(successes == 0)
    if log.size is not None:
        return {
            "unsolved": unsolved,
            "attempts": seen.mean(attempts),
            "success rate": seen.mean(successes) / seen.mean(attempts),
        }
    rate = successes / attempts
    found = {"unsolved": unsolved, "always solved": seen.mean(successes == attempts)}
    for k in _ks(log):
        found[f"pass@{k:,}"] = seen.mean(rate if k == 1 else _chen(attempts, successes, k))
    middle = seen.mean(rate)[:, None]
    return found | {"spread": np.sqrt(seen.mean((rate - middle) ** 2))}


def _ks(log: Log) -> list[int]:
    """Return 1, 10, 100 ... below the attempts at every problem."""
    least = int(log.attempts.min())
    if log.stopping != "fixed":
        return [1]
    return [1, *(10**i for i in range(1, 6) if 10**i < least)]


def _chen(attempts: Ints, successes: Ints, k: int) -> Floats:
    """Return 1 - C(n-c, k) / C(n, k) of each problem."""
    n = int(attempts.flat[0])
    if n < successes.size and (attempts == n).all():  # each number of successes once
        every = np.arange(n + 1)
        return _chen_of_each(np.full(n + 1, n), every, k)[successes]
    return _chen_of_each(attempts, successes, k)


def _chen_of_each(attempts: Ints, successes: Ints, k: int) -> Floats:
    """Return the same, row by row: right to 1e-4, and vectorised where `estimators.chen` is not."""
    failures = attempts - successes
    enough = failures >= k
    few = log_binomial(np.where(enough, failures, k), k)
    return np.where(enough, -np.expm1(few - log_binomial(attempts, k)), 1.0)


def _check_system(
    system: str,
    log: Log,
    family: Family,
    drawn: _Parameters,
    draws: int,
    bins: list[str],
    rng: np.random.Generator,
    curve: Agreement | None,
) -> xr.Dataset:
    if len(log.attempts) == 0:
        return _nothing(system, draws, bins)
    (statistics, histogram), (again, histogram_again) = (
        _made(log, family, drawn, bins, rng) for _ in range(2)
    )
    outcomes = _Outcomes.of(log)
    seen, observed = outcomes.histogram(log.size, len(bins))[0], _statistics(log, outcomes)
    found = [
        _compare(name, float(observed[name][0]), values, float(_left(values, again[name])))
        for name, values in statistics.items()
    ]
    sentences = [_finding(log, one) for one in found]
    away = _Away.of(histogram, histogram_again)
    found.append(away.compared(seen))
    sentences.append(_histogram_finding(log, found[-1], seen, away, bins))
    statistics["histogram"] = away.largest
    if curve is not None:
        found.append(_curve(curve))
        sentences.append(_curve_finding(curve))
        statistics["curve"] = np.full(draws, np.nan)
    each = {name: [getattr(one, name) for one in found] for name in NUMBERS}
    return xr.Dataset(
        {
            **{name: (("system", "statistic"), [values]) for name, values in each.items()},
            "finding": (("system", "statistic"), np.array([sentences], dtype=object)),
            "replicated": (
                ("sample", "system", "statistic"),
                np.stack(list(statistics.values()), -1)[:, None],
            ),
            "histogram": (("system", "bin"), seen[None]),
            "replicated_histogram": (("sample", "system", "bin"), histogram[:, None]),
        },
        {
            "system": [system],
            "statistic": list(statistics),
            "bin": bins,
            "sample": np.arange(draws),
        },
    )


def _made(
    log: Log, family: Family, drawn: _Parameters, bins: list[str], rng: np.random.Generator
) -> tuple[dict[str, Floats], Ints]:
    """Return statistics, dims (draw,), and the histogram, dims (draw, bin), of replicated data."""
    parts, histograms = [], []
    for made in _replicated(log, family, drawn, rng):
        parts.append(_statistics(log, made))
        histograms.append(made.histogram(log.size, len(bins)))
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return joined, np.concatenate(histograms)


def _nothing(system: str, draws: int, bins: list[str]) -> xr.Dataset:
    """Return the check of a system without attempts."""
    empty = np.empty((1, 0))
    return xr.Dataset(
        {
            **dict.fromkeys(NUMBERS, (("system", "statistic"), empty)),
            "finding": (("system", "statistic"), empty.astype(object)),
            "replicated": (("sample", "system", "statistic"), np.empty((draws, 1, 0))),
            "histogram": (("system", "bin"), np.zeros((1, len(bins)), dtype=np.int64)),
            "replicated_histogram": (
                ("sample", "system", "bin"),
                np.zeros((draws, 1, len(bins)), dtype=np.int64),
            ),
        },
        {
            "system": [system],
            "statistic": np.array([], dtype=str),
            "bin": bins,
            "sample": np.arange(draws),
        },
    )


def _alone(log: Log, place: Ints) -> NDArray[np.bool_]:
    """Return which of these problems are replicated one by one.

    All of them where a success ends the attempts, or they come in runs; else those with attempts
    like few others.
    """
    if log.size is not None or log.runs is not None:
        return np.ones(len(place), dtype=bool)
    attempts = log.attempts[place]
    _, group = coded(attempts)
    return np.asarray(np.bincount(group)[group] <= WORTH * (attempts + 1))


def _replicated(
    log: Log, family: Family, parts: _Parameters, rng: np.random.Generator
) -> Iterator[_Outcomes]:
    """Yield replicated outcomes of all problems, a few draws at a time."""
    draws = len(next(iter(parts[0][1].values())))
    each = [(place, _alone(log, place)) for place, _ in parts]
    alone = [place[by_itself] for place, by_itself in each]
    alike = [
        np.unique(log.attempts[place[~by_itself]], return_counts=True) for place, by_itself in each
    ]
    outcomes = sum(map(len, alone)) + sum(int((values + 1).sum()) for values, _ in alike)
    step = max(1, REPLICATED // outcomes)
    single = np.concatenate(alone)
    for i in range(0, draws, step):
        now = [{name: value[i : i + step] for name, value in own.items()} for _, own in parts]
        some = min(step, draws - i)
        p = np.empty((some, len(single)))
        at = 0
        for parameters, place in zip(now, alone, strict=True):
            if len(place):
                shape = some, len(place)
                wide = {
                    name: np.broadcast_to(value[:, None], shape)
                    for name, value in parameters.items()
                }
                p[:, at : at + len(place)] = family.draw(wide, rng)
                at += len(place)
        own = dependence(family)
        sd = 0.0 if own is None else own.sd_of(now[0])
        attempts, successes = log.replicate(single, p.clip(0.0, 1.0), rng, sd)
        made = [_Outcomes(attempts, successes, np.ones((some, len(single)), dtype=np.int64))]
        made += [
            _replicated_at_once(family, parameters, int(attempts), int(problems), rng)
            for parameters, groups in zip(now, alike, strict=True)
            for attempts, problems in zip(*groups, strict=True)
        ]
        yield _Outcomes(
            *(
                np.concatenate([getattr(one, name) for one in made], -1)
                for name in ("attempts", "successes", "problems")
            )
        )


def _replicated_at_once(
    family: Family,
    parameters: Mapping[str, Floats],
    attempts: int,
    problems: int,
    rng: np.random.Generator,
) -> _Outcomes:
    """Return how many of so many problems, with so many attempts each, have 0, 1, ... successes."""
    successes = np.arange(attempts + 1)
    one = np.ones_like(successes)
    cells = Cells(one, successes, attempts - successes, one, successes)
    log_p = cell_log_moments(family, parameters, cells) + log_binomial(attempts, successes)
    probability = np.exp(log_p)
    probability /= probability.sum(-1, keepdims=True)
    number = rng.multinomial(problems, probability)
    shape = number.shape
    return _Outcomes(
        np.full(shape, attempts), np.broadcast_to(successes, shape), number.astype(np.int64)
    )


# Calibration -----------------------------------------------------------------------------------


def _left(one: Floats, other: Floats) -> Floats:
    """Return how much nearer than replicated data the data lie to what a right family expects.

    `one` and `other` are a statistic of two sets of data made with the same draw of the
    parameters, dims (draw, ...). Replicated data are apart by the luck of problems and attempts,
    W, and by what is not known of the parameters, P; the data are apart from the mean of the
    posterior by W - P, as the family was fitted to them. The two sets share P, so their
    correlation r is P / (W + P), and the data lie nearer by the root of 1 - 2 r.
    """
    both = np.concatenate([one, other]) - np.concatenate([one, other]).mean(0)
    shared = (both[: len(one)] * both[len(one) :]).mean(0)
    spread = (both**2).mean(0)
    r = np.divide(shared, spread, out=np.zeros_like(spread), where=spread > 0)
    return np.asarray(np.sqrt(np.clip(1 - 2 * r, LEFT, 1.0)))


@dataclass(frozen=True)
class _Away:
    """How far histograms are from the mean of replicated ones, in their standard deviations.

    The largest distance of any bin is what is looked at. A quarter in each variance keeps bins
    that are nearly always empty from being far away by one problem.
    """

    replicated: Ints
    left: Floats

    @classmethod
    def of(cls, one: Ints, other: Ints) -> "_Away":
        return cls(one, _left(one.astype(float), other.astype(float)))

    def distances(self, histogram: Ints) -> Floats:
        """Return those of each bin, dims (..., bin)."""
        spread = np.sqrt(self.replicated.var(0) + 0.25)
        return np.asarray(np.abs(histogram - self.replicated.mean(0)) / spread)

    @property
    def largest(self) -> Floats:
        """The largest of each replicated histogram, dims (draw,)."""
        return np.asarray(self.distances(self.replicated).max(-1))

    def worst(self, seen: Ints) -> int:
        """Return the bin at which the data are furthest away."""
        return int((self.distances(seen) / self.left).argmax())

    def compared(self, seen: Ints) -> "_Compared":
        """Return where the data lie."""
        far, largest = float((self.distances(seen) / self.left).max()), self.largest
        above = _share_above(far, largest)
        return _Compared(
            "histogram", far, 0.0, float(np.quantile(largest, 1 - FINDING)), above, above
        )


# Findings --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Compared:
    """A statistic of the data, and where it lies among those of replicated data."""

    statistic: str
    observed: float
    lower: float
    upper: float
    above: float
    p_value: float

    @property
    def missed(self) -> bool:
        return self.p_value < FINDING


def _share_above(one: float, values: Floats) -> float:
    """Return how many values are larger, ties counted half, and the data as one of them."""
    values, one = values.round(10), round(one, 10)
    above = (values > one).sum() + 0.5 * (values == one).sum() + 0.5
    return float(above / (len(values) + 1))


def _compare(statistic: str, observed: float, replicated: Floats, left: float) -> _Compared:
    """Return where the data lie among replicated ones, of which a part `left` is to be expected.

    The normal score of the rank is divided by `left`, so that ties and skewness do no harm.
    """
    above = _share_above(observed, replicated)
    p_value = max(2 * float(ndtr(-abs(ndtri(above)) / left)), 1 / (len(replicated) + 1))
    low, high = _expected(replicated, left)
    return _Compared(statistic, observed, low, high, above, p_value)


def _expected(replicated: Floats, left: float) -> tuple[float, float]:
    """Return the ends between which 95% of data lie, if the family is right."""
    low, high = np.quantile(replicated, ndtr(np.array([-1.0, 1.0]) * left * ndtri(1 - FINDING / 2)))
    return float(low), float(high)


def _curve(curve: Agreement) -> _Compared:
    """Return Chen's estimate where it is furthest from the family's pass@k."""
    at = curve.worst
    low, high = (float(end[at]) for end in curve.band)
    seen = float(curve.estimate[at])
    above = float(seen < curve.expected[at])
    return _Compared("curve", seen, low, high, above, curve.p_value)


def _curve_finding(curve: Agreement) -> str:
    """Return what the attempts say of pass@k against the family, in a sentence."""
    one, last = _curve(curve), int(curve.j[-1])
    if not one.missed:
        return f"pass@k for k up to {last:,} is by the attempts as the family expects"
    span = _span(one.lower, one.upper, ".3g")
    return (
        f"pass@{int(curve.j[curve.worst]):,} is {one.observed:.3g} by the attempts; the family "
        f"expects {span}: it misses how {'low' if one.above > 0.5 else 'high'} pass@k is"
    )


def _finding(log: Log, found: _Compared) -> str:
    """Return one statistic in a sentence."""
    problems = len(log.attempts)
    low, high, seen = found.lower, found.upper, found.observed
    few, many = ("few", "many") if found.statistic in MANY else ("low", "high")
    if found.statistic in ("unsolved", "always solved"):
        said = (
            f"{seen * problems:,.0f} of {problems:,} problems are {found.statistic}; the family "
            f"expects {_span(low * problems, high * problems, ',.0f')}"
        )
    elif found.statistic == "attempts":
        said = f"{seen:,.1f} attempts a problem; the family expects {_span(low, high, ',.1f')}"
    elif found.statistic == "spread":
        said = (
            f"success rates of problems have a standard deviation of {seen:.3g}; the family "
            f"expects {_span(low, high, '.3g')}"
        )
    else:
        said = f"{found.statistic} is {seen:.3g}; the family expects {_span(low, high, '.3g')}"
    if not found.missed:
        return said
    return f"{said}: it misses how {few if found.above > 0.5 else many} {MISSED[found.statistic]}"


MANY = ("unsolved", "always solved", "attempts")


class _Missed(dict[str, str]):
    """What the family is wrong about, by statistic."""

    def __missing__(self, statistic: str) -> str:
        return f"{statistic} is"


MISSED = _Missed(
    {
        "unsolved": "are unsolved",
        "always solved": "are always solved",
        "attempts": "attempts it took",
        "spread": "the spread is",
        "success rate": "the success rate is",
    }
)


def _histogram_finding(log: Log, found: _Compared, seen: Ints, away: _Away, bins: list[str]) -> str:
    """Return what bin is worst, if the histogram is missed."""
    one, of = ("success", "successes") if log.size is None else ("attempt", "attempts")
    if not found.missed:
        return f"problems are spread over numbers of {of} as the family expects"
    worst = away.worst(seen)
    low, high = _expected(away.replicated[:, worst].astype(float), float(away.left[worst]))
    named = {"all": "successes in all attempts", "never": "no success", "1": f"1 {one}"}
    label = named.get(bins[worst], f"{bins[worst]} {of}")
    return (
        f"the family misses how problems are spread over numbers of {of}: above all, "
        f"{seen[worst]:,} have {label}, and it expects {_span(low, high, ',.0f')}"
    )


def _span(low: float, high: float, form: str) -> str:
    low_text, high_text = f"{low:{form}}", f"{high:{form}}"
    return low_text if low_text == high_text else f"{low_text} to {high_text}"
