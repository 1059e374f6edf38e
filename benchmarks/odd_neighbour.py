"""What one system that is not like the others does to their forecasts, for pooling.md.

Systems are simulated from beta families that are alike, the last one odd or not, and fitted alone,
pooled with normal effects (as in version 0.1.0) and with t effects; the truth is the pass@1,000 of
their own problems. With a log of Large Language Monkeys on MATH also what an easy system, the other
systems and copies do to the forecast of one of four systems.

    python benchmarks/odd_neighbour.py
    python benchmarks/odd_neighbour.py --log monkeys_math.csv
"""

import argparse
import warnings

import numpy as np
import pandas as pd

import bayespassk as bp
from bayespassk.fitting.verb import fit_with

K, PROBLEMS, ATTEMPTS = 1000, 60, 20
EASY = np.random.default_rng(2).binomial(ATTEMPTS, 0.9, 128)
MINE = "Pythia 160M"


def fitted(counts: bp.Counts, family: bp.Family, effects: str) -> pd.DataFrame:
    """Return the forecast of each system, by its name."""
    pooling = "none" if effects == "alone" else "partial"
    kind = "student-t" if effects == "alone" else effects
    sampling = (None, None, 4, None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = fit_with(kind, counts, family, "quadrature", pooling, None, sampling, 1, False)
        return bp.summarize(bp.forecast(fit, K)).set_index("system")


def simulated(systems: int, odd: bool, rng: np.random.Generator) -> tuple[bp.Counts, np.ndarray]:
    """Return counts of systems and their true pass@K."""
    log_a = rng.normal(np.log(0.25), 0.2, systems)
    a, b = np.exp(log_a), np.exp(log_a - rng.normal(-2.5, 0.4, systems))
    if odd:
        a[-1], b[-1] = 2.0, 1.0
    p = rng.beta(a[:, None], b[:, None], (systems, PROBLEMS))
    counts = bp.Counts(
        problem=np.tile(np.arange(PROBLEMS), systems),
        attempts=np.full(systems * PROBLEMS, ATTEMPTS),
        successes=rng.binomial(ATTEMPTS, p).ravel(),
        system=np.repeat([f"s{i:02d}" for i in range(systems)], PROBLEMS),
    )
    return counts, -np.expm1(K * np.log1p(-p)).mean(1)


def of_simulations(sizes: list[int], draws: int) -> None:
    """Print the table of one odd neighbour."""
    print("| systems | last | effects | MAE | bias | inside 95% | width | moved |")
    print("|---|---|---|---|---|---|---|---|")
    for systems in sizes:
        for odd in (True, False):
            rng = np.random.default_rng([systems, odd])
            found: dict[str, list[np.ndarray]] = {"alone": [], "normal": [], "student-t": []}
            for _ in range(draws):
                counts, truth = simulated(systems, odd, rng)
                alone = None
                for effects, rows in found.items():
                    table = fitted(counts, bp.Beta(), effects).iloc[:-1]
                    alone = table["median"] if alone is None else alone
                    error = table["median"] - truth[:-1]
                    inside = table["lower"].le(truth[:-1]) & table["upper"].ge(truth[:-1])
                    moved = (table["median"] - alone).abs()
                    width = table["upper"] - table["lower"]
                    rows.append(np.stack([error.abs(), error, inside, width, moved]))
            for effects, rows in found.items():
                mae, bias, inside, width, moved = np.concatenate(rows, 1).astype(float).mean(1)
                print(
                    f"| {systems} | {'odd' if odd else 'alike'} | {effects} | {mae:.3f} "
                    f"| {bias:+.3f} | {inside:.2f} | {width:.3f} | {moved:.3f} |",
                    flush=True,
                )


def beside(log: bp.Counts, seed: int) -> dict[str, bp.Counts]:
    """Return one system of a thinned log, with different neighbours."""
    few = bp.thin(log, ATTEMPTS, random_seed=seed)
    frame = few.to_dataframe().assign(benchmark="B")
    mine, others = frame[frame["system"] == MINE], frame[frame["system"] != MINE]
    easy = mine.assign(system="easy", successes=EASY[: len(mine)])
    copies = [mine.assign(system=f"copy {i}") for i in range(4)]
    files = {
        "nothing": [mine],
        "an unrelated easy system": [mine, easy],
        "the other three of MATH": [mine, others],
        "these three and the easy one": [mine, others, easy],
        "itself, four times": [mine, *copies],
    }
    return {what: bp.Counts.from_dataframe(pd.concat(some)) for what, some in files.items()}


def of_log(path: str) -> None:
    """Print the table of one of four systems."""
    print("| beside it | normal | student-t |\n|---|---|---|")
    log, rows = bp.read_csv(path), {}
    for seed in range(3):
        for what, counts in beside(log, seed).items():
            for effects in ("normal", "student-t"):
                kind = "alone" if what == "nothing" else effects
                median = fitted(counts, bp.LibbyNovick(), kind).loc[MINE, "median"]
                rows.setdefault(what, {}).setdefault(effects, []).append(f"{median:.3f}")
    for what, found in rows.items():
        print(f"| {what} | {' | '.join(', '.join(each) for each in found.values())} |", flush=True)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--systems", default="3,5,10")
    parser.add_argument("--draws", type=int, default=12)
    parser.add_argument("--log")
    options = parser.parse_args()
    if options.log:
        of_log(options.log)
    else:
        of_simulations([int(one) for one in options.systems.split(",")], options.draws)


if __name__ == "__main__":
    main()
