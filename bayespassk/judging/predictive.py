"""What ArviZ needs to check a fit: replicated successes, and the density of the prior."""

import numpy as np
import xarray as xr

from bayespassk.arguments import check_arguments
from bayespassk.arrays import Floats
from bayespassk.asking.influence import log_prior_of
from bayespassk.errors import OptionError
from bayespassk.families.dependent import dependence
from bayespassk.judging.replicating import Log
from bayespassk.options import system_seed
from bayespassk.posterior.fitted import Fitted, opened
from bayespassk.posterior.likelihood import LOG_LIKELIHOOD_LIMIT, attach_log_likelihood

__all__ = ["add_predictive"]


def add_predictive(
    fit: xr.DataTree, *, solved: bool = False, random_seed: int | None = None
) -> xr.DataTree:
    """Return a fit with what ArviZ's checks need: replicated data, and the density of the prior.

    With it ``az.plot_ppc_dist``, ``az.plot_ppc_pava``, ``az.loo_pit``, ``az.plot_loo_pit`` and
    ``az.psense_summary`` take the fit.

    Parameters
    ----------
    fit : DataTree
        From :func:`bayespassk.fit`, :func:`bayespassk.load` or :func:`bayespassk.from_posterior`.
        It is left as it is.
    solved : bool
        Whether there was a success, 0 or 1, as the variable "solved" beside "successes", in
        observed_data too: for ``az.plot_ppc_pava(..., var_names="solved")``. With two variables
        ``az.loo_pit`` has to be told ``var_names="successes"``.
    random_seed : int, optional
        Repeats the replicated data; by default follows from the seed of the fit.

    Returns
    -------
    xarray.DataTree
        The fit with the group posterior_predictive, dims (chain, draw, row): "successes" of new
        problems in place of those attempted, given as many attempts, or where a success ended
        the attempts as many as that rule makes. And with the group log_prior, "parameters", dims
        (chain, draw, system): the log density of the prior of the parameters of each system; or
        with pooling of what systems share, without the dim system if all share one.

    Raises
    ------
    OptionError
        If there would be more than 2e7 numbers: chains x draws x problems.

    Notes
    -----
    Problems are drawn anew from the family in each draw, so that this says whether the *family* is
    like the counts: :func:`check` does so with tests whose p-values are known to hold. Where
    attempts end at a success their number is replicated too, and is not kept: of such counts
    look at :func:`check`.

    Examples
    --------
    >>> import bayespassk as bp
    >>> counts = bp.thin(bp.load_example(), 100, random_seed=1)
    >>> fit = bp.fit(counts, bp.Beta(), pooling="none", random_seed=1)
    >>> bp.add_predictive(fit)["posterior_predictive"]["successes"].dims
    ('chain', 'draw', 'row')
    """
    check_arguments("add_predictive", locals())
    fitted = opened(fit)
    rows = len(fitted.attempts)
    if fitted.draws * rows > LOG_LIKELIHOOD_LIMIT:
        raise OptionError(
            f"replicated successes may be at most {LOG_LIKELIHOOD_LIMIT:,} numbers; got "
            f"{fitted.draws:,} draws x {rows:,} problems. What to do: a fit with fewer draws, or "
            "bp.check, which replicates counts of problems"
        )
    made = fit.copy()
    if "log_likelihood" not in made.children:
        attach_log_likelihood(made)
    replicated = _replicated(fitted, fitted.seed_or(random_seed))
    made["posterior_predictive"] = xr.DataTree(xr.Dataset({"successes": replicated}))
    for name in ("posterior_predictive", "observed_data") if solved else ():
        group = made[name].to_dataset()
        found = (group["successes"] > 0).astype(np.int64)
        made[name] = xr.DataTree(group.assign(solved=found))
    log_prior = [
        np.broadcast_to(log_prior_of(fitted, i, 1), fitted.draws).reshape(fitted.shape)
        for i in range(len(fitted.systems))
    ]
    dims, coords = ("chain", "draw", "system"), {**fitted.outer, "system": list(fitted.systems)}
    density = xr.DataArray(np.stack(log_prior, -1), coords, dims)
    if fitted.hierarchy.pooling == "partial":  # one prior, of what all systems share
        density = density.isel(system=0, drop=True)
    made["log_prior"] = xr.DataTree(xr.Dataset({"parameters": density}))
    return made


def _replicated(fitted: Fitted, seed: int) -> xr.DataArray:
    """Return successes at new problems in place of those attempted, dims (chain, draw, row)."""
    values = np.zeros((fitted.draws, len(fitted.attempts)), dtype=np.int64)
    attempted = fitted.attempts > 0
    for position, system in enumerate(fitted.systems):
        log = Log.of(fitted, position)
        rng = np.random.default_rng([system_seed(seed, system), 2])
        for part in fitted.parts_of(position, attempted):
            shape = fitted.draws, len(part.rows)
            own = {n: np.broadcast_to(v.reshape(-1, 1), shape) for n, v in part.parameters.items()}
            p = np.clip(fitted.family.draw(own, rng), 0.0, 1.0)
            place = np.searchsorted(log.rows, part.rows)
            values[:, part.rows] = log.replicate(place, p, rng, _run_sd(fitted, own))[1]
    observed = fitted.tree["observed_data"].dataset
    return xr.DataArray(
        values.reshape(*fitted.shape, -1),
        dims=("chain", "draw", "row"),
        coords={**fitted.outer, **observed.coords},
    )


def _run_sd(fitted: Fitted, parameters: dict[str, Floats]) -> Floats | float:
    """Return the standard deviation of effects of runs, dims (draw,)."""
    own = dependence(fitted.family)
    if own is None:
        return 0.0
    return np.asarray(own.sd_of({name: values[:, 0] for name, values in parameters.items()}))
