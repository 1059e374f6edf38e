"""What can be asked of a fit, and the one way in which it is answered.

A question is about the success probability p of each problem. `ask` takes it to every system of a
fit, for a target: new problems of the kind, the very problems attempted, or one run at these. It
labels what comes back, and warns where the prior made it.

A new question is a class with what it is of new problems, of those attempted and, if that means
anything, of a run; of a `Mean` over problems all but the last follow from two formulas. A new
target is a line of `ANSWERS` and a method here.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.special import logsumexp

from bayespassk.arrays import Floats, Ints
from bayespassk.asking.influence import warn_if_prior_rules, warn_if_prior_shifts
from bayespassk.asking.seen import Seen, rates_of
from bayespassk.errors import OptionError
from bayespassk.families import Family
from bayespassk.families.base import Parameters
from bayespassk.options import MOST_K, check_target
from bayespassk.posterior.covariates import design_at
from bayespassk.posterior.fitted import Fitted, Part

__all__ = ["Kind", "Mean", "Question", "answer", "ask", "columns_at", "labelled"]


@dataclass(frozen=True, eq=False)
class Kind:
    """New problems like those of one system.

    Attributes
    ----------
    family : Family
    parts : sequence of Part
        Groups of problems with the same parameters.
    shares : array, dims (part,)
        Which share of the problems is of each.
    system : str
        The label of the system.
    """

    family: Family
    parts: Sequence[Part]
    shares: Floats
    system: str = ""

    @classmethod
    def of(cls, fitted: Fitted, system: int, at: Mapping[str, Any] | None = None) -> "Kind":
        """Return those of a system; with `at`, those that have these covariates."""
        if at is not None:
            (first, *_) = fitted.parts[system]
            part = first._replace(parameters=_parameters_at(fitted, system, at))
            return cls(fitted.family, (part,), np.ones(1), fitted.systems[system])
        parts = fitted.parts[system]
        problems = np.array([len(part.rows) for part in parts])
        return cls(fitted.family, parts, problems / problems.sum(), fitted.systems[system])

    @property
    def problems(self) -> int:
        """How many problems the system attempted."""
        return sum(len(part.rows) for part in self.parts)

    def mean(self, of: Callable[[Parameters], Floats]) -> Floats:
        """Return a function of the parameters, averaged over the groups, dims (draw, ...)."""
        each = (
            share * of(part.parameters) for share, part in zip(self.shares, self.parts, strict=True)
        )
        return np.asarray(sum(each))

    def log_fail(self, ks: NDArray[Any]) -> Floats:
        """Return log fail@k, dims (chain, draw, k)."""
        each = [self.family.log_moment(part.parameters, 0, ks) for part in self.parts]
        if len(each) == 1:
            return each[0]
        return np.asarray(logsumexp(each, 0, b=self.shares[:, None, None, None]))


class Question(ABC):
    """What is asked of the p of problems.

    Attributes
    ----------
    name : str
        What the answer is called.
    dim : str
        The dim of `values`.
    values : array, dims (value,)
        What it is asked at, such as numbers of attempts.
    rests_on : str
        What rests on a forecast there, for the warning where the prior rules; empty for a forecast.
    not_of_runs : str
        Why there is no answer of one run, if there is none: "target must be ... for" this.
    """

    name: ClassVar[str]
    dim: ClassVar[str] = "k"
    rests_on: ClassVar[str] = ""
    not_of_runs: ClassVar[str] = ""
    values: NDArray[Any]

    @abstractmethod
    def of_kind(self, kind: Kind) -> Floats:
        """Return the answer of new problems, dims (chain, draw, value)."""

    @abstractmethod
    def of_problems(self, seen: Seen) -> Floats:
        """Return the answer of the problems attempted, dims (chain, draw, value)."""

    def of_run(self, seen: Seen) -> Floats:
        """Return the answer of one run at the problems attempted, dims (chain, draw, value)."""
        raise NotImplementedError(self.name)

    def far(self, fitted: Fitted, answers: Sequence[Floats]) -> Floats | None:
        """Return the largest k that the answers rest on, dims (system,); None: the prior may rule.

        `answers` are those of the systems, dims (chain, draw, value) each.
        """
        del fitted
        return np.full(len(answers), float(self.values.max()))

    def near(self, fitted: Fitted) -> float:
        """Return up to which k the attempts speak at the least, beside their own number."""
        del fitted
        return np.inf

    def resting(self, found: Floats, k: float, again: Callable[["Question"], Floats]) -> Floats:
        """Return the draws of the forecast that an answer rests on, at the k that is far.

        `found` is the answer of a system; `again` asks it another question.
        """
        del k, again
        return found[..., int(np.argmax(self.values))]

    def coord(self) -> NDArray[Any]:
        """Return the labels of `values`."""
        return self.values


class Mean(Question):
    """The mean over problems of a function of the p of each."""

    def drawn(
        self,
        family: Family,
        parameters: Parameters,
        rng: np.random.Generator,
        successes: Ints,
        failures: Ints,
    ) -> Floats:
        """Draw of problems with these counts what :meth:`each` takes: -log(1-p).

        dims (..., draw, problem); `parameters` have dims (draw,), the counts (problem,).
        """
        return rates_of(family, parameters, rng, successes, failures)

    def at(self, family: Family, parameters: Parameters, logit: Floats) -> Floats:
        """Return what :meth:`each` takes from logit p, dims (..., draw, node).

        `parameters` have dims (draw,), `logit` (draw, node); the first may be of size 1.
        """
        return family.rates(parameters, logit)

    @abstractmethod
    def each(self, drawn: Floats, value: float) -> Floats:
        """Return the function at one of `values`, dims (draw, problem)."""

    @abstractmethod
    def expected(self, family: Family, parameters: Parameters, c: Any, f: Any) -> Floats:
        """Return its expectation for problems of which c and f were seen, dims (..., cell, value).

        `c` and `f` have dims (cell, 1).
        """

    def of_kind(self, kind: Kind) -> Floats:
        """Return the expectation for problems of which nothing was seen."""
        none = np.zeros((1, 1))
        return kind.mean(lambda given: self.expected(kind.family, given, none, none)[..., 0, :])

    def of_problems(self, seen: Seen) -> Floats:
        """Return the mean over the problems, each drawn given its counts."""
        return seen.mean(self)


type _Of = Callable[
    [Question, Fitted, int, int, NDArray[np.bool_] | None, Mapping[str, Any] | None], Floats
]

ANSWERS: dict[str, _Of] = {
    "population": lambda one, fitted, system, _seed, _rows, at: one.of_kind(
        Kind.of(fitted, system, at)
    ),
    "benchmark": lambda one, fitted, system, seed, rows, _at: one.of_problems(
        Seen(fitted, system, seed, rows)
    ),
    "realised": lambda one, fitted, system, seed, rows, _at: one.of_run(
        Seen(fitted, system, seed, rows)
    ),
}
"""What each target makes of a question."""


def answer(
    fitted: Fitted,
    system: int,
    question: Question,
    target: str,
    seed: int,
    *,
    rows: NDArray[np.bool_] | None = None,
    at: Mapping[str, Any] | None = None,
) -> Floats:
    """Return the answer of one system, dims (chain, draw, value).

    `rows`, dims (row,), says which problems are meant by those attempted; `at` which covariates new
    ones have.
    """
    found = ANSWERS[target](question, fitted, system, seed, rows, at)
    return found.reshape(*fitted.shape, -1)


def ask(
    fitted: Fitted,
    question: Question,
    target: str = "benchmark",
    random_seed: int | None = None,
    *,
    at: Mapping[str, Any] | None = None,
    warn: bool = True,
) -> xr.DataArray:
    """Return the draws of an answer, dims (chain, draw, system, value), labelled.

    `random_seed` is that of the fit by default. With `warn`, a
    :class:`bayespassk.errors.ForecastWarning` tells where the prior weighs more than the attempts.

    Raises
    ------
    OptionError
        If the target means nothing for the question.
    """
    check_target(target, question.not_of_runs)
    if at is not None and target != "population":
        raise OptionError(f"at needs target='population', as it is of new problems; got {target!r}")
    seed = fitted.seed_or(random_seed)
    answers = [
        answer(fitted, system, question, target, seed, at=at)
        for system in range(len(fitted.systems))
    ]
    result = labelled(fitted, question, answers, target, seed)
    if warn:
        _warn(fitted, question, answers, target, seed)
    return result


def labelled(
    fitted: Fitted, question: Question, answers: Sequence[Floats], target: str, seed: int
) -> xr.DataArray:
    """Return the answers of all systems as one array, with what a number must carry with it."""
    values = np.stack([one[..., : len(question.values)] for one in answers], axis=2)
    return xr.DataArray(
        values,
        dims=("chain", "draw", "system", question.dim),
        coords=fitted.coords | {question.dim: question.coord()},
        name=question.name,
        attrs={
            "target": target,
            "forecast_seed": seed,
            "method": fitted.tree.attrs["method"],
            **fitted.origin,
        },
    )


def _warn(
    fitted: Fitted, question: Question, answers: Sequence[Floats], target: str, seed: int
) -> None:
    far = question.far(fitted, answers)
    if far is None:
        return

    def draws(system: int) -> Floats:
        return question.resting(
            answers[system],
            min(float(far[system]), float(MOST_K)),
            lambda other: answer(fitted, system, other, target, seed),
        ).ravel()

    told = warn_if_prior_rules(
        fitted,
        dict(enumerate(far.tolist())),
        draws,
        question.rests_on,
        near=question.near(fitted),
        stacklevel=4,
    )
    if question.dim == "k":
        others = {i: one for i, one in enumerate(answers) if i not in told}
        warn_if_prior_shifts(fitted, others, question.values, stacklevel=4)


# Covariates of new problems ----------------------------------------------------------------------


def columns_at(
    fitted: Fitted, at: Mapping[str, Any] | None, system: int | None = None
) -> tuple[Floats, Floats]:
    """Return the columns of the design that are a system's, and those that are a problem's.

    Of `system`, covariates that are not in `at` have the value they have for all its problems.

    Raises
    ------
    OptionError
        If the fit has no covariates, or `at` does not name those it has.
    """
    if fitted.design is None:
        if at:
            raise OptionError(f"at needs a fit with covariates; got {dict(at)!r} and a fit without")
        return np.zeros(0), np.zeros(0)
    known, given = fitted.covariates, dict(at or {})
    if system is not None:
        mine = fitted.system_index == system
        for name, values in known.items():
            if len(set(values[mine].tolist())) == 1:
                given.setdefault(name, values[mine][0])
    columns = design_at(fitted.tree.attrs["design"], known, given)
    return columns[~fitted.varies], columns[fitted.varies]


def _parameters_at(fitted: Fitted, system: int, at: Mapping[str, Any]) -> dict[str, Floats]:
    """Return the parameters of a system's problems with these covariates, dims (chain, draw)."""
    own, of_problems = columns_at(fitted, at, system)
    mine = fitted.system_design
    if mine is not None and not np.allclose(own, mine[system]):
        changed = ", ".join(fitted.hierarchy.system_columns)
        raise OptionError(
            f"at must leave covariates of systems ({changed}) as they are; got {dict(at)!r}. "
            "Of a system with others see bp.forecast_new_system"
        )
    return fitted.parameters(system, of_problems)
