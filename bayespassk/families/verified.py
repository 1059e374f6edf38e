"""Verdicts: attempts judged by a verifier that is sometimes wrong."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special as sp

from bayespassk.arrays import Floats
from bayespassk.errors import OptionError
from bayespassk.families.base import ByCell, Declare, Family, Leaf, Parameters, Prior
from bayespassk.families.mixture import log_moment_of_problems, pick
from bayespassk.families.quadrature import prior_parameters
from bayespassk.families.verifier import (
    RATES,
    JudgedDensity,
    JudgedPoint,
    Verifier,
    outer,
    without_rates,
)
from bayespassk.special import NUMPY, Special

__all__ = ["Verified"]

OVERLAP = 0.05
"""The most prior probability there may be that phi is as large as t."""


@final
@dataclass(frozen=True)
class Verified(ByCell):
    """A family of the probability p that an attempt is correct, where verdicts are what is counted.

    A verifier accepts a correct attempt with probability t, its true-positive rate, and a wrong one
    with probability phi, its false-positive rate. A success in the counts is an attempt that was
    accepted, and has the probability

        q = p t + (1-p) phi.

    The parameters are those of `base`, the distribution of p over problems; the likelihood, and all
    that bayespassk says of verdicts (checks, leave-one-out, :func:`bayespassk.forecast` and the
    other general verbs), follow from the moments of q. So ``bp.forecast`` of such a fit is the
    *apparent* pass@k, which tends to 1. Of the truth say
    :func:`bayespassk.verifier.true_pass_at_k`, :func:`bayespassk.verifier.first_pass_correct_at_k`
    and :func:`bayespassk.verifier.first_pass_ceiling`.

    Parameters
    ----------
    base : Family
        The distribution of p over problems, wrappers and all: ``Verified(ZeroInflated(Beta()))``.
    true_positive_rate : float or Prior
        t: a number above 0 and up to 1 if it is known, or a prior of its logit, such as
        ``bp.Prior.beta(95, 5)``, to be learned with the parameters.
    false_positive_rate : float or Prior
        phi: a number from 0 and below t, or a prior of its logit.

    Raises
    ------
    OptionError
        If a rate is impossible, if t is not above phi, or if the priors leave a chance of more than
        5% that it is not: then nothing tells correct attempts from wrong ones.

    Notes
    -----
    Both rates are taken to be the same for all problems and attempts of a system. Real verifiers
    are weak on some problems and strict on others: then the few problems with poor tests make most
    false positives, the apparent pass@k stops growing at another height, and a corrected forecast
    can be wrong either way.

    Counts of verdicts hardly tell p from phi. Problems that are accepted once in a hundred attempts
    are solved rarely, or never and misjudged: only the rates decide between the two. With a vague
    prior of phi, much of the posterior is that prior; and whatever the prior, attempts say nothing
    about p far below phi / t. No success at all says that p t and phi are small.

    References
    ----------
    Stroebl, Kapoor and Narayanan 2024, arXiv:2411.17501; Rogan and Gladen 1978, Am. J. Epidemiol.
    107: 71-76 (prevalence from an imperfect test).

    Examples
    --------
    >>> import bayespassk as bp
    >>> family = bp.Verified(bp.Beta(), true_positive_rate=0.95, false_positive_rate=0.01)
    >>> log_rejected = family.log_moment({"a": 0.25, "b": 5.0}, 0, 10_000)
    >>> round(float(-np.expm1(log_rejected)), 4)  # that one of 10,000 attempts is accepted
    1.0
    """

    name: ClassVar[str] = "verified"
    when: ClassVar[str] = "the verifier is sometimes wrong, and you know how often"
    location: ClassVar[str] = ""
    draws: ClassVar[int] = 2000

    base: Family
    true_positive_rate: float | Prior = field(kw_only=True)
    false_positive_rate: float | Prior = field(kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(self.base, Family) or _holds(self.base, ("verified", "dependent")):
            raise OptionError(
                "verified needs a family of success probabilities, and goes around all others but "
                "dependent, as "
                f"in Verified(ZeroInflated(Beta()), ...); got {self.base!r}"
            )
        for name in RATES:
            value = getattr(self, name)
            number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
            if not (isinstance(value, Prior) or (number and 0 <= value <= 1)):
                raise OptionError(
                    f"{name} must be a number from 0 to 1, or a prior of its logit such as "
                    f"bp.Prior.beta(95, 5); got {value!r}"
                )
            if number:
                object.__setattr__(self, name, float(value))
        overlap = self.verifier.overlap()
        if overlap > OVERLAP:
            raise OptionError(
                "true_positive_rate must be above false_positive_rate, or verdicts say nothing: it "
                f"is not with prior probability {overlap:.2g} (at most {OVERLAP} may be); "
                f"got {self.true_positive_rate!r} and {self.false_positive_rate!r}"
            )

    @property
    def verifier(self) -> Verifier:
        """The rates by themselves."""
        return Verifier(self.true_positive_rate, self.false_positive_rate)

    @property
    def components(self) -> tuple[Family, ...]:
        """The family of p."""
        return (self.base,)

    @property
    def full_name(self) -> str:
        """As in tables: "verified-beta"."""
        return f"{self.name}-{self.base.full_name}"

    def spec(self) -> dict[str, Any]:
        """Return the family as data that JSON can hold, known rates among it."""
        known = {name: getattr(self, name) for name in RATES if name not in self.verifier.learned}
        return super().spec() | {"known": known}

    def prior(self, declare: Declare, xp: Special = NUMPY) -> dict[str, Any]:
        """Declare the parameters of the family of p, and the logits of rates that are learned."""
        free = self.base.prior(declare, xp)
        for name, prior in self.verifier.learned.items():
            free[f"logit_{name}"] = declare(f"logit_{name}", prior)
        return free

    def natural(self, free: Parameters, xp: Special = NUMPY) -> dict[str, Any]:
        """Return the natural parameters of the family of p, and the rates that are learned."""
        natural = self.base.natural(free, xp)
        for name in self.verifier.learned:
            natural[name] = xp.exp(xp.log_sigmoid(free[f"logit_{name}"]))
        return natural

    def free(self, natural: Parameters) -> dict[str, Any]:
        """Return the free parameters; see :meth:`Family.free`."""
        rates = {f"logit_{name}": sp.logit(natural[name]) for name in self.verifier.learned}
        return {**self.base.free(without_rates(natural)), **rates}

    def log_moment(self, parameters: Parameters, a: ArrayLike, b: ArrayLike) -> Floats:
        """Return log E[q^a (1-q)^b]: of verdicts."""
        each = [
            outer(log_share, np.broadcast(a, b).ndim) + leaf.log_moment(own, a, b)
            for leaf, own, log_share in self.leaves(parameters)
        ]
        return np.asarray(np.logaddexp.reduce(each))

    def log_truth(
        self,
        parameters: Parameters,
        k: ArrayLike,
        a: ArrayLike = 0.0,
        b: ArrayLike = 0.0,
        *,
        first_pass: bool = False,
    ) -> Floats:
        """Return the log of a mean of the truth over verdicts: E[h q^a (1-q)^b].

        h is 1 - (1-p)^k, that one of k attempts is correct; or with `first_pass`,
        (p t / q)(1 - (1-q)^k): that one of k is accepted, and the first such is correct.

        Parameters
        ----------
        parameters : mapping of str to array, dims (...)
            Natural parameters, arrays of one shape.
        k, a, b : array, of a common shape after broadcasting
            Attempts, 1 or more and perhaps infinite; verdicts seen, of yes and of no.

        Returns
        -------
        array
            Of the shape of the parameters followed by that of the others: each with each.
        """
        k, a, b = np.broadcast_arrays(*(np.asarray(one, dtype=float) for one in (k, a, b)))
        each = [
            outer(log_share, k.ndim) + leaf.log_truth(own, k, a, b, first_pass)
            for leaf, own, log_share in self.leaves(parameters)
        ]
        return np.asarray(np.logaddexp.reduce(each))

    def survival(
        self, parameters: Parameters, above: ArrayLike, a: ArrayLike = 0.0, b: ArrayLike = 0.0
    ) -> Floats:
        """Return the probability that q lies above `above`, given verdicts.

        Where rates are learned, each draw has another threshold of p: some 10 ms a draw.
        """
        above, a, b = np.broadcast_arrays(*(np.asarray(one, float) for one in (above, a, b)))
        each, log_shares = [], []
        for leaf, own, log_share in self.leaves(parameters):
            each.append(leaf.survival(own, above, a, b))
            log_shares.append(outer(log_share, a.ndim) + leaf.log_moment(own, a, b))
        shares = sp.softmax(np.stack(log_shares), axis=0)
        return np.asarray(sum(share * one for share, one in zip(shares, each, strict=True)))

    def constants(
        self,
        a: Floats,
        b: Floats,
        parameters: Parameters | None = None,
        *,
        finer: ArrayLike = (),
    ) -> dict[str, NDArray[Any]]:
        """Return the constants of each part with a density and each point, suffixed _1, _2 ..."""
        parameters = prior_parameters(self) if parameters is None else parameters
        return {
            f"{name}_{j}": value
            for j, (leaf, own, _) in enumerate(self.leaves(parameters), 1)
            for name, value in leaf.constants(a, b, own, finer).items()
        }

    def log_moments(
        self,
        parameters: Parameters,
        constants: Mapping[str, Any],
        xp: Special,
        system: Any = None,
    ) -> Any:
        """Return log E[q^a (1-q)^b], pair by pair."""
        total: Any = None
        for j, (leaf, own, log_share) in enumerate(self.leaves(parameters, xp), 1):
            ending = f"_{j}"
            mine = {
                name.removesuffix(ending): value
                for name, value in constants.items()
                if name.endswith(ending)
            }
            term = leaf.log_moments(own, mine, xp, system)
            if log_share is not None:
                term = term + (log_share[..., None] if system is None else log_share[system])
            total = term if total is None else xp.logaddexp(total, term)
        return total

    def draw(self, parameters: Parameters, rng: np.random.Generator) -> Floats:
        """Draw q of a new problem."""
        t, phi = self.verifier.values(parameters)
        p = self.base.draw(without_rates(parameters), rng)
        return np.asarray(p * t + (1 - p) * phi)

    def draw_seen(
        self,
        parameters: Parameters,
        rng: np.random.Generator,
        successes: NDArray[np.int64],
        failures: NDArray[np.int64],
    ) -> Floats:
        """Draw q of problems whose verdicts were seen, dims (draw, problem)."""
        logit = self.draw_truth(parameters, rng, successes, failures)
        return np.asarray(np.exp(self.judged(parameters, logit)[0]))

    def draw_truth(
        self,
        parameters: Parameters,
        rng: np.random.Generator,
        successes: NDArray[np.int64],
        failures: NDArray[np.int64],
    ) -> Floats:
        """Draw logit p of problems whose verdicts were seen, dims (draw, problem)."""
        leaves = self.leaves(parameters)
        drawn: list[Floats] = [
            leaf.draw_logit(own, rng, successes, failures) for leaf, own, _ in leaves
        ]
        if len(leaves) == 1:
            return drawn[0]
        log_shares = [
            outer(log_share, 1) + log_moment_of_problems(leaf, own, successes, failures)
            for leaf, own, log_share in leaves
        ]
        shares = sp.softmax(np.stack(log_shares, axis=-1), axis=-1)
        return np.asarray(np.choose(pick(shares, rng, drawn[0].shape), drawn))

    def rates(self, parameters: Parameters, logit: Floats) -> Floats:
        """Return -log(1-q) from logit p: an attempt succeeds where its verdict is yes."""
        return -self.judged(parameters, logit)[1]

    def judged(self, parameters: Parameters, logit: Floats) -> tuple[Floats, Floats, Floats]:
        """Return log q, log (1-q) and log (p t / q) from logit p, dims (draw, problem)."""
        rates = self.verifier.rates(parameters).at((..., None))
        log_p = NUMPY.log_sigmoid(logit)
        yes, no = rates.through(log_p, NUMPY.log_sigmoid(-logit))
        with np.errstate(invalid="ignore"):  # of problems that are never accepted
            correct = np.where(np.isneginf(log_p), -np.inf, rates.log_tp + log_p - yes)
        return np.asarray(yes), np.asarray(no), correct

    def leaves(self, parameters: Parameters, xp: Special = NUMPY) -> list[Leaf]:
        """Return the leaves of the base as the verifier lets them be seen.

        The parameters of each have those of the rates among them.
        """
        rates = {name: parameters[name] for name in self.verifier.learned}
        return [
            Leaf(_judged(self.verifier, leaf.distribution), leaf.parameters | rates, leaf.log_share)
            for leaf in self.base.leaves(without_rates(parameters), xp)
        ]


def _judged(verifier: Verifier, distribution: Any) -> JudgedDensity | JudgedPoint:
    if isinstance(distribution, float):
        return JudgedPoint(verifier, distribution)
    return JudgedDensity(verifier, distribution)


def _holds(family: Family, names: tuple[str, ...]) -> bool:
    return family.name in names or any(_holds(one, names) for one in family.components)
