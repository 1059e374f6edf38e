"""Readers: from the logs people have to `Counts`."""

from pathlib import Path
from typing import Literal

from bayespassk.arguments import check_arguments
from bayespassk.counts import Counts
from bayespassk.errors import OptionError
from bayespassk.logs.csv_table import read_csv
from bayespassk.logs.reading import read, read_attempts

__all__ = ["load_example", "read", "read_attempts", "read_csv"]

EXAMPLES = {"simulated": (), "arithmetic": ("p",)}
"""The examples, and the columns of each that are kept as covariates."""


def load_example(name: Literal["simulated", "arithmetic"] = "simulated") -> Counts:
    """Return a bundled example: 128 problems, 10,000 attempts at each.

    Parameters
    ----------
    name : {"simulated", "arithmetic"}
        - "simulated": two systems, "small" and "large", whose success probabilities were drawn
          from Kumaraswamy distributions. A beta family is a little wrong about them, as it is
          about real logs. It shows how things work, not how accurate they are.
        - "arithmetic": one system, a transformer of 0.1 million parameters, trained for some
          minutes to write the answers of sums, differences and products of numbers with one to
          four digits. The problems are a random draw of those it was never shown, none chosen by
          its result; the attempts were sampled at temperature 1. The covariate "p" is the exact
          probability that an attempt is right, computed from the model: pass@k of the benchmark
          is the mean of ``1 - (1 - p)**k``, at any k.

    Raises
    ------
    OptionError
        If there is no such example.

    Notes
    -----
    `benchmarks/make_example.py` and `benchmarks/make_arithmetic.py` make them;
    "The bundled examples" in the documentation tells more. One small model is one case: that a
    forecast is right about it says little of how often forecasts are.

    Examples
    --------
    >>> import bayespassk as bp
    >>> counts = bp.load_example("arithmetic")
    >>> p = counts.covariates["p"]
    >>> float((1 - (1 - p) ** 1_000_000).mean().round(3))
    0.98
    """
    check_arguments("load_example", locals())
    if name not in tuple(EXAMPLES):
        raise OptionError(
            f"name must be that of an example, {' or '.join(map(repr, EXAMPLES))}; got {name!r}"
        )
    path = Path(__file__).parents[1] / "examples" / f"{name}.csv"
    return read_csv(path, covariates=EXAMPLES[name])
