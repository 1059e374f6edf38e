"""Checks: is the family right about the data, and what do its forecasts rest on."""

import secrets
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayespassk.arrays import CHUNK, Floats, Ints
from bayespassk.cells import Cells, coded, distinct
from bayespassk.counts import batch_size
from bayespassk.errors import ForecastWarning, OptionError
from bayespassk.families import Family
from bayespassk.families.base import draw_prior
from bayespassk.forecasting import forecast
from bayespassk.influence import log_densities, prior_share
from bayespassk.options import Target, check_k, system_seed
from bayespassk.posterior import cell_log_moments, cells_of, family_of, parts_of
from bayespassk.special import log_binomial

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "LIMIT",
    "check",
    "loo_pit",
    "prior_predictive",
    "sensitivity",
    "sensitivity_of",
    "summarize_check",
]


REPLICATED = CHUNK // 2
"""Replicated problems held at a time."""

WORTH = 4
"""How many times more problems than outcomes there must be to draw how many have each outcome."""

NUMBERS = ("observed", "lower", "upper", "p_value")

MOST_REPLICATED = 100_000_000
"""Replicated problems of a system, above which fewer draws are made; 100 at the least."""

LIMIT = 0.05
"""A p-value below this is a finding; lower and upper hold 1 - LIMIT of the replicated data."""

PIT_DRAWS = 1000
"""Draws that a PIT is averaged over, if that takes no more than `PIT_NUMBERS` probabilities."""

PIT_NUMBERS = 10_000_000
PIT_FEWEST = 50

PIT_PAIRS = 4_000
"""Counts whose probabilities are computed at a time."""


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
        With dims (system, statistic): `observed`; `lower` and `upper`, which hold 95% of the
        replicated values; `p_value`, two-sided and with ties counted half, at least 1 over the
        number of replicated data sets; `finding`, a sentence. `replicated` has dims (sample,
        system, statistic). `histogram` (system, bin) and `replicated_histogram` (sample, system,
        bin) count problems by their successes, or by the attempts they took where those end at a
        success. :func:`summarize_check` makes a table.

        The statistics: "unsolved" and "always solved", shares of problems; "pass@k" for k = 1,
        10, 100 ... below the attempts at every problem, by Chen's estimator; "spread", the
        standard deviation of c/n over problems; "histogram", how far the histogram is from the
        mean of the replicated ones, as the sum over bins of (difference)^2 / (mean + 1/2), whose
        p-value is one-sided. Where attempts end at a success: "attempts", a problem; "success
        rate", that of all attempts; "unsolved" and "histogram". NaN where a statistic has no
        meaning for a system. Problems without attempts are left out.

    Raises
    ------
    OptionError
        If `draws` is below 100.

    Notes
    -----
    The data were used twice, to fit and to check, so that p-values are too close to 1 rather than
    uniform: a small one is evidence, a large one is not proof. Of 120 systems with 100 problems
    whose p were drawn from the beta fitted, under three stopping rules, none had a p-value below
    0.17. And data within n attempts cannot check the family far below p = 1/n, which forecasts at
    large k rest on.

    With stopping="adaptive" each problem is given the attempts it had, since how they were allotted
    is not known, and of "pass@k" only k = 1 is looked at, as Chen's estimator is biased then. If
    attempts were stopped because of successes, p-values can be small though the family is right.

    References
    ----------
    Gelman et al. 1996, "Posterior predictive assessment of model fitness via realized
    discrepancies"; Gabry et al. 2019, arXiv:1709.01449.

    Examples
    --------
    >>> import bayespassk as bp
    >>> counts = bp.thin(bp.load_example(), 100, random_seed=1)
    >>> fit = bp.fit(counts, bp.Beta(), pooling="none", random_seed=1)
    >>> found = bp.check(fit)
    >>> float(found["p_value"].sel(system="small", statistic="unsolved")) > 0.05
    True
    """
    family = family_of(fit)
    if draws < 100:
        raise OptionError(f"draws must be at least 100; got {draws!r}")
    seed = int(fit.attrs["random_seed"]) if random_seed is None else random_seed
    systems = [str(system) for system in fit["posterior"].dataset["system"].values]
    logs = [_Log.of(fit, position) for position in range(len(systems))]
    most = max((int(log.attempts.max()) for log in logs if len(log.attempts)), default=0)
    bins = _bins(most, logs[0].size)
    attempted = fit["constant_data"].dataset["attempts"].values > 0
    each = [
        [
            (np.searchsorted(log.rows, part.rows), part.parameters)
            for part in parts_of(fit, position, attempted)
        ]
        for position, log in enumerate(logs)
    ]
    alone = [
        sum(int(_alone(log, place).sum()) for place, _ in each[i]) for i, log in enumerate(logs)
    ]
    sizes = fit["posterior"].sizes
    most_draws = [max(100, MOST_REPLICATED // max(1, problems)) for problems in alone]
    draws = min([draws, sizes["chain"] * sizes["draw"], *most_draws])
    checked = []
    for system, log, parts in zip(systems, logs, each, strict=True):
        thinned = [(place, _thinned(parameters, draws)) for place, parameters in parts]
        rng = np.random.default_rng([system_seed(seed, system), 1])
        checked.append(_check_system(system, log, family, thinned, draws, bins, rng))
    result = xr.concat(checked, dim="system", join="outer", fill_value={"finding": ""})
    result = result.sel(statistic=_in_order([one["statistic"].values for one in checked]))
    result.attrs = {
        "family": fit.attrs["family"],
        "input_sha256": fit.attrs["input_sha256"],
        "stopping": logs[0].stopping,
        "check_seed": seed,
        "histogram_of": "successes" if logs[0].size is None else "attempts",
    }
    return result


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
        95% of the replicated data; the finding says "misses" where p_value is below 0.05, which is
        rare for the right family (see :func:`check`).
    """
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
class _Log:
    """The attempted problems of one system, and how their attempts were ended."""

    attempts: Ints
    successes: Ints
    stopping: str
    size: int | None
    rows: Ints

    @classmethod
    def of(cls, fit: xr.DataTree, system: int) -> "_Log":
        constant = fit["constant_data"].dataset
        attempts = constant["attempts"].values
        mine = (constant["system_index"].values == system) & (attempts > 0)
        stopping = str(fit.attrs.get("stopping", "fixed"))
        successes = fit["observed_data"].dataset["successes"].values
        rows = np.flatnonzero(mine)
        return cls(attempts[mine], successes[mine], stopping, batch_size(stopping), rows)

    @property
    def cap(self) -> Ints:
        """The most attempts that each problem could have been given, where a success ends them."""
        return np.where(self.successes == 0, self.attempts, self.attempts.max(initial=0))

    def replicate(self, place: Ints, p: Floats, rng: np.random.Generator) -> tuple[Ints, Ints]:
        """Return attempts and successes at these problems, given p with dims (draw, problem)."""
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


def _thinned(parameters: Mapping[str, Floats], draws: int) -> dict[str, Floats]:
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
    def of(cls, log: _Log) -> "_Outcomes":
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


def _statistics(log: _Log, seen: _Outcomes) -> dict[str, Floats]:
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


def _ks(log: _Log) -> list[int]:
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
    log: _Log,
    family: Family,
    drawn: _Parameters,
    draws: int,
    bins: list[str],
    rng: np.random.Generator,
) -> xr.Dataset:
    if len(log.attempts) == 0:
        return _nothing(system, draws, bins)
    parts: list[dict[str, Floats]] = []
    histograms = []
    for made in _replicated(log, family, drawn, rng):
        parts.append(_statistics(log, made))
        histograms.append(made.histogram(log.size, len(bins)))
    histogram = np.concatenate(histograms)
    outcomes = _Outcomes.of(log)
    seen = outcomes.histogram(log.size, len(bins))
    mean = histogram.mean(0)
    replicated = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    replicated["histogram"] = _distance(histogram, mean)
    observed = _statistics(log, outcomes)
    observed["histogram"] = _distance(seen, mean)
    found = [_compare(name, float(observed[name][0]), replicated[name]) for name in replicated]
    sentences = [
        _histogram_finding(log, one, seen[0], histogram, bins)
        if one.statistic == "histogram"
        else _finding(log, one)
        for one in found
    ]
    names = list(replicated)
    each = {name: [getattr(one, name) for one in found] for name in NUMBERS}
    return xr.Dataset(
        {
            **{name: (("system", "statistic"), [values]) for name, values in each.items()},
            "finding": (("system", "statistic"), np.array([sentences], dtype=object)),
            "replicated": (
                ("sample", "system", "statistic"),
                np.stack(list(replicated.values()), -1)[:, None],
            ),
            "histogram": (("system", "bin"), seen),
            "replicated_histogram": (("sample", "system", "bin"), histogram[:, None]),
        },
        {"system": [system], "statistic": names, "bin": bins, "sample": np.arange(draws)},
    )


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


def _alone(log: _Log, place: Ints) -> NDArray[np.bool_]:
    """Return which of these problems are replicated one by one.

    All of them where a success ends the attempts; else those with attempts like few others.
    """
    if log.size is not None:
        return np.ones(len(place), dtype=bool)
    attempts = log.attempts[place]
    _, group = coded(attempts)
    return np.asarray(np.bincount(group)[group] <= WORTH * (attempts + 1))


def _replicated(
    log: _Log, family: Family, parts: _Parameters, rng: np.random.Generator
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
        attempts, successes = log.replicate(single, p.clip(0.0, 1.0), rng)
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


def _distance(histogram: Ints, mean: Floats) -> Floats:
    return np.asarray(((histogram - mean) ** 2 / (mean + 0.5)).sum(-1))


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
        return self.p_value < LIMIT


def _compare(statistic: str, observed: float, replicated: Floats) -> _Compared:
    """Return p-values with ties counted half, and the data counted as one of the replicated."""
    values, one = replicated.round(10), round(observed, 10)
    above = ((values > one).sum() + 0.5 * (values == one).sum() + 0.5) / (len(values) + 1)
    if statistic == "histogram":
        return _Compared(
            statistic, observed, 0.0, float(np.quantile(replicated, 1 - LIMIT)), above, above
        )
    low, high = np.quantile(replicated, [LIMIT / 2, 1 - LIMIT / 2])
    p_value = min(2 * min(above, 1 - above), 1.0)
    return _Compared(statistic, observed, float(low), float(high), float(above), float(p_value))


def _finding(log: _Log, found: _Compared) -> str:
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


def _histogram_finding(
    log: _Log, found: _Compared, seen: Ints, replicated: Ints, bins: list[str]
) -> str:
    """Return what bin is worst, if the histogram is missed."""
    one, of = ("success", "successes") if log.size is None else ("attempt", "attempts")
    if not found.missed:
        return f"problems are spread over numbers of {of} as the family expects"
    mean = replicated.mean(0)
    worst = int(((seen - mean) ** 2 / (mean + 0.5)).argmax())
    low, high = np.quantile(replicated[:, worst], [LIMIT / 2, 1 - LIMIT / 2])
    named = {"all": "successes in all attempts", "never": "no success", "1": f"1 {one}"}
    label = named.get(bins[worst], f"{bins[worst]} {of}")
    return (
        f"the family misses how problems are spread over numbers of {of}: above all, "
        f"{seen[worst]:,} have {label}, and it expects {_span(low, high, ',.0f')}"
    )


def _span(low: float, high: float, form: str) -> str:
    low_text, high_text = f"{low:{form}}", f"{high:{form}}"
    return low_text if low_text == high_text else f"{low_text} to {high_text}"


# Leave-one-out ---------------------------------------------------------------------------------


def loo_pit(fit: xr.DataTree, *, random_seed: int | None = None) -> xr.DataArray:
    """Return where each problem's outcome lies in what the other problems foretell of it.

    The probability integral transform under leave-one-out: ``P(C < c) + u P(C = c)``, where C are
    the successes of a new problem given the same attempts and fitted without this problem, and u
    is uniform. For the right family the values are uniform between 0 and 1; a heap at 0 says that
    there are more problems with few successes than the family can make.

    Parameters
    ----------
    fit : DataTree
        From :func:`bayespassk.fit` or :func:`bayespassk.load`.
    random_seed : int, optional
        Repeats u; by default follows from the seed of the fit.

    Returns
    -------
    xarray.DataArray
        Values in 0 to 1, dims (row,), with coordinates row_system and problem; NaN for a problem
        without attempts. Its ``attrs`` hold `pareto_k`, the largest of the importance weights
        that leave a problem out: above 0.7, some value is not to be relied on.

        Where attempts end at a success, the outcome is when they ended, from late to early: near
        0 are problems without success, near 1 those solved at once.

    Raises
    ------
    OptionError
        If stopping is "adaptive", as what else could have been seen is not known then; or if
        more than 200,000 probabilities of counts are needed: never with fewer attempts at each
        problem, their number being the same.

    Notes
    -----
    Unlike in :func:`check`, no outcome is compared with a fit that has seen it. But uniform values
    do not show that the family is right far below p = 1/n. At most 1,000 draws of the posterior are
    averaged, fewer where more than 10,000 probabilities of counts are needed. Where many problems
    have equal counts, above all where many are unsolved, much of a value is u, and another seed
    gives others.

    References
    ----------
    Gelfand 1996; Czado et al. 2009, "Predictive model assessment for count data"; Vehtari et al.
    2017, arXiv:1507.04544 (leaving out by importance sampling).

    Examples
    --------
    >>> import bayespassk as bp
    >>> counts = bp.thin(bp.load_example(), 100, random_seed=1)
    >>> fit = bp.fit(counts, bp.Beta(), pooling="none", random_seed=1)
    >>> bp.loo_pit(fit).dims
    ('row',)
    """
    family, cells = family_of(fit), cells_of(fit)
    stopping = str(fit.attrs.get("stopping", "fixed"))
    if stopping == "adaptive":
        raise OptionError(
            "loo_pit needs to know how the attempts were ended, and stopping is 'adaptive'; "
            "bp.check replicates such counts given their attempts"
        )
    seed = int(fit.attrs["random_seed"]) if random_seed is None else random_seed
    values = np.empty(len(cells.inverse))
    worst = 0.0
    for position, system in enumerate(fit["posterior"].dataset["system"].values):
        rng = np.random.default_rng([system_seed(seed, str(system)), 2])
        for part in parts_of(fit, position):
            below, mass, pareto_k = _left_out(family, part.parameters, part.cells, stopping)
            u, at = rng.random(len(part.rows)), part.cells.inverse
            values[part.rows] = (below[at] + u * mass[at]).clip(0.0, 1.0)
            worst = max(worst, pareto_k)
    values[(cells.successes + cells.failures == 0)[cells.inverse]] = np.nan
    return xr.DataArray(
        values,
        dims="row",
        coords=dict(fit["observed_data"].dataset.coords),
        name="loo_pit",
        attrs={"pareto_k": worst, "stopping": stopping, "pit_seed": seed},
    )


def _left_out(
    family: Family, parameters: Mapping[str, Floats], cells: Cells, stopping: str
) -> tuple[Floats, Floats, float]:
    """Return P(C < c) and P(C = c) without the problem itself, dims (cell,), and the Pareto k."""
    from arviz_stats.base import array_stats

    size = batch_size(stopping)
    if size is None:
        pairs = _pairs(cells)
        draws = int(np.clip(PIT_NUMBERS // max(1, pairs), PIT_FEWEST, PIT_DRAWS))
        if pairs * draws > PIT_NUMBERS:
            raise OptionError(
                f"loo_pit needs the probability of {pairs:,} counts and can compute "
                f"{PIT_NUMBERS // PIT_FEWEST:,}; thin the attempts (bp.thin) and fit those"
            )
        thinned = _thinned(parameters, draws)
        below, mass, log_likelihood = _by_successes(family, thinned, cells)
    else:
        thinned = _thinned(parameters, PIT_DRAWS)
        below, mass, log_likelihood = _by_attempts(family, thinned, cells, size)
    weights = np.ones_like(log_likelihood)
    worst = 0.0
    informed = np.ptp(log_likelihood, axis=-1) > 0  # not by no attempts
    if informed.any():
        # ArviZ takes log-likelihoods, whose negatives are the log weights of leave-one-out.
        log_weights, pareto_k = array_stats.psislw(log_likelihood[informed])
        weights[informed] = np.exp(log_weights - log_weights.max(-1, keepdims=True))
        worst = float(np.max(pareto_k))
    weights /= weights.sum(-1, keepdims=True)
    return (weights * below).sum(-1), (weights * mass).sum(-1), worst


def _sides(attempts: int, successes: Ints) -> tuple[Ints, NDArray[np.bool_]]:
    """Return the counts whose probabilities are needed, and which cells are summed from below."""
    low = 2 * successes <= attempts
    up_to = np.arange(successes[low].max() + 1) if low.any() else np.arange(0)
    down_to = np.arange(successes[~low].min(), attempts + 1) if (~low).any() else np.arange(0)
    return np.union1d(up_to, down_to), low


def _pairs(cells: Cells) -> int:
    """Return how many (successes, attempts) have to be summed over."""
    attempts = cells.successes + cells.failures
    return sum(len(_sides(int(n), cells.successes[attempts == n])[0]) for n in np.unique(attempts))


def _by_successes(
    family: Family, parameters: dict[str, Floats], cells: Cells
) -> tuple[Floats, Floats, Floats]:
    """Return P(C < c), P(C = c) and the log likelihood, dims (cell, draw)."""
    attempts = cells.successes + cells.failures
    draws = len(next(iter(parameters.values())))
    below, mass, log_likelihood = (np.empty((len(attempts), draws)) for _ in range(3))
    for n in np.unique(attempts):
        at = np.flatnonzero(attempts == n)
        successes = cells.successes[at]
        counts, low = _sides(int(n), successes)
        log_mass = _log_probabilities(family, parameters, int(n), counts)
        place = np.searchsorted(counts, successes)
        each = np.exp(log_mass)
        upwards, downwards = each.cumsum(0), each[::-1].cumsum(0)[::-1]
        log_likelihood[at] = log_mass[place]
        mass[at] = each[place]
        below[at] = np.where(low[:, None], upwards[place] - each[place], 1.0 - downwards[place])
    return below, mass, log_likelihood


def _log_probabilities(
    family: Family, parameters: dict[str, Floats], attempts: int, successes: Ints
) -> Floats:
    """Return log P(C = c) in `attempts` attempts at a new problem, dims (count, draw)."""
    constants = log_binomial(attempts, successes)
    parts = [
        family.log_moment(parameters, part.astype(float), (attempts - part).astype(float))
        for part in np.array_split(successes, -(-len(successes) // PIT_PAIRS))
    ]
    return np.asarray(np.concatenate(parts, -1) + constants).T


def _by_attempts(
    family: Family, parameters: dict[str, Floats], cells: Cells, size: int
) -> tuple[Floats, Floats, Floats]:
    """Return the same where attempts end at a success: C is larger the sooner they ended.

    P(C < c) is the probability that the attempts made are all failures; P(C = c) that those before
    the last batch are and those in it are not.
    """
    attempts = cells.successes + cells.failures
    last = np.where(attempts % size == 0, size, attempts % size)
    before = np.where(attempts == 0, 0, attempts - last)
    fail = family.log_moment(parameters, 0.0, np.concatenate([attempts, before]).astype(float))
    fail_now, fail_before = np.exp(fail.T[: len(attempts)]), np.exp(fail.T[len(attempts) :])
    unsolved = (cells.successes == 0)[:, None]
    seen = family.log_moment(
        parameters, cells.successes.astype(float), cells.failures.astype(float)
    )
    below = np.where(unsolved, 0.0, fail_now)
    mass = np.where(unsolved, fail_now, fail_before - fail_now)
    return below, mass, np.asarray(seen.T)


# The prior -------------------------------------------------------------------------------------


def prior_predictive(
    family: Family, k: float | Iterable[float], *, draws: int = 4000, random_seed: int | None = None
) -> xr.DataArray:
    """Return pass@k of a new problem under the prior of a family: what it says before any attempt.

    Parameters
    ----------
    family : Family
        A family with its priors.
    k : int or sequence of int, dims (k,)
        Attempts allowed, 1 to 1e12.
    draws : int
        Draws of the parameters from the prior.
    random_seed : int, optional
        Repeats the result. Drawn and recorded in ``attrs`` if not given.

    Returns
    -------
    xarray.DataArray
        pass@k of the population, dims (draw, k).

    Raises
    ------
    OptionError
        If a k or `draws` has a value that means nothing.

    Notes
    -----
    How to look at it: at k = 1 the central half should hold the success rates you think possible,
    and at the largest k that you ask for, the prior should leave open what you leave open. A prior
    that is nearly certain there decides the forecast of a benchmark that is hardly ever solved.

    Examples
    --------
    >>> import bayespassk as bp
    >>> prior = bp.prior_predictive(bp.Beta(), [1, 100, 10**6], random_seed=1)
    >>> prior.quantile([0.25, 0.5, 0.75], "draw").round(2).values[1]
    array([0.04, 0.45, 0.92])
    """
    ks = check_k(k)
    if draws < 1:
        raise OptionError(f"draws must be at least 1; got {draws!r}")
    seed = secrets.randbits(31) if random_seed is None else int(random_seed)
    free = draw_prior(family, np.random.default_rng(seed), (draws,))
    values = -np.expm1(family.log_moment(family.natural(free), 0.0, ks.astype(float)))
    return xr.DataArray(
        values,
        dims=("draw", "k"),
        coords={"draw": np.arange(draws), "k": ks},
        name="pass_at_k",
        attrs={"target": "population", "random_seed": seed},
    )


def sensitivity(
    fit: xr.DataTree,
    k: float | Iterable[float],
    target: Target = "benchmark",
    *,
    random_seed: int | None = None,
) -> "pd.DataFrame":
    """Return how much of the forecast of each system is prior, and how much is data.

    Parameters
    ----------
    fit : DataTree
        From :func:`bayespassk.fit` or :func:`bayespassk.load`.
    k : int or sequence of int, dims (k,)
        Attempts allowed, 1 to 1e12.
    target : {"benchmark", "population", "realised"}
        As for :func:`bayespassk.forecast`.
    random_seed : int, optional
        As for :func:`bayespassk.forecast`.

    Returns
    -------
    pandas.DataFrame
        One row for each system and k, with columns

        - system, k;
        - prior, likelihood: power-scaling sensitivity of the forecast as ArviZ computes it, the
          distance between the forecast and that with the prior (or the likelihood) raised to a
          power near 1, per doubling of the power. Above 0.05, the forecast depends on it;
        - prior_share: how much of the precision of the forecast is from the prior, 0 to 1;
        - band_ratio: width of the 95% band of the forecast over that of the prior predictive
          (:func:`prior_predictive`) at this k.

    Raises
    ------
    OptionError
        If a k or the target has a value that means nothing.

    Notes
    -----
    The prior_share is made of how the *spread* of the forecast changes with the power of the prior
    and of the likelihood; where both are normal, it is the share of the prior in the precision.
    The ratio of the columns prior and likelihood is not: where prior and data disagree, both shift
    the forecast, equally and in opposite directions, and their ratio tends to 1 however many data
    there are. The share has a Monte Carlo error of about 0.05 with 4,000 draws.

    For the benchmark, a forecast also rests on the counts of its single problems and on the luck of
    which p they have; both count as not prior. A share near zero says that the attempts outweigh
    the prior *in this family*. It does not say that the family is right far beyond the attempts:
    fit others and compare. A band_ratio above 1 is no error: the prior alone may be surer that
    pass@k is near 1, and the attempts have contradicted it.

    References
    ----------
    Kallioinen et al. 2024, arXiv:2107.14054.

    Examples
    --------
    >>> import bayespassk as bp
    >>> counts = bp.thin(bp.load_example(), 100, random_seed=1)
    >>> fit = bp.fit(counts, bp.Beta(), pooling="none", random_seed=1)
    >>> table = bp.sensitivity(fit, [10, 10**6])
    >>> bool((table["prior_share"] < 0.5).all())
    True
    """
    ks = check_k(k)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ForecastWarning)  # the table says the same, and more
        draws = forecast(fit, ks, target, random_seed=random_seed)
    return sensitivity_of(fit, draws)


def sensitivity_of(fit: xr.DataTree, draws: xr.DataArray) -> "pd.DataFrame":
    """Return the table of :func:`sensitivity` from a forecast of the fit."""
    import pandas as pd

    ks, seed = draws["k"].values, int(draws.attrs["forecast_seed"])
    before = _widths(prior_predictive(family_of(fit), ks, random_seed=seed).values)
    rows = []
    for position, system in enumerate(draws["system"].values):
        prior, likelihood = log_densities(fit, position)
        weights = [_scaled(density) for density in (prior, likelihood)]
        values = draws.isel(system=position).values.reshape(-1, len(ks))
        ratio = _widths(values) / before
        for i, one in enumerate(ks):
            sense = [_power_scaling(values[:, i], pair) for pair in weights]
            share = prior_share(values[:, i], prior, likelihood)
            rows.append((str(system), int(one), *sense, share, ratio[i]))
    columns = ["system", "k", "prior", "likelihood", "prior_share", "band_ratio"]
    return pd.DataFrame(rows, columns=columns)


ALPHAS = (0.99, 1.01)


def _widths(draws: Floats) -> Floats:
    low, high = np.quantile(draws, [0.025, 0.975], axis=0)
    return np.asarray(high - low)


def _scaled(log_density: Floats) -> list[Floats] | None:
    """Return the weights of the draws with this density raised to each power; None if constant."""
    from arviz_stats.base import array_stats

    if np.ptp(log_density) == 0:
        return None
    weights = [np.exp(array_stats.power_scale_lw(log_density, alpha=alpha)) for alpha in ALPHAS]
    return [weight / weight.sum() for weight in weights]


def _power_scaling(values: Floats, weights: list[Floats] | None) -> float:
    """Return the power-scaling sensitivity of `values`, dims (draw,)."""
    from arviz_stats.base import array_stats

    if weights is None or np.ptp(values) == 0:
        return 0.0
    lower, upper = (weight[None] for weight in weights)
    return float(array_stats.power_scale_sense(values[None], lower, upper, *ALPHAS))
