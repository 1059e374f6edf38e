"""How NUTS samples published logs: step sizes and parametrisations; and what two priors forecast.

    python benchmarks/sampling.py pythia_checkpoints.csv code_contests.csv

Prints, over three seeds and all systems, the divergences, the smallest bulk ESS and the largest
R-hat; and the forecast of a benchmark that was never solved, under two priors of log b.
"""

import math
import sys
import warnings
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

import bayespassk as bp
from bayespassk import families
from bayespassk.special import NUMPY

SEEDS = (1, 2, 3)
BETA = bp.Beta()


@dataclass(frozen=True)
class LogALogB(bp.Family):
    """The beta with the same priors, sampled in (log a, log b)."""

    name: ClassVar[str] = "log a, log b"
    when: ClassVar[str] = "to compare parametrisations"
    location: ClassVar[str] = "log_b"
    log_a: bp.Prior = BETA.log_a
    log_b: bp.Prior = BETA.log_b

    def prior(self, declare, xp=NUMPY):
        """Declare the two that the priors are on."""
        return {name: declare(name, prior) for name, prior in self.priors.items()}

    def free(self, natural):
        """Return their logarithms."""
        return {"log_a": np.log(natural["a"]), "log_b": np.log(natural["b"])}

    def natural(self, free, xp=NUMPY):
        """Return a and b."""
        return {"a": xp.exp(free["log_a"]), "b": xp.exp(free["log_b"])}

    log_moment = bp.Beta.log_moment
    survival = bp.Beta.survival
    log_moments = bp.Beta.log_moments
    constants = bp.Beta.constants
    draw = bp.Beta.draw
    draw_seen = bp.Beta.draw_seen
    likelihood_data = bp.Beta.likelihood_data
    log_likelihood = bp.Beta.log_likelihood


def sample(counts: bp.Counts) -> None:
    """Print how each parametrisation and step size samples all systems."""
    families.FAMILIES = (*families.FAMILIES, LogALogB)  # bp.fit takes none that it does not know
    print("| sampled in | target_accept | divergences | min bulk ESS | max R-hat |")
    print("|---|---|---|---|---|")
    cases = [("log a, logit mean", BETA, accept) for accept in (0.8, 0.9, 0.95)]
    for label, family, accept in [*cases, (LogALogB.name, LogALogB(), 0.95)]:
        asked = {"draws": 1000, "tune": 1000, "chains": 4, "target_accept": accept}
        found = [
            bp.diagnostics(
                bp.fit(
                    counts,
                    family,
                    method="nuts",
                    pooling="none",
                    random_seed=seed,
                    progress=False,
                    **asked,
                )
            )
            for seed in SEEDS
        ]
        print(
            f"| {label} | {accept} | {sum(one.divergences for one in found)} "
            f"| {min(one.min_ess for one in found):,.0f} "
            f"| {max(one.max_rhat for one in found):.3f} |"
        )


def never_solved(problems: int = 128, attempts: int = 10_000) -> None:
    """Print what is forecast where no attempt ever succeeded."""
    counts = bp.Counts(
        problem=range(problems),
        attempts=np.full(problems, attempts),
        successes=np.zeros(problems),
    )
    normal = bp.Beta(log_b=bp.Prior(math.log(5.0), 1.5, "normal"))
    print(f"\nNo success in {attempts:,} attempts at each of {problems} problems, 95% at k = 1e9:")
    for label, family in (("normal(log 5, 1.5)", normal), ("logistic(log 5, 1.5)", BETA)):
        fit = bp.fit(counts, family, pooling="none", random_seed=1, progress=False)
        row = bp.summarize(bp.forecast(fit, 1e9)).iloc[0]
        print(f"log b ~ {label}: {row['lower']:.3f} to {row['upper']:.3f}")


def main() -> None:
    """Run both on the logs named on the command line."""
    warnings.simplefilter("ignore")
    logs = [bp.read_csv(path).to_dataframe() for path in sys.argv[1:]]
    if logs:
        sample(bp.Counts.from_dataframe(pd.concat(logs)))
    never_solved()


if __name__ == "__main__":
    main()
