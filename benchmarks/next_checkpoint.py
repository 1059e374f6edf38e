"""What will the next checkpoint do: forecast the last ones of each size from those before.

The names of the systems tell parameters and tokens, as in Pythia_160M_20B. Checkpoints with fewer
tokens than those held out are pooled, with and without covariates, and the held-out ones are
forecast as new systems, of which only the name is known.

    python benchmarks/next_checkpoint.py pythia_checkpoints.csv
"""

import argparse
import warnings
from pathlib import Path

import numpy as np

import bayespassk as bp

FORMULA = "log(size) + log(tokens)"


def number(text: str) -> float:
    """Return the number that a text like 160M stands for."""
    return float(text[:-1]) * {"M": 1e6, "B": 1e9}[text[-1]]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("log", type=Path, help="CSV of counts")
    parser.add_argument("--benchmark", default="MATH")
    parser.add_argument("--tokens", default="60B,200B,300B", help="which to hold out, in turn")
    options = parser.parse_args()
    warnings.simplefilter("ignore", bp.errors.PriorDrivenWarning)
    frame = bp.read_csv(options.log).to_dataframe()
    frame = frame[frame.benchmark == options.benchmark]
    frame["size"], frame["tokens"] = (
        frame.system.str.split("_").str[i].map(number) for i in (1, 2)
    )
    print("| held out | k | pass@k | alone: median | 95% | by size and tokens: median | 95% |")
    print("|---|---|---|---|---|---|---|")
    for tokens in map(number, options.tokens.split(",")):
        before, held = frame[frame.tokens < tokens], frame[frame.tokens == tokens]
        counts = bp.Counts.from_dataframe(before, covariates=["size", "tokens"])
        fits = [
            bp.fit(
                counts, bp.Beta(), pooling="partial", covariates=one, random_seed=1, progress=False
            )
            for one in (None, FORMULA)
        ]
        for name, rows in held.groupby("system"):
            k = min(1000, int(rows.attempts.min()))
            truth = bp.estimators.chen(bp.Counts.from_dataframe(rows), k).item()
            cells = [name, k, f"{truth:.3f}"]
            for fit, at in zip(
                fits, (None, {"size": rows["size"].iloc[0], "tokens": tokens}), strict=True
            ):
                draws = bp.forecast_new_system(fit, k, at=at)
                low, median, high = np.quantile(draws, [0.025, 0.5, 0.975])
                cells += [f"{median:.3f}", f"{low:.3f} to {high:.3f}"]
            print("| " + " | ".join(map(str, cells)) + " |", flush=True)


if __name__ == "__main__":
    main()
