"""Text of what others computed: tables, CSV and JSON, each with where its numbers came from."""

import io
import json
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xarray as xr

from bayespassk.errors import InputError
from bayespassk.posterior import diagnostics, family_of

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["as_csv", "as_json", "as_text", "caption", "provenance", "write"]


def provenance(fit: xr.DataTree, forecast: xr.DataArray | None = None) -> dict[str, Any]:
    """Return what a number must carry with it, as data that JSON can hold."""
    found, family = diagnostics(fit), family_of(fit).spec()
    meta = {
        "version": fit.attrs["bayespassk_version"],
        "family": family["name"],
        "priors": family["priors"],
        "method": fit.attrs["method"],
        "sampler": fit.attrs["sampler"],
        "sampling": json.loads(fit.attrs["sampling"]),
        "pooling": fit.attrs["pooling"],
        "seed": int(fit.attrs["random_seed"]),
        "input_sha256": fit.attrs["input_sha256"],
        "diagnostics": {
            "converged": found.converged,
            "message": found.message(),
            "max_rhat": _finite(found.max_rhat),
            "min_ess": _finite(found.min_ess),
            "divergences": found.divergences,
            "pareto_k": _finite(found.pareto_k),
            "systems": list(found.systems),
        },
    }
    if forecast is not None:
        meta["target"] = forecast.attrs["target"]
        meta["forecast_seed"] = int(forecast.attrs["forecast_seed"])
    return meta


def _finite(value: float | None) -> float | None:
    """Return None for what JSON has no number for."""
    return value if value is not None and math.isfinite(value) else None


def as_json(table: "pd.DataFrame", meta: dict[str, Any]) -> str:
    """Return one JSON object with the rows of `table` and `meta`."""
    meta = meta | {"interval": dict(table.attrs)}
    rows = json.loads(table.to_json(orient="records", double_precision=15))
    return json.dumps({"rows": rows, "meta": meta}, indent=1, ensure_ascii=False, allow_nan=False)


def as_csv(table: "pd.DataFrame") -> str:
    """Return `table` as CSV with a header."""
    text = io.StringIO()
    table.to_csv(text, index=False, lineterminator="\n")
    return text.getvalue()


def as_text(table: "pd.DataFrame") -> str:
    """Return `table` as aligned text: k with thousands separators, four significant digits."""
    shown = table.copy()
    shown["k"] = [f"{k:,}" for k in shown["k"]]
    for name in shown.columns.difference(["system", "k"]):
        shown[name] = [f"{v:.4f}" if v >= 1e-3 else f"{v:.3e}" for v in shown[name]]
    return str(shown.to_string(index=False))


TARGETS = {
    "benchmark": "the mean over the problems attempted",
    "population": "a new problem of the same kind",
    "realised": "the share of the problems attempted that one new run of k attempts would solve",
}


def caption(table: "pd.DataFrame", meta: dict[str, Any]) -> str:
    """Return what the numbers of `table` are, in plain sentences."""
    kind = {"eti": "equal-tailed", "hdi": "highest-density"}[table.attrs["kind"]]
    found = meta["diagnostics"]
    figures = [
        f"{name} {value:{form}}"
        for name, value, form in (
            ("max R-hat", found["max_rhat"], ".3f"),
            ("min ESS", found["min_ess"], ",.0f"),
            ("Pareto k", found["pareto_k"], ".2f"),
        )
        if value is not None
    ]
    return (
        f"pass@k, target {meta['target']}: {TARGETS[meta['target']]}. lower, upper: "
        f"{100 * table.attrs['prob']:.4g}% {kind} credible interval.\n"
        f"Family {meta['family']}, {meta['method']} ({meta['sampler']}), seed "
        f"{meta['seed']}; {', '.join(figures)}, {found['divergences']} divergences: "
        f"{found['message']}.\n"
        f"bayespassk {meta['version']}, input sha256 {meta['input_sha256'][:16]}."
    )


def write(path: str | os.PathLike[str], text: str) -> None:
    """Write `text` to a file, whole or not at all."""
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror or error}") from None
    finally:
        temporary.unlink(missing_ok=True)
