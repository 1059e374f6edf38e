"""How estimates of log p at 20 problems narrow a forecast of pass@1e6, and whether its bands hold.

    python benchmarks/evidence.py [--simulations 60] [--first 0] [--family beta]

The bundled arithmetic, whose p are exact: 50 attempts at each of 128 problems, and for 20 of those
without a success, at random, an estimate of log p that is normal about it with a standard error of
`--se`. First the benchmark itself, whose attempts and estimates are drawn anew for each simulation:
its true pass@1e6 is exact. Then benchmarks whose 128 p are drawn from a known family, a new one for
each simulation, so that the population is known as well.
"""

import argparse
import sys
import warnings

import numpy as np
import pandas as pd

import bayespassk as bp

KS = [1000, 1_000_000]


def main() -> None:
    """Print coverage and width of the 95% bands, with and without the estimates."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--simulations", type=int, default=60)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--family", help="in place of the default")
    parser.add_argument("--attempts", type=int, default=50)
    parser.add_argument("--estimates", type=int, default=20)
    parser.add_argument("--se", type=float, default=0.5)
    args = parser.parse_args()
    exact = np.asarray(bp.load_example("arithmetic").covariates["p"], dtype=float)
    rows = []
    for seed in range(args.first, args.first + args.simulations):
        rng = np.random.default_rng([seed, 27])
        drawn = rng.beta(0.25, 2.0, len(exact))
        for what, p in (("arithmetic", exact), ("Beta(0.25, 2)", drawn)):
            for number in sorted({0, args.estimates}):
                rows += once(what, p, args.attempts, number, args.se, seed, args.family)
        print(".", end="", file=sys.stderr, flush=True)
    table = pd.DataFrame(rows).groupby(["problems", "target", "k", "estimates"], sort=False)
    print(
        table.agg(
            held=("held", "mean"),
            below=("below", "mean"),
            width=("width", "mean"),
            score=("score", "mean"),
        ).to_string()
    )
    print("simulations:", args.simulations)


def once(
    what: str,
    p: np.ndarray,
    attempts: int,
    number: int,
    se: float,
    seed: int,
    family: str | None = None,
) -> list[dict[str, object]]:
    """Return a row for each target and k: whether the band held the truth, and how wide it is."""
    rng = np.random.default_rng([seed, 28])
    c = rng.binomial(attempts, p)
    log_p, log_p_se = np.full((2, len(p)), np.nan)
    unsolved = np.flatnonzero(c == 0)
    chosen = rng.choice(unsolved, min(number, len(unsolved)), replace=False)
    log_p[chosen] = np.minimum(rng.normal(np.log(p[chosen]), se), 0.0)
    log_p_se[chosen] = se
    counts = bp.Counts(
        problem=np.arange(len(p)),
        attempts=np.full(len(p), attempts),
        successes=c,
        log_p=log_p,
        log_p_se=log_p_se,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = bp.fit(counts, family, random_seed=seed, progress=False)
        truths = {"benchmark": lambda k: (-np.expm1(k * np.log1p(-p))).mean()}
        if what != "arithmetic":
            known = {"a": np.float64(0.25), "b": np.float64(2.0)}
            truths["population"] = lambda k: -np.expm1(bp.Beta().log_moment(known, 0, k))
        rows = []
        for target, truth in truths.items():
            draws = bp.forecast(fit, KS, target)
            for k in KS:
                low, high = draws.sel(k=k).quantile([0.025, 0.975]).values
                true = float(truth(k))
                score = high - low + 40 * (max(low - true, 0) + max(true - high, 0))
                rows.append(
                    {
                        "problems": what,
                        "target": target,
                        "k": k,
                        "estimates": number,
                        "held": low <= true <= high,
                        "below": high < true,
                        "width": high - low,
                        "score": score,
                    }
                )
    return rows


if __name__ == "__main__":
    main()
