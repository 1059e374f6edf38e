"""How often bands held that a report calls sound: logs from ten known truths.

Most are outside all families. Of each, logs of 30 and 120 problems and of 3, 10, 30 and 100
attempts at each are drawn. A report is made of each by the default family; its forecasts at n, 3 n,
10 n, 100 n and 1,000 n are sound or not, and held the benchmark's pass@k, which is known, or not.

    python benchmarks/verdicts.py --repeats 3
"""

import argparse
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import special as sp

import bayespassk as bp

N = (3, 10, 30, 100)
PROBLEMS = (30, 120)
TIMES = (1, 3, 10, 100, 1000)

TRUTHS = {
    "beta": lambda rng, m: rng.beta(0.3, 3.0, m),
    "Kumaraswamy": lambda rng, m: (1 - rng.random(m) ** (1 / 5.0)) ** (1 / 0.4),
    "logit-normal": lambda rng, m: sp.expit(rng.normal(-3.0, 2.5, m)),
    "30% impossible, else beta": lambda rng, m: (rng.random(m) > 0.3) * rng.beta(0.6, 3.0, m),
    "solved always, but for a few never": lambda rng, m: np.choose(
        rng.choice(3, m, p=[0.05, 0.25, 0.7]),
        [np.zeros(m), rng.beta(0.3, 4.0, m), rng.beta(8.0, 0.8, m)],
    ),
    "hard and easy: 0.02 and 0.5": lambda rng, m: np.where(rng.random(m) < 0.5, 0.02, 0.5),
    "two modes of logit p": lambda rng, m: sp.expit(
        rng.normal(0, 0.7, m) + np.where(rng.random(m) < 0.6, -6.0, 0.5)
    ),
    "uniform to 0.1": lambda rng, m: rng.uniform(0, 0.1, m),
    "log-uniform from 10^-6": lambda rng, m: np.exp(rng.uniform(np.log(1e-6), 0, m)),
    "9 of 10 impossible": lambda rng, m: (rng.random(m) < 0.1) * rng.beta(0.5, 2.0, m),
}


def rows_of(name: str, problems: int, n: int, repeat: int, folder: Path) -> list[dict]:
    """Return a row for each k."""
    rng = np.random.default_rng([list(TRUTHS).index(name), problems, n, repeat])
    p = TRUTHS[name](rng, problems)
    counts = bp.Counts(
        problem=np.arange(problems), attempts=np.full(problems, n), successes=rng.binomial(n, p)
    )
    ks = [n * times for times in TIMES]
    truth = -np.expm1(np.multiply.outer(ks, np.log1p(-p.clip(0, 1 - 1e-16)))).mean(1)
    fit = bp.fit(counts, random_seed=1, progress=False)
    found = bp.report(fit, folder / "report.json", k=ks, target="benchmark")
    (up_to,) = (row["up_to"] for row in found["verdict"]["reach"])
    return [
        {
            "truth": name,
            "attempts": n,
            "k / n": times,
            "sound": up_to is not None and row["k"] <= up_to,
            "held": row["lower"] - 1e-9 <= true <= row["upper"] + 1e-9,
        }
        for times, row, true in zip(TIMES, found["forecast"]["benchmark"], truth, strict=True)
    ]


def shares(rows: pd.DataFrame, by: str) -> str:
    """Return a Markdown table of how often forecasts were sound, and held."""
    lines = [f"| {by} | sound | of these held | others held |", "|---|---|---|---|"]
    for value, part in rows.groupby(by, sort=False):
        cells = [f"{part['sound'].mean():.0%}"]
        cells += [
            f"{some['held'].mean():.0%}" if len(some) else "–"
            for some in (part[part["sound"]], part[~part["sound"]])
        ]
        lines.append("| " + " | ".join([f"{value:,}" if by != "truth" else value, *cells]) + " |")
    return "\n".join(lines)


def main() -> None:
    """Print tables by truth, by attempts and by how far the forecast goes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in TRUTHS:
            for problems in PROBLEMS:
                for n in N:
                    for repeat in range(options.repeats):
                        rows += rows_of(name, problems, n, repeat, Path(folder))
    table = pd.DataFrame(rows)
    logs = len(TRUTHS) * len(PROBLEMS) * len(N) * options.repeats
    sound, other = table[table["sound"]]["held"], table[~table["sound"]]["held"]
    print(
        f"{logs} logs, 95% bands. Of {len(sound)} forecasts called sound {sound.mean():.1%} held, "
        f"of {len(other)} others {other.mean():.1%}.\n"
    )
    for by in ("truth", "attempts", "k / n"):
        print(shares(table, by), end="\n\n")


if __name__ == "__main__":
    main()
