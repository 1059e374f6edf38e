"""What many queries meet, forecast from one prompt in ten and held against the others.

    python benchmarks/deployment.py [monkeys_math.csv ...]

The bundled arithmetic has the exact p of each problem; of other logs c / n of all attempts stands
for it, and the attempts that are shown are drawn from it. From a tenth of the prompts the largest p
among the others is forecast, and the probability that one of as many new ones succeeds if each is
tried once: by the default family from `--attempts` attempts at each, and the largest p also by
Gumbel's line, which is given p itself and needs ten of the prompts shown to be above 0. So is done
with all prompts, and with the hard ones alone, whose p is below 1%: these are cut off there, which
no forecast knows.
"""

import argparse
import warnings

import numpy as np
import pandas as pd

import bayespassk as bp
from bayespassk.special import NUMPY

GRID = NUMPY.log_sigmoid(np.linspace(-20, 9, 59))
"""Logs of the thresholds at which the largest p is looked at."""


def main() -> None:
    """Print a row for each set of prompts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("logs", nargs="*")
    parser.add_argument("--attempts", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=10)
    args = parser.parse_args()
    known = {"arithmetic": exact()} | {
        f"{log}: {system}": p for log in args.logs for system, p in observed(log).items()
    }
    rows = []
    for name, p in known.items():
        for which, some in (("all", p), ("p < 1%", p[p < 0.01])):
            each = [once(some, args.attempts, seed) for seed in range(args.repeats)]
            rows.append({"prompts": name, "which": which} | summary(pd.DataFrame(each)))
    print(pd.DataFrame(rows).to_string(index=False))


def exact() -> np.ndarray:
    """Return the p of the bundled arithmetic."""
    return np.asarray(bp.load_example("arithmetic").covariates["p"], dtype=float)


def observed(log: str) -> dict[str, np.ndarray]:
    """Return c / n by system."""
    counts = bp.read(log)
    each = {system: counts.select(system) for system in counts.systems}
    return {system: one.successes / one.attempts for system, one in each.items()}


def once(p: np.ndarray, attempts: int, seed: int) -> dict[str, float]:
    """Return forecasts from a tenth of the prompts, and what is so of the others."""
    rng = np.random.default_rng([seed, 27])
    order = rng.permutation(len(p))
    shown, hidden = np.split(p[order], [max(11, len(p) // 10)])
    counts = bp.Counts(
        problem=range(len(shown)),
        attempts=[attempts] * len(shown),
        successes=rng.binomial(attempts, shown),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = bp.fit(counts, draws=250, random_seed=seed, progress=False)
        risk = bp.deployment_risk(fit, len(hidden)).values.ravel()
        share = bp.share_above(fit, np.exp(GRID), "population").values.reshape(-1, len(GRID))
        try:
            line = float(bp.estimators.gumbel_tail(shown, len(hidden), top=10)[0])
        except bp.errors.OptionError:  # too few that are not 0
            line = np.nan
    at_most = np.append(((1 - share) ** len(hidden)).mean(0), 1.0)
    low, middle, high = np.interp([0.025, 0.5, 0.975], at_most, np.append(GRID, 0.0))
    truth = np.log(hidden.max())
    return {
        "largest": hidden.max(),
        "covered": float(low <= truth <= high),
        "off": (middle - truth) / np.log(10),
        "gumbel_off": (np.log(line) - truth) / np.log(10),
        "risk": 1 - np.prod(1 - hidden),
        "risk_forecast": risk.mean(),
    }


def summary(each: pd.DataFrame) -> dict[str, float]:
    """Return how often the band of the largest held, and how far off the middles are (log10)."""
    return {
        "band of largest holds": each["covered"].mean(),
        "off (log10)": each["off"].mean(),
        "|off|": each["off"].abs().mean(),
        "Gumbel off": each["gumbel_off"].mean(),
        "|Gumbel off|": each["gumbel_off"].abs().mean(),
        "risk": each["risk"].mean(),
        "forecast": each["risk_forecast"].mean(),
    }


if __name__ == "__main__":
    main()
