"""Readers: from the files people have to `Counts`."""

from collections.abc import Iterable
from os import PathLike
from pathlib import Path

from bayespassk.counts import Counts
from bayespassk.errors import CountsError, InputError

__all__ = ["load_example", "read_csv"]

_MISSING = ["", "NA", "N/A", "NaN", "nan", "null", "None"]


def read_csv(
    path: str | PathLike[str], *, stopping: str = "fixed", covariates: Iterable[str] = ()
) -> Counts:
    """Return the counts in a CSV file with one row per (benchmark, system, problem).

    Parameters
    ----------
    path : path
        UTF-8 text, comma-separated, with a header. Columns problem, attempts and successes must
        be there; system and benchmark may be; others are ignored.
    stopping : str, default "fixed"
        How the attempts at a problem were ended; see :class:`bayespassk.Counts`.
    covariates : sequence of str
        Columns to keep as covariates, such as "level", for :func:`bayespassk.fit`.

    Raises
    ------
    CountsError
        If the file is empty or not a CSV file, a column is missing, or a row breaks a rule. Rows
        are counted from 1 after the header.
    InputError
        If the file does not exist or cannot be opened.

    Notes
    -----
    One row per *attempt* is another format: count the successes of each problem first.
    """
    import pandas as pd

    path = Path(path)
    covariates = [covariates] if isinstance(covariates, str) else list(covariates)
    try:
        frame = pd.read_csv(
            path,
            dtype={"benchmark": str, "system": str, "problem": str},
            keep_default_na=False,
            na_values=dict.fromkeys(("attempts", "successes", *covariates), _MISSING),
            skipinitialspace=True,
            encoding="utf-8-sig",
            index_col=False,
            low_memory=False,
        )
    except pd.errors.EmptyDataError:
        raise CountsError(f"{path}: the file is empty; it needs a header and rows") from None
    except (pd.errors.ParserError, UnicodeDecodeError) as error:
        raise CountsError(
            f"{path}: not a comma-separated file in UTF-8: {str(error).strip()}"
        ) from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None
    try:
        return Counts.from_dataframe(frame, stopping=stopping, covariates=covariates)
    except CountsError as error:
        raise CountsError(
            f"{path}: {error}", rule=error.rule, rows=error.rows, first=error.first
        ) from None


def load_example() -> Counts:
    """Return the bundled example: two simulated systems, 128 problems, 10,000 attempts each.

    The success probabilities were drawn from Kumaraswamy distributions, so a beta family is a
    little wrong about them, as it is about real logs. Being simulated, the example shows how
    things work, not how accurate they are.
    """
    return read_csv(Path(__file__).parent / "examples" / "simulated.csv")
