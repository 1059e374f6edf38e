"""From counts to a posterior: the PyMC model and the samplers."""

import functools
import json
import warnings
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, replace
from importlib import metadata
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from bayespassk.arguments import check_arguments
from bayespassk.counts import Counts
from bayespassk.errors import FitFileError, OptionError, PoolingWarning, PriorDrivenWarning
from bayespassk.families import Family, as_family, family_from_spec
from bayespassk.families.dependent import dependence, rounded
from bayespassk.families.evident import require_evident
from bayespassk.fitting.advi import advi
from bayespassk.fitting.building import built
from bayespassk.fitting.clusters import design_effects, weakened
from bayespassk.fitting.lattice import integrate, takes
from bayespassk.fitting.model import Setup
from bayespassk.fitting.nuts import nuts_each, nuts_jointly
from bayespassk.fitting.pieces import Posterior, joined, joined_draws, pieces_of
from bayespassk.fitting.sampling import Draws, Size
from bayespassk.options import seed_of
from bayespassk.posterior.diagnostics import MAX_PARETO_K, MIN_ESS, Diagnostics
from bayespassk.posterior.pooling import Effects, Pooling
from bayespassk.posterior.tree import as_tree
from bayespassk.process import progress as bar

if TYPE_CHECKING:
    import pymc as pm

__all__ = ["build_model", "fit", "fit_with"]

type Method = Literal["auto", "quadrature", "nuts", "advi", "fullrank_advi"]


def build_model(
    counts: Counts,
    family: Family | str | None = None,
    *,
    pooling: Pooling | Literal["auto"] = "auto",
    covariates: str | Iterable[str] | None = None,
    latent: bool = False,
) -> "pm.Model":
    """Return the PyMC model of `counts`, as one would write it in a paper: to look into, or change.

    It has the posterior of :func:`fit`, which samples the same in compressed form: problems with
    equal counts enter once. ``pm.sample``, ``pm.sample_posterior_predictive``,
    ``pm.compute_log_likelihood``, ``pm.do`` and the like work on it;
    :func:`from_posterior` makes a fit of what they find.

    Parameters
    ----------
    counts : Counts
        The attempts.
    family : Family or str, default ZeroInflated(LibbyNovick())
        The distribution of p over problems, with its priors, or its name, as "beta". The default is
        what forecast best on published logs; "Against every published
        estimator" in the documentation has the figures.
    pooling, covariates
        As for :func:`fit`.
    latent : bool
        Write out the success probability of each problem, dims (problem,), as the variables
        "logit_p" and "p": slower to sample by one or two orders of magnitude, and what to change
        where attempts depend on more than p. Of families with problems that are never or always
        solved, it is that of the others.

    Returns
    -------
    pymc.Model
        Free and natural parameters have the dim "system"; "attempts", which are ``pm.Data``, and
        "successes", which are observed, the dim "problem". Without `latent` the success
        probabilities are integrated out, by the distributions of ``bp.dist``. With attempts that
        depend on each other (:class:`Dependent`) both have a dim "run" too.

    Raises
    ------
    OptionError
        If benchmarks are fitted each by itself, which is more than one model; or if p is to be
        written out where the attempts of each run have a p of their own.

    Notes
    -----
    What pools systems is written as distances from their mean in units of their spread, which
    samples well for few systems, or few attempts. `fit` decides this for each system.

    As attempts are ``pm.Data``, which may change, what a quadrature needs to know of them is looked
    up at every evaluation. Where they will not change, the model that
    ``pymc.model.transform.optimization.freeze_dims_and_data`` returns samples several times faster.

    Examples
    --------
    >>> import bayespassk as bp
    >>> counts = bp.thin(bp.load_example(), 100, random_seed=1).select("small")
    >>> model = bp.build_model(counts, bp.Beta())
    >>> [variable.name for variable in model.free_RVs + model.observed_RVs]
    ['log_a', 'logit_mean', 'successes']
    """
    check_arguments("build_model", locals())
    family = as_family(family)
    pooling = _pooling(counts, pooling)
    if pooling == "within":
        raise OptionError(
            "each benchmark is a model of its own; got counts with several benchmarks and "
            "pooling='within'. Give the counts of one, as counts.split('benchmark') has them, or "
            "pooling='partial', over benchmarks"
        )
    setup = Setup.of(counts, family, pooling, covariates)
    return built(setup, family, latent)


def fit(
    counts: Counts,
    family: Family | str | None = None,
    *,
    method: Method = "auto",
    pooling: Pooling | Literal["auto"] = "auto",
    covariates: str | Iterable[str] | None = None,
    draws: int | None = None,
    tune: int | None = None,
    chains: int = 4,
    target_accept: float | None = None,
    random_seed: int | None = None,
    progress: bool = True,
) -> xr.DataTree:
    """Return the posterior of a family's parameters for each system in `counts`.

    Parameters
    ----------
    counts : Counts
        The attempts. Attempts may differ between problems and may have been stopped by any rule
        that looked only at outcomes.
    family : Family or str, default ZeroInflated(LibbyNovick())
        The distribution of p over problems, with its priors, or its name, as "beta". The default is
        what forecast best on published logs; "Against every published
        estimator" in the documentation has the figures.
    method : {"auto", "quadrature", "nuts", "advi", "fullrank_advi"}
        "nuts" samples the posterior. "quadrature" sums it over lattices, for families of up to
        three parameters, or four with inflations, and without covariates: the same posterior in a
        fraction of the time, as independent draws, with nothing to compile. "auto" is "quadrature"
        where that can be, unless `tune` or `target_accept` is given, and otherwise "nuts". "advi"
        fits independent normals to the posterior, "fullrank_advi" a correlated normal: neither is
        faster here, and both are too narrow where it is skewed or, for "advi", correlated. Each
        such fit is compared with quadrature, or with its own draws reweighted, and its diagnostics
        say how far its bands of pass@k are off.
    pooling : {"auto", "none", "within", "partial"}
        "none": systems share nothing, the posterior of one does not depend on the others in
        `counts`. "within": the parameters of the systems of a benchmark come from a common
        distribution, whose centre and spread are learned: a system with few attempts borrows from
        the others, as much as these are alike. Each benchmark is fitted by itself, and what else
        is in `counts` changes nothing. "partial": the same, and benchmarks, where there are
        several, learn from each other too. "auto": "within" (which of one benchmark is called
        "partial"), but "none" with ADVI.
    covariates : str or sequence of str, optional
        Names of covariates of `counts`, or a formula such as "level + log(size)", which the
        parameters depend on: additively, on the scale that their names say (log a, logit of the
        mean). Those that differ between systems only need pooling="partial".
    draws, tune : int, default 1000 and 1000, by NUTS more for families that mix slowly and pooling
        Draws kept, and draws spent on tuning the sampler, a chain. Only NUTS has use for `tune`.
    chains : int
        Independent chains; draws that are independent anyway are dealt out to as many.
    target_accept : float, default 0.95, more where a family or pooling needs it
        Raise it towards 1 if there are divergences: the sampler takes smaller steps.
    random_seed : int, optional
        Repeats the result, bit by bit on the same machine and versions. Drawn and recorded in
        the fit if not given.
    progress : bool
        Show progress: a bar in a terminal, in a notebook a line that is renewed, elsewhere a line
        on standard error now and then.

    Returns
    -------
    xarray.DataTree
        Groups posterior and prior (dims chain, draw, system), sample_stats (chain, draw),
        log_likelihood (chain, draw, row; of each problem with p integrated out), observed_data
        and constant_data (row). ``az.summary``, ``az.loo`` and the plots of ArviZ take it as it
        is. By quadrature without pooling there is also the group exact (moment, system): "mean"
        and "sd" of each parameter, to more digits than draws have; with pooling the group alone
        (chain, draw, system), fewer draws of each system by itself. The attributes carry the
        family, version, sampler, seed, hash of the input and diagnostics. With more than 2e7
        numbers in it, 5,000 problems at 4,000 draws, log_likelihood is left out; see
        :func:`log_likelihood`.

    Warns
    -----
    ConvergenceWarning
        R-hat above 1.01, bulk or tail ESS below 400, E-BFMI below 0.3, a Monte Carlo error above
        5% in a standard deviation, a divergence or a draw at the largest tree depth (NUTS); a
        Pareto k above 0.7 (ADVI, pooling by quadrature); of ADVI, an end of a band that is off by
        more than 10% of its width, or a standard deviation by more than 25%; or a posterior that no
        lattice holds. The fit is returned all the same; do not use it before the remedies were
        tried.
    PriorDrivenWarning
        A system has no success, or no failure, at all.
    PoolingWarning
        Two systems that are pooled have the same counts at every problem.

    Raises
    ------
    OptionError
        If an option has a value that means nothing, before anything is sampled.
    SamplingError
        If the sampler could not start.

    Notes
    -----
    The likelihood integrates p out, and equal counts are evaluated once: the cost does not grow
    with the number of problems. The first fit of a process by NUTS or ADVI compiles the model,
    which takes seconds.
    """
    check_arguments("fit", locals())
    return fit_with(
        "student-t",
        counts,
        as_family(family),
        method,
        pooling,
        covariates,
        (draws, tune, chains, target_accept),
        random_seed,
        progress,
    )


def fit_with(
    effects: Effects,
    counts: Counts,
    family: Family,
    method: Method,
    pooling: Pooling | Literal["auto"],
    covariates: str | Iterable[str] | None,
    sampling: tuple[int | None, int | None, int, float | None],
    random_seed: int | None,
    progress: bool,
) -> xr.DataTree:
    """Return what :func:`fit` does, with effects of systems as they are in an older fit, too."""
    draws, tune, chains, target_accept = sampling
    pooling = _pooling(counts, pooling, method, family)
    _check_benchmarks(counts, pooling, covariates)
    if method == "auto":
        wanted = covariates is None and tune is None and target_accept is None
        method = "quadrature" if wanted and _can_integrate(counts, family, pooling) else "nuts"
    if target_accept is None:
        target_accept = _target_accept(counts, family, pooling)
    if (
        draws is None
        and pooling != "none"
        and method != "quadrature"
        and isinstance(family, Family)
    ):
        draws = family.draws * 3 // 2  # spreads mix more slowly than parameters
    if draws is None and method == "quadrature":
        draws = Family.draws  # they are independent, whatever the family
    size = _size(family, draws, tune, chains, target_accept)
    _check_options(counts, family, method, pooling, size)
    seed = seed_of(random_seed)
    setup = Setup.of(counts, family, pooling, covariates, effects)
    _warn_if_prior_driven(counts)
    if pooling != "none":
        _warn_of_copies(counts)
    pieces = pieces_of(setup, seed)
    each = [_posterior(one.setup, method, size, one.seed, progress) for one in pieces]
    clustered: dict[str, float] = {}
    if counts.cluster is not None:
        clustered = design_effects(setup, pieces, each)
        pieces = [replace(one, setup=weakened(one.setup, clustered)) for one in pieces]
        each = [_posterior(one.setup, method, size, one.seed, progress) for one in pieces]
    found, sampler_stats, report, moments = joined(pieces, each, setup)
    if method != "quadrature":
        found = rounded(family, found)
    alone = _alone(setup, size, seed, progress) if method == "quadrature" else None
    attrs = {
        "bayespassk_version": _version("bayespassk"),
        "family": json.dumps(family.spec()),
        "method": method,
        "sampler": _sampler(method),
        "pooling": pooling,
        "random_seed": seed,
        "sampling": json.dumps(asdict(size)),
        "input_sha256": counts.sha256(),
        "stopping": counts.stopping,
        "hierarchy": setup.hierarchy.to_json(),
    }
    if clustered:
        attrs["design_effect"] = json.dumps(clustered)
    if counts.provenance is not None:
        attrs["log"] = counts.provenance.to_json()
    shape = size.chains, size.draws
    drawn = [one.setup.draw_prior(np.random.default_rng([one.seed, 1]), shape) for one in pieces]
    prior = joined_draws(pieces, drawn, family, setup.hierarchy)
    report.warn(3)
    return as_tree(
        counts, family, found, prior, sampler_stats, attrs, report, setup.design, moments, alone
    )


def _warn_of_copies(counts: Counts) -> None:
    """Tell of systems on one benchmark whose counts are the same at every problem."""
    known: dict[tuple[Any, ...], list[str]] = {}
    for position, (system, benchmark) in enumerate(
        zip(counts.systems, counts.benchmarks, strict=True)
    ):
        mine = counts.system_index == position
        made, solved = counts.attempts[mine], counts.successes[mine]
        if not 0 < solved.sum() < made.sum():
            continue  # that is told otherwise, and is no sign of a copy
        order = np.argsort(counts.problem[mine])
        names = tuple(counts.problem[mine][order])
        key = benchmark, names, made[order].tobytes(), solved[order].tobytes()
        known.setdefault(key, []).append(system)
    copies = [names for names in known.values() if len(names) > 1]
    if copies:
        first = " and ".join(map(repr, copies[0][:3]))
        warnings.warn(
            PoolingWarning(
                f"{sum(map(len, copies))} of {len(counts.systems)} pooled systems have the same "
                f"counts at every problem as another ({first}): a copy under another name counts "
                "as a second witness, and makes bands too narrow. Leave copies out, or use "
                "pooling='none'",
                systems=[name for names in copies for name in names],
            ),
            stacklevel=4,
        )


def _alone(setup: Setup, size: Size, seed: int, progress: bool) -> Draws | None:
    """Return draws of each system by itself, to see how far pooling moved it; None if not pooled.

    A thousand of them are enough for a median and a band.
    """
    if setup.hierarchy.pooling == "none":
        return None
    few = replace(size, draws=min(size.draws, max(4, 1000 // size.chains)))
    own = Setup.of(setup.counts, setup.family, "none", None)
    return _quadrature(own, few, seed, progress).found


def _posterior(setup: Setup, method: str, size: Size, seed: int, progress: bool) -> Posterior:
    """Return what a method finds for systems that are fitted together."""
    if method == "quadrature":
        return _quadrature(setup, size, seed, progress)
    if method == "nuts":
        sample = nuts_each if setup.hierarchy.pooling == "none" else nuts_jointly
        return Posterior(*sample(setup, size, seed, progress), {})
    columns = setup.hierarchy.system_columns or setup.hierarchy.problem_columns
    known = not columns and _can_integrate(setup.counts, setup.family, setup.hierarchy.pooling)
    exact = _quadrature(setup, size, seed, progress).found if known else None
    return Posterior(*advi(setup, method, size, seed, progress, exact), {})


def _size(
    family: Family,
    draws: int | None,
    tune: int | None,
    chains: int,
    target_accept: float,
) -> Size:
    """Return how much to sample: as asked, and what the family needs where nothing was."""
    defaults = family if isinstance(family, Family) else Family
    return Size(
        draws=defaults.draws if draws is None else draws,
        tune=defaults.tune if tune is None else tune,
        chains=chains,
        target_accept=target_accept,
    )


def _can_integrate(counts: Any, family: Any, pooling: str) -> bool:
    """Return whether "quadrature" takes these."""
    if not (isinstance(counts, Counts) and isinstance(family, Family)):
        return False  # which is told with the other options
    nested = pooling == "partial" and len(set(counts.benchmarks)) > 1
    own = dependence(family)
    learned = own is not None and own.learned and pooling != "none"
    return takes(family) and not nested and not learned


def _pooling(
    counts: Counts, pooling: Any, method: str = "nuts", family: Family | None = None
) -> Pooling:
    """Return what "auto" stands for, and "within" where there is one benchmark."""
    own = dependence(family) if isinstance(family, Family) else None
    if pooling == "auto" and own is not None and own.learned:
        return "none"
    if pooling not in ("auto", "within") or not isinstance(counts, Counts):
        return pooling  # type: ignore[no-any-return]  # it is checked with the other options
    systems = Counter(counts.benchmarks)
    if max(systems.values()) == 1 or (pooling == "auto" and "advi" in str(method)):
        return "none"
    return "within" if len(systems) > 1 else "partial"


def _check_benchmarks(counts: Counts, pooling: str, covariates: Any) -> None:
    """Refuse covariates of benchmarks that are fitted each by itself."""
    if pooling == "within" and covariates is not None:
        raise OptionError(
            f"covariates of systems on {len(set(counts.benchmarks))} benchmarks need "
            "pooling='partial', which lets benchmarks learn from each other, or pooling='none'; "
            "or fit each benchmark by itself, as counts.split('benchmark') has them"
        )


def _target_accept(counts: Counts, family: Family, pooling: str) -> float:
    """Return what the family needs, or more: the spread of few systems may be next to nothing."""
    own = family.target_accept if isinstance(family, Family) else Family.target_accept
    if pooling == "none" or not isinstance(counts, Counts):
        return own
    systems, benchmarks = len(counts.systems), len(set(counts.benchmarks))
    if pooling == "within":  # what the benchmark with the fewest systems needs
        several = [n for n in Counter(counts.benchmarks).values() if n > 1]
        systems, benchmarks = min(several), 1
    few = family.few_systems_accept if isinstance(family, Family) else Family.few_systems_accept
    if systems <= 4 or benchmarks > 1:
        return max(own, few)
    return max(own, min(few, 0.98 if systems <= 10 else 0.95))


def _check_options(
    counts: Counts,
    family: Family,
    method: str,
    pooling: str,
    size: Size,
) -> None:
    if not isinstance(counts, Counts):
        raise OptionError(
            f"counts must be a bayespassk.Counts; got {type(counts).__name__}. "
            "Make one with bp.read_csv or bp.Counts.from_dataframe"
        )
    if not isinstance(family, Family):
        raise OptionError(f"family must be a family such as bp.Beta(); got {family!r}")
    try:
        family_from_spec(family.spec())
    except FitFileError as error:  # a fit could not say what it was made with
        raise OptionError(f"family must be one of bayespassk's own; got {family!r}") from error
    if method not in get_args(Method.__value__):
        raise OptionError(
            "method must be 'auto', 'quadrature', 'nuts', 'advi' or 'fullrank_advi'; got "
            f"{method!r}"
        )
    if pooling not in get_args(Pooling.__value__):
        raise OptionError(f"pooling must be 'auto', 'none', 'within' or 'partial'; got {pooling!r}")
    if counts.evidence is not None:
        require_evident(family)
    for name, least in (("draws", 4), ("tune", 1), ("chains", 1)):
        if getattr(size, name) < least:
            raise OptionError(f"{name} must be at least {least}; got {getattr(size, name)!r}")
    if not 0 < size.target_accept < 1:
        raise OptionError(f"target_accept must lie between 0 and 1; got {size.target_accept!r}")


def _warn_if_prior_driven(counts: Counts) -> None:
    def total(values: NDArray[Any]) -> NDArray[Any]:
        return np.bincount(counts.system_index, weights=values, minlength=len(counts.systems))

    successes, attempts = total(counts.successes), total(counts.attempts)
    estimated = np.zeros(len(counts)) if counts.evidence is None else counts.evidence.there
    known = total(estimated) > 0  # of what is rare more than attempts say
    for what, bare in (
        ("success", (successes == 0) & ~known),
        ("failure", (successes == attempts) & (attempts > 0) & ~known),
    ):
        systems = [counts.systems[i] for i in np.flatnonzero(bare)]
        if systems:
            some = ", ".join(repr(name) for name in systems[:3])
            warnings.warn(
                PriorDrivenWarning(
                    f"{len(systems)} of {len(counts.systems)} systems had no {what} in any "
                    f"attempt ({some}{', ...' if len(systems) > 3 else ''}): the attempts only "
                    f"say that one is rare, and forecasts beyond them rest on the prior. Their "
                    f"bands are wide for that reason. What to do: more attempts, easier or "
                    f"harder problems, or a prior you would defend",
                    systems=systems,
                ),
                stacklevel=4,
            )


def _quadrature(setup: Setup, size: Size, seed: int, progress: bool) -> Posterior:
    """Sum the posterior over lattices; of parameters also mean and standard deviation."""
    draws, systems = size.chains * size.draws, setup.counts.systems
    with bar(progress, "Integrating", len(systems)) as advance:
        one = integrate(setup.family, setup.cells, setup.hierarchy, systems, draws, seed, advance)
    found = {
        name: values.reshape(size.chains, size.draws, values.shape[-1])
        for name, values in one.found.items()
    }
    ess, pareto_k, bad = None, None, ~one.whole
    if one.log_ratio is not None:
        from arviz_stats.base import array_stats  # half a second, which a fit alone need not wait

        weight = np.exp(one.log_ratio - one.log_ratio.max())
        ess = float(weight.sum() ** 2 / (weight**2).sum())
        # ArviZ takes log-likelihoods, whose negatives are the log weights of leave-one-out.
        pareto_k = float(array_stats.psislw(-one.log_ratio)[1])
        bad = bad | (not pareto_k <= MAX_PARETO_K) | (not ess >= MIN_ESS)
    report = Diagnostics(None, ess, 0, pareto_k, tuple(np.array(systems, dtype=object)[bad]))
    return Posterior(found, {}, report, dict(one.moments))


def _sampler(method: str) -> str:
    name = {"nuts": "nutpie", "quadrature": "bayespassk"}.get(method, "pymc")
    return f"{name} {_version(name)}"


@functools.cache
def _version(package: str) -> str:
    return metadata.version(package)
