"""Is a requirement met? Yes, no, or not to be told yet, with how many attempts would tell."""

import re
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import xarray as xr
from scipy import stats

from bayespassk.arguments import check_arguments
from bayespassk.arrays import Floats, Ints
from bayespassk.asking.pairs import difference
from bayespassk.asking.pass_at_k import PassAtK, forecast
from bayespassk.asking.question import ask
from bayespassk.counts import Counts
from bayespassk.errors import OptionError
from bayespassk.families import Family
from bayespassk.families.dependent import dependence
from bayespassk.fitting.lattice import takes
from bayespassk.fitting.verb import fit as fit_counts
from bayespassk.options import Target, check_k, check_target, shown
from bayespassk.posterior.fitted import Fitted, opened

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Gate", "gate"]

type Status = Literal["met", "not met", "cannot tell"]

GRAMMAR = (
    "'pass@10 >= 0.9', 'pass@10 of NAME >= 90%', 'A > B at pass@10', 'A > B by 0.05 at pass@10', "
    "or with a baseline 'pass@10 >= baseline - 0.02'"
)

AHEAD = (1.0, 8.0)
"""How many times the attempts made are simulated ahead."""

MOST = 1000.0
"""How many times the attempts made are looked ahead."""

NUMBER = r"(?:[0-9]+|(?=\.[0-9]))(?:[.,][0-9]+)*(?:e[+-]?[0-9]+)?%?"
AT = rf"pass@(?P<k>{NUMBER})"
OF_ONE = re.compile(
    rf"{AT}(?:\s+of\s+(?P<system>.+?))?\s*(?P<sign>[<>]=?)\s*"
    rf"(?:(?P<value>{NUMBER})|baseline\s*(?:(?P<shift>[+-])\s*(?P<by>{NUMBER}))?)",
    re.IGNORECASE,
)
OF_TWO = re.compile(
    rf"(?P<a>.+?)\s+(?P<sign>[<>]=?)\s+(?P<b>.+?)(?:\s+by\s+(?P<by>{NUMBER}))?\s+at\s+{AT}",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Requirement:
    """What is asked of a fit, parsed.

    Attributes
    ----------
    text : str
    k : float
    above : bool
        Whether the difference is to be above 0, rather than below.
    value : float
        What is subtracted: a level of pass@k, or a margin.
    system : str, optional
        The system it is about; all of them if none is named.
    other : str, optional
        The system that it is compared with.
    baseline : bool
        Whether it is compared with the baseline.
    """

    text: str
    k: float
    above: bool
    value: float
    system: str | None = None
    other: str | None = None
    baseline: bool = False

    @classmethod
    def parse(cls, text: str) -> "Requirement":
        """Return what a text asks.

        Raises
        ------
        OptionError
            If it is none of the forms of `GRAMMAR`.
        """
        whole = " ".join(str(text).split())
        if found := OF_ONE.fullmatch(whole):
            baseline = found["value"] is None
            value = _number(found["by"] or "0") if baseline else _number(found["value"])
            if baseline and found["shift"] == "-":
                value = -value
            return cls(
                whole,
                _k(found["k"]),
                found["sign"][0] == ">",
                value,
                found["system"],
                None,
                baseline,
            )
        if found := OF_TWO.fullmatch(whole):
            above, by = found["sign"][0] == ">", _number(found["by"] or "0")
            return cls(whole, _k(found["k"]), above, by if above else -by, found["a"], found["b"])
        raise OptionError(f"a requirement must be like {GRAMMAR}; got {shown(whole)}")


@dataclass(frozen=True, eq=False)
class Gate:
    """Whether requirements are met.

    Attributes
    ----------
    status : {"met", "not met", "cannot tell"}
        "met" if all are; "not met" if one is not.
    prob : float
        How probable a requirement must be to be met, or its contrary to be not met.
    rows : pandas.DataFrame
        A row for each requirement and system, with the columns

        * requirement, system, status; probability: of the posterior that it is met
        * of: "pass@k", or "difference" from another system or the baseline; k; value, its mark
        * median, lower, upper: of that, equal-tailed with the probability `prob`
        * further: about how many further attempts should tell, at all systems of the requirement
          together; NaN where it is told already, where 1,000 times those made would not, or for
          fits that quadrature does not make
    """

    status: Status
    prob: float
    rows: "pd.DataFrame"

    @property
    def met(self) -> bool:
        """Whether all requirements are met."""
        return self.status == "met"

    def __bool__(self) -> bool:
        raise TypeError(
            "a gate has three answers: compare its status, as in gate.status == 'not met', or take "
            "gate.met"
        )

    def message(self) -> str:
        """Return the verdict in a sentence for each requirement and system."""
        return "\n".join(_sentence(row, self.prob) for row in _records(self.rows))


def gate(
    fit: xr.DataTree,
    require: str | Iterable[str],
    *,
    prob: float = 0.95,
    against: xr.DataTree | None = None,
    target: Target = "benchmark",
    random_seed: int | None = None,
) -> Gate:
    """Return whether requirements are met, are not, or cannot be told from these attempts.

    Parameters
    ----------
    fit : DataTree
        From :func:`bayespassk.fit` or :func:`bayespassk.load`.
    require : str or sequence of str
        ``"pass@10 >= 0.9"`` of all systems, or ``"pass@10 of NAME >= 90%"`` of one;
        ``"A > B at pass@10"``, or ``"A > B by 0.05 at pass@10"``; with `against`
        ``"pass@10 >= baseline"`` or ``"pass@10 >= baseline - 0.02"``.
    prob : float
        A requirement is met if its posterior probability is at least this, not met if that of its
        contrary is; 0.5 to 1.
    against : DataTree, optional
        The fit of a baseline, of one system, or of one with the same name.
    target : {"benchmark", "population", "realised"}
        As for :func:`bayespassk.forecast`.
    random_seed : int, optional
        As for :func:`bayespassk.forecast`.

    Returns
    -------
    Gate

    Raises
    ------
    OptionError
        If a requirement is not understood, or names a system that is not there.

    Warns
    -----
    ForecastWarning
        As :func:`bayespassk.forecast`: a verdict on k far beyond the attempts rests on family and
        prior.

    Notes
    -----
    Each verdict is wrong with a probability of at most 1 - `prob`, over what the attempts leave
    open, if family and prior are right. A test that runs on every change asks again and again: of
    100 verdicts on a system just at the mark, some are wrong. Attempts at the baseline are taken to
    be independent of those of the fit.

    `further` are about the attempts, at all problems in proportion to those made, after which the
    posterior has narrowed enough if its median stays where it is: about half of the time fewer will
    do. :func:`allocate` does with fewer, as it puts attempts where they tell most. How it narrows
    is seen in two simulated futures, with as many attempts again and with eight times as many.

    Examples
    --------
    >>> import bayespassk as bp
    >>> counts = bp.thin(bp.load_example(), 100, random_seed=1)
    >>> fit = bp.fit(counts, random_seed=1)
    >>> bp.gate(fit, "pass@10 of large >= 0.2").status
    'met'
    >>> bp.gate(fit, "large > small by 0.5 at pass@10").status
    'not met'
    """
    import pandas as pd

    check_arguments("gate", locals())
    if not 0.5 < prob < 1:
        raise OptionError(f"prob must lie between 0.5 and 1; got {prob!r}")
    check_target(target)
    asked = [Requirement.parse(one) for one in ([require] if isinstance(require, str) else require)]
    if not asked:
        raise OptionError("a gate needs a requirement, such as 'pass@10 >= 0.9'")
    fitted = opened(fit)
    seed = fitted.seed_or(random_seed)
    rows = []
    for one in asked:
        names = _systems_of(one, fitted.systems)
        each = _asked(one, names, fitted, target, seed)
        rows += [
            _judged(one, system, each[system], fitted, against, prob, target, seed)
            for system in names
        ]
    found = {row["status"] for row in rows}
    status: Status = "met" if found == {"met"} else "cannot tell"
    return Gate("not met" if "not met" in found else status, prob, pd.DataFrame(rows))


def _asked(
    one: Requirement, systems: list[str], fitted: Fitted, target: Target, seed: int
) -> dict[str, Floats]:
    """Return draws of pass@k of each system, or of its difference from the other."""
    if one.other is not None:
        (system,) = systems
        found = difference(fitted.tree, system, one.other, one.k, target, random_seed=seed)
        return {system: np.asarray(found.values, dtype=float).ravel()}
    found = forecast(fitted.tree, one.k, target, random_seed=seed)
    return {
        system: np.asarray(found.sel(system=system).values, dtype=float).ravel()
        for system in systems
    }


def _judged(
    one: Requirement,
    system: str,
    draws: Floats,
    fitted: Fitted,
    against: xr.DataTree | None,
    prob: float,
    target: Target,
    seed: int,
) -> dict[str, Any]:
    """Return a row of the table."""
    systems = [system] if one.other is None else [system, one.other]
    base = None
    if one.baseline:
        base = _baseline(one, system, against, target, seed)
        draws = _apart(draws, base, seed)
    status, probability = _told(one, draws, prob)
    tail = (1 - prob) / 2
    lower, median, upper = (float(v) for v in np.quantile(draws, [tail, 0.5, 1 - tail]))
    further = np.nan
    if status == "cannot tell":
        in_sds = abs(median - one.value) / max(float(draws.std()), 1e-300)
        further = _further(one, systems, fitted, base, in_sds, prob, target, seed)
    return {
        "requirement": one.text,
        "system": system,
        "status": status,
        "probability": probability,
        "of": "pass@k" if one.other is None and not one.baseline else "difference",
        "k": one.k,
        "value": one.value,
        "median": median,
        "lower": lower,
        "upper": upper,
        "further": further,
    }


def _baseline(
    one: Requirement, system: str, against: xr.DataTree | None, target: Target, seed: int
) -> Floats:
    """Return draws of pass@k of the baseline of a system."""
    if against is None:
        raise OptionError(
            f"{shown(one.text)} needs a baseline: give its fit, as against=bp.load('baseline.nc') "
            "(--against baseline.nc)"
        )
    there = opened(against).systems
    name = system if system in there else there[0]
    if len(there) > 1 and name != system:
        raise OptionError(
            f"the baseline has the systems {', '.join(map(repr, there))}, none of which is called "
            f"{system!r}: give one of a single system"
        )
    draws = forecast(against, one.k, target, random_seed=seed).sel(system=name)
    return np.asarray(draws.values, dtype=float).ravel()


def _further(
    one: Requirement,
    systems: list[str],
    fitted: Fitted,
    base: Floats | None,
    in_sds: float,
    prob: float,
    target: Target,
    seed: int,
) -> float:
    """Return about how many further attempts would tell, or NaN.

    `in_sds` is how far the median is from the mark, in posterior standard deviations. How these
    shrink is seen in futures with p of the problems from their posterior and further attempts at
    all of them in proportion to those made, fitted without pooling; between and beyond the futures
    it is taken for a power of the attempts.
    """
    family = fitted.family
    if dependence(family) is not None or not takes(family) or fitted.formula is not None:
        return np.nan
    made = [_made(fitted, system) for system in systems]
    at, variance = np.log1p((0.0, *AHEAD)), np.zeros(1 + len(AHEAD))
    for i, times in enumerate((0.0, *AHEAD)):
        rng = np.random.default_rng([seed, 13, i])
        for system, counts in zip(systems, made, strict=True):
            after = _after(fitted, system, *counts, times, rng)
            variance[i] += _variance(after, family, one.k, target, seed)
    shrunk = variance / variance[0]
    if base is not None:  # no attempt is made at the baseline
        share = float(base.var()) / (variance[0] + float(base.var()))
        shrunk = share + (1 - share) * shrunk
    log_sd = 0.5 * np.log(np.maximum(shrunk, 1e-300))
    wanted = np.log(max(in_sds, 1e-300) / stats.norm.ppf(prob))
    slope = min(0.0, (log_sd[-1] - log_sd[-2]) / (at[-1] - at[-2]))
    reach = np.linspace(0.0, np.log1p(MOST), 2000)[1:]
    expected = np.interp(reach, at, log_sd)
    beyond = reach > at[-1]
    expected[beyond] = log_sd[-1] + slope * (reach[beyond] - at[-1])
    enough = np.flatnonzero(expected <= wanted)
    if not len(enough):
        return np.nan
    times = float(np.expm1(reach[enough[0]]))
    return float(sum(np.ceil(times * counts[1]).sum() for counts in made))


def _made(fitted: Fitted, system: str) -> tuple[Ints, Ints]:
    """Return successes and attempts of a system."""
    mine = fitted.system_index == fitted.position(system)
    return fitted.successes[mine], fitted.attempts[mine]


def _after(
    fitted: Fitted, system: str, solved: Ints, made: Ints, times: float, rng: np.random.Generator
) -> Counts:
    """Return the counts of a system after further attempts."""
    parameters = fitted.parameters(fitted.position(system))
    draw = rng.integers(fitted.draws)
    drawn = {name: np.ravel(values)[[draw]] for name, values in parameters.items()}
    p = fitted.family.draw_seen(drawn, rng, solved, made - solved)[0]
    more = np.ceil(times * made).astype(np.int64)
    names = fitted.problems[fitted.system_index == fitted.position(system)]
    found = solved + rng.binomial(more, p)
    return Counts(problem=names, attempts=made + more, successes=found, system=system)


def _variance(counts: Counts, family: Family, k: float, target: Target, seed: int) -> float:
    """Return the posterior variance of pass@k of one system."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a future
        fit = fit_counts(counts, family, pooling="none", random_seed=seed, progress=False)
        draws = ask(opened(fit), PassAtK(check_k(k)), target, seed, warn=False)
    return float(draws.values.var())


def _told(one: Requirement, draws: Floats, prob: float) -> tuple[Status, float]:
    """Return what draws say of a requirement, and the probability that it is met."""
    apart = draws - one.value if one.above else one.value - draws
    probability = float((apart >= 0).mean())
    if probability >= prob:
        return "met", probability
    return ("not met" if probability <= 1 - prob else "cannot tell"), probability


def _apart(own: Floats, base: Floats, seed: int) -> Floats:
    """Return the difference of independent draws: not in the order of a common seed."""
    rng, many = np.random.default_rng([seed, 12]), max(len(own), len(base))
    return np.asarray(
        rng.permutation(np.resize(own, many)) - rng.permutation(np.resize(base, many))
    )


def _systems_of(one: Requirement, systems: Iterable[str]) -> list[str]:
    known = list(systems)
    for name in (one.system, one.other):
        if name is not None and name not in known:
            raise OptionError(
                f"{shown(one.text)}: there is no system {shown(name)}; there are "
                f"{', '.join(shown(each) for each in known[:8])}"
            )
    return known if one.system is None else [one.system]


def _sentence(row: Mapping[str, Any], prob: float) -> str:
    """Return a verdict in words."""
    of = f"{'' if row['of'] == 'pass@k' else 'difference at '}pass@{row['k']:,.0f}"
    text = (
        f"{row['status'].capitalize()}: {row['requirement']} ({row['system']!r}). Its posterior "
        f"probability is {_in_words(row['probability'])}; {of} {row['median']:.4g}, "
        f"{100 * prob:.4g}% in {row['lower']:.4g} to {row['upper']:.4g}."
    )
    if row["status"] != "cannot tell":
        return text
    if np.isnan(row["further"]):
        return f"{text} No number of attempts at these problems is known that would tell."
    return f"{text} About {row['further']:,.0f} further attempts should tell."


def _in_words(probability: float) -> str:
    """Return a share of some thousand draws, of which none or all say no more than that."""
    if probability > 0.999:
        return "above 0.999"
    return "below 0.001" if probability < 0.001 else f"{probability:.3f}"


def _records(table: "pd.DataFrame") -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def _k(text: str) -> float:
    (k,) = check_k(_number(text))
    return float(k)


def _number(text: str) -> float:
    """Return a number as people write it: 0.9, 90%, 1e6, 10,000."""
    percent = text.endswith("%")
    plain = text.rstrip("%")
    if re.fullmatch(r"[0-9]{1,3}(,[0-9]{3})+", plain):
        plain = plain.replace(",", "")
    try:
        value = float(plain)
    except ValueError:
        raise OptionError(f"{shown(text)} is no number: write 0.9, 90%, 10000 or 1e6") from None
    return value / 100 if percent else value
