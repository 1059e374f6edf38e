"""Covariates: from columns or a formula to numbers, standardised."""

import ast
import json
import re
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bayespassk.arrays import Floats
from bayespassk.counts import Counts
from bayespassk.errors import OptionError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Design", "design_at", "design_of", "required"]


FUNCTIONS = ("log", "log2", "log10", "exp", "center", "scale", "poly", "bs", "cr", "cc", "C", "I")
"""What a formula may call: nothing that could do more than make numbers of numbers."""

_ARITHMETIC = (
    ast.Expression,
    ast.BinOp,
    ast.UnaryOp,
    ast.Compare,
    ast.Constant,
    ast.List,
    ast.Tuple,
    ast.keyword,
    ast.operator,
    ast.unaryop,
    ast.cmpop,
    ast.expr_context,
)


@dataclass(frozen=True)
class Design:
    """The columns that covariates make: numbers, and text as differences from its first value.

    Attributes
    ----------
    formula : str
        What they were made by.
    columns : tuple of str
    values : array, dims (row, column)
        With mean 0 and standard deviation 1 over the rows.
    mean, sd : array, dims (column,)
        What was subtracted, and divided by.
    varies : array of bool, dims (column,)
        Whether a column differs between the problems of a system.
    """

    formula: str
    columns: tuple[str, ...]
    values: Floats
    mean: Floats
    sd: Floats
    varies: NDArray[np.bool_]

    def to_json(self) -> str:
        """Return what :func:`design_at` needs, besides the covariates themselves."""
        return json.dumps(
            {
                "formula": self.formula,
                "columns": self.columns,
                "mean": self.mean.tolist(),
                "sd": self.sd.tolist(),
                "varies": self.varies.tolist(),
            }
        )


def required(covariates: str | Iterable[str]) -> list[str]:
    """Return the names of the columns that a formula, or a list of names, needs."""
    return sorted(_formula(covariates)[1])


def design_of(counts: Counts, covariates: str | Iterable[str]) -> Design:
    """Return the design that a formula, or the names of covariates, make of the rows.

    Raises
    ------
    OptionError
        If a covariate is not in `counts`, the formula cannot be read, or the effect of a column
        cannot be known, as it is the same for all rows or follows from others.
    """
    formula, names = _formula(covariates)
    for name in sorted(names):
        if name not in counts.covariates:
            known = ", ".join(map(repr, counts.covariates)) or "none"
            raise OptionError(
                f"covariates must be in the counts: {name!r} is not, which has {known}. Give "
                f"covariates=[{name!r}] to bp.read_csv or Counts.from_dataframe"
            )
    matrix, _ = _matrix(formula, _frame(counts.covariates, names))
    values = matrix.to_numpy(dtype=float)
    mean, sd = values.mean(0), values.std(0)
    same = [str(name) for name in names if len(set(counts.covariates[name].tolist())) == 1]
    same += matrix.columns[~(sd > 1e-12 * np.abs(values).max(0))].tolist()
    if same:
        raise OptionError(
            f"a covariate must differ between rows: {same[0]!r} is the same for all, so that its "
            "effect cannot be known. Leave it out"
        )
    values = (values - mean) / sd
    for i, name in enumerate(matrix.columns):
        if np.linalg.matrix_rank(values[:, : i + 1]) <= i:
            raise OptionError(
                f"covariates must not follow from each other: {name!r} is determined by those "
                "before it, so that its effect cannot be told from theirs. Leave it out"
            )
    varies = np.zeros(values.shape[1], dtype=bool)
    for system in range(len(counts.systems)):
        mine = values[counts.system_index == system]
        varies |= np.ptp(mine, axis=0) > 1e-9
    return Design(formula, tuple(map(str, matrix.columns)), values, mean, sd, varies)


def design_at(text: str, covariates: Mapping[str, NDArray[Any]], at: Mapping[str, Any]) -> Floats:
    """Return the columns for given values of the covariates, dims (column,).

    Parameters
    ----------
    text : str
        From :meth:`Design.to_json`.
    covariates : mapping of str to array, dims (row,)
        Those of the fit: what a formula learned from them (levels, centres) holds for `at`.
    at : mapping of str to value
        One value for each covariate.

    Raises
    ------
    OptionError
        If a covariate is missing or unknown, a text value was not seen, or another is not a
        finite number.
    """
    known = json.loads(text)
    names = _formula(known["formula"])[1]
    for name in sorted(names | set(at)):
        if name not in at or name not in names:
            raise OptionError(
                f"at must give a value for exactly {', '.join(map(repr, sorted(names)))}; "
                f"{name!r} is {'not among them' if name in at else 'missing'}"
            )
    import pandas as pd

    row = {n: [_value(n, at[n], covariates[n])] for n in names}
    spec = _matrix(known["formula"], _frame(covariates, names))[1]
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("error")  # of C(level), for a level not seen
            matrix = spec.get_model_matrix(pd.DataFrame(row))[known["columns"]]
        values = matrix.to_numpy(dtype=float)
    except Exception as error:  # whatever an expression may raise
        raise _not_evaluated(known["formula"], f"at {dict(at)!r}", error) from None
    if len(values) == 0 or not np.isfinite(values).all():  # formulaic drops the row of a NaN
        raise _not_evaluated(known["formula"], f"at {dict(at)!r}", "it is not finite there")
    return np.asarray((values[0] - known["mean"]) / np.asarray(known["sd"]))


def _value(name: str, value: Any, seen: NDArray[Any]) -> str | float:
    """Return a value for a covariate, of the type of those seen."""
    if seen.dtype == object:
        if str(value) not in seen:
            some = ", ".join(map(repr, sorted(set(seen))[:5]))
            raise OptionError(f"{name}={value!r} was not seen; the values seen are {some}")
        return str(value)
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = np.nan
    if not np.isfinite(number):
        raise OptionError(f"{name} must be a finite number, as those seen are; got {value!r}")
    return number


def _formula(covariates: str | Iterable[str]) -> tuple[str, set[str]]:
    """Return a formula and the names of the columns it needs."""
    import formulaic

    if isinstance(covariates, str):
        text = covariates
    elif isinstance(covariates, Iterable):
        text = " + ".join(f"`{name}`" for name in covariates)
    else:
        text = ""
    try:
        formula = formulaic.Formula(text)
        one_sided = isinstance(formula, formulaic.SimpleFormula)
        terms = list(formula) if one_sided else []
        names = {name for term in terms for factor in term.factors for name in _names(factor)}
    except OptionError:
        raise
    except Exception as error:  # whatever a parser of expressions may raise
        raise OptionError(
            f"covariates must be names of columns or a formula such as 'level + log(size)'; got "
            f"{covariates!r} ({_plain(error)})"
        ) from None
    if not one_sided or "1" not in terms:
        raise OptionError(
            "a formula for covariates has no '~', '|', '0' or '-1', as parameters have a centre of "
            f"their own; got {covariates!r}"
        )
    if not names:
        raise OptionError(f"covariates must name at least one column; got {covariates!r}")
    return text, names


def _names(factor: Any) -> set[str]:
    """Return the names of the columns that a factor of a formula needs.

    Those in an expression too, which may hold no more than arithmetic and `FUNCTIONS`: the
    formula of a fit is evaluated again when that is read from a file.
    """
    if factor.eval_method.value != "python":
        return {str(factor.expr)} if factor.eval_method.value == "lookup" else set()
    quoted: list[str] = []

    def name_quoted(found: re.Match[str]) -> str:
        quoted.append(found[1])
        return f" quoted_{len(quoted) - 1}_ "

    tree = ast.parse(re.sub("`([^`]*)`", name_quoted, factor.expr).strip(), mode="eval")
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            if id(node) not in called:
                names.add(node.id)
            elif node.id not in FUNCTIONS:
                raise OptionError(
                    f"a formula may call {', '.join(FUNCTIONS)}; {node.id!r} is none of these"
                )
        elif not isinstance(node, (ast.Call, *_ARITHMETIC)):
            raise OptionError(
                f"a formula may hold arithmetic and calls of {', '.join(FUNCTIONS)}; got "
                f"{ast.unparse(node)!r}"
            )
    aliases = {f"quoted_{i}_": name for i, name in enumerate(quoted)}
    return {aliases.get(name, name) for name in names}


def _frame(covariates: Mapping[str, NDArray[Any]], names: set[str]) -> "pd.DataFrame":
    import pandas as pd

    return pd.DataFrame({name: covariates[name] for name in sorted(names)})


def _matrix(formula: str, frame: "pd.DataFrame") -> tuple["pd.DataFrame", Any]:
    """Return the columns, and what makes them of other rows."""
    import formulaic

    try:
        with np.errstate(all="ignore"):
            matrix = formulaic.model_matrix(formula, frame, context={})
        finite = np.isfinite(matrix.to_numpy(dtype=float)).all()
    except Exception as error:  # whatever an expression may raise
        raise _not_evaluated(formula, "for the covariates", error) from None
    if len(matrix) < len(frame) or not finite:
        raise OptionError(f"the formula {formula!r} must give a finite number for every row")
    return matrix.drop(columns="Intercept"), matrix.model_spec


def _not_evaluated(formula: str, where: str, why: Exception | str) -> OptionError:
    return OptionError(f"the formula {formula!r} cannot be evaluated {where}: {_plain(why)}")


def _plain(error: Exception | str) -> str:
    """Return the first line of a message, without the colours of a terminal."""
    return re.sub(r"[\u29db\x1b]?\[[\d;]*m|\u29da", "", str(error)).strip().split("\n")[0]
