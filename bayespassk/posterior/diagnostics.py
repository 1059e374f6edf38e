"""Whether a sampler converged: what is looked at, and its limits."""

import json
import warnings
from dataclasses import dataclass

import xarray as xr

from bayespassk.errors import ConvergenceWarning
from bayespassk.posterior.fitted import Fitted, opened

__all__ = ["MAX_PARETO_K", "MAX_RHAT", "MIN_ESS", "Diagnostics", "diagnostics", "diagnostics_of"]

MAX_RHAT, MIN_ESS, MAX_PARETO_K = 1.01, 400.0, 0.7


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
    """

    max_rhat: float | None
    min_ess: float | None
    divergences: int
    pareto_k: float | None
    systems: tuple[str, ...]

    @property
    def converged(self) -> bool:
        """Whether nothing is out of bounds."""
        return not self.systems

    def message(self) -> str:
        """Return what is out of bounds and what to try, or that nothing is."""
        found = []
        if self.max_rhat is not None and not self.max_rhat <= MAX_RHAT:
            found.append(f"R-hat {self.max_rhat:.3f} (should be at most {MAX_RHAT})")
        if self.min_ess is not None and not self.min_ess >= MIN_ESS:
            found.append(f"bulk ESS {self.min_ess:.0f} (at least {MIN_ESS:.0f})")
        if self.divergences:
            found.append(f"{self.divergences} divergences (none)")
        if self.pareto_k is not None and not self.pareto_k <= MAX_PARETO_K:
            found.append(f"Pareto k {self.pareto_k:.2f} (at most {MAX_PARETO_K})")
        if not found and not self.systems:
            return self._good()
        if not found:
            found.append("the posterior does not fit on a lattice")
        remedy = (
            "method='nuts', or 'fullrank_advi' if this was 'advi'"
            if self.max_rhat is None
            else "twice the draws and tune, target_accept=0.99 against divergences, a narrower "
            "prior"
        )
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
        return "the sampler converged"

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
    return diagnostics_of(opened(fit))


def diagnostics_of(fitted: Fitted) -> Diagnostics:
    """Return the same of a fit that is opened."""
    values = json.loads(fitted.tree.attrs["diagnostics"])
    return Diagnostics(**(values | {"systems": tuple(values["systems"])}))
