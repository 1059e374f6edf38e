"""The ways to a posterior: how long each takes, and how far pass@k is from quadrature's.

    python benchmarks/ways.py [FAMILY ...] [--latent]

Simulates 100 problems with 30 attempts each from a family and fits them in every way: quadrature,
NUTS, ADVI, the model of bp.build_model with its data frozen, and with --latent that with the p of
each problem. Prints a Markdown table: seconds, with compiling; how far the mean of log fail@3000 is
from quadrature's, of new problems, in its standard deviations; the ratio of standard deviations;
and divergences.
"""

import argparse
import logging
import time
import warnings

import numpy as np

import bayespassk as bp
from bayespassk.families.base import declared

K = 3000
WAYS = ("quadrature", "nuts", "fullrank_advi", "advi", "build_model", "latent")


def simulated(family, seed=1):
    """Return counts of 100 problems, from a family at the medians of its priors."""
    free = {name: np.array([prior.loc]) for name, prior in declared(family).items()}
    natural = {name: float(value[0]) for name, value in family.natural(free).items()}
    return bp.simulate(family, natural, problems=100, attempts=30, random_seed=seed)


def fitted(counts, family, way, seed=1):
    """Return the fit of a way, and how many draws diverged."""
    if way not in ("build_model", "latent"):
        fit = bp.fit(counts, family, method=way, pooling="none", random_seed=seed, progress=False)
        return fit, bp.diagnostics(fit).divergences
    import pymc as pm
    from pymc.model.transform.optimization import freeze_dims_and_data

    model = bp.build_model(counts, family, pooling="none", latent=way == "latent")
    with freeze_dims_and_data(model):
        trace = pm.sample(
            draws=1000, tune=1000, chains=4, target_accept=0.95, random_seed=seed, progressbar=False
        )
    fit = bp.from_posterior(trace, counts, family, random_seed=seed)
    return fit, bp.diagnostics(fit).divergences


def log_fail(fit):
    """Return log fail@K of new problems, dims (draw,)."""
    found = bp.forecast(fit, K, "population").values.ravel()
    return np.log1p(-np.minimum(found, 1 - 1e-12))


def rows(families, ways):
    """Yield a row for each family and way."""
    for family in families:
        counts, exact = simulated(family), None
        for way in ways:
            begun = time.perf_counter()
            fit, divergences = fitted(counts, family, way)
            seconds = time.perf_counter() - begun
            values = log_fail(fit)
            exact = values if exact is None else exact
            off = abs(values.mean() - exact.mean()) / exact.std()
            yield family.full_name, way, seconds, off, values.std() / exact.std(), divergences


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("families", nargs="*", default=["beta", "kumaraswamy", "libby-novick"])
    parser.add_argument("--latent", action="store_true")
    asked = parser.parse_args()
    logging.getLogger("pymc").setLevel("ERROR")
    warnings.simplefilter("ignore")
    print("| family | way | s | mean off, sd | sd ratio | divergences |")
    print("|---|---|---|---|---|---|")
    ways = WAYS if asked.latent else WAYS[:-1]
    for name, way, seconds, off, ratio, divergences in rows(
        map(bp.family_from_name, asked.families), ways
    ):
        print(
            f"| {name} | {way} | {seconds:.1f} | {off:.2f} | {ratio:.2f} | {divergences} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
