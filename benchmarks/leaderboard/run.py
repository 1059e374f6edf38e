"""Score every entry on every corpus, and remake the table.

    python benchmarks/leaderboard/run.py DATA -o results

An entry is a file of the folder entries/: README.md says what is in it. Corpora, splits and scores
are those of benchmarks/accuracy.py, unless DATA has a corpora.toml of its own. Finished thinnings
are kept in the folder of results, so that the command goes on after an interruption, and a new
entry costs its own time only.
"""

import argparse
import importlib.util
import inspect
import sys
import tomllib
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent))

import accuracy  # noqa: E402 -- which is beside this folder

import bayespassk as bp  # noqa: E402

TABLE = HERE / "table.md"
ENTRIES = HERE / "entries"


@dataclass(frozen=True)
class Entry:
    """A file of the folder: its docstring, and what it forecasts with.

    Attributes
    ----------
    path : Path
    """

    path: Path

    @property
    def name(self) -> str:
        """What the table calls it: the name of the file."""
        return self.path.stem.replace("_", "-")

    @property
    def module(self) -> Any:
        """The file, imported."""
        name = f"leaderboard_{self.path.stem}"
        if name not in sys.modules:
            spec = importlib.util.spec_from_file_location(name, self.path)
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            sys.modules[name] = module
        return sys.modules[name]

    @property
    def method(self) -> Any:
        """What bp.backtest takes: a name or a family as it is, a function with its arrays named."""
        return self if callable(self.module.forecast) else self.module.forecast

    def __call__(self, counts: bp.Counts, k: list[int], seed: int) -> xr.DataArray:
        """Return what the function forecasts, as bp.backtest wants it."""
        function = self.module.forecast
        wants_seed = len(inspect.signature(function).parameters) > 2
        found = function(counts, k, seed) if wants_seed else function(counts, k)
        if isinstance(found, xr.DataArray):
            return found
        values = np.asarray(found, dtype=float)
        return xr.DataArray(values, dims=("draw", "system", "k")[-values.ndim :])


def entries_of(folder: Path, names: list[str] | None = None) -> list[Entry]:
    """Return the entries of a folder, or those of them that are named."""
    found = [Entry(path) for path in sorted(folder.glob("*.py"))]
    known = {one.name for one in found}
    if unknown := sorted(set(names or ()) - known):
        raise SystemExit(f"no such entry: {', '.join(unknown)}; there are {', '.join(known)}")
    return [one for one in found if names is None or one.name in names]


def corpora_of(data: Path) -> dict[str, accuracy.Corpus]:
    """Return the corpora of a folder: what its corpora.toml says, or those of the accuracy page."""
    described = data / "corpora.toml"
    if not described.exists():
        return accuracy.CORPORA
    with described.open("rb") as file:
        tables = tomllib.load(file)
    return {
        name: accuracy.Corpus(**{k: tuple(v) if isinstance(v, list) else v for k, v in one.items()})
        for name, one in tables.items()
    }


def page(scores: pd.DataFrame, entries: list[Entry]) -> str:
    """Return the table: a row for each entry, and its CRPS by corpus."""
    means = accuracy.by_corpus(scores)
    whole = accuracy.overall(means).sort_values("crps")
    said = {one.name: (one.module.__doc__ or "").strip().splitlines()[0] for one in entries}
    crps = means["crps"].unstack("method")
    rows = accuracy.methods_table(means, list(whole.index))
    rows["method"] = [f"`{name}`" for name in whole.index]
    rows = (
        rows.replace("nan", "-")
        .rename(columns={"method": "entry"})
        .assign(what=[said[name] for name in whole.index])
    )
    corpora = pd.DataFrame(
        {"entry": [f"`{name}`" for name in whole.index]}
        | {corpus: [_number(crps.loc[corpus, n]) for n in whole.index] for corpus in crps.index}
    )
    seconds = scores.drop_duplicates(["corpus", "log", "n", "repeat", "method"])
    seconds = seconds.groupby("method")["seconds"].sum()
    corpora["seconds"] = [f"{seconds[name]:.0f}" for name in whole.index]
    sizes = scores.drop_duplicates(["corpus", "log", "system"]).groupby("corpus", sort=False).size()
    return (
        "\n\n".join(
            [
                "# The table",
                "Written by `run.py`. Scores and widths in points of pass@k, means over corpora; "
                "smaller is better. An entry without a band has its absolute error for its CRPS. "
                "Systems: "
                + ", ".join(f"{name} {number}" for name, number in sizes.items())
                + f". bayespassk {bp.__version__}.",
                accuracy.table(rows),
                "What an entry does not answer is in none of its means: one that answers less has "
                "the easier part. CRPS by corpus, and the seconds of all its forecasts:",
                accuracy.table(corpora),
            ]
        )
        + "\n"
    )


def _number(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.2f}"


def main() -> None:
    """Score the entries, print the table and write it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder of published logs, or of logs held back")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder to work in")
    parser.add_argument("--entries", nargs="+", help="some only; then the table is not written")
    parser.add_argument("--folder", type=Path, default=ENTRIES, help="of entries")
    parser.add_argument("--corpora", nargs="+", help="some only; then the table is not written")
    parser.add_argument("--table", type=Path, help=f"file to write  [default: {TABLE.name}]")
    parser.add_argument("--cores", type=int)
    options = parser.parse_args()
    entries = entries_of(options.folder, options.entries)
    corpora = corpora_of(options.data)
    some = bool(options.entries or options.corpora or corpora is not accuracy.CORPORA)
    options.corpora = options.corpora or list(corpora)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.errors.ConvergenceWarning)
        scores = accuracy.scores_of(options, {one.name: one.method for one in entries}, corpora)
    text = page(scores, entries)
    print(text)
    if options.table or not some:
        (options.table or TABLE).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
