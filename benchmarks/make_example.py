"""Write the bundled example: two systems with Kumaraswamy success probabilities.

Run from the project's folder: ``python benchmarks/make_example.py``. The same seed writes the
same file.
"""

from pathlib import Path

import numpy as np

from bayespassk import Counts

SYSTEMS = {"small": (0.30, 4.0), "large": (0.40, 2.5)}
PROBLEMS, ATTEMPTS, SEED = 128, 10_000, 20_261_122


def main() -> None:
    """Draw p by inverting the CDF 1 - (1 - p^alpha)^beta, then the successes."""
    rng = np.random.default_rng(SEED)
    u = rng.random(PROBLEMS)  # shared, so that a problem is hard for both systems or for neither
    own = rng.random((len(SYSTEMS), PROBLEMS))
    successes = []
    for (alpha, beta), noise in zip(SYSTEMS.values(), own, strict=True):
        quantile = (u + 0.3 * (noise - 0.5)) % 1.0
        p = -np.expm1(np.log1p(-quantile) / beta)
        successes.append(rng.binomial(ATTEMPTS, p ** (1 / alpha)))
    counts = Counts(
        benchmark="simulated",
        system=np.repeat(list(SYSTEMS), PROBLEMS),
        problem=[f"p{i:03d}" for i in range(PROBLEMS)] * len(SYSTEMS),
        attempts=np.full(len(SYSTEMS) * PROBLEMS, ATTEMPTS),
        successes=np.concatenate(successes),
    )
    path = Path(__file__).parent.parent / "bayespassk" / "examples" / "simulated.csv"
    counts.to_dataframe().to_csv(path, index=False, lineterminator="\n")


if __name__ == "__main__":
    main()
