"""Draw the example "arithmetic": p of its problems, and a forecast beside the truth.

Run it in the project's folder:

    python benchmarks/arithmetic_figure.py docs/images/arithmetic.png
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import bayespassk as bp

SHOWN, MOST = 50, 10**6


def main() -> None:
    """Fit what 50 attempts a problem show, draw, and print the forecast and the truth."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path, help="PNG file to write")
    path = parser.parse_args().output
    whole = bp.load_example("arithmetic")
    p = whole.covariates["p"]
    fit = bp.fit(bp.thin(whole, SHOWN, random_seed=1), random_seed=1)
    ks = np.unique(np.geomspace(1, MOST, 61).round())
    truth = np.array([(1 - (1 - p) ** k).mean() for k in ks])

    _, (left, right) = plt.subplots(1, 2, figsize=(9.0, 3.6), layout="constrained")
    left.hist(p, bins=np.geomspace(1e-7, 1, 29), color="#0072B2", alpha=0.6)
    left.axvline(1 / SHOWN, color="0.3", ls=":")
    left.text(
        1 / SHOWN, 1.01, f"1/{SHOWN}", transform=left.get_xaxis_transform(), ha="center",
        fontsize="x-small",
    )  # fmt: skip
    left.set_xscale("log")
    left.set_xlabel("p, exact probability of a right answer", fontsize="small")
    left.set_ylabel("problems", fontsize="small")
    left.tick_params(labelsize="x-small")
    left.spines[["top", "right"]].set_visible(False)
    dots = np.where(np.arange(len(ks)) % 5 == 0, truth, np.nan)
    bp.plot_forecast(bp.forecast(fit, ks), attempts=SHOWN, truth=dots[None], ax=right)
    unfinished = path.with_suffix(".tmp.png")
    plt.savefig(unfinished, dpi=160)
    unfinished.replace(path)

    table = bp.summarize(bp.forecast(fit, [100, 1000, 10_000, 100_000, MOST]))
    table["exact"] = [(1 - (1 - p) ** k).mean() for k in table["k"]]
    print(table.round(4).to_string(index=False))


if __name__ == "__main__":
    main()
