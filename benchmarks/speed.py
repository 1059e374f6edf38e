"""How long fits and forecasts take: against what else is in use, with more of everything, and cold.

    python benchmarks/speed.py --log monkeys_math.csv --page docs/explanation/speed.md

All in one run and side by side, so that ratios hold where seconds do not. The log is thinned to 100
attempts; without `--log` it is the bundled example. SABER's own package is compared where
`pip install saber-risk` was run.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from importlib import metadata, util
from pathlib import Path
from typing import Any

import arviz as az
import numpy as np
import xarray as xr
from scipy import optimize, special as sp

import bayespassk as bp

K = [100, 10_000]
ATTEMPTS = 100
REPLICATES = 1000
BITS = 100
PACKAGES = ("bayespassk", "numpy", "scipy", "xarray", "pymc", "nutpie", "arviz")


def timed(work: Callable[[], object], repeats: int) -> tuple[float, object]:
    """Return the median of seconds, and the last result."""
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        result = work()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds), result


# What else is in use ---------------------------------------------------------------------------


def ours(counts: bp.Counts, family: bp.Family, method: str = "auto") -> xr.DataArray:
    """Return the forecast, dims (chain, draw, k)."""
    fit = bp.fit(counts, family, method=method, pooling="none", random_seed=1, progress=False)
    return bp.forecast(fit, K).isel(system=0)


def latent_model(counts: bp.Counts) -> object:
    """Return a beta of p with one p a problem, written by hand; priors are those of ours."""
    import pymc as pm

    beta = bp.Beta()
    with pm.Model() as model:
        log_a = pm.Normal("log_a", beta.log_a.loc, beta.log_a.sd)
        log_b = pm.Normal("log_b", beta.log_b.loc, beta.log_b.sd)
        attempts = pm.Data("attempts", counts.attempts.astype(float))
        successes = pm.Data("successes", counts.successes)
        p = pm.Beta("p", pm.math.exp(log_a), pm.math.exp(log_b), shape=len(counts))
        pm.Binomial("c", attempts, p, observed=successes)
    return model


def of_latent(posterior: xr.Dataset) -> xr.DataArray:
    """Return pass@k of the problems themselves, dims (chain, draw, k)."""
    each = [-np.expm1(k * np.log1p(-posterior["p"])).mean("p_dim_0") for k in K]
    return xr.concat(each, dim=xr.DataArray(K, dims="k")).transpose("chain", "draw", "k")


def by_pymc(model: object) -> xr.DataArray:
    """Sample with PyMC's own NUTS, which compiles each time."""
    import pymc as pm

    tree = pm.sample(
        model=model, random_seed=1, progressbar=False, compute_convergence_checks=False
    )
    return of_latent(tree["posterior"].dataset)


def by_nutpie(compiled: object) -> xr.DataArray:
    """Sample with nutpie a model compiled before."""
    import nutpie

    tree = nutpie.sample(compiled, seed=1, progress_bar=False)
    return of_latent(tree["posterior"].dataset)


def likelihood_of(attempts: np.ndarray, successes: np.ndarray) -> Callable[[np.ndarray], float]:
    """Return minus the log-likelihood of a beta, as a function of (alpha, beta)."""
    failures = attempts - successes

    def loss(x: np.ndarray) -> float:
        return -(sp.betaln(x[0] + successes, x[1] + failures) - sp.betaln(*x)).sum()

    return loss


def scipy_mle(attempts: np.ndarray, successes: np.ndarray) -> np.ndarray:
    """Return pass@k at the maximum, found as in the code of Kazdan et al."""
    found = optimize.minimize(
        likelihood_of(attempts, successes), [0.5, 3.5], bounds=[(0.01, 100)] * 2, method="L-BFGS-B"
    )
    alpha, beta = found.x
    return -np.expm1(sp.betaln(alpha, beta + np.array(K)) - sp.betaln(alpha, beta))


def scipy_bootstrap(counts: bp.Counts, replicates: int) -> np.ndarray:
    """Return the ends of the interval of the maximum, dims (end, k), one replicate at a time."""
    rng = np.random.default_rng(1)
    found = []
    for _ in range(replicates):
        i = rng.integers(0, len(counts), len(counts))
        found.append(scipy_mle(counts.attempts[i], counts.successes[i]))
    return np.quantile(found, [0.025, 0.975], axis=0)


def of_saber(counts: bp.Counts) -> list[tuple[float, float, float]]:
    """Return estimate and interval at each k by the package of the authors."""
    from saber import SABER

    model = SABER()
    model.fit(counts.successes, counts.attempts)
    found = [model.predict(N=k, confidence=0.95) for k in K]
    return [(one.asr, one.ci_lower, one.ci_upper) for one in found]


def mpmath_scaled_mle(counts: bp.Counts) -> np.ndarray:
    """Return pass@k of the scaled beta of the largest likelihood, by 2F1 in 100 bits."""
    import mpmath as mp

    cells = counts.distinct()
    rows = list(zip(cells.successes.tolist(), cells.failures.tolist(), cells.problems, strict=True))

    def log_moment(c: float, f: float, alpha: float, beta: float, s: float) -> float:
        value = mp.hyp2f1(-f, alpha + c, alpha + beta + c, s)
        return (
            float(mp.log(value) + c * mp.log(s))
            + sp.betaln(alpha + c, beta)
            - sp.betaln(alpha, beta)
        )

    def loss(x: np.ndarray) -> float:
        alpha, beta, s = x
        return -sum(m * log_moment(c, f, alpha, beta, s) for c, f, m in rows)

    with mp.workprec(BITS):
        bounds = [(0.01, 100), (0.01, 100), (1e-4, 1.0)]
        found = optimize.minimize(loss, [0.5, 3.5, 0.9], bounds=bounds, method="L-BFGS-B")
        return np.array([-np.expm1(log_moment(0, k, *found.x)) for k in K])


def band(draws: xr.DataArray) -> str:
    """Return mean and interval at the largest k."""
    last = draws.isel(k=-1)
    low, high = np.quantile(last, [0.025, 0.975])
    return f"{float(last.mean()):.3f} [{low:.3f}, {high:.3f}]"


def ess(draws: xr.DataArray) -> float:
    """Return the effective sample size of the forecast, the least of all k."""
    return float(az.ess(draws.rename("x").to_dataset())["x"].min())


def rivals(counts: bp.Counts, out: Callable[[str], None]) -> None:
    """Print a table of what a fit and a forecast with an interval take."""
    import nutpie

    beta = bp.Beta()
    ours(counts, beta)  # imports
    base, draws = timed(lambda: ours(counts, beta), 5)

    def row(name: str, seconds: float, effective: float | None, said: str) -> None:
        rate = "" if effective is None else f"{effective / seconds:,.0f}"
        out(f"| {name} | {seconds:.3g} | {seconds / base:,.1f} | {rate} | {said} |")

    out("| what | seconds | times ours | effective draws a second | pass@10,000 |")
    out("|---|---|---|---|---|")
    row("**bayespassk**, beta: fit and forecast", base, ess(draws), band(draws))
    for family in (bp.LibbyNovick(), bp.Kumaraswamy(), bp.ScaledBeta()):
        ours(counts, family)
        seconds, draws = timed(lambda family=family: ours(counts, family), 3)
        row(f"bayespassk, {family.full_name}", seconds, ess(draws), band(draws))
    first, _ = timed(lambda: ours(counts, beta, "nuts"), 1)
    seconds, draws = timed(lambda: ours(counts, beta, "nuts"), 3)
    row("bayespassk, beta, NUTS, compiled before", seconds, ess(draws), band(draws))
    row("bayespassk, beta, NUTS, the first of a process", first, ess(draws), band(draws))

    model = latent_model(counts)
    compiling, compiled = timed(lambda: nutpie.compile_pymc_model(model), 1)
    seconds, draws = timed(lambda: by_nutpie(compiled), 3)
    row("one p a problem, by hand, nutpie, compiled before", seconds, ess(draws), band(draws))
    row("the same, compiled for these counts", compiling + seconds, ess(draws), band(draws))
    seconds, draws = timed(lambda: by_pymc(model), 1)
    row("the same by `pm.sample`", seconds, ess(draws), band(draws))

    def interval(ends: np.ndarray) -> str:
        return (
            f"{scipy_mle(counts.attempts, counts.successes)[-1]:.3f} [{ends[0]:.3f}, {ends[1]:.3f}]"
        )

    seconds, found = timed(lambda: scipy_bootstrap(counts, REPLICATES), 1)
    row("maximum likelihood, 1,000 bootstraps one by one", seconds, None, interval(found[:, -1]))
    mle = bp.estimators.beta_binomial_mle
    seconds, found = timed(
        lambda: bp.estimators.bootstrap(mle, counts, K, REPLICATES, random_seed=1), 3
    )
    row("the same by `bp.estimators.bootstrap`", seconds, None, interval(found.values[0, -1]))
    if util.find_spec("saber"):
        of_saber(counts)
        seconds, found = timed(lambda: of_saber(counts), 3)
        point, low, high = found[-1]
        name = f"saber-risk {metadata.version('saber-risk')}: fit and intervals"
        row(name, seconds, None, f"{point:.3f} [{low:.3f}, {high:.3f}]")
    else:
        out("| saber-risk: not installed | | | | |")
    seconds, found = timed(lambda: mpmath_scaled_mle(counts), 1)
    row(f"scaled beta, maximum likelihood, 2F1 in {BITS} bits", seconds, None, f"{found[-1]:.3f}")


# More of everything ----------------------------------------------------------------------------


def made(problems: int, systems: int = 1, attempts: int = ATTEMPTS) -> bp.Counts:
    """Return counts drawn from a beta."""
    return bp.Counts(**columns(problems, systems, attempts))


def columns(problems: int, systems: int = 1, attempts: int = ATTEMPTS) -> dict[str, Any]:
    """Return the columns of such counts."""
    rng = np.random.default_rng(1)
    total = problems * systems
    return {
        "system": np.repeat([f"system {i}" for i in range(systems)], problems),
        "problem": np.tile([f"problem {i}" for i in range(problems)], systems),
        "attempts": np.full(total, attempts),
        "successes": rng.binomial(attempts, rng.beta(0.4, 4.0, total)),
    }


def step(name: str, problems: int) -> dict[str, float]:
    """Return the seconds and memory of each verb, in this process."""
    import gc

    family = bp.family_from_name(name)
    small = made(100)
    fit = bp.fit(small, family, pooling="none", random_seed=1, progress=False)  # imports
    other = bp.fit(small, bp.Beta(), pooling="none", random_seed=1, progress=False)
    bp.forecast(fit, K)
    bp.compare({"a": fit, "b": other}, progress=False)
    bp.check(fit, random_seed=1)
    given = columns(problems)
    found: dict[str, float] = {}

    def of(verb: str, work: Callable[[], object]) -> object:
        gc.collect()
        began = time.perf_counter()
        result = work()
        found[verb] = time.perf_counter() - began
        return result

    counts = of("counts", lambda: bp.Counts(**given))
    options = {"pooling": "none", "random_seed": 1, "progress": False}
    fit = of("fit", lambda: bp.fit(counts, family, **options))
    of("forecast", lambda: bp.forecast(fit, K))
    of("check", lambda: bp.check(fit, random_seed=1))
    other = bp.fit(counts, bp.Kumaraswamy(), **options)
    of("compare", lambda: bp.compare({"a": fit, "b": other}, progress=False))
    found["memory"] = most_memory()
    return found


def most_memory() -> float:
    """Return the most megabytes that this process had."""
    status = Path("/proc/self/status")
    if status.exists():  # ru_maxrss begins with that of the parent process
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(lines["VmHWM"].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def growth(out: Callable[[str], None]) -> None:
    """Print how each verb grows with problems, systems and k."""
    verbs = ("counts", "fit", "forecast", "check", "compare")
    out("| problems | counts from columns | fit | forecast | check | compare | memory |")
    out("|---|---|---|---|---|---|---|")
    for problems in (100, 1000, 10_000, 100_000, 1_000_000):
        command = [sys.executable, __file__, "--step", "libby-novick", "--problems", str(problems)]
        printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        found = json.loads(printed.splitlines()[-1])
        times = " | ".join(f"{found[verb]:.2f} s" for verb in verbs)
        out(f"| {problems:,} | {times} | {found['memory']:,.0f} MB |")
    out("")
    out("| systems | fit, each alone | fit, pooled | forecast |")
    out("|---|---|---|---|")
    for systems in (1, 3, 10, 30, 100):
        counts = made(100, systems)
        options = {"random_seed": 1, "progress": False}
        alone, fit = timed(lambda c=counts, o=options: bp.fit(c, pooling="none", **o), 1)
        pooled = (
            ""
            if systems == 1
            else f"{timed(lambda c=counts, o=options: bp.fit(c, **o), 1)[0]:.2f} s"
        )
        seconds, _ = timed(lambda fit=fit: bp.forecast(fit, K), 1)
        out(f"| {systems} | {alone:.2f} s | {pooled} | {seconds:.2f} s |")
    out("")
    fit = bp.fit(made(100), random_seed=1, progress=False)
    bp.forecast(fit, 10)
    ks = (1, 1000, 10**6, 10**12)
    times = [timed(lambda k=k: bp.forecast(fit, k), 3)[0] for k in ks]
    many, _ = timed(lambda: bp.forecast(fit, np.unique(np.logspace(0, 12, 100).astype(int))), 3)
    out("| k | " + " | ".join(f"{k:,}" for k in ks) + " | 100 of them, 1 to 10^12 |")
    out("|---" * (len(ks) + 2) + "|")
    out(
        "| forecast | "
        + " | ".join(f"{1000 * s:.0f} ms" for s in times)
        + f" | {1000 * many:.0f} ms |"
    )


# The command line ------------------------------------------------------------------------------


def environment(**more: str) -> dict[str, str]:
    """Return that of this process, with bytecode."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return kept | more


def run(command: list[str], folder: Path, **more: str) -> float:
    """Return the seconds of a process."""
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, cwd=folder, env=environment(**more))
    return time.perf_counter() - began


def imports(arguments: list[str], folder: Path, **more: str) -> tuple[Counter[str], float]:
    """Return the milliseconds of importing each package, and those of the whole process."""
    began = time.perf_counter()
    command = [sys.executable, "-X", "importtime", "-m", "bayespassk", *arguments]
    found = subprocess.run(
        command, check=True, capture_output=True, text=True, cwd=folder, env=environment(**more)
    )
    whole = 1000 * (time.perf_counter() - began)
    each: Counter[str] = Counter()
    for line in found.stderr.splitlines():
        if line.startswith("import time:") and "|" in line and "self" not in line:
            own, _, module = line.removeprefix("import time:").split("|")
            top = module.strip().split(".")[0].lstrip("_")
            each[top if top in KNOWN else "the rest of Python"] += int(own) / 1000
    return each, whole


KNOWN = (
    "bayespassk", "numpy", "scipy", "pandas", "pyarrow", "dask", "xarray", "click", "rich",
    "netCDF4", "jinja2", "yaml",
)  # fmt: skip
"""Packages that are told apart from Python's own modules."""


def _caches(folder: Path) -> dict[str, str]:
    """Return the environment that keeps bytecode and compiled functions in a folder."""
    return {
        "PYTHONPYCACHEPREFIX": str(folder / "bytecode"),
        "PYTENSOR_FLAGS": f"base_compiledir={folder / 'pytensor'}",
        "NUMBA_CACHE_DIR": str(folder / "numba"),
    }


def command_line(counts: bp.Counts, out: Callable[[str], None]) -> None:
    """Print how long commands take, and a profile."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        counts.to_dataframe().to_csv(folder / "counts.csv", index=False)
        python = [sys.executable, "-m", "bayespassk"]
        commands = [
            "--help",
            "families",
            "forecast counts.csv --k 100,10000",
            "fit counts.csv -o fit.nc",
            "forecast fit.nc --k 100,10000",
            "fit counts.csv -o nuts.nc --family beta --method nuts",
        ]
        out("| command | no bytecode, no caches | warm |")
        out("|---|---|---|")
        warm = _caches(folder / "warm")
        for i, said in enumerate(commands):
            command = [*python, *said.split()]
            first = run(command, folder, **_caches(folder / f"cold{i}"))
            run(command, folder, **warm)
            seconds = [run(command, folder, **warm) for _ in range(3)]
            out(f"| `bayespassk {said}` | {first:.1f} s | {statistics.median(seconds):.2f} s |")
        each, whole = imports(commands[2].split(), folder, **warm)
        out("")
        out(
            "Of `bayespassk forecast counts.csv`, warm, by Python's own account of imports, "
            "which slows them:"
        )
        out("")
        out("| what | milliseconds |")
        out("|---|---|")
        for package, ms in each.most_common():
            if ms >= 5:
                out(f"| import of {package} | {ms:.0f} |")
        rest = whole - sum(each.values())
        out(f"| all else: Python itself, reading, fit, forecast, printing | {rest:.0f} |")


# The page --------------------------------------------------------------------------------------


def machine() -> str:
    """Return what this ran on."""
    text = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    models = [line.split(":", 1)[1].strip() for line in text.splitlines() if "model name" in line]
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in PACKAGES)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    model = models[0] if models else platform.processor()
    return f"{cores} cores of {model}; Python {platform.python_version()}, {versions}"


def sections(counts: bp.Counts, asked: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield the lines of each part asked for."""
    parts = {
        "rivals": lambda out: rivals(counts, out),
        "growth": growth,
        "cli": lambda out: command_line(counts, out),
    }
    for part in asked:
        lines: list[str] = []

        def out(line: str, lines: list[str] = lines) -> None:
            print(line, flush=True)
            lines.append(line)

        parts[part](out)
        yield part, lines


def main() -> None:
    """Parse and run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--log", type=Path, help="counts of one system or more; the first is taken")
    parser.add_argument("--parts", default="rivals,growth,cli")
    parser.add_argument("--page", type=Path, help="page whose tables to replace")
    parser.add_argument("--step", help=argparse.SUPPRESS)
    parser.add_argument("--problems", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    if asked.step:
        print(json.dumps(step(asked.step, asked.problems)))
        return
    log = bp.load_example("arithmetic") if asked.log is None else bp.read(asked.log)
    counts = bp.thin(log.select(log.systems[0]), ATTEMPTS, random_seed=1)
    name = f"{log.systems[0]} of {asked.log.name if asked.log else 'the bundled example'}"
    said = f"{name}, {len(counts)} problems with {ATTEMPTS} attempts each. {machine()}."
    print(said, flush=True)
    for part, lines in sections(counts, asked.parts.split(",")):
        if asked.page is not None:
            replace(asked.page, part, lines)
    if asked.page is not None:
        replace(asked.page, "machine", [said])


def replace(page: Path, part: str, lines: list[str]) -> None:
    """Put the lines of a part between its two comments in a page."""
    text = page.read_text(encoding="utf-8")
    start, end = f"<!-- {part} -->\n", f"<!-- end of {part} -->"
    before, rest = text.split(start)
    _, after = rest.split(end)
    body = "\n".join(lines)
    page.write_text(f"{before}{start}\n{body}\n\n{end}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
