"""The verb: collect, and write in the form that the path's suffix says."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import xarray as xr

from bayespassk.arguments import check_arguments
from bayespassk.errors import OptionError
from bayespassk.families import Verified
from bayespassk.files import refuse_inputs, write
from bayespassk.judging.averaging import Weights
from bayespassk.judging.comparing import Fits, named_fits
from bayespassk.options import Target, check_interval, check_k
from bayespassk.posterior.saving import files_of
from bayespassk.reporting.collecting import Findings, check_targets, collect
from bayespassk.reporting.rendering import (
    as_report_csv,
    as_report_json,
    write_html,
    write_latex,
    write_markdown,
)

__all__ = ["check_path", "report"]

FORMS: dict[str, Callable[[Findings, Path], None]] = {
    ".html": write_html,
    ".htm": write_html,
    ".md": write_markdown,
    ".json": lambda found, path: write(path, as_report_json(found)),
    ".csv": lambda found, path: write(path, as_report_csv(found)),
    ".tex": write_latex,
}


def report(
    fits: xr.DataTree | Fits,
    path: str | os.PathLike[str],
    *,
    k: float | Iterable[float] = (1, 10, 100, 1000, 10_000),
    target: Target | Iterable[Target] | None = None,
    prob: float = 0.95,
    weights: Weights | None = None,
    random_seed: int | None = None,
) -> dict[str, Any]:
    """Write a report of one or several fits, and return what is in it as plain data.

    For those who did not make the fits: a verdict with its reasons, what was asked, what the
    attempts were, forecasts, the distribution of p, how other families compare, checks,
    sensitivity, diagnostics and provenance.

    Parameters
    ----------
    fits : DataTree, mapping of str to DataTree, or sequence of DataTree
        From :func:`bayespassk.fit` or :func:`bayespassk.load`. The forecasts are those of the
        first; the others, of the same counts, are compared with it. Those of a sequence are
        called by the names of their families.
    path : path
        File to write. Its suffix says in which form:

        - .html: a page that needs no network and has no script, with figures in it;
        - .md: Markdown, with figures as PNG in a folder beside it, called as the file with
          "_files" for the suffix;
        - .json: what this function returns;
        - .csv: the forecasts, a row for each target, system, quantity and k;
        - .tex: the forecasts as tables for LaTeX with the package booktabs, a row a system.
    k : int or sequence of int, dims (k,)
        Attempts allowed, 1 to 1e12.
    target : str or sequence of str, optional
        Any of "benchmark", "population" and "realised", as for :func:`bayespassk.forecast`. All by
        default; of a family with a verifier the first two, which are all there are.
    prob : float
        Posterior probability of the credible intervals (equal-tailed).
    weights : {"equal", "stacking", "pseudo_bma"} or mapping of str to float, optional
        The forecasts are the average of all fits with these weights, as of
        :func:`bayespassk.average`, in place of those of the first. Checks, sensitivity, the spread
        of p and its tail exponent are of the first all the same, and say so; whether the attempts
        contradict a family is told of each.
    random_seed : int, optional
        Repeats all random steps; by default the seed of the first fit.

    Returns
    -------
    dict
        Text, numbers, lists and dicts, as in the JSON; None stands for what has no number.
        The page "Write a report" of the documentation describes its keys: title, version,
        verdict, asked, data, forecast, tail_exponent, estimate, comparison, checks, sensitivity,
        fits.

    Raises
    ------
    OptionError
        Before anything is computed, if an option means nothing, the suffix is none of these or
        the fits are not of the same counts.
    InputError
        If the file cannot be written, or is a log that a fit was made from; one that was there is
        then as it was.

    Notes
    -----
    The verdict is "do not use" if the sampler of the first fit did not converge; "read the
    warnings" if data and family disagree, the prior or the choice of family rules a forecast, a
    system has no success or no failure, or attempts were without an outcome; and "sound" if nothing
    of this was found. That is no proof: nothing in the attempts speaks of success probabilities
    far below one over their number. The warnings of this package are in the report instead of
    being issued.

    Examples
    --------
    >>> import tempfile
    >>> import bayespassk as bp
    >>> counts = bp.thin(bp.load_example(), 100, random_seed=1)
    >>> families = bp.Beta(), bp.Kumaraswamy()
    >>> fits = [bp.fit(counts, one, pooling="none", random_seed=1) for one in families]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     found = bp.report(fits, f"{folder}/report.html", k=[10, 1000], target="benchmark")
    >>> found["verdict"]["level"]
    'sound'
    """
    check_arguments("report", locals())
    form = FORMS[check_path(path)]
    fewest = 1 if weights is None else 2
    named = named_fits([fits] if isinstance(fits, xr.DataTree) else fits, fewest)
    ks = check_k(k)
    check_interval(prob, "eti")
    first = next(iter(named.values()))
    targets = check_targets(first, target)
    if weights is not None and isinstance(first.family, Verified):
        raise OptionError("weights must be None where a verifier is sometimes wrong")
    refuse_inputs(path, [one for fit in named.values() for one in files_of(fit.tree)])
    seed = first.seed_or(random_seed)
    found = collect(named, ks, targets, prob, seed, weights)
    form(found, Path(path))
    return found.data


def check_path(path: str | os.PathLike[str]) -> str:
    """Return the suffix of a file that a report can be written to, or raise an error."""
    suffix = Path(path).suffix.lower()
    if suffix not in FORMS:
        raise OptionError(
            f"a report must be a file that ends with one of {', '.join(FORMS)}; got "
            f"{os.fspath(path)!r}"
        )
    return suffix
