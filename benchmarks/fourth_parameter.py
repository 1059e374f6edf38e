"""What the share of impossible problems costs: the default's fit and forecast over those without.

Side by side in one run, the least of three times each.

    python benchmarks/fourth_parameter.py monkeys_math.csv reasoning_models.csv
"""

import argparse
import time
import warnings
from pathlib import Path

import bayespassk as bp

FAMILIES = (bp.LibbyNovick(), bp.ZeroInflated(bp.LibbyNovick()))


def seconds(counts: bp.Counts, family: bp.Family, pooling: str) -> float:
    """Return the least of three times of a fit and its forecast."""
    found = []
    for _ in range(3):
        start = time.perf_counter()
        fit = bp.fit(counts, family, pooling=pooling, random_seed=1, progress=False)
        bp.forecast(fit, [100, 1000, 10_000])
        found.append(time.perf_counter() - start)
    return min(found)


def main() -> None:
    """Print a row for each log: the first system alone, and all, alone and pooled."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("logs", type=Path, nargs="+")
    parser.add_argument("--attempts", type=int, default=20)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    for path in options.logs:
        counts = bp.thin(bp.read_csv(path), options.attempts, random_seed=1)
        for some, pooling in (
            (counts.select(counts.systems[0]), "none"),
            (counts, "none"),
            (counts, "auto"),
        ):
            without, default = (seconds(some, family, pooling) for family in FAMILIES)
            print(
                f"{path.stem}, {len(some.systems)} systems, pooling {pooling}: "
                f"{without:.2f} s and {default:.2f} s, {default / without:.2f} times",
                flush=True,
            )


if __name__ == "__main__":
    main()
