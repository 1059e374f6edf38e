"""Every exception and warning a user may catch: one class per cause."""

from collections.abc import Sequence

__all__ = [
    "ConvergenceWarning",
    "CountsError",
    "FamilyWarning",
    "FitFileError",
    "ForecastWarning",
    "InputError",
    "LooWarning",
    "OptionError",
    "PoolingWarning",
    "PriorDrivenWarning",
    "SamplingError",
]


class InputError(ValueError):
    """Something given to bayespassk cannot be used; the message says what and what to do.

    The parent of every error raised for bad input, so that one ``except`` catches them all.
    """


class CountsError(InputError):
    """The outcomes break a rule of :class:`bayespassk.Counts`.

    Attributes
    ----------
    rule : str
        The rule that is broken.
    rows : int
        How many rows break it; 0 if the rule is not about rows.
    first : int or None
        Position of the first such row, counted from 1; None if the rule is not about rows.
    """

    def __init__(self, message: str, *, rule: str = "", rows: int = 0, first: int | None = None):
        super().__init__(message)
        self.rule = rule or message
        self.rows = rows
        self.first = first


class OptionError(InputError):
    """An argument such as ``k``, ``target`` or ``method`` has a value that means nothing."""


class FitFileError(InputError):
    """A file or tree is not a fit made by bayespassk, or not one that can be read."""


class SamplingError(RuntimeError):
    """The sampler could not start: the posterior is not finite wherever it tried."""

    @classmethod
    def at_the_start(cls, whom: str, details: str) -> "SamplingError":
        """Return the error about the posterior of some systems."""
        return cls(
            f"the sampler could not start {whom}, as the posterior is not finite where it tried "
            f"({details}). Try a narrower prior or another family, and report it: it should not "
            "happen"
        )


class ConvergenceWarning(UserWarning):
    """The sampler did not converge: numbers made from this fit are not to be trusted yet.

    Attributes
    ----------
    systems : tuple of str
        The systems concerned.
    max_rhat : float or None
        Largest rank-normalised split R-hat; should be at most 1.01. Of NUTS only.
    min_ess : float or None
        Smallest bulk effective sample size; should be at least 400.
    divergences : int
        Divergent transitions after tuning; should be 0.
    pareto_k : float or None
        Largest Pareto k of the importance ratios; should be at most 0.7.
    """

    def __init__(
        self,
        message: str,
        *,
        systems: Sequence[str] = (),
        max_rhat: float | None = None,
        min_ess: float | None = None,
        divergences: int = 0,
        pareto_k: float | None = None,
    ):
        super().__init__(message)
        self.systems = tuple(systems)
        self.max_rhat = max_rhat
        self.min_ess = min_ess
        self.divergences = divergences
        self.pareto_k = pareto_k


class LooWarning(UserWarning):
    """Leave-one-out by importance sampling is unreliable for some problems.

    Attributes
    ----------
    system, family : str
        Whose problems, under which family.
    problems : int
        How many problems have a Pareto k that is too large.
    max_pareto_k : float
        The largest of them; should be at most 0.7.
    """

    def __init__(
        self,
        message: str,
        *,
        system: str = "",
        family: str = "",
        problems: int = 0,
        max_pareto_k: float | None = None,
    ):
        super().__init__(message)
        self.system = system
        self.family = family
        self.problems = problems
        self.max_pareto_k = max_pareto_k


class PriorDrivenWarning(UserWarning):
    """A system has no success (or no failure) at all, so its forecast rests on the prior.

    Attributes
    ----------
    systems : tuple of str
        The systems concerned.
    """

    def __init__(self, message: str, *, systems: Sequence[str] = ()):
        super().__init__(message)
        self.systems = tuple(systems)


class ForecastWarning(UserWarning):
    """A system's own attempts make less than half of a forecast far beyond them.

    The rest is the prior, other systems that it is pooled with, or the choice of family. Also: the
    prior moves a forecast, or an interval of highest density spans two modes.

    Attributes
    ----------
    systems : tuple of str
        The systems concerned.
    k : int
        The largest number of attempts asked for, at which this was found.
    prior_share : tuple of float
        The weight of the prior for each of these systems, 0 to 1; empty if it is not the prior. It
        and `others_share` are more than 0.5 together.
    others_share : tuple of float
        The weight of other systems for each of these systems; 0 of those that are not pooled.
    family_share : tuple of float
        What the choice among several families makes of the variance for each of these systems,
        0.5 to 1; empty if it is not that choice.
    prior_shift : tuple of float
        How far the prior shifts the forecast of each of these systems, in its standard deviations;
        empty if it is not that.
    """

    def __init__(
        self,
        message: str,
        *,
        systems: Sequence[str] = (),
        k: int = 0,
        prior_share: Sequence[float] = (),
        others_share: Sequence[float] = (),
        family_share: Sequence[float] = (),
        prior_shift: Sequence[float] = (),
    ):
        super().__init__(message)
        self.systems = tuple(systems)
        self.k = k
        self.prior_share = tuple(prior_share)
        self.others_share = tuple(others_share)
        self.family_share = tuple(family_share)
        self.prior_shift = tuple(prior_shift)


class FamilyWarning(UserWarning):
    """The attempts contradict the family: up to n, pass@k of both is not the same.

    Attributes
    ----------
    systems : tuple of str
        The systems concerned.
    p_value : tuple of float
        How often the attempts of each would be so far off if the family were right.
    """

    def __init__(self, message: str, *, systems: Sequence[str] = (), p_value: Sequence[float] = ()):
        super().__init__(message)
        self.systems = tuple(systems)
        self.p_value = tuple(p_value)


class PoolingWarning(UserWarning):
    """Pooling makes more of a forecast than it should be trusted with.

    Systems that are pooled have the same counts at every problem, so that a copy under another name
    counts twice; or pooling moved a forecast beyond the band of the system alone.

    Attributes
    ----------
    systems : tuple of str
        The systems concerned.
    k : int
        The number of attempts at which a forecast was moved; 0 if it is not that.
    """

    def __init__(self, message: str, *, systems: Sequence[str] = (), k: int = 0):
        super().__init__(message)
        self.systems = tuple(systems)
        self.k = k
