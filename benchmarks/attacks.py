"""Attacks on files, locks and saved fits, with a table of what they did.

    python benchmarks/attacks.py [--kills 50] [--tells 300] [--flips 500] [--runs 6]

Kills: processes that write one file are ended by SIGKILL at a random time; what was there must be
whole, and the next run must leave nothing beside it. Tells: two processes tell one plan; what was
acknowledged must be in the file. Runs: two batches, and two backtests, in one folder; each piece of
work must be done once. Flips: a saved fit with a few other bytes must be read as it was, or refused
by an error of ours. The exit status is 1 if an attack did anything. `tests/test_attacks.py` runs it
with small numbers, and `tests/test_outputs.py`, `test_schema.py`, `test_files.py` and
`test_arguments.py` try what needs no repeating.
"""

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

import bayespassk as bp

COUNTS = {"problem": range(6), "attempts": [10] * 6, "successes": [0, 1, 5, 2, 0, 9]}

WRITING = """
import sys, warnings
import bayespassk as bp
warnings.simplefilter("ignore")
fit = bp.load(sys.argv[1])
print("ready", flush=True)
while True:
    bp.save(fit, sys.argv[1])
"""

TELLING = """
import sys
import bayespassk as bp
path, many = sys.argv[1], int(sys.argv[2])
plan, told = bp.Plan(path, k=10, budget=1e6, family="beta"), 0
print("ready", flush=True)
sys.stdin.readline()
while told < many:
    try:
        plan.tell({"problem": ["0"], "attempts": [1], "successes": [0]})
        told += 1
        print("told", flush=True)
    except bp.errors.InputError:
        plan = bp.Plan(path, k=10, budget=1e6, family="beta")
"""


def python(code: str, *arguments: object, **options: object) -> subprocess.Popen[str]:
    """Return a process that runs some code."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **options)  # type: ignore[call-overload]


def first_line(process: subprocess.Popen[str]) -> None:
    """Wait until a process has said something."""
    if process.stdout is None or not process.stdout.readline():
        raise RuntimeError("a process ended before it began")


def small_fit(path: Path) -> None:
    """Save a small fit."""
    fit = bp.fit(bp.Counts(**COUNTS), "beta", draws=25, random_seed=1, progress=False)
    bp.save(fit, path)


def kills(folder: Path, many: int) -> tuple[str, int, int]:
    """Kill processes that save over one file; count files that are torn, and what is left."""
    path = folder / "fit.nc"
    small_fit(path)
    whole, torn, rng = path.read_bytes(), 0, np.random.default_rng(1)
    for _ in range(many):
        with python(WRITING, path) as process:
            first_line(process)
            time.sleep(rng.random() * 0.5)
            process.kill()
        try:
            bp.load(path)
        except bp.errors.FitFileError:
            torn += 1
            path.write_bytes(whole)
    time.sleep(1.1)  # a folder is looked through once a second
    bp.save(bp.load(path), path)
    left = len(list(folder.iterdir())) - 1
    return "killed while they saved: torn, or left behind after the next run", many, torn + left


def tells(folder: Path, many: int) -> tuple[str, int, int]:
    """Tell one plan by two processes; count what was acknowledged and lost."""
    path = folder / "counts.csv"
    bp.Counts(**COUNTS).to_dataframe().to_csv(path, index=False)
    before = bp.read_csv(path).attempts.sum()
    processes = [python(TELLING, path, many // 2, stdin=subprocess.PIPE) for _ in range(2)]
    for one in processes:
        first_line(one)
    for one in processes:
        print("go", file=one.stdin, flush=True)
    told = sum(one.communicate()[0].count("told") for one in processes)
    made = int(bp.read_csv(path).attempts.sum() - before)
    return "outcomes told by two processes: acknowledged and lost", told, told - made


def runs(folder: Path, many: int) -> Iterator[tuple[str, int, int]]:
    """Run each of two commands twice at once in one folder; count pieces of work done twice."""
    logs = folder / "logs"
    logs.mkdir()
    for i in range(many):
        bp.Counts(**COUNTS, system=f"s{i}").to_dataframe().to_csv(logs / f"{i}.csv", index=False)
    light = ["--family", "beta", "--draws", "25", "--cores", "1", "--k", "10"]
    for name, command in (
        ("batch", ["batch", logs, "-o", folder / "batch", *light]),
        ("backtest", ["backtest", logs / "0.csv", "-o", folder / "backtest", "--methods", "beta",
                      "--n", "4", "--k", "8", "--repeats", str(many), "--cores", "1"]),
    ):  # fmt: skip
        line = [sys.executable, "-m", "bayespassk", *map(str, command)]
        both = [
            subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)
        ]
        for one in both:
            one.communicate()
        subprocess.run(line, capture_output=True, check=True)  # who was refused says it again
        lines = [json.loads(x) for x in (folder / name / "journal.jsonl").read_text().splitlines()]
        twice = len(lines) - 1 - many
        yield f"two runs of {name} in one folder: work done twice or not at all", many, abs(twice)


def flips(folder: Path, many: int) -> tuple[str, int, int]:
    """Change bytes of a saved fit; count those that are read with other numbers, or crash."""
    path, bad = folder / "flipped.nc", 0
    small_fit(path)
    whole, rng = path.read_bytes(), np.random.default_rng(2)
    want = bp.forecast(bp.load(path), [1, 10])
    for i in range(many):
        other = bytearray(whole)
        for _ in range(1 + i % 3):
            other[rng.integers(len(other) if i % 2 else 8000)] ^= int(rng.integers(1, 256))
        path.write_bytes(other)
        try:
            bad += not bp.forecast(bp.load(path), [1, 10]).equals(want)
        except bp.errors.FitFileError:
            continue
        except Exception as error:
            print(f"flip {i}: {type(error).__name__}: {error}", file=sys.stderr)
            bad += 1
    return "saved fits with other bytes: other numbers, or errors of others", many, bad


def attacks(
    folder: Path, killed: int, told: int, flipped: int, ran: int
) -> Iterator[tuple[str, int, int]]:
    """Yield what was tried, how often, and how often it did something."""
    each: tuple[tuple[Callable[[Path, int], tuple[str, int, int]], int], ...] = (
        (kills, killed), (tells, told), (flips, flipped),
    )  # fmt: skip
    for attack, many in each:
        place = folder / attack.__name__
        place.mkdir()
        yield attack(place, many)
    place = folder / "runs"
    place.mkdir()
    yield from runs(place, ran)


def main() -> None:
    """Try all and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, many in (("kills", 50), ("tells", 300), ("flips", 500), ("runs", 6)):
        parser.add_argument(f"--{name}", type=int, default=many)
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    with tempfile.TemporaryDirectory() as folder:
        did = 0
        print("| attack | tried | did something |\n|---|---|---|")
        for what, tried, bad in attacks(
            Path(folder), asked.kills, asked.tells, asked.flips, asked.runs
        ):
            print(f"| {what} | {tried:,} | {bad:,} |", flush=True)
            did += bad
    sys.exit(bool(did))


if __name__ == "__main__":
    main()
