"""Attempts that depend on each other: those of one run are alike."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special as sp

from bayespassk.arrays import Floats, Ints
from bayespassk.errors import OptionError
from bayespassk.families.base import (
    ByCell,
    Declare,
    Family,
    Leaf,
    Parameters,
    Prior,
)
from bayespassk.families.inflated import OneInflated, ZeroInflated
from bayespassk.families.mixture import log_moment_of_problems, pick
from bayespassk.families.quadrature import (
    MOST_PAIRS,
    Nodes,
    Piece,
    Smooth,
    about_peaks,
    parts,
    powers,
    prior_parameters,
    representatives,
)
from bayespassk.families.verified import Verified
from bayespassk.families.verifier import outer
from bayespassk.runs import Runs
from bayespassk.special import NUMPY, Special

__all__ = [
    "SMALL",
    "Dependent",
    "Patterns",
    "RunsDensity",
    "dependence",
    "log_fail_in_runs",
    "log_fail_of_problems",
    "require_independent",
    "with_rho",
]

MOST_IN_RUN = 20_000
"""Attempts of a run at a problem that are taken one by one."""

SMALL = 1e-12
"""An intra-class correlation below this is none: runs of 1e9 attempts do not show it."""

RHO = "rho"


@dataclass(frozen=True, eq=False)
class Patterns:
    """What the runs at a problem showed, whatever their order: the distinct ones.

    The probability of a pattern at a problem with success probability p is, with d = rho /
    (1 - rho), the product over its runs, and over j from 0, of (p + j d) for each success but the
    first j, (1-p + j d) for each failure, and 1 / (1 + j d) for each attempt.

    Attributes
    ----------
    successes, failures, attempts : array, dims (pattern, j)
        How many runs have more than j of them; they need not be whole.
    """

    successes: Floats
    failures: Floats
    attempts: Floats

    @classmethod
    def of(cls, runs: Runs, rows: int) -> tuple["Patterns", Ints]:
        """Return the distinct patterns, and that of each row, dims (row,)."""
        longest = int(runs.attempts.max(initial=1))
        if longest > MOST_IN_RUN:
            raise OptionError(
                f"a run may have up to {MOST_IN_RUN:,} attempts at a problem to be modelled as "
                f"dependent; one has {longest:,}. What to do: thin it (bp.thin), or divide it"
            )
        pairs, kind = np.unique(
            np.stack([runs.attempts, runs.successes]), axis=1, return_inverse=True
        )
        kind = kind.ravel()
        order = np.lexsort((kind, runs.row))
        place = np.arange(len(order)) - np.searchsorted(runs.row[order], runs.row[order])
        table = np.full((rows, int(place.max(initial=0)) + 1), -1)
        table[runs.row[order], place] = kind[order]
        distinct, which = np.unique(table, axis=0, return_inverse=True)
        pattern, column = np.nonzero(distinct >= 0)
        made, solved = pairs[:, distinct[pattern, column]]
        each = (solved, made - solved, made)
        return cls(*(_more_than(pattern, n, len(distinct), longest) for n in each)), which.ravel()

    @classmethod
    def of_powers(cls, a: Floats, b: Floats) -> "Patterns":
        """Return p^a (1-p)^b: of attempts each in a run of its own."""
        return cls(a[:, None], b[:, None], (a + b)[:, None])

    def at(self, which: Any) -> "Patterns":
        """Return some of the patterns."""
        return Patterns(self.successes[which], self.failures[which], self.attempts[which])

    def totals(self) -> tuple[Ints, Ints]:
        """Return the successes and failures of each, dims (pattern,)."""
        return tuple(one.sum(1).round().astype(np.int64) for one in (self.successes, self.failures))  # type: ignore[return-value]

    def log_probability(self, log_p: Any, log_q: Any, d: Any) -> Floats:
        """Return the log probability of each at some p, dims (pattern, node); d is a number."""
        return np.asarray(_log_probability(self, _steps(self), log_p, log_q, d, NUMPY))


def _steps(rows: Patterns) -> Floats:
    """Return j from 1."""
    return np.arange(1.0, rows.successes.shape[1])


def _log_probability(rows: Patterns, j: Any, log_p: Any, log_q: Any, d: Any, xp: Special) -> Any:
    """Return the log probability of each pattern at the nodes, dims (pattern, node).

    `d` is a number, or rho / (1 - rho) of each pattern, dims (pattern,).
    """
    total: Any = -_sum_of_attempts(rows.attempts, j, d, xp)[:, None]
    for number, log_x in ((rows.successes, log_p), (rows.failures, log_q)):
        total = total + _sum_over_j(number, j, log_x, d, xp)
    return total


def _sum_of_attempts(number: Any, j: Any, d: Any, xp: Special) -> Any:
    """Return the sum over j of number_j log (1 + j d), dims (pattern,)."""
    each = xp.log1p(j * (d if np.ndim(d) == 0 else d[:, None]))
    return (number[:, 1:] * each).sum(1)


def _more_than(pattern: Ints, value: Ints, patterns: int, width: int) -> Floats:
    """Return how many runs of each pattern have more than j, dims (pattern, j)."""
    number = np.zeros((patterns, width + 1))
    np.add.at(number, (pattern, value), 1.0)
    return np.asarray(number[:, ::-1].cumsum(1)[:, ::-1][:, 1:])


def _sum_over_j(number: Any, j: Any, log_x: Any, d: Any, xp: Special) -> Any:
    """Return the sum over j of number_j log (x + j d), dims (pattern, node)."""
    if xp is NUMPY and np.ndim(d) == 0 and d == 0:
        return number.sum(1)[:, None] * log_x
    first = number[:, 0][:, None] * log_x
    if np.ndim(d) == 0:
        return first + number[:, 1:] @ xp.logaddexp(log_x, xp.log(j * d)[:, None])
    later = xp.logaddexp(log_x, xp.log(j * d[:, None])[..., None])  # dims (pattern, j, node)
    return first + (number[:, 1:][..., None] * later).sum(1)


def _codes(a: Any, b: Any) -> Ints:
    """Return the number of the pattern that each pair stands for; -1 for an ordinary power."""
    return np.asarray(-np.minimum(np.minimum(a, b), 0) - 1).astype(np.int64)


def _plain(a: Any, b: Any) -> bool:
    """Return whether all pairs are ordinary powers."""
    return bool((np.asarray(a) >= 0).all() and (np.asarray(b) >= 0).all())


@dataclass(frozen=True, eq=False)
class RunsDensity(Nodes):
    """A density of p, where pairs (a, b) may be patterns of runs.

    Pattern i is (-1-i, -1-i); (0, -1-i) if it holds no success, (-1-i, 0) if no failure.
    """

    inner: Smooth
    table: Patterns
    rho: float | None

    def _rows(self, a: Any, b: Any) -> Patterns:
        """Return the patterns of the pairs, ordinary powers among them."""
        codes = _codes(a, b)
        plain = codes < 0
        if plain.all():
            return Patterns.of_powers(np.asarray(a, float), np.asarray(b, float))
        found = self.table.at(np.maximum(codes, 0))
        if not plain.any():
            return found
        powers_of = Patterns.of_powers(np.where(plain, a, 0.0), np.where(plain, b, 0.0))
        each = []
        for name in ("successes", "failures", "attempts"):
            values = np.where(plain[:, None], 0.0, getattr(found, name))
            values[:, :1] += getattr(powers_of, name)
            each.append(values)
        return Patterns(*each)

    def _own(self, parameters: Parameters) -> dict[str, Any]:
        return {name: value for name, value in parameters.items() if name != RHO}

    def _rhos(self, parameters: Parameters) -> Any:
        return self.rho if self.rho is not None else parameters[RHO]

    def constants(
        self,
        a: Floats,
        b: Floats,
        parameters: Parameters | None = None,
        cuts: ArrayLike = (),
        finer: ArrayLike = (),
    ) -> dict[str, NDArray[Any]]:
        """Return nodes for the pairs, and what pairs are at them; see :meth:`Nodes.constants`."""
        return self._constants(a, b, parameters, cuts, finer)

    def _constants(
        self,
        a: Floats,
        b: Floats,
        parameters: Parameters | None = None,
        cuts: ArrayLike = (),
        finer: ArrayLike = (),
        also: Callable[[Floats, Floats], Floats] | None = None,
    ) -> dict[str, NDArray[Any]]:
        """Return the constants; the nodes serve the functions of p whose logs are `also` too."""
        a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
        parameters = prior_parameters(self.inner) if parameters is None else parameters
        few = representatives(parameters)
        rhos = np.unique(few[RHO]) if RHO in few else np.array([self.rho or 0.0])
        if self.rho is None and RHO not in few:
            rhos = np.array([0.0, 0.05, 0.3])
        pairs = np.unique(np.stack([a, b], 1), axis=0)
        pairs = pairs[np.linspace(0, len(pairs) - 1, min(len(pairs), MOST_PAIRS)).astype(int)]
        rows, itself = self._rows(*pairs.T), powers(np.zeros(1), np.zeros(1))

        def log_kernel(log_p: Floats, log_q: Floats) -> Floats:
            # Correlations are tried at all densities: patterns of the least and of the largest.
            each = [rows.log_probability(log_p, log_q, _d(r)) for r in rhos[[0, -1]]]
            more = [] if also is None else [also(log_p, log_q)]
            return np.concatenate([*each, *more, itself(log_p, log_q)])

        plain = (a >= 0) & (b >= 0)
        edges = np.union1d(finer, about_peaks(a[plain], b[plain]))
        nodes = self.inner.nodes(log_kernel, self._own(few), cuts, edges)
        return nodes | self.kernel(nodes, a, b)

    def kernel(self, nodes: Mapping[str, Any], a: Floats, b: Floats) -> dict[str, NDArray[Any]]:
        """Return the pairs, and what they are at the nodes if the correlation is known."""
        rows = self._rows(a, b)
        if self.rho is None:
            numbers = {f"runs_{name}": getattr(rows, name) for name in NUMBERS}
            return (
                {"a": np.asarray(a, float), "b": np.asarray(b, float)}
                | numbers
                | {"runs_j": _steps(rows)}
            )
        return {"a": np.asarray(a, float), "b": np.asarray(b, float)} | _kernel(
            rows, _steps(rows), nodes, _d(self.rho), NUMPY
        )

    def pieces(
        self,
        parameters: Parameters,
        constants: Mapping[str, Any],
        xp: Special,
        log_above: float = -np.inf,
    ) -> list[Piece]:
        """Return the nodes of the density; see :meth:`Nodes.pieces`."""
        return self.inner.pieces(self._own(parameters), constants, xp, log_above)

    def log_moments(
        self, parameters: Parameters, constants: Mapping[str, Any], xp: Special, system: Any = None
    ) -> Any:
        """Return the log of the mean over the nodes; see :meth:`Nodes.log_moments`."""
        own = self._own(parameters)
        if "kernel" in constants:
            return self.inner.log_moments(own, constants, xp, system)
        rows = Patterns(*(constants[f"runs_{name}"] for name in NUMBERS))
        j = constants["runs_j"]
        if xp is not NUMPY or system is not None:
            rho = parameters[RHO]
            d = rho / (1 - rho)
            d = d[0] if system is None else d[system]
            kernel = _kernel(rows, j, constants, d, xp)
            return self.inner.log_moments(own, {**constants, **kernel}, xp, system)
        values = np.empty((len(parameters[RHO]), len(constants["a"])))
        for rho, mine in _by_rho(parameters):
            kernel = _kernel(rows, j, constants, _d(rho), NUMPY)
            some = {name: value[mine] for name, value in own.items()}
            values[mine] = self.inner.log_moments(some, {**constants, **kernel}, NUMPY)
        return values

    def log_moment(self, parameters: Parameters, a: ArrayLike, b: ArrayLike) -> Floats:
        """Return the log probability of patterns, or log E[p^a (1-p)^b] of ordinary powers."""
        a, b = np.broadcast_arrays(np.asarray(a, dtype=float), np.asarray(b, dtype=float))
        plain = (a >= 0) & (b >= 0)
        own = self._own(parameters)
        if plain.all():
            return self.inner.log_moment(own, a, b)
        shape = np.broadcast_shapes(*(np.shape(p) for p in parameters.values()))
        values = np.empty(shape + a.shape)
        flat = {n: np.broadcast_to(p, shape).ravel() for n, p in parameters.items()}
        constants = self.constants(a[~plain], b[~plain], flat)
        each = [
            self.log_moments(part, constants, NUMPY)
            for part in parts(flat, len(constants["a"]) * len(constants["log_p"]))
        ]
        values[..., ~plain] = np.concatenate(each).reshape(*shape, -1)
        if plain.any():
            values[..., plain] = self.inner.log_moment(own, a[plain], b[plain])
        return values

    def survival(
        self, parameters: Parameters, above: ArrayLike, a: ArrayLike = 0.0, b: ArrayLike = 0.0
    ) -> Floats:
        """Return the probability that p lies above, given patterns; see :meth:`Family.survival`."""
        above, a, b = np.broadcast_arrays(*(np.asarray(one, float) for one in (above, a, b)))
        if _plain(a, b):
            return self.inner.survival(self._own(parameters), above, a, b)
        if self.rho is not None:
            return super().survival(parameters, above, a, b)
        shape = np.shape(parameters[RHO])
        flat = {n: np.broadcast_to(p, shape).ravel() for n, p in parameters.items()}
        values = np.empty((len(flat[RHO]), *a.shape))
        for rho, mine in _by_rho(flat):
            some = {name: value[mine] for name, value in flat.items()}
            values[mine] = replace(self, rho=rho).survival(self._own(some), above, a, b)
        return values.reshape(shape + a.shape)

    def nodes_of_seen(self, a: Floats, b: Floats, parameters: Parameters) -> dict[str, Any]:
        """Return the nodes to draw from given patterns, which serve further attempts too."""
        rows = self._rows(a, b)
        fewest = rows.at(np.argsort(rows.successes.sum(1))[:3])
        further = 10.0 ** np.arange(13)[:, None, None]
        most = float(np.max(self._rhos(parameters)))

        def later(log_p: Floats, log_q: Floats) -> Floats:
            each = fewest.log_probability(log_p, log_q, _d(most)) + further * log_q
            return np.asarray(each.reshape(-1, len(log_p)))

        return self._constants(a, b, parameters, also=later)

    def _weighed(
        self, parameters: Parameters, whole: Mapping[str, Any], of: Callable[[Any], Floats]
    ) -> Iterator[tuple[slice, int, Floats, Floats]]:
        """Yield for some draws and a pair a value of each node, and its posterior weight."""
        rows, at = self._rows(whole["a"], whole["b"]), 0
        for part in parts(parameters, len(whole["log_p"]) * len(whole["a"])):
            (piece,) = self.pieces(part, whole, NUMPY)
            draws = slice(at, at + len(piece.log_weights))
            at = draws.stop
            rhos = np.broadcast_to(self._rhos(part), len(piece.log_weights))
            distinct, which = np.unique(rhos, return_inverse=True)
            log_kernel = np.stack(
                [rows.log_probability(piece.log_p, piece.log_q, _d(rho)) for rho in distinct]
            )
            for i in range(len(whole["a"])):
                logs = piece.log_weights + log_kernel[which, i]
                yield draws, i, of(piece), np.exp(logs - logs.max(-1, keepdims=True))

    def log_mean_fail(self, parameters: Parameters, ks: Floats, run: float) -> Floats:
        """Return the log probability that k attempts in runs of `run` all fail, dims (..., k)."""
        shape = np.broadcast_shapes(*(np.shape(p) for p in parameters.values()))
        flat = {n: np.broadcast_to(p, shape).ravel() for n, p in parameters.items()}
        draws = len(next(iter(flat.values())))
        rho = np.broadcast_to(np.asarray(self._rhos(flat), dtype=float), (draws,))
        ends = np.unique([rho.min(), rho.max()])

        def log_kernel(log_p: Floats, log_q: Floats) -> Floats:
            del log_p
            return np.concatenate([_fail_in_runs(log_q, _d(r), ks[:, None], run) for r in ends])

        zero = np.zeros(1)
        nodes = self._constants(zero, zero, flat, also=log_kernel)
        values = np.empty((len(rho), len(ks)))
        for one, mine in _by_rho({RHO: rho}):
            log_fail = _fail_in_runs(nodes["log_q"], _d(one), ks[:, None], run)
            kernel = {"kernel": np.exp(log_fail), "kernel_top": np.zeros(len(ks))}
            some = {name: value[mine] for name, value in self._own(flat).items()}
            (piece,) = self.inner.pieces(some, nodes | kernel, NUMPY)
            top = piece.log_weights.max(-1, keepdims=True)
            weights = np.exp(piece.log_weights - top)
            weights /= weights.sum(-1, keepdims=True)
            with np.errstate(divide="ignore"):
                fail = np.log(weights @ kernel["kernel"].T)
                values[mine] = np.where(fail > -0.5, np.log1p(weights @ np.expm1(log_fail).T), fail)
        return values.reshape(*shape, len(ks))

    def draw_logit(
        self, parameters: Parameters, rng: np.random.Generator, successes: Ints, failures: Ints
    ) -> Floats:
        """Draw logit p of problems of which this was seen, dims (draw, problem)."""
        return self.draw_nodes(parameters, rng, successes, failures, self.logit)


NUMBERS = ("successes", "failures", "attempts")


def _d(rho: Any) -> Any:
    """Return rho / (1 - rho)."""
    return rho / (1 - rho) if rho > SMALL else 0.0


def _kernel(
    rows: Patterns, j: Any, nodes: Mapping[str, Any], d: Any, xp: Special
) -> dict[str, Any]:
    """Return the probabilities of patterns at the nodes over their largest, and logs of these."""
    log_kernel = _log_probability(rows, j, nodes["log_p"], nodes["log_q"], d, xp)
    top = log_kernel.max(-1)
    return {"kernel": xp.exp(log_kernel - top[:, None]), "kernel_top": top}


def _by_rho(parameters: Parameters) -> Iterator[tuple[float, Ints]]:
    """Yield each correlation, and which draws have it."""
    values, which = np.unique(parameters[RHO], return_inverse=True)
    order = np.argsort(which, kind="stable")
    ends = np.searchsorted(which[order], np.arange(len(values) + 1))
    for i, value in enumerate(values):
        yield float(value), order[ends[i] : ends[i + 1]]


def _fail_in_runs(log_q: Any, d: Any, k: Any, run: float) -> Any:
    """Return the log probability that k attempts all fail, in runs of `run` and one of the rest."""
    if np.ndim(d) == 0 and d == 0:
        return k * log_q
    whole = np.floor(k / run)
    rest = k - whole * run if math.isfinite(run) else k
    found = _fail_in_run(log_q, d, rest)
    if math.isfinite(run):
        found = found + whole * _fail_in_run(log_q, d, run)
    return found


def _fail_in_run(log_q: Any, d: Any, m: Any) -> Any:
    """Return log of (q s)_m / (s)_m with s = 1 / d: that m attempts of one run all fail.

    Where p s is small, as the integral of digamma(x + m) - digamma(x) over the gap between q s and
    s: the gamma functions themselves have lost the digits of a small p.
    """
    s = 1 / d
    gap = -np.expm1(log_q) * s
    x = np.exp(log_q) * s
    some = np.maximum(m, 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        plain = NUMPY.log_rising_over(np.maximum(x, 1e-300), some) - NUMPY.log_rising_over(s, some)
    near = gap < 0.5
    node, weight = np.polynomial.legendre.leggauss(12)
    half = np.where(near, gap, 0.0)[..., None] / 2
    at = np.asarray(s - np.where(near, gap, 0.0))[..., None] + half * (1 + node)
    exact = -(half * weight * NUMPY.harmonic(at, np.asarray(some)[..., None])).sum(-1)
    value = np.where(near, exact, plain)
    value = np.where(np.isneginf(log_q) & (m > 0), -np.inf, value)
    return np.where(np.asarray(m) > 0, value, 0.0)


@final
@dataclass(frozen=True)
class Dependent(ByCell):
    """A family of the p of problems whose attempts come in runs, those of one run alike.

    A run is a seed, a day, a temperature, a worker. In run r of a problem an attempt succeeds with
    a probability that is Beta(p s, (1-p) s) with s = 1 / rho - 1, so that the successes of a run
    are beta-binomial about the problem's p, and rho is the intra-class correlation: the correlation
    of two attempts of one run. The counts must hold runs: :meth:`bayespassk.Counts.from_runs`,
    :func:`bayespassk.read_attempts`.

    A forecast is of k attempts each in a run of its own; ``bp.forecast(fit, k, run_length=m)`` is
    of k attempts in runs of m.

    Parameters
    ----------
    base : Family
        The distribution of p over problems: any but :class:`bayespassk.ScaledBeta` and
        :class:`bayespassk.Verified`.
    rho : float or Prior
        Known, from 0 and below 1, or the prior of its logit: by default its median is 0.076, and
        95% of it lies in 0.004 to 0.61.

    Raises
    ------
    OptionError
        If rho or the base is none of these.

    Notes
    -----
    Runs are taken to be exchangeable, and rho the same for all problems of a system. A run that is
    better at all problems alike is not modelled: :func:`bayespassk.independence` tells of it, and
    then there are no more independent pieces than runs. With rho = 0 it is `base`. With one run a
    problem, counts say nothing about rho, and the bands are as wide as its prior has it.

    References
    ----------
    Skellam 1948, doi:10.1111/j.2517-6161.1948.tb00014.x (beta-binomial counts).

    Examples
    --------
    >>> import bayespassk as bp
    >>> family = bp.Dependent(bp.Beta(), rho=0.1)
    >>> family.full_name
    'dependent-beta'
    """

    name: ClassVar[str] = "dependent"
    when: ClassVar[str] = "attempts come in runs (seeds, days, workers), those of one run alike"
    location: ClassVar[str] = ""
    draws: ClassVar[int] = 2000

    base: Family
    rho: float | Prior = Prior(-2.5, 1.5, spread=0.7)
    table: Patterns | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.base, Family) or _holds(self.base, (Verified, Dependent)):
            raise OptionError(
                "dependent needs a family of success probabilities, other than verified, as in "
                f"Dependent(ZeroInflated(Beta())); got {self.base!r}"
            )
        number = isinstance(self.rho, int | float | np.number) and not isinstance(self.rho, bool)
        if not (isinstance(self.rho, Prior) or (number and 0 <= self.rho < 1)):
            raise OptionError(
                "rho must be a number from 0 and below 1, or a prior of its logit such as "
                f"bp.Prior(-2.5, 1.5); got {self.rho!r}"
            )
        if number:
            object.__setattr__(self, "rho", float(self.rho))  # type: ignore[arg-type]
        leaves = self.base.leaves(prior_parameters(self.base))
        if not all(isinstance(leaf.distribution, float | Smooth) for leaf in leaves):
            raise OptionError(
                "dependent takes families whose density is smooth, which "
                f"{self.base.full_name} is not: use bp.LibbyNovick()"
            )

    @property
    def learned(self) -> bool:
        """Whether rho has a prior."""
        return isinstance(self.rho, Prior)

    @property
    def components(self) -> tuple[Family, ...]:
        """The family of p."""
        return (self.base,)

    @property
    def full_name(self) -> str:
        """As on the command line: "dependent-beta"."""
        return f"{self.name}-{self.base.full_name}"

    def spec(self) -> dict[str, Any]:
        """Return the family as data that JSON can hold, a known rho among it."""
        return super().spec() | ({} if self.learned else {"known": {"rho": self.rho}})

    def seeing(
        self, successes: Ints, failures: Ints, runs: Runs | None
    ) -> tuple[Family, Ints, Ints]:
        """Return the family that knows the patterns of runs, and which each row has."""
        if runs is None:
            raise OptionError(
                "Dependent needs counts that hold runs, and these do not: read the attempts with "
                "their runs (bp.Counts.from_attempts(bp.read_attempts(log, run='seed'))), or give "
                "counts of each run (bp.Counts.from_runs)"
            )
        table, which = Patterns.of(runs, len(successes))
        a = np.where(successes > 0, -1 - which, 0)
        b = np.where(failures > 0, -1 - which, 0)
        return _within(self.base, lambda inner: Dependent(inner, self.rho, table)), a, b

    def outcomes(self, successes: Ints, failures: Ints) -> tuple[Ints, Ints]:
        """Return successes and failures of patterns; see :meth:`Family.outcomes`."""
        codes = _codes(successes, failures)
        if self.table is None or (codes < 0).all():
            return successes, failures
        c, f = (one[np.maximum(codes, 0)] for one in self.table.totals())
        return np.where(codes < 0, successes, c), np.where(codes < 0, failures, f)

    def prior(self, declare: Declare, xp: Special = NUMPY) -> dict[str, Any]:
        """Declare the parameters of the family of p, and the logit of rho if it is learned."""
        free = self.base.prior(declare, xp)
        if isinstance(self.rho, Prior):
            free["logit_rho"] = declare("logit_rho", self.rho)
        return free

    def natural(self, free: Parameters, xp: Special = NUMPY) -> dict[str, Any]:
        """Return the natural parameters of the family of p, and rho if it is learned."""
        natural = self.base.natural(free, xp)
        if self.learned:
            natural[RHO] = xp.exp(xp.log_sigmoid(free["logit_rho"]))
        return natural

    def leaves(self, parameters: Parameters, xp: Special = NUMPY) -> list[Leaf]:
        """Return the leaves of the base, that know patterns of runs; with rho, if learned."""
        found = []
        for leaf in self.base.leaves(self._rest(parameters), xp):
            if isinstance(leaf.distribution, float):
                found.append(leaf)
                continue
            own = dict(leaf.parameters)
            if self.learned:
                own[RHO] = parameters[RHO]
            density = RunsDensity(leaf.distribution, self._table, self._known)
            found.append(leaf._replace(distribution=density, parameters=own))
        return found

    def rho_of(self, parameters: Parameters) -> Any:
        """Return rho: known, or that of each draw."""
        return parameters[RHO] if self.learned else self.rho

    @property
    def _table(self) -> Patterns:
        return Patterns.of_powers(np.zeros(1), np.zeros(1)) if self.table is None else self.table

    @property
    def _known(self) -> float | None:
        return self.rho if isinstance(self.rho, float) else None

    def _rest(self, parameters: Parameters) -> dict[str, Any]:
        return {name: value for name, value in parameters.items() if name != RHO}

    def log_moment(self, parameters: Parameters, a: ArrayLike, b: ArrayLike) -> Floats:
        """Return log E[p^a (1-p)^b], of attempts each in a run of its own, or of patterns."""
        if _plain(a, b):
            return self.base.log_moment(self._rest(parameters), a, b)
        each = [
            outer(leaf.log_share, np.broadcast(a, b).ndim)
            + leaf.distribution.log_moment(leaf.parameters, a, b)
            for leaf in self.leaves(parameters)
        ]
        return np.asarray(np.logaddexp.reduce(each))

    def survival(
        self, parameters: Parameters, above: ArrayLike, a: ArrayLike = 0.0, b: ArrayLike = 0.0
    ) -> Floats:
        """Return the probability that p lies above, given patterns; see :meth:`Family.survival`."""
        if _plain(a, b):
            return self.base.survival(self._rest(parameters), above, a, b)
        above, a, b = np.broadcast_arrays(*(np.asarray(one, float) for one in (above, a, b)))
        each, log_shares = [], []
        for leaf in self.leaves(parameters):
            each.append(leaf.distribution.survival(leaf.parameters, above, a, b))
            moment = leaf.distribution.log_moment(leaf.parameters, a, b)
            log_shares.append(outer(leaf.log_share, a.ndim) + moment)
        shares = sp.softmax(np.stack(log_shares), axis=0)
        return np.asarray(sum(share * one for share, one in zip(shares, each, strict=True)))

    def constants(
        self, a: Floats, b: Floats, parameters: Parameters | None = None
    ) -> dict[str, NDArray[Any]]:
        """Return the constants of each part with a density, suffixed _1, _2 ..."""
        if self.table is None:
            rest = None if parameters is None else self._rest(parameters)
            return self.base.constants(a, b, rest)
        parameters = prior_parameters(self) if parameters is None else parameters
        return {
            f"{name}_{j}": value
            for j, leaf in enumerate(self.leaves(parameters), 1)
            for name, value in leaf.distribution.constants(a, b, leaf.parameters).items()
        }

    def log_moments(
        self,
        parameters: Parameters,
        constants: Mapping[str, Any],
        xp: Special,
        system: Any = None,
    ) -> Any:
        """Return the log probability of the pairs that `constants` were made for."""
        if self.table is None:
            return self.base.log_moments(self._rest(parameters), constants, xp, system)
        total: Any = None
        for j, leaf in enumerate(self.leaves(parameters, xp), 1):
            ending = f"_{j}"
            mine = {
                name.removesuffix(ending): value
                for name, value in constants.items()
                if name.endswith(ending)
            }
            term = leaf.distribution.log_moments(leaf.parameters, mine, xp, system)
            if leaf.log_share is not None:
                share = leaf.log_share[..., None] if system is None else leaf.log_share[system]
                term = term + share
            total = term if total is None else xp.logaddexp(total, term)
        return total

    def draw(self, parameters: Parameters, rng: np.random.Generator) -> Floats:
        """Draw p of a new problem."""
        return self.base.draw(self._rest(parameters), rng)

    def draw_seen(
        self,
        parameters: Parameters,
        rng: np.random.Generator,
        successes: NDArray[np.int64],
        failures: NDArray[np.int64],
    ) -> Floats:
        """Draw p of problems whose runs were seen, dims (draw, problem)."""
        if _plain(successes, failures):
            return self.base.draw_seen(self._rest(parameters), rng, successes, failures)
        leaves = self.leaves(parameters)
        drawn = [
            leaf.distribution.draw_seen(leaf.parameters, rng, successes, failures)
            for leaf in leaves
        ]
        if len(leaves) == 1:
            return np.asarray(drawn[0])
        log_shares = [
            outer(leaf.log_share, 1)
            + log_moment_of_problems(leaf.distribution, leaf.parameters, successes, failures)
            for leaf in leaves
        ]
        shares = sp.softmax(np.stack(log_shares, axis=-1), axis=-1)
        return np.asarray(np.choose(pick(shares, rng, drawn[0].shape), drawn))


def _holds(family: Family, kinds: tuple[type[Family], ...]) -> bool:
    return isinstance(family, kinds) or any(_holds(one, kinds) for one in family.components)


def _within(family: Family, wrap: Callable[[Family], Family]) -> Family:
    """Return the family with what its inflations are of wrapped."""
    if isinstance(family, ZeroInflated | OneInflated):
        return replace(family, base=_within(family.base, wrap))
    return wrap(family)


def dependence(family: Family) -> Dependent | None:
    """Return what a family says of runs; None if it takes attempts for independent."""
    if isinstance(family, Dependent):
        return family
    found = [one for one in map(dependence, family.components) if one is not None]
    return found[0] if found else None


def with_rho(family: Family, rho: float) -> Family:
    """Return the family with a known correlation."""
    if isinstance(family, Dependent):
        return replace(family, rho=rho)
    if isinstance(family, ZeroInflated | OneInflated):
        return replace(family, base=with_rho(family.base, rho))
    return family


def log_fail_in_runs(family: Family, parameters: Parameters, ks: Floats, run: float) -> Floats:
    """Return the log probability that k attempts at a new problem fail in runs of `run`.

    dims (..., k); `parameters` have dims (...).
    """
    each = []
    for leaf in family.leaves(parameters):
        share = 0.0 if leaf.log_share is None else np.asarray(leaf.log_share)[..., None]
        if isinstance(leaf.distribution, float):
            certain = -np.inf if leaf.distribution == 1 else 0.0
            each.append(np.broadcast_to(share + certain, (*np.shape(leaf.log_share), len(ks))))
        else:
            each.append(share + leaf.distribution.log_mean_fail(leaf.parameters, ks, run))
    return np.asarray(np.logaddexp.reduce(each))


def log_fail_of_problems(
    family: Family, parameters: Parameters, log_q: Floats, ks: Floats, run: float
) -> Floats:
    """Return the same of problems whose p are known, dims (k, draw, problem).

    `parameters` have dims (draw,), `log_q` is log (1-p), dims (draw, problem).
    """
    own = dependence(family)
    rho = 0.0 if own is None else own.rho_of(parameters)
    values = np.empty((len(ks), *log_q.shape))
    rhos = np.broadcast_to(rho, len(next(iter(parameters.values()))))
    for one, mine in _by_rho({RHO: rhos}):
        some = mine if len(log_q) > 1 else slice(None)
        for i, k in enumerate(ks):
            values[i, some] = _fail_in_runs(log_q[some], _d(one), k, run)
    return values


def require_independent(family: Family | None, what: str) -> None:
    """Raise an error if a family takes attempts for dependent, which `what` has no answer for."""
    if family is not None and dependence(family) is not None:
        raise OptionError(
            f"{what} takes attempts for independent given the problem, and the family is "
            f"{family.full_name}. What to do: use {what} with the family that it goes around, and "
            "make each attempt in a run of its own"
        )
