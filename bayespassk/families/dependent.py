"""Attempts that depend on each other: those of one run are alike."""

import functools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse, special as sp

from bayespassk.arrays import CHUNK, Floats, Ints
from bayespassk.errors import OptionError
from bayespassk.families.base import Declare, Family, Parameters, Prior
from bayespassk.families.inflated import OneInflated, ZeroInflated
from bayespassk.families.patterned import (
    Patterned,
    are_plain,
    codes_of,
    holds,
    log_kernel_of,
    log_moment_of,
    within,
)
from bayespassk.families.quadrature import (
    Nodes,
    Piece,
    Smooth,
    about_peaks,
    log_peak,
    parts,
    powers,
    prior_parameters,
    representatives,
)
from bayespassk.families.verified import Verified
from bayespassk.runs import Runs
from bayespassk.special import NUMPY, Special

__all__ = [
    "MOST_SD",
    "RUN_SD",
    "Dependent",
    "Patterns",
    "RunsDensity",
    "at_sd",
    "dependence",
    "effects",
    "in_graph",
    "log_fail_in_runs",
    "log_fail_of_problems",
    "outermost",
    "require_independent",
    "rounded",
    "with_sd",
    "with_spreads",
]

MOST_IN_RUN = 100_000
"""Attempts of a run at a problem: more are so narrow about its success rate that sums over it are
long."""

SMALL = 0.03
"""A standard deviation of runs times the root of their length, below which it makes no difference:
a thousandth of the variance."""

SMOOTH = 0.7
"""Up to this, a rule of few points about each node serves: the same at all of them."""

MOST_REMEMBERED = 100_000_000
"""Bytes of log probabilities of patterns that are kept."""

RUN_SD = "run_sd"

SPREADS, FIRST, STEP_OF = "kernel_spreads", "first_spread", "spread_step"
"""Names of the coefficients of a spline, dims (spread, pair, node), the logs of pairs as functions
of log sd; of its first knot, and of the step between knots."""

STEP = 0.125
"""Between its knots, at most."""

MOST_SPREADS = 800_000_000
"""Bytes that the spline may have."""

MOST_SD = 20.0
"""Runs that differ so much are all success or all failure."""

LEAST_SD = 1e-5
"""Runs that differ by less are alike."""

ROUND = 0.05
"""Draws of log sd that a sampler found are rounded to multiples of this."""

LEAST_LOGIT, MOST_LOGIT = -50.0, 35.0
"""Where logits of problems are looked at; beyond, outcomes are what they are there."""


@functools.lru_cache(maxsize=64)
def effects(sd: float) -> "Effects":
    """Return effects of runs, made once."""
    return Effects(sd)


@dataclass(frozen=True, eq=False)
class Effects:
    """How the logit of a success differs from run to run: normal, with a standard deviation.

    A problem has the logit x in a run without an effect; its p, the mean over runs, is that of the
    logistic function of x + sd z with a standard normal z.

    Attributes
    ----------
    sd : float
    """

    sd: float

    @functools.cached_property
    def _z(self) -> tuple[Floats, Floats]:
        """Return points and weights of the trapezoidal rule for a standard normal."""
        step = min(0.25, 0.4 / max(self.sd, 1e-12))
        z = np.arange(-9.0, 9.0 + step / 2, step)
        weight = np.exp(-0.5 * z * z)
        return z, weight / weight.sum()

    @functools.cached_property
    def _table(self) -> tuple[Floats, Floats]:
        """Return logits of p, and the logits in a run without an effect that these come of."""
        x = np.arange(LEAST_LOGIT - 10, MOST_LOGIT + 10, 0.05)
        log_yes, log_no = self.mean(x)
        return log_yes - log_no, x

    def logit_without(self, log_p: Floats, log_q: Floats, exact: bool = True) -> Floats:
        """Return x for problems with the mean p: interpolated, and improved by Newton's method."""
        wanted = np.asarray(log_p - log_q)
        logit, table = self._table
        x = np.interp(wanted, logit, table)
        x = np.where(wanted < logit[0], table[0] + wanted - logit[0], x)
        x = np.where(wanted > logit[-1], table[-1] + wanted - logit[-1], x)
        z, weight = self._z
        for _ in range(3 if exact else 0):
            log_yes, log_no = self.mean(x)
            at = x[..., None] + self.sd * z
            slope = sp.logsumexp(NUMPY.log_sigmoid(at) + NUMPY.log_sigmoid(-at), axis=-1, b=weight)
            step = (log_yes - log_no - wanted) * np.exp(log_yes + log_no - slope)
            x = x - np.clip(step, -1.0, 1.0)
        return np.asarray(x)

    def draw(self, p: Floats, rng: np.random.Generator) -> Floats:
        """Draw the probability of a success in a run of problems with these p."""
        p = np.asarray(p, dtype=float)
        inside = (p > 0) & (p < 1)
        some = p[inside]
        found = p.copy()
        x = self.logit_without(np.log(some), np.log1p(-some), exact=False)
        found[inside] = sp.expit(x + self.sd * rng.standard_normal(len(some)))
        return found

    def mean(self, x: Floats) -> tuple[Floats, Floats]:
        """Return log p and log (1-p) of problems with the logit x in a run without an effect."""
        z, weight = self._z
        at = x[..., None] + self.sd * z
        each = (sp.logsumexp(NUMPY.log_sigmoid(sign * at), axis=-1, b=weight) for sign in (1, -1))
        log_yes, log_no = each
        return np.asarray(log_yes), np.asarray(log_no)

    def log_fail(self, x: Floats, attempts: Any) -> Floats:
        """Return the log probability that so many attempts of one run fail, dims of `x`."""
        z, weight = self._z
        rate = -NUMPY.log_sigmoid(-(x[..., None] + self.sd * z))
        attempts = np.asarray(attempts, dtype=float)[..., None]
        with np.errstate(divide="ignore"):
            pass_once = (-np.expm1(-attempts * rate) * weight).sum(-1)
            far = sp.logsumexp(-attempts * rate, axis=-1, b=weight)
            return np.where(pass_once < 0.5, np.log1p(-np.minimum(pass_once, 0.6)), far)


@dataclass(frozen=True, eq=False)
class Patterns:
    """What the runs at a problem showed, whatever their order: the distinct ones.

    Attributes
    ----------
    successes, attempts : array of int, dims (kind,)
        The distinct outcomes of a run.
    number : sparse matrix, dims (pattern, kind)
        How many runs of each pattern had which.
    """

    successes: Ints
    attempts: Ints
    number: sparse.csr_matrix
    _known: dict[tuple[Any, ...], Floats] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, runs: Runs, rows: int) -> tuple["Patterns", Ints]:
        """Return the distinct patterns, and that of each row, dims (row,)."""
        longest = int(runs.attempts.max(initial=1))
        if longest > MOST_IN_RUN:
            raise OptionError(
                f"a run may have up to {MOST_IN_RUN:,} attempts at a problem to be modelled as "
                f"dependent; one has {longest:,}. What to do: thin it (bp.thin), or divide it"
            )
        kinds, kind = np.unique(
            np.stack([runs.attempts, runs.successes]), axis=1, return_inverse=True
        )
        kind = kind.ravel()
        order = np.lexsort((kind, runs.row))
        place = np.arange(len(order)) - np.searchsorted(runs.row[order], runs.row[order])
        table = np.full((rows, int(place.max(initial=0)) + 1), -1)
        table[runs.row[order], place] = kind[order]
        distinct, which = np.unique(table, axis=0, return_inverse=True)
        pattern, column = np.nonzero(distinct >= 0)
        number = sparse.csr_matrix(
            (np.ones(len(pattern)), (pattern, distinct[pattern, column])),
            shape=(len(distinct), kinds.shape[1]),
        )
        return cls(kinds[1], kinds[0], number), which.ravel()

    @classmethod
    def none(cls) -> "Patterns":
        """Return no patterns."""
        nothing = np.zeros(0, dtype=np.int64)
        return cls(nothing, nothing, sparse.csr_matrix((0, 0)))

    def at(self, which: Any) -> "Patterns":
        """Return some of the patterns, and of the kinds those that they have."""
        number = self.number[which]
        kinds = np.unique(number.indices)
        return Patterns(self.successes[kinds], self.attempts[kinds], number[:, kinds])

    def totals(self) -> tuple[Ints, Ints]:
        """Return the successes and failures of each, dims (pattern,)."""
        solved, made = (
            np.rint(self.number @ values.astype(float)).astype(np.int64)
            for values in (self.successes, self.attempts)
        )
        return solved, made - solved

    def remembered(self, which: Ints, log_p: Floats, log_q: Floats, sd: float) -> Floats:
        """Return :meth:`log_probability` of some, which is asked again and again at few nodes."""
        key = sd, which.tobytes(), log_p.tobytes()
        if key not in self._known:
            size = sum(one.nbytes for one in self._known.values())
            while self._known and size > MOST_REMEMBERED:
                size -= self._known.pop(next(iter(self._known))).nbytes
            self._known[key] = self.at(which).log_probability(log_p, log_q, sd)
        return self._known[key]

    def log_probability(self, log_p: Floats, log_q: Floats, sd: float) -> Floats:
        """Return the log probability of each at problems with these p, dims (pattern, node)."""
        a = self.successes.astype(float)[:, None]
        b = (self.attempts - self.successes).astype(float)[:, None]
        root = math.sqrt(float(self.attempts.max(initial=1)))
        if sd * root <= SMALL:
            return np.asarray(
                self.number @ (a * np.maximum(log_p, -1e30) + b * np.maximum(log_q, -1e30))
            )
        x = effects(sd).logit_without(log_p, log_q).clip(LEAST_LOGIT, MOST_LOGIT)
        top = log_peak(a, b)
        if sd * root <= SMOOTH:  # outcomes are smooth in the effect of a run
            z = np.arange(-12.0, 12.2, 0.4)
            at = x[:, None] + sd * z
            log_yes, log_no = NUMPY.log_sigmoid(at), NUMPY.log_sigmoid(-at)
            weight = np.exp(-0.5 * z * z)
            weight /= weight.sum()
            of_kinds = [
                np.exp(c * log_yes + f * log_no - peak) @ weight
                for c, f, peak in zip(a, b, top, strict=True)
            ]
            found = np.reshape(of_kinds, (len(a), len(x)))
            return np.asarray(self.number @ (np.log(np.maximum(found, 1e-300)) + top))
        # Outcomes of a run given its own logit y, and y given x: a product of two matrices. The
        # trapezoidal rule is exact to rounding with two points in a standard deviation of either.
        step = min(sd / 2, 0.7 / root, 0.5)
        y = np.arange(x.min(initial=0.0) - 9 * sd, x.max(initial=0.0) + 9 * sd + step, step)
        logs = a * NUMPY.log_sigmoid(y) + b * NUMPY.log_sigmoid(-y) - top
        of_y = np.exp(-0.5 * ((y[:, None] - x) / sd) ** 2)
        of_y /= of_y.sum(0)
        return np.asarray(self.number @ (np.log(np.maximum(np.exp(logs) @ of_y, 1e-300)) + top))


@dataclass(frozen=True, eq=False)
class RunsDensity(Nodes):
    """A density of p, where pairs (a, b) may be patterns of runs.

    Pattern i is (-1-i, -1-i); (0, -1-i) if it holds no success, (-1-i, 0) if no failure.
    """

    inner: Smooth
    table: Patterns
    sd: float | None

    def _log_kernel(self, a: Any, b: Any, log_p: Floats, log_q: Floats, sd: float) -> Floats:
        """Return logs of the pairs at some p, dims (pair, node)."""
        return log_kernel_of(
            a, b, log_p, log_q, lambda some: self.table.remembered(some, log_p, log_q, sd)
        )

    def _own(self, parameters: Parameters) -> dict[str, Any]:
        return {name: value for name, value in parameters.items() if name != RUN_SD}

    def _sds(self, parameters: Parameters) -> Any:
        return self.sd if self.sd is not None else parameters[RUN_SD]

    def constants(
        self,
        a: Floats,
        b: Floats,
        parameters: Parameters | None = None,
        cuts: ArrayLike = (),
        finer: ArrayLike = (),
        also: Callable[[Floats, Floats], Floats] | None = None,
    ) -> dict[str, NDArray[Any]]:
        """Return nodes for the pairs, and what pairs are at them; see :meth:`Nodes.constants`.

        They serve the functions of p whose logs are `also`, too.
        """
        a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
        parameters = prior_parameters(self.inner) if parameters is None else parameters
        few = representatives(parameters)
        # The sharpest and the widest: others peak between, and are smoother than the first.
        sds = {float(np.max(self._sds(few)))} | ({0.0} if self.sd is None else set())
        pairs = np.unique(np.stack([a, b], 1), axis=0)
        pairs = pairs[np.linspace(0, len(pairs) - 1, min(len(pairs), MOST_PATTERNS)).astype(int)]
        itself = powers(np.zeros(1), np.zeros(1))

        def log_kernel(log_p: Floats, log_q: Floats) -> Floats:
            each = [self._log_kernel(pairs[:, 0], pairs[:, 1], log_p, log_q, sd) for sd in sds]
            more = [] if also is None else [also(log_p, log_q)]
            return np.concatenate([*each, *more, itself(log_p, log_q)])

        plain = (a >= 0) & (b >= 0)
        edges = np.union1d(finer, about_peaks(a[plain], b[plain]))
        nodes = self.inner.nodes(log_kernel, self._own(few), cuts, edges)
        return nodes | self.kernel(nodes, a, b)

    def kernel(self, nodes: Mapping[str, Any], a: Floats, b: Floats) -> dict[str, NDArray[Any]]:
        """Return the pairs, and what they are at the nodes if the spread of runs is known."""
        pairs = {"a": np.asarray(a, dtype=float), "b": np.asarray(b, dtype=float)}
        return pairs if self.sd is None else pairs | self._at(nodes, pairs, self.sd)

    def _at(
        self, nodes: Mapping[str, Any], pairs: Mapping[str, Any], sd: float
    ) -> dict[str, NDArray[Any]]:
        """Return what pairs are at the nodes over their largest, and logs of these."""
        log_kernel = self._log_kernel(pairs["a"], pairs["b"], nodes["log_p"], nodes["log_q"], sd)
        top = log_kernel.max(-1)
        return {"kernel": np.exp(log_kernel - top[:, None]), "kernel_top": top}

    def _spreads(self, own: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
        """Return what pairs are at the nodes as a function of the spread of runs."""
        root = math.sqrt(self.table.attempts.max(initial=1))
        first, last = math.log(1.001 * SMALL / root), math.log(MOST_SD)
        knots = np.linspace(first, last, math.ceil((last - first) / STEP) + 1)
        sds = np.exp(knots)
        pairs, log_p, log_q = len(own["a"]), own["log_p"], own["log_q"]
        if (size := 8 * len(sds) * pairs * len(log_p)) > MOST_SPREADS:
            raise OptionError(
                f"a sampler that learns the spread of runs would hold {size / 1e9:.1f} GB for "
                f"{pairs:,} distinct problems. What to do: method='quadrature', a known sd, or "
                "shorter runs (bp.thin)"
            )
        logs = np.stack([self._log_kernel(own["a"], own["b"], log_p, log_q, sd) for sd in sds])
        along = {FIRST: np.asarray(first), STEP_OF: np.asarray(knots[1] - knots[0])}
        return {SPREADS: _spline(logs), "pair": np.arange(pairs), **along}

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
        if SPREADS in constants:
            kernel = _interpolated(constants, parameters[RUN_SD], xp, system)
            return self.inner.log_moments(own, {**constants, **kernel}, xp, system)
        values = np.empty((len(parameters[RUN_SD]), len(constants["a"])))
        for sd, mine in _by_sd(parameters[RUN_SD]):
            some = {name: value[mine] for name, value in own.items()}
            kernel = self._at(constants, constants, sd)
            values[mine] = self.inner.log_moments(some, {**constants, **kernel}, NUMPY)
        return values

    def log_moment(self, parameters: Parameters, a: ArrayLike, b: ArrayLike) -> Floats:
        """Return the log probability of patterns, or log E[p^a (1-p)^b] of ordinary powers."""
        own = self._own(parameters)
        sums = functools.partial(self.log_moments, xp=NUMPY)
        return log_moment_of(self, parameters, own, a, b, sums)

    def survival(
        self, parameters: Parameters, above: ArrayLike, a: ArrayLike = 0.0, b: ArrayLike = 0.0
    ) -> Floats:
        """Return the probability that p lies above, given patterns; see :meth:`Family.survival`."""
        above, a, b = np.broadcast_arrays(*(np.asarray(one, float) for one in (above, a, b)))
        if are_plain(a, b):
            return self.inner.survival(self._own(parameters), above, a, b)
        if self.sd is not None:
            return super().survival(parameters, above, a, b)
        shape = np.shape(parameters[RUN_SD])
        flat = {n: np.broadcast_to(p, shape).ravel() for n, p in parameters.items()}
        inside = np.unique(above[(above > 0) & (above < 1)])
        values = np.tile((above.ravel() <= 0).astype(float), (len(flat[RUN_SD]), 1))
        if len(inside):
            constants = self.constants(a.ravel(), b.ravel(), flat, sp.logit(inside))
        for threshold in inside:
            own = np.flatnonzero(above.ravel() == threshold)
            pairs = {name: constants[name][own] for name in ("a", "b")}
            for sd, mine in _by_sd(flat[RUN_SD]):
                at = {**constants, **pairs, **self._at(constants, pairs, sd)}
                some = {name: value[mine] for name, value in flat.items()}
                values[np.ix_(mine, own)] = self._above(some, at, float(np.log(threshold)))
        return values.reshape(shape + a.shape)

    def nodes_of_seen(self, a: Floats, b: Floats, parameters: Parameters) -> dict[str, Any]:
        """Return the nodes to draw from given patterns, which serve further attempts too."""
        codes = codes_of(a, b)
        solved = np.where(codes < 0, a, self.table.totals()[0][np.maximum(codes, 0)])
        fewest = np.argsort(solved, kind="stable")[:3]
        further = 10.0 ** np.arange(13)[:, None, None]
        sd = float(np.max(self._sds(parameters)))

        def later(log_p: Floats, log_q: Floats) -> Floats:
            each = self._log_kernel(a[fewest], b[fewest], log_p, log_q, sd) + further * log_q
            return np.asarray(each.reshape(-1, len(log_p)))

        return self.constants(a, b, parameters, also=later)

    def _weighed(
        self, parameters: Parameters, whole: Mapping[str, Any], of: Callable[[Any], Floats]
    ) -> Iterator[tuple[slice, int, Floats, Floats]]:
        """Yield for some draws and a pair a value of each node, and its posterior weight."""
        distinct = np.unique(self._sds(parameters))
        at = 0
        log_kernels = {
            float(sd): self._log_kernel(
                whole["a"], whole["b"], whole["log_p"], whole["log_q"], float(sd)
            )
            for sd in distinct
        }
        for part in parts(parameters, len(whole["log_p"]) * 4):
            (piece,) = self.pieces(part, whole, NUMPY)
            draws = slice(at, at + len(piece.log_weights))
            at = draws.stop
            sds = np.broadcast_to(np.asarray(self._sds(part), float), len(piece.log_weights))
            here, which = np.unique(sds, return_inverse=True)
            for i in range(len(whole["a"])):
                of_sd = np.stack([log_kernels[float(sd)][i] for sd in here])
                logs = piece.log_weights + of_sd[which]
                yield draws, i, of(piece), np.exp(logs - logs.max(-1, keepdims=True))

    def log_mean_fail(self, parameters: Parameters, ks: Floats, run: float) -> Floats:
        """Return the log probability that k attempts in runs of `run` all fail, dims (..., k)."""
        shape = np.broadcast_shapes(*(np.shape(p) for p in parameters.values()))
        flat = {n: np.broadcast_to(p, shape).ravel() for n, p in parameters.items()}
        draws = len(next(iter(flat.values())))
        sds = np.broadcast_to(np.asarray(self._sds(flat), dtype=float), (draws,))
        ends = {float(sds.min()), float(sds.max())}

        def log_kernel(log_p: Floats, log_q: Floats) -> Floats:
            return np.concatenate([_fail_in_runs(log_p, log_q, sd, ks, run) for sd in ends])

        zero = np.zeros(1)
        nodes = self.constants(zero, zero, flat, also=log_kernel)
        values = np.empty((draws, len(ks)))
        for sd, mine in _by_sd(sds):
            log_fail = _fail_in_runs(nodes["log_p"], nodes["log_q"], sd, ks, run)
            some = {name: value[mine] for name, value in self._own(flat).items()}
            (piece,) = self.inner.pieces(some, nodes, NUMPY)
            weights = np.exp(piece.log_weights - piece.log_weights.max(-1, keepdims=True))
            weights /= weights.sum(-1, keepdims=True)
            with np.errstate(divide="ignore"):
                passed = -(weights @ np.expm1(log_fail).T)
                far = np.log(weights @ np.exp(log_fail).T)
                values[mine] = np.where(passed < 0.5, np.log1p(-np.minimum(passed, 0.6)), far)
        return values.reshape(*shape, len(ks))


MOST_PATTERNS = 40
"""Patterns for which panels are chosen, if there are more."""


def _interpolated(
    constants: Mapping[str, Any], sd: Any, xp: Special, system: Any
) -> dict[str, Any]:
    """Return what pairs are at the nodes given the sd of runs of each system: a cubic spline.

    Beyond its knots they are what they are at the last one.
    """
    coefficients, one = constants[SPREADS], np.float64(1.0)
    last = coefficients.shape[0] - 3 - np.float64(1e-9)
    where = (xp.log(sd) - constants[FIRST]) / constants[STEP_OF]
    where = -xp.maximum(-last, -xp.maximum(np.float64(0.0), where))
    where = where.ravel()[0] if system is None else where[system]
    knot = where.astype("int64")
    u = where - knot
    weights = (
        (one - u) ** 3,
        one * 4 - 6 * u**2 + 3 * u**3,
        one + 3 * u + 3 * u**2 - 3 * u**3,
        u**3,
    )
    logs: Any = np.float64(0.0)
    for j, weight in enumerate(weights):
        if system is None:
            logs = logs + weight / 6 * coefficients[knot + j]
        else:
            logs = logs + weight[:, None] / 6 * coefficients[knot + j, constants["pair"]]
    top = logs.max(-1)
    return {"kernel": xp.exp(logs - top[:, None]), "kernel_top": top}


def _spline(values: Floats) -> Floats:
    """Return coefficients of the natural cubic spline with unit steps, dims (spread + 2, ...)."""
    many = len(values)
    equations = np.zeros((many + 2, many + 2))
    for i in range(many):
        equations[i + 1, i : i + 3] = 1 / 6, 4 / 6, 1 / 6
    equations[0, :3] = equations[-1, -3:] = 1, -2, 1
    wanted = np.zeros((many + 2, values[0].size))
    wanted[1:-1] = values.reshape(many, -1)
    return np.linalg.solve(equations, wanted).reshape(many + 2, *values.shape[1:])


def _by_sd(sds: Floats) -> Iterator[tuple[float, Ints]]:
    """Yield each standard deviation of runs, and which draws have it."""
    values, which = np.unique(sds, return_inverse=True)
    order = np.argsort(which, kind="stable")
    ends = np.searchsorted(which[order], np.arange(len(values) + 1))
    for i, value in enumerate(values):
        yield float(value), order[ends[i] : ends[i + 1]]


def _fail_in_runs(log_p: Floats, log_q: Floats, sd: float, ks: Floats, run: float) -> Floats:
    """Return the log probability that k attempts fail, in runs of `run` and one of the rest.

    dims (k, ...), of problems with these p, dims (...).
    """
    # Draws of p are among few nodes, again and again.
    flat_q, first, which = np.unique(np.ravel(log_q), return_index=True, return_inverse=True)
    flat_p, own = np.ravel(log_p)[first], effects(sd)
    shape = len(ks), *np.shape(log_p)
    finite = np.isfinite(flat_p) & np.isfinite(flat_q)
    values = np.where(np.isneginf(flat_q), -np.inf, 0.0) * np.ones((len(ks), 1))
    if run == 1 or sd == 0.0:
        values[:, finite] = ks[:, None] * flat_q[finite]
        return values[:, which].reshape(shape)
    x = own.logit_without(flat_p[finite], flat_q[finite])
    step = max(1, CHUNK // len(own._z[0]))
    for i, k in enumerate(ks):
        whole, rest = (0.0, k) if math.isinf(run) else divmod(k, run)
        total = np.zeros(len(x))
        for at in range(0, len(x), step):
            some = slice(at, at + step)
            if whole:
                total[some] += whole * own.log_fail(x[some], run)
            if rest:
                total[some] += own.log_fail(x[some], rest)
        values[i, finite] = total
    return values[:, which].reshape(shape)


@final
@dataclass(frozen=True)
class Dependent(Patterned):
    """A family of the p of problems whose attempts come in runs, those of one run alike.

    A run is a seed, a day, a temperature, a worker. From run to run the logit of a success at a
    problem differs by a normal effect with the standard deviation sd; p is the mean over runs. The
    counts must hold runs: :meth:`bayespassk.Counts.from_runs`, :func:`bayespassk.read_attempts`.

    A forecast is of k attempts each in a run of its own; ``bp.forecast(fit, k, run_length=m)`` is
    of k attempts in runs of m.

    Parameters
    ----------
    base : Family
        The distribution of p over problems: any but :class:`bayespassk.ScaledBeta` and
        :class:`bayespassk.Verified`.
    sd : float or Prior
        Of the effects of runs on the logit: known, 0 or more, or the prior of its logarithm; by
        default its median is 0.3, and 95% of it lies in 0.03 to 3.

    Raises
    ------
    OptionError
        If sd or the base is none of these.

    Notes
    -----
    Effects are taken to be independent from problem to problem and run to run, and sd the same for
    all problems of a system. A run that is better at all problems alike is not modelled:
    :func:`bayespassk.independence` tells of it, and then there are no more independent pieces than
    runs. With sd = 0 it is `base`. With one run a problem, counts say nothing about sd, and the
    bands are as wide as its prior has it.

    Beta-binomial counts about p with one correlation for all problems were tried first: for rare
    successes they hold runs to be far more alike than effects on the logit make them, and their
    bands of pass@100 held 35% of such data where these hold what they say.

    Examples
    --------
    >>> import bayespassk as bp
    >>> family = bp.Dependent(bp.Beta(), sd=0.5)
    >>> family.full_name
    'dependent-beta'
    """

    name: ClassVar[str] = "dependent"
    when: ClassVar[str] = "attempts come in runs (seeds, days, workers), those of one run alike"
    location: ClassVar[str] = ""
    draws: ClassVar[int] = 2000

    base: Family
    sd: float | Prior = Prior(math.log(0.3), 1.2, spread=0.5)
    table: Patterns | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.base, Family) or holds(self.base, (Verified, Dependent)):
            raise OptionError(
                "dependent needs a family of success probabilities, other than verified, as in "
                f"Dependent(ZeroInflated(Beta())); got {self.base!r}"
            )
        number = isinstance(self.sd, int | float | np.number) and not isinstance(self.sd, bool)
        if not (isinstance(self.sd, Prior) or (number and 0 <= self.sd <= MOST_SD)):
            raise OptionError(
                f"sd must be a number from 0 to {MOST_SD:g}, or a prior of its logarithm such as "
                f"bp.Prior.from_median(0.3, factor=3); got {self.sd!r}"
            )
        if number:
            object.__setattr__(self, "sd", float(self.sd))  # type: ignore[arg-type]
        leaves = self.base.leaves(prior_parameters(self.base))
        if not all(isinstance(leaf.distribution, float | Smooth) for leaf in leaves):
            raise OptionError(
                "dependent takes families whose density is smooth, which "
                f"{self.base.full_name} is not: use bp.LibbyNovick()"
            )

    @property
    def learned(self) -> bool:
        """Whether sd has a prior."""
        return isinstance(self.sd, Prior)

    @property
    def components(self) -> tuple[Family, ...]:
        """The family of p."""
        return (self.base,)

    @property
    def full_name(self) -> str:
        """As on the command line: "dependent-beta"."""
        return f"{self.name}-{self.base.full_name}"

    def spec(self) -> dict[str, Any]:
        """Return the family as data that JSON can hold, a known sd among it."""
        return super().spec() | ({} if self.learned else {"known": {"sd": self.sd}})

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
        return within(self.base, lambda inner: Dependent(inner, self.sd, table)), a, b

    def outcomes(self, successes: Ints, failures: Ints) -> tuple[Ints, Ints]:
        """Return successes and failures of patterns; see :meth:`Family.outcomes`."""
        codes = codes_of(successes, failures)
        if self.table is None or (codes < 0).all():
            return successes, failures
        c, f = (one[np.maximum(codes, 0)] for one in self.table.totals())
        return np.where(codes < 0, successes, c), np.where(codes < 0, failures, f)

    def prior(self, declare: Declare, xp: Special = NUMPY) -> dict[str, Any]:
        """Declare the parameters of the family of p, and the log of sd if it is learned."""
        free = self.base.prior(declare, xp)
        if isinstance(self.sd, Prior):
            free[f"log_{RUN_SD}"] = declare(f"log_{RUN_SD}", self.sd)
        return free

    def natural(self, free: Parameters, xp: Special = NUMPY) -> dict[str, Any]:
        """Return the natural parameters of the family of p, and sd if it is learned."""
        natural = self.base.natural(free, xp)
        if self.learned:
            natural[RUN_SD] = xp.exp(free[f"log_{RUN_SD}"])
        return natural

    def free(self, natural: Parameters) -> dict[str, Any]:
        """Return the free parameters; see :meth:`Family.free`."""
        free = self.base.free(self._rest(natural))
        if self.learned:
            free[f"log_{RUN_SD}"] = np.log(natural[RUN_SD])
        return free

    def density(
        self, distribution: Smooth, own: dict[str, Any], parameters: Parameters
    ) -> tuple[Nodes, dict[str, Any]]:
        """Return a density that knows patterns of runs; see :meth:`Patterned.density`."""
        if self.learned:
            own = {**own, RUN_SD: parameters[RUN_SD]}
        return RunsDensity(distribution, self._table, self._known), own

    def sd_of(self, parameters: Parameters) -> Any:
        """Return the standard deviation of runs: known, or that of each draw."""
        return parameters[RUN_SD] if self.learned else self.sd

    @property
    def _table(self) -> Patterns:
        return Patterns.none() if self.table is None else self.table

    @property
    def _known(self) -> float | None:
        return self.sd if isinstance(self.sd, float) else None

    def _rest(self, parameters: Parameters) -> dict[str, Any]:
        return {name: value for name, value in parameters.items() if name != RUN_SD}


def dependence(family: Family) -> Dependent | None:
    """Return what a family says of runs; None if it takes attempts for independent."""
    if isinstance(family, Dependent):
        return family
    found = [one for one in map(dependence, family.components) if one is not None]
    return found[0] if found else None


def with_sd(family: Family, sd: float) -> Family:
    """Return the family with a known standard deviation of runs."""
    if isinstance(family, Dependent):
        return replace(family, sd=sd)
    if isinstance(family, ZeroInflated | OneInflated):
        return replace(family, base=with_sd(family.base, sd))
    return family


def outermost(family: Family) -> Family:
    """Return a family with runs inside its inflations as one with inflations inside its runs."""
    own = dependence(family)
    return family if own is None else replace(own, base=_without_runs(family))


def _without_runs(family: Family) -> Family:
    if isinstance(family, Dependent):
        return family.base
    if isinstance(family, ZeroInflated | OneInflated):
        return replace(family, base=_without_runs(family.base))
    return family


def rounded(family: Family, free: Mapping[str, Floats]) -> dict[str, Floats]:
    """Return draws of free parameters with the spread of runs rounded to some 5%.

    Whatever is asked of a fit is computed for each spread that it holds.
    """
    name = f"log_{RUN_SD}"
    if dependence(family) is None or name not in free:
        return dict(free)
    least, most = math.log(LEAST_SD), math.log(MOST_SD)
    return {**free, name: np.round(np.clip(free[name], least, most) / ROUND) * ROUND}


def in_graph(family: Dependent) -> Family:
    """Return the family as a graph needs it, which has what it knows of runs among constants."""
    return within(family.base, lambda inner: Dependent(inner, family.sd, Patterns.none()))


def at_sd(family: Family, constants: Mapping[str, Any], sd: float) -> dict[str, Any]:
    """Return the constants of a family whose spread of runs is learned, as they are at one."""
    found = dict(constants)
    parameters = prior_parameters(family)
    for j, leaf in enumerate(family.leaves(parameters), 1):
        own = {name: constants[f"{name}_{j}"] for name in ("a", "b", "log_p", "log_q")}
        kernel = leaf.distribution._at(own, own, sd)
        found |= {f"{name}_{j}": value for name, value in kernel.items()}
    return found


def with_spreads(family: Family, constants: Mapping[str, Any]) -> dict[str, Any]:
    """Return constants with which a sampler can learn the spread of runs, if it is not known."""
    own, found = dependence(family), dict(constants)
    if own is None or not own.learned:
        return found
    for j, leaf in enumerate(own.leaves(prior_parameters(own)), 1):
        mine = {name: constants[f"{name}_{j}"] for name in ("a", "b", "log_p", "log_q")}
        found |= {f"{n}_{j}": value for n, value in leaf.distribution._spreads(mine).items()}
    return found


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

    `parameters` have dims (draw,), `log_q` is log (1-p), dims (draw, problem) or (1, problem).
    """
    own = dependence(family)
    draws = len(next(iter(parameters.values())))
    sds = np.broadcast_to(
        np.asarray(0.0 if own is None else own.sd_of(parameters), dtype=float), draws
    )
    values = np.empty((len(ks), draws, log_q.shape[1]))
    with np.errstate(divide="ignore"):
        log_p = np.log(-np.expm1(log_q))
    for sd, mine in _by_sd(sds):
        some = mine if len(log_q) > 1 else [0]  # which stand for all draws
        values[:, mine] = _fail_in_runs(log_p[some], log_q[some], sd, ks, run)
    return values


def require_independent(family: Family | None, what: str) -> None:
    """Raise an error if a family takes attempts for dependent, which `what` has no answer for."""
    if family is not None and dependence(family) is not None:
        raise OptionError(
            f"{what} takes attempts for independent given the problem, and the family is "
            f"{family.full_name}. What to do: use {what} with the family that it goes around, and "
            "make each attempt in a run of its own"
        )
