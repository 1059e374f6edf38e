"""The engine without sampling, held against plain sums over boxes and against long NUTS runs.

    python benchmarks/exact.py monkeys_math.csv code_contests.csv pythia_checkpoints.csv

Each system is thinned to 100 attempts and fitted by itself. The box reaches four posterior standard
deviations beyond the farthest of 4,000 draws, in steps of a tenth of one (a quarter with three
parameters). NUTS, of at most `--nuts` systems of each log, has 4 chains of 25,000 draws. Prints
Markdown tables: the largest differences of posterior means, absolutely and in standard deviations,
and of standard deviations, relatively.
"""

import argparse
import warnings
from pathlib import Path

import arviz as az
import numpy as np
import xarray as xr
from scipy import special as sp

import bayespassk as bp
from bayespassk.families.base import declared, log_prior
from bayespassk.fitting.model import Setup
from bayespassk.posterior.likelihood import cell_log_moments

ATTEMPTS = 100
FAMILIES = ("beta", "libby-novick", "kumaraswamy", "logit-normal", "scaled-beta")
STEP = {2: 0.1, 3: 0.25}
"""Of the box, in standard deviations, by the number of parameters."""
CHUNK = 20_000


def by_sums(counts: bp.Counts, family: bp.Family, fit: xr.DataTree) -> xr.Dataset:
    """Return mean and sd of the free parameters of the only system, from a box."""
    names = list(declared(family))
    draws = fit["posterior"].dataset
    axes = []
    for name in names:
        sd = float(draws[name].std())
        low, high = float(draws[name].min()) - 4 * sd, float(draws[name].max()) + 4 * sd
        axes.append(np.linspace(low, high, int((high - low) / (STEP[len(names)] * sd))))
    free = dict(zip(names, (axis.ravel() for axis in np.meshgrid(*axes)), strict=True))
    cells = Setup.of(counts, family, "none", None).cells
    parts = []
    for at in range(0, len(free[names[0]]), CHUNK):
        some = {name: values[at : at + CHUNK] for name, values in free.items()}
        with np.errstate(all="ignore"):
            log_density = cell_log_moments(family, family.natural(some), cells) @ cells.problems
            log_density = log_density + log_prior(family, some)
        parts.append(np.where(np.isfinite(log_density), log_density, -np.inf))
    weight = sp.softmax(np.concatenate(parts))
    means = {name: weight @ values for name, values in free.items()}
    sds = {name: np.sqrt(weight @ (free[name] - means[name]) ** 2) for name in names}
    return xr.Dataset({name: ("moment", [means[name], sds[name]]) for name in names})


def by_nuts(counts: bp.Counts, family: bp.Family) -> tuple[xr.Dataset, xr.Dataset]:
    """Return mean and sd from a long run, and the standard errors of the means."""
    fit = bp.fit(
        counts,
        family,
        method="nuts",
        draws=25_000,
        tune=2000,
        pooling="none",
        random_seed=1,
        progress=False,
    )
    draws = fit["posterior"].dataset[list(declared(family))].isel(system=0, drop=True)
    outer = ("chain", "draw")
    both = xr.concat([draws.mean(outer), draws.std(outer)], "moment")
    return both, az.mcse(draws)


def compare(counts: bp.Counts, family: bp.Family, nuts: bool) -> tuple[list[float], list[float]]:
    """Return the largest differences from sums, and from NUTS."""
    fit = bp.fit(counts, family, method="quadrature", pooling="none", random_seed=1, progress=False)
    exact = fit["exact"].dataset
    other = by_sums(counts, family, fit)
    names = list(declared(family))

    def differ(of: xr.Dataset) -> list[float]:
        mine = np.array([exact[name].values[:, 0] for name in names])
        theirs = np.array([of[name].values for name in names])
        mean = abs(mine - theirs)[:, 0]
        return [mean.max(), (mean / mine[:, 1]).max(), abs(theirs[:, 1] / mine[:, 1] - 1).max()]

    if not nuts:
        return differ(other), []
    long, error = by_nuts(counts, family)
    off = max(float(abs(exact[n].values[0, 0] - long[n].values[0]) / error[n]) for n in names)
    return differ(other), [*differ(long), off]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("logs", nargs="+", type=Path)
    parser.add_argument("--nuts", type=int, default=4, help="systems of each log to sample, too")
    parser.add_argument("--families", default=",".join(FAMILIES))
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    print(
        "| log | systems | family | against | mean | mean, in sd | sd | standard errors of NUTS |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for path in asked.logs:
        log = bp.read(path)
        for name in asked.families.split(","):
            family, sums, long = bp.family_from_name(name), [], []
            sampled = (
                np.linspace(0, len(log.systems) - 1, asked.nuts).round().astype(int)
                if asked.nuts
                else []
            )
            for i, system in enumerate(log.systems):
                counts = bp.thin(log.select(system), ATTEMPTS, random_seed=1)
                of_sums, of_nuts = compare(counts, family, i in sampled)
                sums.append(of_sums)
                long += [of_nuts] if of_nuts else []
            for against, found in (("sums", sums), ("NUTS", long)):
                if found:
                    worst = [f"{value:.1e}" for value in np.max(found, axis=0)]
                    row = [path.stem, str(len(found)), name, against, *worst]
                    print("| " + " | ".join([*row, ""][:8]) + " |", flush=True)


if __name__ == "__main__":
    main()
