"""Draw the README's figure: forecasts from 20 and from 100 of the 10,000 attempts of a log.

    python benchmarks/readme_figure.py monkeys_math.csv docs/images/monkeys_math.png

The counts are in a CSV file with columns benchmark, system, problem, attempts and successes. The
forecasts from 100 attempts are printed as the table of docs/explanation/real-logs.md. The truth is
Chen's estimate from all attempts.
"""

import argparse
import re
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import bayespassk as bp

COLOURS = {20: "#CDE7F8", 100: "#7AB6DA"}
"""Attempts shown, and the colour of the band forecast from them."""


def size(system: str) -> float:
    """Return the parameters of a model, in millions, from a name such as "Pythia 2.8B"."""
    number, unit = re.search(r"([\d.]+)([MB])$", system).groups()
    return float(number) * {"M": 1, "B": 1000}[unit]


def draw(log: bp.Counts, fits: dict, path: Path) -> None:
    """Draw a panel for each system: median and 95% band of each fit, and the truth."""
    ks = np.unique(np.geomspace(1, 10_000, 81).round())
    dots = np.unique(np.geomspace(1, 10_000, 13).round())
    truth = dict(zip(log.systems, bp.estimators.chen(log, dots), strict=True))
    figure, axes = plt.subplots(1, 4, figsize=(9.6, 3.3), sharey=True, layout="constrained")
    panels = dict(zip(sorted(log.systems, key=size), axes, strict=True))
    for n, colour in COLOURS.items():
        label = f"95% band from {n} attempts at each problem"
        for system, rows in bp.summarize(bp.forecast(fits[n], ks)).groupby("system"):
            ax = panels[system]
            ax.fill_between(
                rows["k"], rows["lower"], rows["upper"], color=colour, lw=0, label=label
            )
            ax.axvline(n, color="0.5", lw=0.8, ls=":")
            if n == 100:
                ax.plot(rows["k"], rows["median"], color="#00598F")
    for system, ax in panels.items():
        ax.plot(
            dots, truth[system], "o", color="black", ms=4.5, mec="white", mew=0.7,
            label="what all 10,000 attempts showed", clip_on=False, zorder=3,
        )  # fmt: skip
        ax.set(xscale="log", xlim=(1, 10_000), ylim=(0, 1))
        ax.set_title(system, fontsize="medium")
        ax.set_xticks([1, 20, 100, 10_000], ["1", "20", "100", "10,000"])
        ax.minorticks_off()
        ax.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("pass@k")
    figure.supxlabel("k, attempts allowed at each problem", fontsize="medium")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside upper center", ncols=3, frameon=False, fontsize="small"
    )
    unfinished = path.with_suffix(".tmp.png")
    figure.savefig(unfinished, dpi=160)
    unfinished.replace(path)


def main() -> None:
    """Fit, draw, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("log", type=Path, help="CSV of counts with many attempts")
    parser.add_argument("output", type=Path, help="PNG file to write")
    options = parser.parse_args()
    log = bp.read_csv(options.log)
    fits = {n: bp.fit(bp.thin(log, n, random_seed=1), random_seed=1) for n in COLOURS}
    draw(log, fits, options.output)

    table = bp.summarize(bp.forecast(fits[100], [1000, 10_000]))
    table["truth"] = bp.estimators.chen(log, [1000, 10_000]).ravel()
    print("| system | k | median | 95% band | truth | inside |\n|---|---|---|---|---|---|")
    for r in table.itertuples():
        inside = "yes" if r.lower <= r.truth <= r.upper else "no"
        print(
            f"| {r.system} | {r.k:,} | {r.median:.3f} | {r.lower:.3f} to {r.upper:.3f} "
            f"| {r.truth:.3f} | {inside} |"
        )


if __name__ == "__main__":
    main()
