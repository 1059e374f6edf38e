"""The house is built as docs/explanation/architecture.md says."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import bayespassk as bp

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "bayespassk"
PAGE = ROOT / "docs" / "explanation" / "architecture.md"

PUBLIC = {
    "Beta", "Counts", "Dependent", "Diagnostics", "Family",
    "GeneralizedBeta", "Kumaraswamy", "LibbyNovick", "LogitNormal",
    "Mixture", "OneInflated", "Prior", "ScaledBeta",
    "Plan", "Verified", "ZeroInflated", "add_predictive", "agreement", "allocate", "average", "backtest", "build_model", "calibrate", "check", "compare", "crossing_budget", "design", "diagnostics", "difference", "disagreement",
    "dist", "errors", "estimators", "verifier", "from_posterior", "family_from_name", "family_of", "fit", "fit_many", "forecast", "independence", "forecast_new_system", "Gate", "gate", "Curve", "forecast_curve", "load", "load_example",
    "log_likelihood", "loo_pit", "plot_backtest", "plot_check", "plot_compare", "plot_design", "plot_difference", "plot_family", "plot_forecast", "plot_loo_pit", "prior_predictive",
    "read", "read_attempts", "read_csv", "report", "save", "sensitivity", "simulate", "summarize", "summarize_backtest", "summarize_calibration",
    "summarize_check", "summarize_crossing", "summarize_difference", "tail_exponent", "thin",
    "at_least", "budget_for", "coverage_at_cost", "deployment_risk", "queries_for", "forecast_budget", "cost_per_success", "compare_at_budget", "plot_budget", "pass_hat_k", "probability_impossible", "rank_systems", "share_above", "summarize_budget",

}  # fmt: skip


def _house():
    spec = importlib.util.spec_from_file_location("house", ROOT / "benchmarks" / "house.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


house = _house()


def floors() -> dict[str, int]:
    """Return the floor of each room, as the page has it."""
    rows = re.findall(r"^\| (\d+) \| ((?:`\w+`(?:, )?)+) \|", PAGE.read_text(), re.MULTILINE)
    return {name: int(floor) for floor, names in rows for name in re.findall(r"`(\w+)`", names)}


def test_every_room_has_a_floor_and_imports_only_from_lower_ones():
    """Neighbours on one floor do not know each other; imports inside functions count."""
    table, rooms = floors(), house.arrows_between_rooms(SOURCE)
    assert set(rooms) == set(table)
    for one, others in rooms.items():
        for other in others:
            assert table[other] < table[one], f"{one} (floor {table[one]}) imports {other}"


def test_no_file_imports_its_importer():
    """Circles between files, inside a room too, and those of imports inside functions."""
    graph = house.arrows_between_files(SOURCE)
    graph.pop("bayespassk")  # the face, which hands names on lazily
    inner = {one: {o for o in others if o != "bayespassk"} for one, others in graph.items()}
    assert house.circles(inner) == []


def test_circles_are_seen():
    assert house.circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c"]]
    assert house.circles({"a": {"b"}, "b": {"c"}, "c": set()}) == []


def test_imports_inside_functions_are_seen(tmp_path):
    path = tmp_path / "one.py"
    path.write_text("import a\ndef f():\n    from b.c import d\n    import e.f as g\n")
    assert set(house.imported(path)) == {"a", "b.c.d", "e.f"}


def test_imports_are_absolute():
    for path in SOURCE.rglob("*.py"):
        assert not re.search(r"^\s*from \.", path.read_text(), re.MULTILINE), path


def test_heavy_libraries_are_imported_where_they_belong():
    allowed = {
        "pymc": {"dist", "fitting"},
        "nutpie": {"fitting"},
        "matplotlib": {"plot"},
        "distributed": {"running"},
    }
    for name, path in house.files_of(SOURCE).items():
        for used in house.imported(path):
            homes = allowed.get(used.split(".")[0])
            assert homes is None or house.room(name) in homes, f"{path.name} imports {used}"


def test_a_fit_is_opened_once():
    """However many helpers a verb hands it to: the family of the fit is parsed once."""
    assert set(house.parsed().values()) == {1}


FACES = {"__init__", "__main__", "errors", "verifier", "arrays", "group", "demo"}
"""Files that only hand names on, or hold a few lines that others' tests run."""

TESTED_AS = {
    "asking.pass_at_k": "forecasting", "asking.new_system": "pooling", "asking.summaries": "forecasting",
    "asking.budgets": "functionals", "asking.coverage": "functionals",
    "asking.curves": "functionals", "asking.shares": "functionals", "asking.ranks": "functionals",
    "asking.spread": "plot", "asking.pairs": "contrasting", "asking.crossings": "contrasting",
    "asking.truth": "verifying", "asking.moved": "within", "fitting.pieces": "within",
    "dist.binomials": "dist", "dist.densities": "dist", "dist.nodes": "dist", "dist.resolving": "dist",
    "judging.replicating": "checking", "judging.prior": "checking", "judging.loo_pit": "checking", "judging.leave_one_out": "comparing",
    "judging.averaging": "comparing", "judging.calibrating": "calibration/test_recovery",
    "fitting.verb": "fitting", "fitting.sampling": "fitting", "fitting.nuts": "fitting", "fitting.advi": "fitting",
    "fitting.importance": "lattice",
    "planning.live": "planning", "running.many": "many",
    "posterior.fitted": "posterior", "posterior.tree": "posterior", "posterior.diagnostics": "posterior",
    "posterior.likelihood": "posterior", "posterior.saving": "posterior",
    "backtesting.verb": "backtesting", "backtesting.text": "backtesting",
}  # fmt: skip
"""Where the tests of a file have the name of what users call it."""

WHOLE_ROOMS = {"cli", "estimators", "families", "logs", "reporting"}
"""Rooms whose files are tested together: by contract, by format, by command."""


def test_every_file_has_tests_of_its_name():
    there = {
        path.relative_to(ROOT / "tests").with_suffix("").as_posix().replace("test_", "")
        for path in (ROOT / "tests").rglob("test_*.py")
    }
    for name in house.files_of(SOURCE):
        parts = name.split(".")[1:]
        if not parts or parts[-1] in FACES or parts[0] in WHOLE_ROOMS:
            continue
        if (SOURCE / "/".join(parts)).is_dir():
            continue
        wanted = TESTED_AS.get(".".join(parts), parts[-1]).replace("test_", "")
        assert wanted in there, f"{name} has no tests/test_{wanted}.py"


def test_the_public_names_are_exactly_these():
    assert set(bp.__all__) == PUBLIC
    for name in PUBLIC:
        assert getattr(bp, name).__doc__, f"{name} has no docstring"


def test_a_verb_is_not_hidden_by_a_module_of_its_name():
    modules = set(house.arrows_between_rooms(SOURCE)) - {"dist", "errors", "estimators", "verifier"}
    assert not modules & PUBLIC


def test_importing_the_package_and_asking_for_help_load_nothing_heavy():
    code = (
        "import sys, bayespassk, bayespassk.cli\n"
        "sys.argv = ['bayespassk', '--help']\n"
        "try: bayespassk.cli.main()\n"
        "except SystemExit: pass\n"
        "heavy = {'numpy', 'scipy', 'pandas', 'xarray', 'pymc', 'arviz', 'matplotlib'}\n"
        "sys.exit(bool(heavy & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_forecast_from_a_saved_fit_loads_no_sampler(fit_path):
    code = (
        "import sys, bayespassk as bp\n"
        f"bp.summarize(bp.forecast(bp.load({str(fit_path)!r}), [10, 1000]))\n"
        "heavy = {'pymc', 'pytensor', 'nutpie', 'numba', 'matplotlib'}\n"
        "sys.exit(bool(heavy & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_table_of_forecasts_on_the_command_line_loads_what_it_needs(tmp_path):
    path = tmp_path / "counts.csv"
    path.write_text("problem,attempts,successes\na,10,3\nb,10,0\n")
    code = (
        "import sys\n"
        "from bayespassk.cli import main\n"
        f"sys.argv = ['bayespassk', 'forecast', {str(path)!r}, '--k', '5']\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'pymc', 'numba', 'matplotlib', 'arviz', 'arviz_stats', 'scipy.stats', 'scipy.optimize',\n"
        "  'bayespassk.reporting', 'bayespassk.estimators', 'distributed'}\n"
        "print(heavy & set(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "pass@k" in done.stdout
    assert done.stderr.endswith("set()\n"), done.stderr
