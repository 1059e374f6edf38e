"""Simulation-based calibration of every family, for docs/explanation/calibration.md.

    python benchmarks/calibration.py                  # NUTS, 200 simulations a family
    python benchmarks/calibration.py --method advi --simulations 60 --families beta,kumaraswamy
    python benchmarks/calibration.py --method quadrature --families few-solvable

Prints the table as it goes; with --figure FILE draws the ranks. Ranks are kept in --cache, so that
an interrupted run goes on where it stopped.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

import bayespassk as bp

FAMILIES = (
    "beta,kumaraswamy,generalized-beta,scaled-beta,logit-normal,zero-inflated-beta,"
    "one-inflated-beta,beta-mixture-2,zero-inflated-kumaraswamy"
)
SEED = 20261122
PROBLEMS = 40
MOST = 300
FEW_SOLVABLE = bp.Beta(log_a=bp.Prior(np.log(0.002), 0.7), log_b=bp.Prior(np.log(3.0), 0.5))


def design(name: str) -> tuple[bp.Family, np.ndarray]:
    """Return a family, and attempts that differ between problems, from a few to a few hundred.

    Of "few-solvable" 1,000 attempts at each of 1,000 problems.
    """
    if name == "few-solvable":
        return FEW_SOLVABLE, np.full(1000, 1000)
    return bp.family_from_name(name), np.geomspace(5, MOST, PROBLEMS).astype(int)


def ranks_of(name: str, options: argparse.Namespace) -> xr.Dataset:
    """Return the ranks of one family, from the cache as far as they are there."""
    family, made = design(name)
    path = Path(options.cache) / f"{name}-{options.method}.nc"
    done = [xr.load_dataset(path)] if path.exists() else []
    have = sum(one.sizes["simulation"] for one in done)
    while have < options.simulations:
        batch = min(20, options.simulations - have)
        start = time.perf_counter()
        ranks = bp.calibrate(
            family,
            problems=len(made),
            attempts=made,
            simulations=batch,
            method=options.method,
            random_seed=options.seed + have,
        )
        ranks["seconds"] = ("simulation", np.full(batch, (time.perf_counter() - start) / batch))
        done.append(ranks)
        have += batch
        path.parent.mkdir(parents=True, exist_ok=True)
        joined = xr.concat(done, "simulation")
        joined.to_netcdf(path)
    return xr.concat(done, "simulation").isel(simulation=slice(options.simulations))


def draw(found: dict[str, xr.Dataset], path: str) -> None:
    """Draw, for each family, how far the ranks of each quantity are from uniform."""
    import matplotlib.pyplot as plt

    columns = 3
    rows = -(-len(found) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(9.0, 2.3 * rows), layout="constrained", sharex=True, sharey=True
    )
    for ax, (name, ranks) in zip(axes.flat, found.items(), strict=False):
        size, simulations = ranks.attrs["draws"] + 1, ranks.sizes["simulation"]
        grid = np.arange(size + 1) / size
        rng = np.random.default_rng(0)
        simulated = rng.integers(0, size, (2000, simulations))
        null = np.stack([_ecdf(one, size) for one in simulated]) - grid
        half = np.quantile(np.abs(null).max(1), 0.99)
        ax.axhspan(-half, half, color="0.5", alpha=0.15, lw=0)
        for quantity in ranks["quantity"].values:
            style = "-" if "pass@" in quantity else "--"
            ecdf = _ecdf(ranks["rank"].sel(quantity=quantity).values, size)
            ax.plot(grid, ecdf - grid, style, lw=0.8)
        ax.set_title(name, fontsize="small")
        ax.spines[["top", "right"]].set_visible(False)
    for ax in axes.flat[len(found) :]:
        ax.set_visible(False)
    figure.supxlabel("rank of the truth among draws, as a share", fontsize="small")
    figure.supylabel("share of truths below, minus uniform", fontsize="small")
    figure.savefig(path, dpi=150)


def _ecdf(ranks: np.ndarray, size: int) -> np.ndarray:
    return np.append(0, np.bincount(ranks, minlength=size).cumsum()) / len(ranks)


def main() -> None:
    """Run all families and print one row a quantity."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--families", default=FAMILIES)
    parser.add_argument("--simulations", type=int, default=200)
    parser.add_argument("--method", default="nuts")
    parser.add_argument("--cache", default=".calibration", help="folder of ranks")
    parser.add_argument("--seed", type=int, default=SEED, help="needs a --cache of its own")
    parser.add_argument("--bins", type=int, default=10)
    parser.add_argument("--figure")
    options = parser.parse_args()
    found, tables = {}, []
    print("| family | quantity | p-value | 50% band covers | 95% band covers |")
    print("|---|---|---|---|---|")
    for name in options.families.split(","):
        found[name] = ranks = ranks_of(name, options)
        tables.append(bp.summarize_calibration(ranks, options.bins))
        for row in tables[-1].itertuples():
            print(
                f"| {name} | {row.quantity} | {row.p_value:.3f} | {row.coverage_50:.2f} "
                f"| {row.coverage_95:.3f} |",
                flush=True,
            )
        print(
            f"<!-- {name}: {row.simulations} simulations, {row.converged} without divergences, "
            f"R-hat above 1.05 or Pareto k above 0.7, {float(ranks['seconds'].mean()):.2f} s -->",
            flush=True,
        )
    table = pd.concat(tables)
    covered = [np.average(table[f"coverage_{p}"], weights=table["simulations"]) for p in (50, 95)]
    print(
        f"{len(table)} quantities, smallest p-value {table['p_value'].min():.4f}; 50% bands cover "
        f"{covered[0]:.1%}, 95% bands {covered[1]:.1%}"
    )
    if options.figure:
        draw(found, options.figure)


if __name__ == "__main__":
    main()
