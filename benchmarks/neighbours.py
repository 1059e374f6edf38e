"""The same questions asked of scorio, passk-inference and saber-risk, and of bayespassk.

    pip install scorio passk-inference saber-risk
    python benchmarks/neighbours.py

The input is 20 of the 10,000 attempts at each problem of the bundled logs: of a model at
arithmetic, or of two simulated systems to compare. Prints what each answers, how long it took, and
what all attempts say. hibayes is not on PyPI.
"""

import time
import warnings
from collections.abc import Callable
from importlib import metadata
from typing import Any

import numpy as np

import bayespassk as bp

N = 20
REACH = 1000


def interval(point: float, lower: float, upper: float) -> str:
    """Return an estimate and its interval as text."""
    return f"{point:.3f} [{lower:.3f}, {upper:.3f}]"


def band(draws: Any) -> str:
    """Return the median of draws and the 95% interval as text."""
    lower, median, upper = np.quantile(np.asarray(draws), [0.025, 0.5, 0.975])
    return interval(median, lower, upper)


def outcomes(counts: bp.Counts) -> np.ndarray:
    """Return a row of 0 and 1 for each problem, the successes first."""
    return (np.arange(N) < counts.successes[:, None]).astype(int)


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """Return what a call returns, and the seconds of the second time that it is made."""
    work()
    begun = time.perf_counter()
    found = work()
    return found, time.perf_counter() - begun


def rows_of_scorio() -> list[tuple]:
    """Ask for pass@k and pass^k of a language model at arithmetic."""
    from scorio import eval as theirs

    truth = bp.load_example("arithmetic")
    one = bp.thin(truth, N, random_seed=1)
    results = outcomes(one)
    fit = bp.fit(one, random_seed=1, progress=False)

    def ci(found: tuple) -> str:
        return interval(found[0], found[2], found[3])

    fitted = timed(lambda: bp.fit(one, random_seed=1, progress=False))[1]
    p = truth.successes / truth.attempts
    return [
        (
            "pass@10 of this run (Chen)", "`eval.pass_at_k(R, 10)`",
            timed(lambda: f"{theirs.pass_at_k(results, 10):.4f}"),
            "`bp.estimators.chen(counts, 10)`",
            timed(lambda: f"{bp.estimators.chen(one, 10).item():.4f}"),
            bp.estimators.chen(truth, 10).item(),
        ),
        (
            "pass@10, 95%", "`eval.pass_at_k_ci(R, 10)`",
            timed(lambda: ci(theirs.pass_at_k_ci(results, 10))),
            "`bp.forecast(fit, 10)`",
            _with(fitted, timed(lambda: band(bp.forecast(fit, 10, random_seed=1)))),
            bp.estimators.chen(truth, 10).item(),
        ),
        (
            "pass^2, 95%", "`eval.pass_hat_k_ci(R, 2)`",
            timed(lambda: ci(theirs.pass_hat_k_ci(results, 2))),
            "`bp.pass_hat_k(fit, 2)`",
            _with(fitted, timed(lambda: band(bp.pass_hat_k(fit, 2, random_seed=1)))),
            float((p**2).mean()),
        ),
        (
            f"pass@{REACH:,}, 95%", f"`eval.pass_at_k_ci(R, {REACH})`",
            timed(lambda: _or_error(lambda: ci(theirs.pass_at_k_ci(results, REACH)))),
            f"`bp.forecast(fit, {REACH})`",
            _with(fitted, timed(lambda: band(bp.forecast(fit, REACH, random_seed=1)))),
            bp.estimators.chen(truth, REACH).item(),
        ),
    ]  # fmt: skip


def rows_of_passk_inference() -> list[tuple]:
    """Ask how much more the large of two systems solves."""
    import passk_inference as theirs

    whole = bp.load_example()
    shown = bp.thin(whole, N, random_seed=1)
    small, large = shown.select("small"), shown.select("large")
    fit = bp.fit(shown, random_seed=1, progress=False)
    fitted = timed(lambda: bp.fit(shown, random_seed=1, progress=False))[1]

    def compared(ks: list[int]) -> str:
        found = theirs.compare(
            small.successes, small.attempts, large.successes, large.attempts, ks=ks
        )
        return interval(found["mean"][0], found["lower"][0], found["upper"][0])

    rows = []
    for k in (1, 10, REACH):
        chen = [bp.estimators.chen(whole.select(name), k).item() for name in ("small", "large")]
        truth = chen[1] - chen[0]
        ours = timed(
            lambda k=k: band(bp.difference(fit, "large", "small", k, "population", random_seed=1))
        )
        rows.append(
            (
                f"large - small at pass@{k:,}, 95%, of problems like these",
                f"`compare(c0, n0, c1, n1, ks=[{k}])`",
                timed(lambda k=k: _or_error(lambda: compared([k]))),
                f'`bp.difference(fit, "large", "small", {k}, "population")`',
                _with(fitted, ours),
                truth,
            )
        )
    return rows


def rows_of_saber() -> list[tuple]:
    """Ask for pass@k of the model at arithmetic, far beyond the attempts."""
    from saber import SABER

    truth = bp.load_example("arithmetic")
    one = bp.thin(truth, N, random_seed=1)
    fit = bp.fit(one, random_seed=1, progress=False)
    fitted = timed(lambda: bp.fit(one, random_seed=1, progress=False))[1]

    def predicted(k: int) -> str:
        model = SABER()
        model.fit(one.successes, one.attempts)
        found = model.predict(N=k, confidence=0.95)
        return interval(found.asr, found.ci_lower, found.ci_upper)

    def estimated(k: int) -> str:
        point = bp.estimators.saber_anchored(one, k).item()
        return interval(point, *bp.estimators.saber_anchored_interval(one, k).values.ravel())

    rows = []
    for k in (100, REACH, 10_000):
        chen = bp.estimators.chen(truth, k).item()
        theirs = timed(lambda k=k: predicted(k))
        call = f"`SABER().fit(c, n).predict(N={k}, confidence=0.95)`"
        rows.append(
            (
                f"pass@{k:,}, their estimate, 95%", call, theirs,
                f"`bp.estimators.saber_anchored(counts, {k})` and `saber_anchored_interval`",
                timed(lambda k=k: estimated(k)), chen,
            )
        )  # fmt: skip
        ours = _with(fitted, timed(lambda k=k: band(bp.forecast(fit, k, random_seed=1))))
        rows.append((f"pass@{k:,}, 95%", call, theirs, f"`bp.forecast(fit, {k})`", ours, chen))
    return rows


def _with(seconds: float, found: tuple[Any, float]) -> tuple[Any, float]:
    """Return a result and its seconds, those of the fit added."""
    return found[0], found[1] + seconds


def _or_error(work: Callable[[], str]) -> str:
    try:
        return work()
    except ValueError as error:
        return f"refused: {error}"


PACKAGES = {
    "scorio": rows_of_scorio,
    "passk-inference": rows_of_passk_inference,
    "saber-risk": rows_of_saber,
}


def main() -> None:
    """Print a table for each package that is installed."""
    warnings.simplefilter("ignore")
    for name, rows_of in PACKAGES.items():
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            print(f"## {name}: not installed\n")
            continue
        print(f"## {name} {version} and bayespassk {bp.__version__}\n")
        print("| question | their call | their answer | s | our call | our answer | s | truth |")
        print("|---|---|---|---|---|---|---|---|")
        for question, call, theirs, our_call, ours, truth in rows_of():
            cells = [question, call, theirs[0], f"{theirs[1]:.3f}", our_call, ours[0]]
            print("| " + " | ".join([*cells, f"{ours[1]:.3f}", f"{truth:.3f}"]) + " |")
        print()


if __name__ == "__main__":
    main()
