r"""pass@budget forecast from few attempts, held against all of them.

    python benchmarks/budgets.py reasoning_models_attempts.csv.gz --unit output_tokens
    python benchmarks/budgets.py terminal_bench_attempts.csv --unit seconds --errors fail \
        --shown 2 --windows 1 --budgets 200,400,600,900

Each window of `--shown` attempts at each problem is fitted, each system by itself: windows of the
attempts in random order, or with `--in-order` in that of the log. The truth is of
all attempts at each problem in random order, without replacement and without a model: the share
of orders in which a success comes before the budget is spent; in the other way it is Chen's
estimate of as many attempts as the budget buys at the mean cost. With `--run` the truth is one run:
the attempts that were not shown, in the order in which they were made, against the band of
"realised". Beside it stands the same estimate from the attempts shown alone.
"""

import argparse
import math
import warnings

import numpy as np
import pandas as pd

import bayespassk as bp

ORDERS = 1000
"""Random orders of the attempts at a problem."""

UNKNOWN = 0.02
"""Of a run, the share of problems whose attempts may have run out before the budget."""


def main() -> None:
    """Print coverage and errors by budget and by system."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("log")
    parser.add_argument("--unit", default="output_tokens")
    parser.add_argument("--shown", type=int, default=10)
    parser.add_argument("--windows", type=int, default=4)
    parser.add_argument("--budgets", default="5e3,1e4,2e4,5e4,1e5,2e5")
    parser.add_argument("--errors", default="raise")
    parser.add_argument("--run", action="store_true")
    parser.add_argument("--in-order", action="store_true")
    args = parser.parse_args()
    budgets = [float(one) for one in args.budgets.split(",")]
    whole = bp.read_attempts(args.log, errors=args.errors)
    whole = whole[whole[args.unit] > 0]
    if not args.in_order:
        whole = whole.sample(frac=1, random_state=27)
    whole = whole.reset_index(drop=True)
    whole["place"] = whole.groupby(["system", "problem"], sort=False).cumcount()
    each = [
        cell
        for system in whole["system"].unique()
        for window in range(args.windows)
        for cell in held(whole[whole["system"] == system], window, budgets, args)
    ]
    cells = pd.DataFrame(each)
    cells["covered"] = (cells["lower"] <= cells["truth"]) & (cells["truth"] <= cells["upper"])
    cells["width"] = cells["upper"] - cells["lower"]
    cells["error"] = (cells["mean"] - cells["truth"]).abs()
    cells["error of shown"] = (cells["shown"] - cells["truth"]).abs()
    columns = ["covered", "width", "error", "error of shown", "truth"]
    for by in (["way", "budget"], ["way", "system"], ["way"]):
        table = cells.groupby(by, sort=False)[columns].mean()
        table.insert(0, "cells", cells.groupby(by, sort=False).size())
        print(table.round(3).to_string(), end="\n\n")


def held(own: pd.DataFrame, window: int, budgets: list[float], args: argparse.Namespace) -> list:
    """Return a row for each way and budget, of one system and window."""
    first = window * args.shown
    inside = own["place"].between(first, first + args.shown - 1)
    shown, others = own[inside].reset_index(drop=True), own[own["place"] >= first + args.shown]
    if not len(shown):
        return []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = bp.fit(bp.Counts.from_attempts(shown), random_seed=1, progress=False)
        rows = []
        for way in ("serial",) if args.run else ("serial", "parallel"):
            target = "realised" if args.run else "benchmark"
            draws = bp.forecast_budget(fit, shown, budgets, unit=args.unit, way=way, target=target)
            truth = one_run if args.run else in_order if way == "serial" else bought
            known = truth(others if args.run else own, args.unit, budgets)
            plain = (in_order if way == "serial" else bought)(shown, args.unit, budgets)
            table = bp.summarize(draws).assign(way=way, truth=known, shown=plain)
            rows += table.dropna(subset=["truth"]).to_dict("records")
    return rows


def in_order(attempts: pd.DataFrame, unit: str, budgets: list[float]) -> np.ndarray:
    """Return the share solved before each budget is spent, over random orders of the attempts."""
    rng = np.random.default_rng(27)
    each = []
    for _, own in attempts.groupby("problem", sort=False):
        cost, success = own[unit].to_numpy(), own["success"].to_numpy()
        order = rng.permuted(np.tile(np.arange(len(own)), (ORDERS, 1)), axis=1)
        spent = np.where(success[order] == 1, cost[order].cumsum(1), math.inf).min(1)
        each.append([(spent <= budget).mean() for budget in budgets])
    return np.mean(each, axis=0)


def bought(attempts: pd.DataFrame, unit: str, budgets: list[float]) -> np.ndarray:
    """Return the share solved by as many attempts as each budget buys; NaN beyond those made."""
    grouped = attempts.groupby("problem", sort=False)
    price = grouped[unit].mean().mean()
    made, solved = grouped["success"].size().to_numpy(), grouped["success"].sum().to_numpy()

    def chen(k: int) -> float:
        if k > made.min():
            return math.nan
        failed = [math.comb(n - c, k) / math.comb(n, k) for n, c in zip(made, solved, strict=True)]
        return 1 - float(np.mean(failed))

    result = []
    for budget in budgets:
        k, part = divmod(budget / price, 1)
        result.append((1 - part) * chen(int(k)) + part * chen(int(k) + 1))
    return np.array(result)


def one_run(attempts: pd.DataFrame, unit: str, budgets: list[float]) -> np.ndarray:
    """Return the share that the attempts solve in their order; NaN where too many ran out."""
    result = []
    for budget in budgets:
        solved, unknown = [], []
        for _, own in attempts.groupby("problem", sort=False):
            spent = own[unit].to_numpy().cumsum()
            within = (own["success"].to_numpy() == 1) & (spent <= budget)
            solved.append(within.any())
            unknown.append(not within.any() and spent[-1] < budget)
        result.append(np.mean(solved) if np.mean(unknown) <= UNKNOWN else math.nan)
    return np.array(result)


if __name__ == "__main__":
    main()
