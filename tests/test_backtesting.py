"""Backtests: the truth, what is said of it, the scores, and that nothing finished is lost."""

import json
import warnings

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import stats

import bayespassk as bp
from bayespassk.asking.seen import Seen
from bayespassk.backtesting import verb as backtesting
from bayespassk.backtesting.text import summary
from bayespassk.families.base import draw_prior
from bayespassk.posterior.fitted import opened

FALSE_ALARM = 1e-4
QUICK = {"n": 20, "k": [50, 200], "repeats": 2, "cores": 1, "progress": False}


@pytest.fixture(scope="module")
def log():
    """Two systems with 30 problems and 200 attempts at each."""
    tables = [
        bp.simulate(bp.Beta(), {"a": a, "b": b}, problems=30, attempts=200, system=s, random_seed=i).to_dataframe()
        for i, (s, a, b) in enumerate([("small", 0.3, 8.0), ("large", 0.6, 3.0)])
    ]  # fmt: skip
    return bp.Counts.from_dataframe(pd.concat(tables, ignore_index=True))


@pytest.fixture(scope="module")
def scores(log):
    return bp.backtest(log, ["log-log", "saber-anchored", "beta"], **QUICK)


# What is said of the truth ---------------------------------------------------------------------


def test_a_log_with_nothing_hidden_is_known(fit, counts):
    ks = np.array([1, 10, 100])
    for system in (0, 1):
        said = Seen(opened(fit), system, 1).of_log(counts.attempts, ks, 50)
        want = bp.estimators.chen(counts, ks)[system]
        np.testing.assert_allclose(said, np.broadcast_to(want, said.shape), rtol=1e-12)


def test_far_below_the_attempts_it_is_the_benchmarks_pass_at_k(fit, counts):
    ks = np.array([10, 1000])
    said = Seen(opened(fit), 0, 1).of_log(np.full(len(counts), 10**7), ks, 4000)
    want = bp.forecast(fit, ks.tolist()).values[:, :, 0].reshape(-1, 2)
    error = want.std(0) * np.sqrt(2 / 400)  # as if 400 of the draws were independent
    np.testing.assert_array_less(abs(said.mean(0) - want.mean(0)), 4 * error)
    np.testing.assert_allclose(said.std(0), want.std(0), rtol=0.15)


def test_at_all_attempts_it_is_a_share_of_problems_not_below_that_shown(fit, counts):
    said = Seen(opened(fit), 0, 1).of_log(np.full(len(counts), 1000), np.array([1000]), 200)
    problems = counts.select("small")
    assert np.allclose(said * len(problems) % 1, 0) or np.allclose(said * 128, np.round(said * 128))
    assert said.min() >= (problems.successes > 0).mean()


def test_ragged_attempts_keep_to_their_problems():
    """One problem with all its attempts shown, one with many hidden."""
    counts = bp.Counts(
        problem=["a", "b", "c", "d"], attempts=[10, 10, 10, 10], successes=[0, 9, 0, 9]
    )
    fit = bp.fit(
        counts,
        bp.Beta(),
        pooling="none",
        draws=300,
        chains=4,
        random_seed=1,
        progress=False,
    )
    said = Seen(opened(fit), 0, 1).of_log(np.array([10, 1000, 10**6, 10]), np.array([10]), 400)[
        :, 0
    ]
    # a fails for certain, d has passed: only the shares of b and c are open
    assert (said > 0.5 * 0.5 + 0.2).all()
    assert (said <= 0.75).all()
    assert said.std() > 0.001


@pytest.mark.filterwarnings("ignore::bayespassk.errors.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore::bayespassk.errors.PriorDrivenWarning")
def test_the_rank_of_the_truth_is_uniform():
    """Parameters from the prior, a log from them, a tenth of it shown; ties ranked at random."""
    rng, systems, problems, made = np.random.default_rng(5), 80, 25, 200
    free = draw_prior(bp.Beta(), rng, (systems,))
    natural = bp.Beta().natural(free)
    p = bp.Beta().draw({n: np.repeat(v, problems) for n, v in natural.items()}, rng)
    whole = bp.Counts(
        problem=np.tile(np.arange(problems), systems),
        system=np.repeat([f"s{i}" for i in range(systems)], problems),
        attempts=np.full(systems * problems, made),
        successes=rng.binomial(made, p),
    )
    ks = np.array([40, 200])
    truth = bp.estimators.chen(whole, ks)
    shown = bp.thin(whole, 20, random_seed=1)
    fit = bp.fit(
        shown,
        bp.Beta(),
        pooling="none",
        draws=250,
        chains=2,
        random_seed=1,
        progress=False,
    )
    ranks = np.empty((systems, len(ks)))
    for i in range(systems):
        said = Seen(opened(fit), i, 1).of_log(whole.attempts, ks, 250)
        below = (said < truth[i] - 1e-12).mean(0)
        equal = (abs(said - truth[i]) <= 1e-12).mean(0)
        ranks[i] = below + rng.uniform(size=len(ks)) * equal
    for column in ranks.T:
        assert stats.kstest(column, "uniform").pvalue > FALSE_ALARM


# The table -------------------------------------------------------------------------------------


def test_rows_are_in_order_and_can_be_made_by_hand(log, scores):
    assert scores["method"].unique().tolist() == ["log-log", "saber-anchored", "beta"]
    assert len(scores) == 2 * 3 * 2 * 2
    truth = bp.estimators.chen(log, [50, 200])
    np.testing.assert_allclose(scores["truth"], np.tile(truth.ravel(), 6), rtol=1e-12)
    assert (scores["note"] == "").all()
    for _, rows in scores.groupby("repeat"):
        seed = int(rows["seed"].iloc[0])
        shown = bp.thin(log, 20, random_seed=seed)
        mine = rows[rows["method"] == "log-log"]
        want = bp.estimators.log_log(shown, [50, 200]).values.ravel()
        np.testing.assert_allclose(mine["point"], want)
        ends = bp.estimators.bootstrap(bp.estimators.log_log, shown, [50, 200], 200, 0.8, seed)
        np.testing.assert_allclose(mine[["lower_80", "upper_80"]], ends.values.reshape(-1, 2))
        own = bp.estimators.saber_anchored_interval(shown, [50, 200]).values.reshape(-1, 2)
        anchored = rows[rows["method"] == "saber-anchored"]
        np.testing.assert_allclose(anchored[["lower_95", "upper_95"]], own, atol=1e-3)
        fit = bp.fit(shown, bp.Beta(), pooling="none", random_seed=seed, progress=False)
        beta = rows[rows["method"] == "beta"]
        assert (beta["converged"] == bp.diagnostics(fit).converged).all()
        said = Seen(opened(fit), 1, seed).of_log(log.attempts, np.array([50, 200]))
        np.testing.assert_allclose(beta["point"].iloc[2:], np.median(said, 0), rtol=1e-12)


def test_a_budget_is_spread_evenly(log):
    spread = backtesting._spread(log, 100, seed=3)
    for system in (0, 1):
        mine = spread[log.system_index == system]
        assert mine.sum() == 100
        assert sorted(set(mine)) == [3, 4]
    assert (spread != backtesting._spread(log, 100, seed=4)).any()
    found = bp.backtest(log, "bayes-at-n", budget=[100, 10], k=20, repeats=1, cores=1)
    assert found["budget"].tolist() == [100, 100, 10, 10]
    assert bp.summarize_backtest(found).columns[0] == "budget"
    assert (found["note"] == "").all()


def test_half_of_the_attempts_are_shown_by_default(log):
    found = bp.backtest(log, "plug-in", repeats=1, cores=1)
    assert found["n"].unique().tolist() == [100]
    assert found["k"].unique().tolist() == [200]
    assert found["truth"].tolist() == [
        (log.select(name).successes > 0).mean() for name in ("small", "large")
    ]


def test_systems_are_judged_at_the_k_they_allow():
    counts = bp.Counts(
        system=["a", "a", "b", "b"], problem=["x", "y"] * 2, attempts=[50, 90, 400, 500], successes=[5, 0, 3, 0]
    )  # fmt: skip
    found = bp.backtest(counts, ["plug-in", "brown"], n=10, k=[20, 200], repeats=1, cores=1)
    rows = list(zip(found["method"], found["system"], found["k"], strict=True))
    assert rows == [(m, s, k) for m in ("plug-in", "brown") for s, k in (("a", 20), ("b", 20), ("b", 200))]  # fmt: skip
    assert "At k = 200 only 1 of 2 systems have that many" in summary(found)
    with pytest.raises(bp.errors.OptionError, match=r"k must be at most 400.*got k=500"):
        bp.backtest(counts, "plug-in", n=10, k=500)


def share_solved(counts, k, _seed):
    solved = [(counts.select(name).successes > 0).mean() for name in counts.systems]
    return xr.DataArray(np.repeat(np.array(solved)[:, None], len(k), 1), dims=("system", "k"))


def test_methods_of_ones_own_give_points_or_draws_or_fail(log):
    def drawn(counts, k, seed):
        rng = np.random.default_rng(seed)
        draws = rng.uniform(size=(2, 50, len(counts.systems), len(k)))
        return xr.DataArray(draws, dims=("chain", "draw", "system", "k"))

    def broken(*_):
        raise ValueError("no | luck")

    own = {"solved": share_solved, "drawn": drawn, "broken": broken, "list": lambda *_: [1], "plug-in": "plug-in"}  # fmt: skip
    found = bp.backtest(log, own, **QUICK)
    by = dict(list(found.groupby("method")))
    assert by["solved"]["lower_95"].isna().all()
    np.testing.assert_allclose(by["solved"]["crps"], by["solved"]["error"].abs())
    assert by["drawn"]["width_95"].between(0.85, 1).all()
    assert by["broken"]["point"].isna().all()
    assert set(by["broken"]["note"]) == {"ValueError: no | luck"}
    assert by["list"]["note"].str.contains(r"must return a DataArray.*got list").all()
    assert by["plug-in"]["point"].notna().all()
    table = bp.summarize_backtest(found).set_index(["method", "k"])
    assert table.loc[("broken", 50), "failed"] == 4
    text = summary(found)
    assert r"8 of 8 forecasts failed. The first says: ValueError: no \| luck" in text
    with pytest.raises(bp.errors.OptionError, match="that other processes can import"):
        bp.backtest(log, own, n=20, k=50, cores=2)


def test_an_estimator_that_refuses_one_system_goes_on_with_the_others(log):
    frame = log.to_dataframe()
    frame.loc[frame["system"] == "small", "successes"] = 0
    found = bp.backtest(bp.Counts.from_dataframe(frame), ["saber-anchored", "brown"], n=1, k=50, repeats=1, cores=1)  # fmt: skip
    small, large, *brown = found.to_dict("records")
    assert small["point"] == 0
    assert np.isnan(small["lower_95"])
    assert small["note"].startswith("no interval: SABER's interval needs")
    assert all("needs at least 2 attempts" in row["note"] for row in brown)
    assert np.isfinite(large["point"])


BAD = {
    "counts": ({"counts": 3}, "counts must be a bayespassk.Counts; got int"),
    "stopping": ({"stopping": "first-success"}, "fixed in advance; these have stopping='first-success'"),
    "method": ({"methods": "gamma"}, r"an estimator \(plug-in, brown.*partial:beta, or default; got 'gamma'"),
    "no method": ({"methods": []}, "at least one method"),
    "what": ({"methods": {"x": 3}}, "a name, a family, or a function"),
    "n": ({"n": 200}, "here from 1 to 199, so that some are hidden at every problem; got 200"),
    "n twice": ({"n": [5, 5]}, "values that differ"),
    "both": ({"n": 5, "budget": 10}, "give n or budget, not both"),
    "budget": ({"budget": 10**5}, "for each system, here from 1 to 5,970"),
    "k": ({"k": 201}, "k must be at most 200"),
    "repeats": ({"repeats": 0}, "repeats must be a whole number from 1"),
    "replicates": ({"replicates": 1}, "replicates must be a whole number from 2"),
    "cores": ({"cores": 0}, "cores must be"),
    "format": ({"format": "xml"}, "format must be 'csv' or 'parquet'"),
    "output": ({"output": __file__}, "output must be a folder"),
}  # fmt: skip


@pytest.mark.parametrize(("options", "message"), BAD.values(), ids=BAD.keys())
def test_what_means_nothing_is_refused_before_anything_is_done(log, options, message):
    counts = options.pop("counts", log) if "counts" in options else log
    if "stopping" in options:
        counts = bp.Counts(problem=["a"], attempts=[9], successes=[1], stopping=options["stopping"])
        options = {}
    with pytest.raises(bp.errors.OptionError, match=message):
        bp.backtest(counts, **options)


def test_fits_that_did_not_converge_are_counted_and_told_once(scores):
    found = scores.copy()
    found.loc[found["method"] == "beta", "converged"] = False
    with pytest.warns(bp.errors.ConvergenceWarning, match=r"4 of 4 forecasts are from fits.*\(beta 4\)") as told:  # fmt: skip
        backtesting._warn_if_not_converged(found)
    assert told[0].message.systems == ("large", "small")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        backtesting._warn_if_not_converged(scores)
    found.attrs = scores.attrs
    assert "4 of 4" not in summary(scores)
    assert "8 of 8 forecasts are from fits that did not converge" in summary(found)


# Processes, folders and interruptions ----------------------------------------------------------


def test_the_result_does_not_depend_on_the_number_of_processes(log, scores):
    found = bp.backtest(log, ["log-log", "saber-anchored", "beta"], **QUICK | {"cores": 2})
    pd.testing.assert_frame_equal(found.drop(columns="seconds"), scores.drop(columns="seconds"))


def test_a_folder_keeps_what_is_done_and_only_the_rest_is_computed(log, tmp_path, monkeypatch):
    done = []
    whole = backtesting._piece
    monkeypatch.setattr(backtesting, "_piece", lambda plan, piece: done.append(piece) or whole(plan, piece))  # fmt: skip
    options = {"n": 20, "k": 50, "repeats": 2, "cores": 1, "output": tmp_path / "a" / "b"}
    first = bp.backtest(log, "plug-in", **options)
    assert len(done) == 2
    again = bp.backtest(log, "plug-in", **options)
    assert len(done) == 2
    pd.testing.assert_frame_equal(first, again)
    assert first.attrs == again.attrs
    more = bp.backtest(log, ["brown", "plug-in"], **options | {"k": [200, 50], "n": [20, 30]})
    assert done[2:4] == [(20, r, {"brown": [200, 50], "plug-in": [200]}) for r in (0, 1)]
    assert [piece[0] for piece in done[4:]] == [30, 30]
    fresh = bp.backtest(log, ["brown", "plug-in"], n=[20, 30], k=[200, 50], repeats=2, cores=1)
    pd.testing.assert_frame_equal(more.drop(columns="seconds"), fresh.drop(columns="seconds"))
    files = {path.name for path in options["output"].iterdir()}
    assert files == {".lock", "journal.jsonl", "scores.csv", "summary.md", "summary.png"}
    assert len(pd.read_csv(options["output"] / "scores.csv")) == len(more)


def test_a_line_cut_short_is_done_again(log, tmp_path):
    options = {"n": 20, "k": 50, "repeats": 3, "cores": 1, "output": tmp_path}
    whole = bp.backtest(log, "plug-in", **options)
    journal = tmp_path / "journal.jsonl"
    text = journal.read_bytes()
    for kept in (len(text) - 1, len(text) - 300, text.index(b"\n") // 2):
        journal.write_bytes(text[:kept])
        again = bp.backtest(log, "plug-in", **options)
        pd.testing.assert_frame_equal(again.drop(columns="seconds"), whole.drop(columns="seconds"))
        assert journal.read_bytes().count(b"\n") == 4
        assert all(json.loads(line) for line in journal.read_text().splitlines())


def test_what_failed_is_tried_again(log, tmp_path):
    said = {"fails": True}

    def mine(counts, k, seed):
        if said["fails"]:
            raise ValueError("not yet")
        return share_solved(counts, k, seed)

    options = {"n": 20, "k": 50, "repeats": 2, "cores": 1, "output": tmp_path}
    assert bp.backtest(log, {"mine": mine}, **options)["point"].isna().all()
    said["fails"] = False
    assert bp.backtest(log, {"mine": mine}, **options)["point"].notna().all()
    said["fails"] = True
    assert bp.backtest(log, {"mine": mine}, **options)["point"].notna().all()


def test_other_work_in_the_folder_is_refused(log, counts, tmp_path):
    options = {"n": 20, "k": 50, "repeats": 1, "cores": 1, "output": tmp_path}
    bp.backtest(log, {"mine": "plug-in"}, **options)
    for other, message in (
        ({"counts": counts}, "input sha256"),
        ({"random_seed": 2}, "random_seed 1, and this has 2"),
        ({"replicates": 50}, "replicates 200"),
        ({"methods": {"mine": "brown"}}, "a method 'mine' that was another one"),
    ):
        with pytest.raises(bp.errors.OptionError, match=message):
            bp.backtest(**{"counts": log, "methods": {"mine": "plug-in"}} | options | other)
    journal = tmp_path / "journal.jsonl"
    journal.write_text("not json\n")
    with pytest.raises(bp.errors.OptionError, match="line 1 is not one of a journal"):
        bp.backtest(log, "plug-in", **options)


def test_an_interruption_keeps_what_is_finished(log, tmp_path, monkeypatch):
    whole = backtesting._piece

    def interrupted(plan, piece):
        if piece[1] == 2:
            raise KeyboardInterrupt
        return whole(plan, piece)

    options = {"n": 20, "k": 50, "repeats": 4, "cores": 1, "output": tmp_path}
    monkeypatch.setattr(backtesting, "_piece", interrupted)
    with pytest.raises(KeyboardInterrupt):
        bp.backtest(log, "plug-in", **options)
    monkeypatch.setattr(backtesting, "_piece", whole)
    assert (tmp_path / "journal.jsonl").read_text().count("\n") == 3
    assert bp.backtest(log, "plug-in", **options)["repeat"].nunique() == 4


def test_parquet(log, tmp_path):
    pytest.importorskip("pyarrow")
    found = bp.backtest(log, "plug-in", n=20, k=50, repeats=1, cores=1, output=tmp_path, format="parquet")  # fmt: skip
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "scores.parquet"), found)


def test_labels_are_shown_as_they_are(tmp_path):
    name = "a|b*c_$d$<e>\n[f](g)"
    counts = bp.Counts(
        problem=range(5), attempts=[40] * 5, successes=[0, 1, 2, 20, 40], system=name
    )
    found = bp.backtest(counts, {"m|$x_{$": "plug-in", "n": "brown"}, n=[5, 10], k=40, repeats=2, cores=1, output=tmp_path)  # fmt: skip
    text = (tmp_path / "summary.md").read_text()
    assert r"a\|b\*c\_\$d\$\<e\> \[f\](g)" in text
    assert r"| m\|\$x\_\{\$ |" in text
    assert found["system"].unique().tolist() == [name]


def test_the_summary_says_how_little_thinnings_prove(scores):
    text = summary(scores)
    assert "With 180 of 200 attempts at each problem hidden" in text
    assert "2 systems x 2 thinnings of the same log, so about 2 independent ones" in text
    assert text.count("- **beta**") == 2  # k = 50 and 200, and no estimator's band
    assert "No method here" in summary(scores[scores["method"] == "log-log"])
