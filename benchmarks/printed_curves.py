"""Forecasts from printed curves: how often their bands hold, and how much wider they are.

    python benchmarks/printed_curves.py [LOG.csv ...]

Of each system of a log some attempts are shown, at most 100 a problem; of these three values of
pass@k are printed, to three decimals. Forecasts of the benchmark's pass@k from the printed values
alone, and by a fit of the counts shown, are held against Chen's estimate from all attempts, at five
times the attempts shown and at a third of all. First the table of the page, of the bundled
arithmetic.
"""

import sys
import warnings

import numpy as np

import bayespassk as bp

SHOWN = 100


def printed(counts, ks, attempts):
    """Return the curve that a paper would print of one system."""
    values = np.round(bp.estimators.chen(counts, ks), 3).ravel()
    many = len(counts)
    some = (values * many >= 2) & ((1 - values) * many >= 2)
    ks, values = np.array(ks)[some], np.maximum.accumulate(values[some])
    return bp.Curve(ks, values, many, attempts=attempts) if len(ks) > 1 else None


def bands(counts, ks, asked, attempts):
    """Return lower, median and upper by the curve and by the counts, each with dims (k, 3)."""
    curve = printed(counts, ks, attempts)
    if curve is None:
        return None
    parts = ["lower", "median", "upper"]
    of_curve = bp.summarize(bp.forecast_curve(curve, asked, random_seed=1))[parts].to_numpy()
    fit = bp.fit(counts, pooling="none", random_seed=1, progress=False)
    return of_curve, bp.summarize(bp.forecast(fit, asked))[parts].to_numpy()


def of_arithmetic():
    """Print the table of the page."""
    log = bp.load_example("arithmetic")
    p, asked = log.covariates["p"], [1000, 10_000, 1_000_000]
    counts = bp.thin(log, SHOWN, random_seed=1)
    for k, a, b in zip(asked, *bands(counts, [1, 10, 100], asked, SHOWN), strict=True):
        cells = [f"{m:.3f} ({low:.3f} to {high:.3f})" for low, m, high in (a, b)]
        print(f"| {k:,} | {cells[0]} | {cells[1]} | {-np.expm1(k * np.log1p(-p)).mean():.3f} |")


def of_log(path):
    """Print a row of a log: cells, and for both ways how often bands held and how wide they are."""
    log = bp.read(path)
    held, width, cells = np.zeros(2), np.zeros(2), 0
    for seed, system in enumerate(log.systems):
        whole = log.select(system)
        most = int(whole.attempts.min())
        n = min(SHOWN, most // 6)
        if n < 5:
            continue
        asked = sorted({5 * n, most // 3})
        counts = bp.thin(whole, n, random_seed=seed)
        found = bands(counts, [1, max(2, round(n**0.5)), n], asked, n)
        if found is None:
            continue
        truth = bp.estimators.chen(whole, asked).ravel()
        for i, one in enumerate(found):
            held[i] += ((one[:, 0] <= truth) & (truth <= one[:, 2])).sum()
            width[i] += (one[:, 2] - one[:, 0]).sum()
        cells += len(asked)
    name = path.rpartition("/")[2].removesuffix(".csv")
    curve, known = (
        f"{100 * h / cells:.0f}% ({w / cells:.3f})" for h, w in zip(held, width, strict=True)
    )
    print(f"| {name} | {cells} | {curve} | {known} |", flush=True)


def main():
    """Print the tables."""
    warnings.simplefilter("ignore")
    of_arithmetic()
    for path in sys.argv[1:]:
        of_log(path)


if __name__ == "__main__":
    main()
