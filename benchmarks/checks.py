"""How often bp.check finds a right family wanting, and a wrong one, for calibration.md.

Systems are simulated from beta families, or from what no beta is like, and fitted by the beta,
each by itself. Printed is the share of systems with a p-value below 0.05 and 0.01, of the worst
statistic, of any of them, and of "curve" alone.

    python benchmarks/checks.py --systems 100
"""

import argparse
import warnings
from collections.abc import Callable

import numpy as np

import bayespassk as bp

type Draw = Callable[[np.random.Generator, int], np.ndarray]


def of_prior(rng: np.random.Generator, problems: int) -> np.ndarray:
    """Return p from a beta that is drawn from the prior."""
    family = bp.Beta()
    log_a = family.log_a.draw(rng, family.log_a.loc, (1,))
    log_b = family.log_b.draw(rng, family.log_b.loc, (1,))
    return rng.beta(np.exp(log_a), np.exp(log_b), problems)


def impossible(share: float) -> Draw:
    """Return what draws p of which a share is 0."""
    return lambda rng, m: np.where(rng.random(m) < share, 0.0, rng.beta(0.5, 2.0, m))


def u_shaped(rng: np.random.Generator, problems: int) -> np.ndarray:
    """Return p of which 30% are 0 and 30% are 1."""
    which = rng.random(problems)
    return np.where(which < 0.3, 0.0, np.where(which > 0.7, 1.0, rng.beta(0.5, 2.0, problems)))


CASES: dict[str, tuple[Draw, int, int]] = {
    "right: betas of the prior, 100 x 100": (of_prior, 100, 100),
    "right: betas of the prior, 40 x 20": (of_prior, 40, 20),
    "right: Beta(0.3, 3), 100 x 100": (lambda rng, m: rng.beta(0.3, 3.0, m), 100, 100),
    "right: Beta(0.8, 2.4), 40 x 20": (lambda rng, m: rng.beta(0.8, 2.4, m), 40, 20),
    "wrong: half impossible, 100 x 100": (impossible(0.5), 100, 100),
    "wrong: a fifth impossible, 100 x 100": (impossible(0.2), 100, 100),
    "wrong: a fifth impossible, 100 x 1,000": (impossible(0.2), 100, 1000),
    "wrong: 30% never, 30% always, 100 x 100": (u_shaped, 100, 100),
    "wrong: p = 0.03 or 0.5, 60 x 10": (lambda rng, m: rng.choice([0.03, 0.5], m), 60, 10),
}


def checked(case: str, systems: int, seed: int) -> dict[str, np.ndarray]:
    """Return p-values by statistic, dims (system,)."""
    draw, problems, attempts = CASES[case]
    rng = np.random.default_rng([seed, list(CASES).index(case)])
    successes = [rng.binomial(attempts, draw(rng, problems)) for _ in range(systems)]
    counts = bp.Counts(
        problem=np.tile(np.arange(problems), systems),
        attempts=np.full(systems * problems, attempts),
        successes=np.concatenate(successes),
        system=np.repeat([f"s{i:03d}" for i in range(systems)], problems),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = bp.fit(counts, bp.Beta(), pooling="none", random_seed=1, progress=False)
        table = bp.summarize_check(bp.check(fit))
    return {name: some["p_value"].to_numpy() for name, some in table.groupby("statistic")}


def main() -> None:
    """Print one row a case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--systems", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    print("| data | p < .05: one statistic | any of them | curve | p < .01: any | curve |")
    print("|---|---|---|---|---|---|")
    for case in CASES:
        found = checked(case, options.systems, options.seed)
        least, curve = np.min(list(found.values()), axis=0), found["curve"]
        each = [float((one < 0.05).mean()) for one in found.values()]
        print(
            f"| {case} | {min(each):.0%} to {max(each):.0%} | {(least < 0.05).mean():.0%} "
            f"| {(curve < 0.05).mean():.0%} | {(least < 0.01).mean():.0%} "
            f"| {(curve < 0.01).mean():.0%} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
