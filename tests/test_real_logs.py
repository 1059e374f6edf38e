"""The main job on published logs: no divergences, and bands that hold the truth."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import bayespassk as bp


def quiet_fit(counts, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.errors.PriorDrivenWarning)
        return bp.fit(counts, bp.Beta(), pooling="none", random_seed=1, progress=False, **options)


@pytest.fixture(scope="module")
def checkpoints(real_logs):
    """Return the fit of 36 checkpoints on two benchmarks: up to 2.2 million attempts a problem."""
    return quiet_fit(bp.read_csv(real_logs / "pythia_checkpoints.csv"))


def test_all_checkpoints_sample_without_divergences(checkpoints):
    """Also those with a handful of successes in a million attempts, and those with none."""
    found = bp.diagnostics(checkpoints)
    assert checkpoints["posterior"].dataset.sizes["system"] == 68
    assert found.converged, found.message()
    assert found.divergences == 0


def test_systems_without_success_have_wide_honest_bands(checkpoints, real_logs):
    counts = bp.read_csv(real_logs / "pythia_checkpoints.csv")
    successes = np.bincount(counts.system_index, weights=counts.successes)
    bare = [s for s, total in zip(counts.systems, successes, strict=True) if total == 0]
    assert len(bare) == 17
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        draws = bp.forecast(checkpoints, [1000, 10**9])
    (ruled,) = [w.message for w in caught if getattr(w.message, "prior_share", ())]
    warned = set(ruled.systems)
    assert warned >= set(bare)
    solved = np.bincount(counts.system_index, weights=counts.successes > 0)
    assert warned <= {s for s, number in zip(counts.systems, solved, strict=True) if number < 10}
    table = bp.summarize(draws).set_index(["k", "system"])
    near, far = table.loc[1000].loc[bare], table.loc[10**9].loc[bare]
    assert (near["upper"] < 0.1).all()  # 1,000 is well within the attempts that all failed
    assert (far["upper"] - far["lower"] > 0.7).all()  # of a thousand million nothing is known


@pytest.mark.parametrize("log", ["monkeys_math", "code_contests", "bon_jailbreaking_text"])
def test_other_logs_sample_without_divergences(real_logs, log):
    found = bp.diagnostics(quiet_fit(bp.read_csv(real_logs / f"{log}.csv")))
    assert found.converged, found.message()


@pytest.mark.parametrize("log", ["monkeys_math", "code_contests"])
def test_within_the_budget_forecasts_agree_with_chen(real_logs, log):
    counts = bp.read_csv(real_logs / f"{log}.csv")
    fit = quiet_fit(counts)
    ks = [1, 10, 100, 1000, 5000]
    table = bp.summarize(bp.forecast(fit, ks, target="realised"), 0.99)
    chen = bp.estimators.chen(counts, ks).ravel()
    assert ((table["lower"] <= chen) & (chen <= table["upper"])).all()


def test_bands_cover_the_truth_on_math(real_logs):
    """95% bands from 100 attempts, over thinnings and systems.

    The thinnings of a system share its truth, so only about one case in four is independent; the
    limit is the count below which a fair 95% band of 20 independent cases falls once in 10,000.
    """
    log = bp.read_csv(real_logs / "monkeys_math.csv")
    truth = bp.estimators.chen(log, [1000, 10_000])
    inside = []
    for seed in range(20):
        fit = quiet_fit(bp.thin(log, 100, random_seed=seed))
        table = bp.summarize(bp.forecast(fit, [1000, 10_000], target="realised"))
        inside.append((table["lower"] <= truth.ravel()) & (truth.ravel() <= table["upper"]))
    share = pd.concat(inside, axis=1).to_numpy().mean()
    assert share >= stats.binom.ppf(1e-4, 20, 0.95) / 20
