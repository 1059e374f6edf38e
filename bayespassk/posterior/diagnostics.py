"""Whether a sampler converged: what is looked at, and its limits."""

import json
import warnings
from dataclasses import dataclass

import xarray as xr

from bayespassk.arguments import check_arguments
from bayespassk.errors import ConvergenceWarning
from bayespassk.posterior.fitted import Fitted, opened

__all__ = [
    "MAX_BAND_OFF",
    "MAX_PARETO_K",
    "MAX_RHAT",
    "MAX_SD_ERROR",
    "MAX_SD_OFF",
    "MIN_BFMI",
    "MIN_ESS",
    "Diagnostics",
    "diagnostics",
    "diagnostics_of",
]

MAX_RHAT, MIN_ESS, MAX_PARETO_K = 1.01, 400.0, 0.7

MIN_BFMI = 0.3
"""Energy that changes less than this from draw to draw says that tails are hardly reached."""

MAX_SD_ERROR = 0.05
"""Monte Carlo error of a standard deviation, as a share of it: tails visited too seldom."""

MAX_BAND_OFF, MAX_SD_OFF = 0.1, 1.25
"""How far an approximation's band may be off, in widths of it; and its sd, as a factor."""


@dataclass(frozen=True)
class Diagnostics:
    """Whether the sampler converged: the worst over systems and parameters.

    Attributes
    ----------
    max_rhat : float or None
        Rank-normalised split R-hat; only of NUTS with two or more chains.
    min_ess : float or None
        Bulk effective sample size of NUTS; that of the importance weights of quadrature with
        pooling; else None.
    divergences : int
        Divergent transitions after tuning.
    pareto_k : float or None
        Pareto k of the importance ratios posterior / approximation; None for NUTS, and for
        quadrature without pooling.
    systems : tuple of str
        The systems for which one of these is out of bounds.
    min_tail_ess : float or None
        Tail effective sample size of NUTS: that of the 5% and 95% quantiles.
    min_bfmi : float or None
        The energy Bayesian fraction of missing information of NUTS: the least of any chain.
    sd_error : float or None
        The largest Monte Carlo standard error of a standard deviation over that, of NUTS.
    at_max_depth : int
        Draws of NUTS whose trajectory was cut short as it was the longest allowed.
    sd_ratio, band_off : float or None
        Of ADVI: the standard deviation of the population's pass@k over the exact one, and how far
        an end of its 95% band is off, in widths of the exact band; the worst at n, 100 n and
        10,000 n.
    against : str or None
        What ADVI was compared with: "quadrature", or "importance sampling" where that cannot be.
    """

    max_rhat: float | None
    min_ess: float | None
    divergences: int
    pareto_k: float | None
    systems: tuple[str, ...]
    min_tail_ess: float | None = None
    min_bfmi: float | None = None
    sd_error: float | None = None
    at_max_depth: int = 0
    sd_ratio: float | None = None
    band_off: float | None = None
    against: str | None = None

    @property
    def converged(self) -> bool:
        """Whether nothing is out of bounds."""
        return not self.systems

    def message(self) -> str:
        """Return what is out of bounds and what to try, or that nothing is."""
        found = self._found()
        if not found and not self.systems:
            return self._good()
        if not found:
            found.append("the posterior does not fit on a lattice")
        remedy = (
            "method='nuts', or 'fullrank_advi' if this was 'advi'"
            if self.max_rhat is None
            else "twice the draws and tune, target_accept=0.99 against divergences and low E-BFMI, "
            "a narrower prior"
        )
        if self.band_off is not None:
            remedy = "method='auto', or 'fullrank_advi' if this was 'advi'"
        some = ", ".join(repr(name) for name in self.systems[:3])
        return (
            f"the fit did not converge for {some}{', ...' if len(self.systems) > 3 else ''}: "
            f"{', '.join(found)}. Do not use its numbers yet; try {remedy}"
        )

    def _good(self) -> str:
        """Say that nothing is out of bounds: of a lattice, that nothing was sampled."""
        if self.max_rhat is None and self.min_ess is None and self.pareto_k is None:
            return "integrated exactly"
        if self.max_rhat is None and self.min_ess is not None and self.pareto_k is not None:
            return "integrated exactly, but for what systems share, whose importance sampling holds"
        return self._approximately() or "the sampler converged"

    def _found(self) -> list[str]:
        """Return what is out of bounds."""
        found = []
        if self.max_rhat is not None and not self.max_rhat <= MAX_RHAT:
            found.append(f"R-hat {self.max_rhat:.3f} (should be at most {MAX_RHAT})")
        if self.min_ess is not None and not self.min_ess >= MIN_ESS:
            found.append(f"bulk ESS {self.min_ess:.0f} (at least {MIN_ESS:.0f})")
        if self.min_tail_ess is not None and not self.min_tail_ess >= MIN_ESS:
            found.append(f"tail ESS {self.min_tail_ess:.0f} (at least {MIN_ESS:.0f})")
        if self.min_bfmi is not None and not self.min_bfmi >= MIN_BFMI:
            found.append(f"E-BFMI {self.min_bfmi:.2f} (at least {MIN_BFMI})")
        if self.sd_error is not None and not self.sd_error <= MAX_SD_ERROR:
            found.append(
                f"a standard deviation known to {self.sd_error:.1%} only (to {MAX_SD_ERROR:.0%})"
            )
        if self.divergences:
            found.append(f"{self.divergences} divergences (none)")
        if self.at_max_depth:
            found.append(f"{self.at_max_depth} draws at the largest tree depth (none)")
        if self.pareto_k is not None and not self.pareto_k <= MAX_PARETO_K:
            found.append(f"Pareto k {self.pareto_k:.2f} (at most {MAX_PARETO_K})")
        if self.systems and self.band_off is not None:
            found.append(self._apart())
        return found

    def _apart(self) -> str:
        """Return how far the approximation is off."""
        return (
            f"against {self.against}, an end of a band of pass@k is off by {self.band_off:.0%} of "
            f"its width and a standard deviation is {self.sd_ratio:.2f} of the right one"
        )

    def _approximately(self) -> str:
        return "" if self.band_off is None else f"approximated: {self._apart()} at worst"

    def warn(self, stacklevel: int = 2) -> None:
        """Issue a :class:`bayespassk.errors.ConvergenceWarning` if something is out of bounds."""
        if self.converged:
            return
        warnings.warn(
            ConvergenceWarning(
                self.message(),
                systems=self.systems,
                max_rhat=self.max_rhat,
                min_ess=self.min_ess,
                divergences=self.divergences,
                pareto_k=self.pareto_k,
            ),
            stacklevel=stacklevel + 1,
        )


def diagnostics(fit: xr.DataTree) -> Diagnostics:
    """Return whether the sampler of a fit converged, as found when it was made."""
    check_arguments("diagnostics", locals())
    return diagnostics_of(opened(fit, evidence=True))


def diagnostics_of(fitted: Fitted) -> Diagnostics:
    """Return the same of a fit that is opened."""
    values = json.loads(fitted.tree.attrs["diagnostics"])
    return Diagnostics(**(values | {"systems": tuple(values["systems"])}))
