"""Are attempts independent given the problem? Runs, order and copies, tested within problems."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import special as sp

from bayespassk.arguments import check_arguments
from bayespassk.arrays import Floats, Ints
from bayespassk.counts import Counts
from bayespassk.errors import OptionError
from bayespassk.options import FINDING, seed_of, system_seed

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["independence"]

NEEDED = ("problem", "success")

RHO = np.unique(np.concatenate([[0.0], np.geomspace(1e-4, 0.95, 160)]))
"""Values of the intra-class correlation that are looked at."""

NODES = sp.expit(np.linspace(-9.0, 9.0, 121))
"""Of the p of a problem."""

LEAST_COPIED = 0.3
"""Cohen's kappa of two runs that are called copies: less comes of runs that are equally lucky."""

MOST_RUNS = 60
"""Runs whose pairs are compared attempt by attempt."""


def independence(
    attempts: "pd.DataFrame | Counts", *, permutations: int = 1000, random_seed: int = 1
) -> "pd.DataFrame":
    """Return whether attempts at a problem depend on each other, as far as they can tell.

    Every forecast takes attempts for independent given the problem. Attempts of one run (a seed, a
    temperature, a day, a worker) may be alike, may change in their order, or may be copies.

    Parameters
    ----------
    attempts : DataFrame or Counts
        One row for each attempt, in the order in which they were made: from
        :func:`bayespassk.read_attempts`, or with columns problem and success (0 or 1), and, if
        known, system, benchmark, run, and completion (its text or a hash). Or counts, which tell
        of "runs", "common" and "effective" if they hold runs, and else of nothing.
    permutations : int
        How often outcomes are permuted within problems, 100 or more.
    random_seed : int
        Repeats the result.

    Returns
    -------
    pandas.DataFrame
        Rows of each system (and benchmark) with columns system, question, value, lower, upper,
        p_value, finding (a sentence). The questions:

        - "runs": do the attempts of one run at a problem have more in common than those of
          several? value is the intra-class correlation rho, lower and upper its 95% band;
        - "common": are some runs better than others at all problems alike? value is the standard
          deviation of runs' success rates beyond chance;
        - "copies": do two runs have the same outcomes attempt by attempt, as workers with one
          random state do? value is Cohen's kappa of the two that agree most beyond chance: 1 for
          copies, and near 0 for runs that are only equally lucky;
        - "order": do outcomes drift? value is the change in the success rate from the first to
          the last attempt at a problem (of each run, where runs are known);
        - "completions": value is the share of attempts whose completion an earlier attempt at the
          problem has; no p-value, as a short answer may recur;
        - "effective": value is how many independent attempts a problem's are worth,
          n / (1 + (m - 1) rho) for runs of m, with its 95% band.

        What cannot be asked of the attempts given is left out; p-values are of permutations within
        problems, two-sided for "runs" and "order", so that of independent attempts 5% are below
        0.05 in each.

    Raises
    ------
    OptionError
        If a column is missing or holds something else, or an argument means nothing.

    Notes
    -----
    Where attempts were ended by what was seen (``attempts.attrs["stopping"]``, which
    :func:`bayespassk.read_attempts` sets), successes are the last by design, and "order", "runs"
    and what follows of these are left out. Only outcomes at problems that were solved sometimes,
    and not always, tell anything. Counts alone, without runs or order, never tell: attempts that
    depend on each other make the same counts as problems that differ more.

    References
    ----------
    Tarone 1979, doi:10.1093/biomet/66.3.585 (runs). The band of rho is of beta-binomial counts of
    runs, uniform over rho from 0 to 0.95, with the p of each problem from a beta that fits the
    problems' rates.

    Examples
    --------
    >>> import numpy as np, pandas as pd, bayespassk as bp
    >>> rng = np.random.default_rng(1)
    >>> problem, run = np.divmod(np.arange(2000), 50)
    >>> lucky = rng.beta(0.6, 1.2, (40, 5))[problem, run // 10]  # differs from run to run
    >>> made = pd.DataFrame({"problem": problem, "run": run // 10})
    >>> made["success"] = (rng.random(2000) < lucky).astype(int)
    >>> table = bp.independence(made).set_index("question")
    >>> bool(table.loc["runs", "p_value"] < 0.01), bool(table.loc["runs", "lower"] > 0.05)
    (True, True)
    """
    check_arguments("independence", locals())
    import pandas as pd

    seed = seed_of(random_seed)
    columns = ["system", "question", "value", "lower", "upper", "p_value", "finding"]
    if isinstance(attempts, Counts):
        _check_permutations(permutations)
        return pd.DataFrame(_of_counts(attempts, permutations, seed), columns=columns)
    frame = _checked(attempts, permutations)
    fixed = attempts.attrs.get("stopping", "fixed") == "fixed"
    rows = []
    for name, mine in frame.groupby("_system", sort=False):
        rng = np.random.default_rng([system_seed(seed, str(name)), 7])
        rows += [{"system": name} | row for row in _of_system(mine, fixed, permutations, rng)]
    return pd.DataFrame(rows, columns=columns)


def _of_counts(counts: Counts, permutations: int, random_seed: int) -> list[dict[str, Any]]:
    """Return the rows of counts, for each system."""
    rows: list[dict[str, Any]] = []
    for position, name in enumerate(counts.systems):
        mine = counts.system_index == position
        runs = None if counts.runs is None else counts.runs.of_rows(mine)
        if counts.stopping != "fixed":
            rows.append({"system": name} | _nothing(ENDED))
            continue
        if runs is None or len(runs.row) == len(np.unique(runs.row)):
            rows.append({"system": name} | _nothing(NOT_TESTABLE))
            continue
        rng = np.random.default_rng([system_seed(random_seed, name), 7])
        shared = runs.shared and len(np.unique(runs.run)) <= MOST_RUNS
        first = np.searchsorted(runs.row, runs.row)
        place = runs.run if shared else np.arange(len(runs.row)) - first
        whole = _Runs.of_pieces(runs.row, place, runs.attempts, runs.successes)
        solved, made = whole.successes.sum(1), whole.attempts.sum(1)
        telling = (solved > 0) & (solved < made)
        if not telling.any():
            rows.append({"system": name} | _nothing(NOTHING_TELLS))
            continue
        some = _Runs(whole.attempts[telling], whole.successes[telling])
        found = _runs(some, whole, permutations, rng)
        rows += [{"system": name} | one for one in found if shared or one["question"] != "common"]
    return rows


def _nothing(finding: str) -> dict[str, Any]:
    """Return the row of what cannot be tested."""
    return _row("runs", np.nan, np.nan, np.nan, np.nan, finding)


NOT_TESTABLE = (
    "not testable from counts alone: attempts that depend on each other make the same counts as "
    "problems that differ more. Keep which run (seed, day, worker) each attempt is of"
)
ENDED = (
    "not testable: attempts were ended by their outcomes, so that successes are in the last run "
    "by design"
)
NOTHING_TELLS = "not testable: every problem was solved always or never, whatever the run"


def _checked(attempts: "pd.DataFrame", permutations: int) -> "pd.DataFrame":
    """Return the attempts with a column for the system, or raise an error."""
    import pandas as pd

    if not isinstance(attempts, pd.DataFrame):
        raise OptionError(
            f"attempts must be a DataFrame with one row per attempt, as bp.read_attempts returns, "
            f"or Counts; got {type(attempts).__name__}"
        )
    for name in NEEDED:
        if name not in attempts:
            raise OptionError(
                f"attempts must have a column {name!r}; they have "
                f"{', '.join(map(repr, attempts.columns))}"
            )
    _check_permutations(permutations)
    bad = ~attempts["success"].isin([0, 1])
    if bad.any():
        first = int(np.flatnonzero(bad)[0])
        raise OptionError(
            f"success must be 0 or 1; row {first + 1:,} has {attempts['success'].iloc[first]}. "
            "What to do: leave attempts without an outcome out"
        )
    names = [name for name in ("benchmark", "system") if name in attempts]
    system = attempts[names].astype(str).agg("/".join, axis=1) if names else "system"
    if names == ["benchmark", "system"] and attempts["benchmark"].nunique() == 1:
        system = attempts["system"].astype(str)
    return attempts.assign(_system=system)


def _check_permutations(permutations: int) -> None:
    if not isinstance(permutations, int | np.integer) or permutations < 100:
        raise OptionError(f"permutations must be a whole number from 100; got {permutations!r}")


@dataclass(frozen=True)
class _Runs:
    """Counts by problem and run, dims (problem, run); runs without attempts have 0."""

    attempts: Ints
    successes: Ints

    @classmethod
    def of(cls, problem: Ints, run: Ints, success: Ints) -> "_Runs":
        return cls.of_pieces(problem, run, np.ones_like(problem), success)

    @classmethod
    def of_pieces(cls, problem: Ints, run: Ints, attempts: Ints, successes: Ints) -> "_Runs":
        shape = int(problem.max()) + 1, int(run.max()) + 1
        at = problem * shape[1] + run
        made, solved = (
            np.bincount(at, values, shape[0] * shape[1]).astype(np.int64).reshape(shape)
            for values in (attempts, successes)
        )
        return cls(made, solved)

    @property
    def expected(self) -> Floats:
        """What each run has if the successes of a problem fall anywhere."""
        n = self.attempts.sum(1, keepdims=True)
        return np.asarray(self.attempts * (self.successes.sum(1, keepdims=True) / n))

    def permuted(self, number: int, rng: np.random.Generator) -> Ints:
        """Return successes of each run with those of a problem permuted, dims (number, ...)."""
        found = np.empty((number, *self.attempts.shape), dtype=np.int64)
        for i, (made, solved) in enumerate(zip(self.attempts, self.successes.sum(1), strict=True)):
            found[:, i] = rng.multivariate_hypergeometric(made, int(solved), size=number)
        return found


def _of_system(
    frame: "pd.DataFrame", fixed: bool, permutations: int, rng: np.random.Generator
) -> Iterator[dict[str, Any]]:
    problem = frame["problem"].astype(str).factorize()[0]
    success = frame["success"].to_numpy(dtype=np.int64)
    solved, made = np.bincount(problem, success), np.bincount(problem)
    telling = (solved > 0) & (solved < made)
    kept = telling[problem]
    if "run" in frame and frame["run"].nunique() > 1 and kept.any():
        run = frame["run"].astype(str).factorize()[0]
        runs = _Runs.of(np.unique(problem[kept], return_inverse=True)[1], run[kept], success[kept])
        if fixed:
            yield from _runs(runs, _Runs.of(problem, run, success), permutations, rng)
        yield from _copies(problem[kept], run[kept], success[kept], (solved / made)[problem[kept]])
    if fixed and kept.any() and made.max() > 2:
        places = [problem] if "run" not in frame else [problem, frame["run"].factorize()[0]]
        piece = np.unique(np.stack(places)[:, kept], axis=1, return_inverse=True)[1].ravel()
        yield _order(piece, success[kept], permutations, rng)
    if "completion" in frame:
        yield _completions(frame)


def _p_value(observed: float, permuted: Floats, two_sided: bool = False) -> float:
    above = (1 + (permuted >= observed - 1e-9).sum()) / (1 + len(permuted))
    if not two_sided:
        return float(above)
    below = (1 + (permuted <= observed + 1e-9).sum()) / (1 + len(permuted))
    return float(min(1.0, 2 * min(above, below)))


def _runs(
    runs: _Runs, whole: _Runs, permutations: int, rng: np.random.Generator
) -> Iterator[dict[str, Any]]:
    """Yield what is found of runs at each problem, at all alike, and of effective attempts."""
    away = runs.successes - runs.expected
    drawn = runs.permuted(permutations, rng) - runs.expected
    spread, chance = (away**2).sum(), (drawn**2).sum((1, 2))
    p_value = _p_value(spread, chance, two_sided=True)
    rho, lower, upper = _correlation(whole)
    found = "nothing was found: runs differ at a problem as chance has it"
    if p_value < FINDING and spread > chance.mean():
        found = (
            f"attempts of one run are alike (rho {rho:.2f}), which bands that take them for "
            "independent are too narrow for: fit bp.Dependent, or make more runs with fewer "
            "attempts each"
        )
    elif p_value < FINDING:
        found = (
            "runs differ less than chance would have it: are they copies of each other, such as "
            "workers with the same random state? Then the attempts of all but one tell nothing"
        )
    yield _row("runs", rho, lower, upper, p_value, found)

    # Which run is which is permuted problem by problem: differences stay, what is common does not.
    common = away.sum(0)
    exchanged = rng.permuted(np.broadcast_to(away, drawn.shape), axis=2).sum(1)
    p_value = _p_value((common**2).sum(), (exchanged**2).sum(1))
    size = runs.attempts.sum(0).clip(1)
    beyond = np.sqrt(max(((common**2 - exchanged.var(0)) / size**2).mean(), 0.0))
    found = "nothing was found: no run is better than others at all problems"
    if p_value < FINDING:
        found = (
            f"some runs are better than others at all problems (success rates differ by "
            f"{beyond:.3f} beyond chance): there are no more independent pieces than runs, "
            "however many attempts each has"
        )
    yield _row("common", beyond, np.nan, np.nan, p_value, found)

    n = whole.attempts.sum(1).mean()
    m = (whole.attempts**2).sum() / whole.attempts.sum()
    middle, most, least = (n / (1 + (m - 1) * one) for one in (rho, lower, upper))
    yield _row(
        "effective",
        middle,
        least,
        most,
        np.nan,
        f"{n:.4g} attempts at a problem are worth {middle:.3g} independent ones ({least:.3g} to "
        f"{most:.3g})",
    )


def _correlation(runs: _Runs) -> tuple[float, float, float]:
    """Return the median and the 95% band of the correlation within runs of a problem."""
    rates = (runs.successes.sum(1) + 0.5) / (runs.attempts.sum(1) + 1.0)
    mean, variance = rates.mean(), max(rates.var(), 1e-4)
    size = max(mean * (1 - mean) / variance - 1, 0.05)
    log_prior = sp.xlogy(mean * size, NODES) + sp.xlogy((1 - mean) * size, 1 - NODES)
    pairs, inverse = np.unique(
        np.stack([runs.attempts.ravel(), runs.successes.ravel()]), axis=1, return_inverse=True
    )
    (made, solved), inverse = pairs, inverse.ravel()
    log_density = np.empty(len(RHO))
    for i, rho in enumerate(RHO):
        if rho == 0:
            each = sp.xlogy(solved[:, None], NODES) + sp.xlogy((made - solved)[:, None], 1 - NODES)
        else:
            scale = 1 / rho - 1
            a, b = NODES * scale, (1 - NODES) * scale
            each = sp.betaln(a + solved[:, None], b + (made - solved)[:, None]) - sp.betaln(a, b)
        total = each[inverse].reshape(*runs.attempts.shape, -1).sum(1)
        log_density[i] = sp.logsumexp(total + log_prior, axis=1).sum()
    density = np.exp(log_density - log_density.max())
    cells = np.diff(RHO) * (density[1:] + density[:-1]) / 2
    below = np.concatenate([[0.0], cells.cumsum()]) / cells.sum()
    middle, lower, upper = np.interp([0.5, 0.025, 0.975], below, RHO)
    return float(middle), float(lower), float(upper)


def _copies(problem: Ints, run: Ints, success: Ints, rate: Floats) -> Iterator[dict[str, Any]]:
    """Yield whether two runs agree attempt by attempt more than chance would have it."""
    import pandas as pd

    place = pd.Series(success).groupby([problem, run]).cumcount().to_numpy()
    frame = pd.DataFrame({"at": list(zip(problem, place, strict=True)), "run": run, "y": success})
    table = frame.pivot_table(index="at", columns="run", values="y").to_numpy()
    rates = pd.Series(rate).groupby([pd.Series(problem), pd.Series(place)]).first().to_numpy()
    table = table[:, :MOST_RUNS]
    worst, z_worst, pairs = 0.0, -np.inf, 0
    for i in range(table.shape[1]):
        for j in range(i):
            both = ~np.isnan(table[:, i]) & ~np.isnan(table[:, j])
            if not both.any():
                continue
            p = rates[both]
            chance = p**2 + (1 - p) ** 2
            sd = np.sqrt((chance * (1 - chance)).sum())
            beyond = (table[both, i] == table[both, j]).sum() - chance.sum()
            pairs += 1
            if sd > 0 and beyond / sd > z_worst:
                z_worst, worst = beyond / sd, beyond / (1 - chance).sum()
    if not pairs:
        return
    p_value = float(min(1.0, pairs * sp.ndtr(-z_worst)))
    found = "nothing was found: no two runs have the same outcomes"
    if p_value < FINDING and worst > LEAST_COPIED:
        found = (
            f"two runs have the same outcome in {worst:.0%} of the attempts in which chance would "
            "have them differ: do they share a random state, or a cache? Count such attempts once"
        )
    yield _row("copies", worst, np.nan, np.nan, p_value, found)


def _order(
    piece: Ints, success: Ints, permutations: int, rng: np.random.Generator
) -> dict[str, Any]:
    """Return whether outcomes drift over the attempts at a problem, in each run by itself."""
    import pandas as pd

    made = np.bincount(piece)
    place = pd.Series(success).groupby(piece).cumcount().to_numpy()
    at = place / np.maximum(made[piece] - 1, 1) - 0.5
    rate = (np.bincount(piece, success) / made)[piece]
    slope = float((at * (success - rate)).sum() / (at**2).sum())
    # Given how many of a problem's attempts succeeded, permuting them gives a mean of 0 and
    # this variance; the sum over problems is normal, but for few attempts.
    squares, within = np.bincount(piece, at**2), np.bincount(piece, (success - rate) ** 2)
    sd = np.sqrt((squares * within / np.maximum(made - 1, 1)).sum()) / (at**2).sum()
    p_value = 2 * float(sp.ndtr(-abs(slope) / sd)) if sd > 0 else 1.0
    if len(success) < 2000 and sd > 0:
        drawn = np.empty(permutations)
        for i in range(permutations):
            key = np.lexsort((rng.random(len(success)), piece))
            back = np.lexsort((place, piece))
            drawn[i] = (at[back] * success[key]).sum()
        drawn = (drawn - (at * rate).sum()) / (at**2).sum()
        p_value = _p_value(slope, drawn, two_sided=True)
    found = "nothing was found: outcomes do not drift"
    if p_value < FINDING:
        word = "better" if slope > 0 else "worse"
        found = (
            f"later attempts are {word}: by {abs(slope):.3f} from the first to the last. Did the "
            "system, its cache or its limits change? A forecast is of their mean"
        )
    return _row("order", slope, np.nan, np.nan, p_value, found)


def _completions(frame: "pd.DataFrame") -> dict[str, Any]:
    """Return how many attempts have the completion of an earlier one."""
    known = frame[frame["completion"].notna()]
    share = float(known.duplicated(["problem", "completion"]).mean()) if len(known) else 0.0
    found = (
        f"{share:.0%} of attempts have a completion that an earlier attempt at the problem has: "
        "copies tell nothing new, but a short answer may recur"
        if share
        else "no completion occurs twice at a problem"
    )
    return _row("completions", share, np.nan, np.nan, np.nan, found)


def _row(
    question: str, value: float, lower: float, upper: float, p_value: float, finding: str
) -> dict[str, Any]:
    return {
        "question": question,
        "value": float(value),
        "lower": float(lower),
        "upper": float(upper),
        "p_value": float(p_value),
        "finding": finding,
    }
