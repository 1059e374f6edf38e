"""What is known of pass@k at 100,000 and a million attempts from a log of fewer, without a family.

Problems with k attempts have Chen's estimate; others lie between the ends of a 99.9% interval of
Clopper and Pearson. The narrowest interval of any system is printed.

    python benchmarks/beyond.py pythia_checkpoints.csv
"""

import argparse
from pathlib import Path

import numpy as np
from scipy import stats

import bayespassk as bp
from bayespassk.special import log_no_success


def bounds(counts: bp.Counts, k: int, error: float = 1e-3) -> tuple[float, float]:
    """Return the ends of what the attempts at the problems of one system leave open."""
    n, c = counts.attempts.astype(float), counts.successes.astype(float)
    whole = n >= k
    chen = -np.expm1(log_no_success(c[whole], n[whole], float(k)))
    n, c = n[~whole], c[~whole]
    low = np.where(c > 0, stats.beta.ppf(error, np.maximum(c, 1), n - c + 1), 0.0)
    high = np.where(c < n, stats.beta.ppf(1 - error, c + 1, np.maximum(n - c, 1)), 1.0)
    ends = [
        (chen.sum() - np.expm1(k * np.log1p(-p.clip(0, 1 - 1e-16))).sum()) / len(counts)
        for p in (low, high)
    ]
    return float(ends[0]), float(ends[1])


def main() -> None:
    """Print the narrowest interval at each k."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("log", type=Path)
    parser.add_argument("--k", type=int, nargs="+", default=[100_000, 1_000_000])
    options = parser.parse_args()
    counts = bp.read_csv(options.log)
    for k in options.k:
        each = {system: bounds(counts.select(system), k) for system in counts.systems}
        system = min(each, key=lambda one: each[one][1] - each[one][0])
        low, high = each[system]
        print(f"k = {k:,}: {system} from {low:.3f} to {high:.3f}, the narrowest of {len(each)}")


if __name__ == "__main__":
    main()
