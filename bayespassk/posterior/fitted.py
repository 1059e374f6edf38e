"""A fit, opened once: what its tree says, read at the door of a verb and handed on."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayespassk.arguments import check_arguments
from bayespassk.arrays import Floats, Ints
from bayespassk.cells import Cells, distinct
from bayespassk.counts import Counts
from bayespassk.errors import FitFileError, OptionError
from bayespassk.evidence import EVIDENCE, LEAST_SE, LOWEST, Evidence
from bayespassk.families import Family, family_from_spec
from bayespassk.families.base import declared
from bayespassk.families.dependent import dependence
from bayespassk.families.evident import seen_by, without
from bayespassk.options import seed_of
from bayespassk.posterior.pooling import Hierarchy
from bayespassk.runs import Runs

__all__ = ["PIECES", "Fitted", "Part", "attempted", "family_of", "opened", "runs_of"]

PIECES = ("row", "run", "attempts", "successes")
"""What is known of each run at each problem; see :class:`bayespassk.runs.Runs`."""

ORIGIN = ("family", "input_sha256", "bayespassk_version")
"""Attributes that every number made from a fit carries with it."""


NEEDED = {*ORIGIN, "diagnostics", "random_seed"}
"""Attributes without which a tree is not a fit."""


class Part(NamedTuple):
    """Problems of one system with the same parameters: all of them, unless there are covariates.

    Attributes
    ----------
    rows : array of int, dims (problem,)
        Which rows of the fit.
    cells : Cells
        Their distinct counts; `inverse` is in the order of `rows`.
    parameters : dict of str to array, dims (chain, draw)
        The natural parameters of the family.
    """

    rows: Ints
    cells: Cells
    parameters: dict[str, Floats]


def attempted(benchmarks: Sequence[str], problems: Ints, attempts: Ints) -> str:
    """Return what was attempted, in words: benchmark, problems, and the most attempts at one."""
    sets = list(dict.fromkeys(map(str, benchmarks)))
    where = sets[0] if len(sets) == 1 else f"{len(sets)} benchmarks"

    def span(values: Ints) -> str:
        low, high = int(values.min()), int(values.max())
        return f"{low:,}" if low == high else f"{low:,} to {high:,}"

    many, each = span(problems), " each" if len(sets) > 1 else ""
    return f"{where}: {many} problem{'' if many == '1' else 's'}{each}, n = {span(attempts)}"


@dataclass(frozen=True, eq=False)
class Fitted:
    """A fit, opened.

    Attributes
    ----------
    tree : DataTree
        The fit as users hold it.
    family : Family
        With the priors it was fitted with.
    hierarchy : Hierarchy
        How the systems hang together.
    systems, benchmarks : tuple of str, dims (system,)
        Labels of the systems, and the benchmark of each.
    shape : tuple of int
        Chains, and draws of a chain.
    seed : int
        That of the fit, and of what is made from it if no other is given.
    """

    tree: xr.DataTree
    family: Family
    hierarchy: Hierarchy
    systems: tuple[str, ...]
    benchmarks: tuple[str, ...]
    shape: tuple[int, int]
    seed: int

    @property
    def origin(self) -> dict[str, Any]:
        """What every number made from the fit carries with it."""
        return {name: self.tree.attrs[name] for name in ORIGIN}

    @property
    def stopping(self) -> str:
        """How attempts were ended."""
        return str(self.tree.attrs.get("stopping", "fixed"))

    def seed_or(self, random_seed: int | None) -> int:
        """Return a seed that was given, or that of the fit."""
        return self.seed if random_seed is None else seed_of(random_seed)

    def design_effect(self, system: int) -> float:
        """Return by what factor clusters of problems widen the variance of parameters."""
        known = json.loads(self.tree.attrs.get("design_effect", "{}"))
        return float(known.get(self.systems[system], 1.0))

    @property
    def draws(self) -> int:
        """How many draws there are in all chains."""
        return self.shape[0] * self.shape[1]

    # The posterior ---------------------------------------------------------------------------

    @cached_property
    def posterior(self) -> xr.Dataset:
        """The group of the posterior."""
        return self.tree["posterior"].dataset

    @property
    def outer(self) -> dict[str, Any]:
        """The coordinates of draws, dims (chain, draw)."""
        return {name: self.posterior[name].values for name in ("chain", "draw")}

    @cached_property
    def coords(self) -> dict[str, Any]:
        """The coordinates of what has dims (chain, draw, system)."""
        coords = self.posterior.coords
        known = coords if "benchmark" in coords else self.tree["constant_data"].dataset.coords
        found = {name: coords[name] for name in ("chain", "draw", "system")}
        return found | {
            "benchmark": known["benchmark"],
            "problems": ("system", self.problems_attempted),
            "attempts": ("system", self.most_attempts),
        }

    def free(self, system: int) -> dict[str, Floats]:
        """Return the free parameters of one system, each with dims (chain, draw)."""
        here = self.posterior.isel(system=system)
        return {name: here[name].values for name in declared(self.family)}

    def parameters(self, system: int, columns: Floats | None = None) -> dict[str, Floats]:
        """Return the natural parameters of one system, each with dims (chain, draw).

        `columns`, dims (column,), are those covariates that differ between problems, standardised;
        by default they are at their means.
        """
        free = self.free(system)
        if columns is not None and len(columns):
            here = self.posterior.isel(system=system)
            free = {
                name: value + here[f"problem_effect_{name}"].values @ columns
                for name, value in free.items()
            }
        return self.family.natural(free)

    @cached_property
    def alone(self) -> "Fitted | None":
        """Each system by itself, with fewer draws; None if nothing is pooled, or not known."""
        if "alone" not in self.tree.children:
            return None
        posterior = self.tree["alone"].dataset
        groups = {name: self.tree[name].dataset for name in ("observed_data", "constant_data")}
        root = {"/": xr.Dataset(attrs=self.tree.attrs), "posterior": posterior}
        return replace(
            self,
            tree=xr.DataTree.from_dict(root | groups),
            hierarchy=Hierarchy("none", len(self.systems)),
            shape=(posterior.sizes["chain"], posterior.sizes["draw"]),
        )

    # The problems ----------------------------------------------------------------------------

    @cached_property
    def attempts(self) -> Ints:
        """Attempts, dims (row,)."""
        return np.asarray(self.tree["constant_data"].dataset["attempts"].values)

    @cached_property
    def successes(self) -> Ints:
        """Successes, dims (row,)."""
        return np.asarray(self.tree["observed_data"].dataset["successes"].values)

    @cached_property
    def problems(self) -> NDArray[Any]:
        """Names of the problems, dims (row,)."""
        return np.asarray(self.tree["observed_data"].dataset["problem"].values)

    @cached_property
    def system_index(self) -> Ints:
        """The position of the system of each row, dims (row,)."""
        return np.asarray(self.tree["constant_data"].dataset["system_index"].values)

    @cached_property
    def most_attempts(self) -> Ints:
        """The most attempts at a problem, dims (system,)."""
        most = np.zeros(len(self.systems), dtype=np.int64)
        np.maximum.at(most, self.system_index, self.attempts)
        return most

    @cached_property
    def problems_attempted(self) -> Ints:
        """How many problems there are, dims (system,)."""
        return np.bincount(self.system_index, minlength=len(self.systems))

    def attempted(self, system: int | None = None) -> str:
        """Return what was attempted by one system, or by all, in words."""
        these = slice(None) if system is None else slice(system, system + 1)
        return attempted(
            self.benchmarks[these], self.problems_attempted[these], self.most_attempts[these]
        )

    @cached_property
    def seen(self) -> tuple[Ints, Ints]:
        """What the family sees at each problem: its successes and failures, or patterns of runs.

        dims (row,) each.
        """
        failures = self.attempts - self.successes
        _, *seen = seen_by(self.family, self.successes, failures, self.runs, self.evidence)
        return seen[0], seen[1]

    @cached_property
    def evidence(self) -> Evidence | None:
        """What is known of log p beside attempts; None if nothing is."""
        return evidence_of(self.tree)

    @cached_property
    def runs(self) -> Runs | None:
        """How attempts divide into runs; None if that is not known."""
        return runs_of(self.tree)

    @cached_property
    def cells(self) -> Cells:
        """The distinct rows of all systems."""
        return distinct(self.system_index, *self.seen)

    @cached_property
    def parts(self) -> tuple[tuple[Part, ...], ...]:
        """The problems of each system, and the parameters they are drawn with."""
        return tuple(self.parts_of(system) for system in range(len(self.systems)))

    def parts_of(self, system: int, rows: NDArray[np.bool_] | None = None) -> tuple[Part, ...]:
        """Return those of the problems of one system that are among `rows`, dims (row,)."""
        mine = self.system_index == system
        index = np.flatnonzero(mine if rows is None else mine & rows)
        successes, failures = (values[index] for values in self.seen)

        def part(which: Ints, parameters: dict[str, Floats]) -> Part:
            cells = distinct(np.zeros(len(which), np.int64), successes[which], failures[which])
            return Part(index[which], cells, parameters)

        if not self.hierarchy.problem_columns:
            return (part(np.arange(len(index)), self.parameters(system)),)
        design, group = np.unique(self._design[index][:, self.varies], axis=0, return_inverse=True)
        return tuple(
            part(np.flatnonzero(group.ravel() == i), self.parameters(system, columns))
            for i, columns in enumerate(design)
        )

    @cached_property
    def counts(self) -> Counts:
        """The counts the fit was made from; systems are called by their labels."""
        return Counts(
            problem=self.problems,
            attempts=self.attempts,
            successes=self.successes,
            system=np.array(self.systems, dtype=object)[self.system_index],
            benchmark=np.array(self.benchmarks, dtype=object)[self.system_index],
            stopping=self.stopping,
            covariates=self.covariates,
            cluster=self.cluster,
            log_p=None if self.evidence is None else self.evidence.log_p,
            log_p_se=None if self.evidence is None else self.evidence.log_p_se,
            runs=self.runs,
        )

    @property
    def cluster(self) -> NDArray[Any] | None:
        """What each problem has in common with others, dims (row,), if that is known."""
        known = self.tree["constant_data"].dataset
        return known["cluster"].values if "cluster" in known else None

    # Covariates ------------------------------------------------------------------------------

    @cached_property
    def covariates(self) -> dict[str, NDArray[Any]]:
        """The covariates that the fit was made with, dims (row,)."""
        prefix = "covariate_"
        return {
            str(name).removeprefix(prefix): values.values
            for name, values in self.tree["constant_data"].dataset.data_vars.items()
            if str(name).startswith(prefix)
        }

    @cached_property
    def design(self) -> dict[str, Any] | None:
        """How covariates became columns, or None."""
        return json.loads(self.tree.attrs["design"]) if "design" in self.tree.attrs else None

    @property
    def formula(self) -> Any:
        """What the parameters depend on, or None."""
        return None if self.design is None else self.design["formula"]

    @property
    def varies(self) -> NDArray[np.bool_]:
        """Which columns differ between the problems of a system, dims (column,)."""
        return np.array([] if self.design is None else self.design["varies"], dtype=bool)

    @property
    def _design(self) -> Floats:
        return np.asarray(self.tree["constant_data"].dataset["design"].values)

    @property
    def system_design(self) -> Floats | None:
        """The covariates of the systems, standardised, dims (system, column), or None."""
        if not self.hierarchy.system_columns:
            return None
        first = [int(np.argmax(self.system_index == i)) for i in range(len(self.systems))]
        return self._design[first][:, ~self.varies]

    # The door --------------------------------------------------------------------------------

    def position(self, system: str | None, name: str = "system", of: str = "the fit") -> int:
        """Return the position of a system by its label; None is the only one.

        Raises
        ------
        OptionError
            If there is no such system, or it is not clear which is meant.
        """
        if (system is None and len(self.systems) > 1) or system not in (None, *self.systems):
            known: Sequence[str] = self.systems
            raise OptionError(
                f"{name} must be one of {of}, {', '.join(map(repr, known))}; got {system!r}"
            )
        return 0 if system is None else self.systems.index(system)


def opened(fit: xr.DataTree | Fitted, *, evidence: bool = False) -> Fitted:
    """Return a fit, opened: every verb that takes one begins so. One that is opened stays as it is.

    `evidence` says that the verb knows what to do with estimates of log p.

    Raises
    ------
    FitFileError
        If `fit` is not a fit, or its family is not known to this version.
    OptionError
        If it was made with estimates of log p, and the verb is not for such fits.
    """
    if isinstance(fit, Fitted):
        return fit
    if (
        not isinstance(fit, xr.DataTree)
        or not fit.attrs.keys() >= NEEDED
        or "posterior" not in fit.children
    ):
        raise FitFileError(
            "this is not a fit made by bayespassk: make one with bp.fit, or read one with bp.load"
        )
    try:
        found = _opened(fit)
    except (FitFileError, OptionError):
        raise
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise FitFileError(
            f"this is not a fit as bayespassk makes it: {type(error).__name__}: {error}. Make one "
            "with bp.fit, or read one with bp.load"
        ) from None
    if found.evidence is not None and not evidence:
        raise OptionError(
            "this fit was made with log_p, estimates of log p beside attempts, which are "
            "known to bp.forecast, bp.pass_hat_k, bp.tail_exponent, bp.share_above and "
            "bp.probability_impossible only. What to do: for all else, a fit of the problems with "
            "attempts alone"
        )
    return found


def _opened(fit: xr.DataTree) -> Fitted:
    family = family_from_spec(json.loads(fit.attrs["family"]))
    evidence = evidence_of(fit)
    if dependence(family) is not None or evidence is not None:
        attempts = fit["constant_data"].dataset["attempts"].values
        successes = fit["observed_data"].dataset["successes"].values
        family, *_ = seen_by(family, successes, attempts - successes, runs_of(fit), evidence)
    posterior = fit["posterior"].dataset
    known = posterior if "benchmark" in posterior.coords else fit["constant_data"].dataset
    return Fitted(
        tree=fit,
        family=family,
        hierarchy=_hierarchy(fit, posterior.sizes["system"]),
        systems=tuple(str(label) for label in posterior["system"].values),
        benchmarks=tuple(str(label) for label in known["benchmark"].values),
        shape=(posterior.sizes["chain"], posterior.sizes["draw"]),
        seed=int(fit.attrs["random_seed"]),
    )


def runs_of(fit: xr.DataTree) -> Runs | None:
    """Return the runs that a fit was made from, or None."""
    known = fit["constant_data"].dataset
    if "run_row" not in known:
        return None
    columns = {name: known[f"run_{name}"].values for name in PIECES}
    return Runs(**columns, names=tuple(str(name) for name in known["run_names"].values))


def evidence_of(fit: xr.DataTree) -> Evidence | None:
    """Return the estimates of log p that a fit was made with, or None.

    Raises
    ------
    FitFileError
        If they are none.
    """
    known = fit["constant_data"].dataset
    if not any(name in known for name in EVIDENCE):
        return None
    columns = [known[name].values if name in known else np.zeros(0) for name in EVIDENCE]
    rows = known.sizes.get("row")
    fine = all(one.dtype.kind == "f" and one.shape == (rows,) for one in columns)
    fine = fine and np.array_equal(np.isnan(columns[0]), np.isnan(columns[1]))
    if fine:  # what else must be is told with the counts
        log_p, se = (one[~np.isnan(one)] for one in columns)
        fine = bool(((log_p <= 0) & (log_p >= LOWEST) & (se >= LEAST_SE) & (se < np.inf)).all())
        fine = fine and len(log_p) > 0
    if not fine:
        raise FitFileError("log_p and log_p_se must be as bp.Counts has them. Make the fit again")
    return Evidence(*columns)


def _hierarchy(fit: xr.DataTree, systems: int) -> Hierarchy:
    if "hierarchy" not in fit.attrs:  # made before there was a choice
        return Hierarchy("none", systems)
    return Hierarchy.from_json(fit.attrs["hierarchy"])


def family_of(fit: xr.DataTree) -> Family:
    """Return the family of a fit, with the priors it was fitted with.

    Raises
    ------
    FitFileError
        If `fit` is not a fit, or its family is not known to this version.
    """
    check_arguments("family_of", locals())
    return without(opened(fit, evidence=True).family)
