"""Which families agree with the attempts: pass@k up to n, beside Chen's estimate."""

import warnings
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import xarray as xr

from bayespassk.arguments import check_arguments
from bayespassk.asking.guard import agreements, contradicted
from bayespassk.families import Family, Verified, default_family, family_from_name
from bayespassk.families.dependent import dependence
from bayespassk.fitting.verb import fit as fit_counts
from bayespassk.posterior.fitted import Fitted, opened

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["agreement", "agreement_of", "explained"]

OTHERS = (
    "beta", "zero-inflated-beta", "one-inflated-beta", "kumaraswamy", "libby-novick",
    "one-inflated-libby-novick", "scaled-beta", "generalized-beta", "logit-normal",
)  # fmt: skip
"""Families beside the default that are fitted without compiling anything."""

DRAWS = 500
"""A chain: of these fits nothing is shown but whether they agree."""


def agreement(fit: xr.DataTree, families: Iterable[str | Family] | None = None) -> "pd.DataFrame":
    """Return how well families agree with the attempts that were made.

    Up to n attempts the truth is known without any family, by Chen's estimate. A family that
    contradicts it there is wrong there, and nothing says that it is right beyond.

    Parameters
    ----------
    fit : DataTree
        From :func:`bayespassk.fit` or :func:`bayespassk.load`.
    families : sequence of str or Family, optional
        To look at beside that of the fit, each fitted to the counts of each system by itself. By
        default ten, all that need no sampler; give none by ``[]``.

    Returns
    -------
    pandas.DataFrame
        One row for each system and family, that of the fit first and then the best first, with
        columns system, family, k (where they are furthest apart), estimate (Chen's, of pass@k),
        expected (by the family), p_value: how often the estimates at all k up to n would be so far
        off if the family were right. A forecast warns of its own below 0.01. Systems without
        attempts, or whose attempts were ended by what was seen, are left out: Chen's estimate does
        not hold there.

    Raises
    ------
    OptionError
        If a family has a name that means nothing.

    Notes
    -----
    To agree up to n is necessary, not sufficient: families that agree there may disagree far
    beyond. With many attempts at many problems every family is contradicted at last; look at
    estimate and expected to see whether it matters.

    References
    ----------
    Chen et al. 2021, arXiv:2107.03374 (the estimate).

    Examples
    --------
    >>> import bayespassk as bp
    >>> counts = bp.thin(bp.load_example(), 100, random_seed=1)
    >>> fit = bp.fit(counts, bp.Beta(), random_seed=1)
    >>> table = bp.agreement(fit, ["kumaraswamy"])
    >>> list(table["family"])
    ['beta', 'kumaraswamy', 'beta', 'kumaraswamy']
    """
    check_arguments("agreement", locals())
    fitted = opened(fit)
    if families is None:
        chosen = others_than(fitted.family)
    else:
        chosen = [one if isinstance(one, Family) else family_from_name(one) for one in families]
    return agreement_of(fitted, chosen, agreements(fitted))


def others_than(family: Family) -> list[Family]:
    """Return the families that are looked at beside one; none where a verifier errs, or of runs."""
    if isinstance(family, Verified) or dependence(family) is not None:
        return []
    every = [default_family(), *map(family_from_name, OTHERS)]
    return [one for one in every if one != family]


def agreement_of(
    fitted: Fitted, families: Sequence[Family], rows: Sequence[dict[str, Any]]
) -> "pd.DataFrame":
    """Return the table of :func:`agreement` for the systems of these rows of the fit itself."""
    import pandas as pd

    found = []
    for row in rows:
        others = [_by_itself(fitted, row["system"], family) for family in families]
        mine = {"family": fitted.family.full_name} | row
        found += [mine, *sorted(others, key=lambda one: -float(one["p_value"]))]
    return pd.DataFrame(found, columns=COLUMNS)


COLUMNS = ["system", "family", "k", "estimate", "expected", "p_value"]


def _by_itself(fitted: Fitted, system: str, family: Family) -> dict[str, Any]:
    """Return how another family agrees with one system, fitted by itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        other = fit_counts(
            fitted.counts.select(system),
            family,
            pooling="none",
            draws=DRAWS,
            random_seed=fitted.seed,
            progress=False,
        )
    (row,) = agreements(opened(other))
    name = family.full_name
    if name == fitted.family.full_name:
        name += " with other priors"
    return row | {"system": system, "family": name}


def explained(fitted: Fitted, rows: list[dict[str, Any]]) -> "pd.DataFrame | None":
    """Return which families agree with the systems that contradict that of a fit; None if none.

    `rows` are the :func:`bayespassk.asking.guard.agreements` of the fit; of the clearest three.
    """
    found = contradicted(rows)
    return agreement_of(fitted, others_than(fitted.family), found[:3]) if found else None
