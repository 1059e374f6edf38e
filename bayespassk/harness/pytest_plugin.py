"""A pytest fixture: a requirement on a log, which is met, is not, or cannot be told yet."""

import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import xarray as xr

    from bayespassk.counts import Counts
    from bayespassk.gating import Gate

__all__ = ["passk"]


@pytest.fixture(scope="session")
def passk() -> "Callable[..., Gate]":
    """Return what asks a log for a requirement, and ends the test by the answer.

    ``passk(log, "pass@10 >= 0.9")`` returns the :class:`bayespassk.Gate` if the requirement is met,
    fails the test if it is not, and skips it if the attempts cannot tell, with the reason. So no
    test passes or fails by the luck of a run that was too short. ``cannot_tell="fail"`` fails it.

    The log may be counts, a fit, or what :func:`bayespassk.read` takes. Other arguments are those
    of :func:`bayespassk.gate`: `prob`, `against` (counts, a fit or a log too), `target`,
    `random_seed`; and `family`.
    """
    return _ask


def _ask(
    log: "Counts | xr.DataTree | str | os.PathLike[str]",
    require: str | Iterable[str],
    *,
    cannot_tell: str = "skip",
    family: Any = None,
    against: Any = None,
    random_seed: int = 1,
    **options: Any,
) -> "Gate":
    __tracebackhide__ = True
    from bayespassk.gating import gate

    if cannot_tell not in ("skip", "fail"):
        raise ValueError(f"cannot_tell must be 'skip' or 'fail'; got {cannot_tell!r}")
    fit = _fit(log, family, random_seed)
    baseline = None if against is None else _fit(against, family, random_seed)
    found = gate(fit, require, against=baseline, random_seed=random_seed, **options)
    if found.status == "not met" or (found.status == "cannot tell" and cannot_tell == "fail"):
        pytest.fail(found.message(), pytrace=False)
    if found.status == "cannot tell":
        pytest.skip(found.message())
    return found


def _fit(source: Any, family: Any, seed: int) -> "xr.DataTree":
    """Return a fit of what a test was given."""
    import xarray as xr

    from bayespassk.counts import Counts
    from bayespassk.fitting.verb import fit
    from bayespassk.logs import read
    from bayespassk.posterior.saving import load

    if isinstance(source, xr.DataTree):
        return source
    if isinstance(source, str | os.PathLike) and str(source).endswith(".nc"):
        return load(source)
    counts = source if isinstance(source, Counts) else read(source)
    return fit(counts, family, random_seed=seed, progress=False)
