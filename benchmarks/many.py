"""Many fits at once: fits a second of `bp.fit_many`, against the same loop in one process.

    python benchmarks/many.py --fits 1000 --cores 2

Each fit is of 30 problems with 50 attempts; it is forecast and saved. Seconds are of everything,
the start of processes and their imports among them; CPU seconds are those of all processes
together, and say what it costs where other work on the machine makes seconds long. `--cluster` adds
a Dask cluster of as many workers, on this machine.
"""

import argparse
import os
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import bayespassk as bp

K = [100, 10_000]


def log(fits: int) -> bp.Counts:
    """Return 30 problems of as many systems."""
    rng = np.random.default_rng(1)
    p = rng.beta(0.4, 3.0, 30 * fits)
    return bp.Counts(
        system=np.repeat([f"s{i}" for i in range(fits)], 30),
        problem=np.tile(np.arange(30), fits),
        attempts=np.full(30 * fits, 50),
        successes=rng.binomial(50, p),
    )


def loop(counts: bp.Counts, family: bp.Family, folder: Path) -> None:
    """Do it as one would by hand."""
    for (name,), own in counts.split("system").items():
        fit = bp.fit(own, family, random_seed=1, progress=False)
        bp.summarize(bp.forecast(fit, K))
        bp.save(fit, folder / f"{name}.nc")


def cpu() -> float:
    """Return the CPU seconds of this process and of those that it has waited for."""
    each = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in each)


def measure(name: str, fits: int, work: Callable[[Path], object]) -> None:
    """Print how long it took."""
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        began, spent = time.perf_counter(), cpu()
        work(Path(folder))
        seconds, spent = time.perf_counter() - began, cpu() - spent
    print(
        f"{name:24} {seconds:7.1f} s {fits / seconds:6.2f} fits/s  "
        f"{1000 * spent / fits:6.0f} ms CPU a fit  load before {load:.1f}",
        flush=True,
    )


def main() -> None:
    """Parse and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fits", type=int, default=1000)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--family", default="beta")
    parser.add_argument("--cluster", action="store_true")
    asked = parser.parse_args()
    counts, family = log(asked.fits), bp.family_from_name(asked.family)
    with tempfile.TemporaryDirectory() as folder:
        loop(log(3), family, Path(folder))  # imports
    options = {"family": family, "k": K}

    measure("loop in one process", asked.fits, lambda folder: loop(counts, family, folder))
    for cores in dict.fromkeys((1, asked.cores)):
        measure(
            f"fit_many, cores={cores}",
            asked.fits,
            lambda folder, cores=cores: bp.fit_many(counts, output=folder, cores=cores, **options),
        )
    if asked.cluster:
        from distributed import Client, LocalCluster

        def on_cluster(folder: Path) -> None:
            with (
                LocalCluster(
                    n_workers=asked.cores, threads_per_worker=1, dashboard_address=None
                ) as cluster,
                Client(cluster) as client,
            ):
                bp.fit_many(counts, output=folder, client=client, **options)

        measure(f"fit_many, {asked.cores} Dask workers", asked.fits, on_cluster)


if __name__ == "__main__":
    main()
