"""The house is built as docs/explanation/architecture.md says."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import bayespassk as bp

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "bayespassk"
PAGE = ROOT / "docs" / "explanation" / "architecture.md"

PUBLIC = {
    "Beta", "ConvergenceWarning", "Counts", "CountsError", "Diagnostics", "Family", "FitFileError",
    "ForecastWarning", "GeneralizedBeta", "InputError", "Kumaraswamy", "LibbyNovick", "LogitNormal", "LooWarning",
    "Mixture", "OneInflated", "OptionError", "Prior", "PriorDrivenWarning", "SamplingError", "ScaledBeta",
    "Plan", "Verified", "ZeroInflated", "allocate", "average", "backtest", "build_model", "calibrate", "check", "compare", "crossing_budget", "design", "diagnostics", "difference", "disagreement",
    "estimators", "family_from_name", "family_of", "fit", "fit_many", "forecast", "forecast_new_system", "load", "load_example",
    "log_likelihood", "loo_pit", "plot_backtest", "plot_check", "plot_compare", "plot_design", "plot_difference", "plot_family", "plot_forecast", "plot_loo_pit", "prior_predictive",
    "read", "read_csv", "report", "save", "sensitivity", "simulate", "summarize", "summarize_backtest", "summarize_calibration",
    "summarize_check", "summarize_crossing", "summarize_difference", "tail_exponent", "thin",
    "budget_for", "coverage_at_cost", "pass_hat_k", "probability_impossible", "rank_systems", "share_above", "summarize_budget",
    "apparent_pass_at_k", "audited_rates", "best_resampling", "first_pass_ceiling", "first_pass_correct_at_k", "paired_rates", "resampling_utility", "true_pass_at_k",
}  # fmt: skip


def layers() -> dict[str, int]:
    rows = re.findall(r"^\| (\d+) \| ((?:`\w+`(?:, )?)+) \|", PAGE.read_text(), re.MULTILINE)
    return {name: int(layer) for layer, names in rows for name in re.findall(r"`(\w+)`", names)}


def imports(path: Path) -> set[str]:
    """Return the names of all modules that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} has a relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
    return found


def module_of(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def test_every_module_has_a_layer_and_imports_only_from_lower_ones():
    table = layers()
    files = sorted(SOURCE.rglob("*.py"))
    assert {module_of(path) for path in files} == set(table)
    for path in files:
        own = module_of(path)
        used = {name.split(".")[1] for name in imports(path) if name.startswith("bayespassk.")}
        for name in used & set(table) - {own}:
            assert table[name] < table[own], f"{own} (layer {table[own]}) imports {name}"


def test_heavy_libraries_are_imported_where_they_belong():
    allowed = {
        "pymc": {"fitting", "modelling"},
        "nutpie": {"fitting"},
        "matplotlib": {"plot"},
        "distributed": {"workers", "many"},
    }
    for path in SOURCE.rglob("*.py"):
        for name in imports(path):
            homes = allowed.get(name.split(".")[0])
            assert homes is None or module_of(path) in homes, f"{path.name} imports {name}"


def test_the_public_names_are_exactly_these():
    assert set(bp.__all__) == PUBLIC
    for name in PUBLIC:
        assert getattr(bp, name).__doc__, f"{name} has no docstring"


def test_a_verb_is_not_hidden_by_a_module_of_its_name():
    modules = {module_of(path) for path in SOURCE.rglob("*.py")} - {"estimators"}
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
