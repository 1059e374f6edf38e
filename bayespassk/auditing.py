"""How often a verifier is wrong, from attempts whose truth was found out."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayespassk.arguments import check_arguments
from bayespassk.errors import OptionError
from bayespassk.families import Prior

__all__ = ["audited_rates", "paired_rates"]


def audited_rates(
    *,
    correct_accepted: int,
    correct_rejected: int,
    wrong_accepted: int,
    wrong_rejected: int,
    prior: Sequence[float] = (0.5, 0.5),
) -> dict[str, Prior]:
    """Return what an audit says of a verifier's rates, as priors for :class:`bayespassk.Verified`.

    With a beta prior of each rate, what is known after the audit is

        t   ~ Beta(alpha + correct_accepted, beta + correct_rejected)
        phi ~ Beta(alpha + wrong_accepted,   beta + wrong_rejected).

    Parameters
    ----------
    correct_accepted, correct_rejected, wrong_accepted, wrong_rejected : int
        How many of the attempts that somebody looked at were of each kind: correct or wrong in
        truth, accepted or rejected by the verifier.
    prior : (float, float)
        alpha and beta before the audit, of both rates; by default those of Jeffreys.

    Returns
    -------
    dict
        `true_positive_rate` and `false_positive_rate`, each a Prior of the logit of the rate:
        ``bp.Verified(family, **bp.verifier.audited_rates(...))``.

    Raises
    ------
    OptionError
        If a count is not a whole number of 0 or more, if no attempt was correct or none wrong, or
        if none was rejected.

    Notes
    -----
    The attempts to audit must be drawn at random: from all of them, or from those of either truth.
    An audit of accepted attempts alone tells how many of *these* are right, which is neither rate.

    Attempts at one problem are often misjudged for one reason. Then they count for less than as
    many attempts at different problems, and the priors come out too narrow: audit few attempts at
    each of many problems.

    Examples
    --------
    >>> import bayespassk as bp
    >>> rates = bp.verifier.audited_rates(
    ...     correct_accepted=57, correct_rejected=3, wrong_accepted=2, wrong_rejected=138
    ... )
    >>> family = bp.Verified(bp.Beta(), **rates)
    >>> family.full_name
    'verified-beta'
    """
    check_arguments("audited_rates", locals())
    table = {
        "correct_accepted": correct_accepted,
        "correct_rejected": correct_rejected,
        "wrong_accepted": wrong_accepted,
        "wrong_rejected": wrong_rejected,
    }
    for name, count in table.items():
        whole = isinstance(count, int | np.integer) and not isinstance(count, bool)
        if not whole or count < 0:
            raise OptionError(f"{name} must be a whole number, 0 or more; got {count!r}")
    if not correct_accepted + correct_rejected or not wrong_accepted + wrong_rejected:
        raise OptionError(
            f"an audit needs attempts that are correct and attempts that are wrong; got {table}. "
            "Give a rate of which nothing is known a prior of its own, such as bp.Prior.beta(9, 1)"
        )
    if not correct_rejected + wrong_rejected:
        raise OptionError(
            f"an audit needs rejected attempts too; got {table}. Of accepted attempts alone one "
            "learns how many of these are correct, not how often a wrong one is accepted"
        )
    alpha, beta = prior
    return {
        "true_positive_rate": Prior.beta(alpha + correct_accepted, beta + correct_rejected),
        "false_positive_rate": Prior.beta(alpha + wrong_accepted, beta + wrong_rejected),
    }


def paired_rates(
    base: ArrayLike, plus: ArrayLike, *, prior: Sequence[float] = (0.5, 0.5)
) -> dict[str, float | Prior]:
    """Return the rates of a weaker verifier, from its verdicts and those of a stricter one.

    The stricter one has the tests of the weaker and more, as evalplus' plus has those of base. Its
    verdicts are taken for the truth: an attempt is correct if it passes both. So t is 1, and

        phi ~ Beta(alpha + only base passed, beta + base failed).

    Parameters
    ----------
    base, plus : array of bool, dims (attempt,)
        Whether each attempt passed the tests of the weaker, and the further tests; of the same
        attempts in the same order.
    prior : (float, float)
        alpha and beta of phi before these attempts; by default those of Jeffreys.

    Returns
    -------
    dict
        `true_positive_rate`, which is 1, and `false_positive_rate`, a Prior of its logit:
        ``bp.Verified(family, **bp.verifier.paired_rates(base, plus))``.

    Raises
    ------
    OptionError
        If the verdicts are not bools of one length, or if no attempt failed.

    Notes
    -----
    That is for counts of what passed base, of attempts of which only some were given to plus. If
    all were, count those that passed plus: nothing is to be corrected.

    What plus lets pass is called correct, wrongly at times. As for an audit, attempts at one
    problem are misjudged together, so that phi is less well known than it looks.

    References
    ----------
    Liu et al. 2023, arXiv:2305.01210 (evalplus).

    Examples
    --------
    >>> import bayespassk as bp
    >>> rates = bp.verifier.paired_rates([True, True, False, False], [True, False, False, False])
    >>> rates["true_positive_rate"]
    1.0
    """
    check_arguments("paired_rates", locals())
    passed_base, passed_plus = _verdicts(base, "base"), _verdicts(plus, "plus")
    if len(passed_base) != len(passed_plus):
        raise OptionError(
            "base and plus must be of the same attempts; got "
            f"{len(passed_base):,} and {len(passed_plus):,}"
        )
    wrong = ~(passed_base & passed_plus)
    if not wrong.any():
        raise OptionError(
            f"all {len(wrong):,} attempts passed both: they say nothing about wrong ones. Give "
            "more attempts, or the rate a prior of its own, such as bp.Prior.beta(1, 20)"
        )
    accepted = int((wrong & passed_base).sum())
    alpha, beta = prior
    false = Prior.beta(alpha + accepted, beta + int(wrong.sum()) - accepted)
    return {"true_positive_rate": 1.0, "false_positive_rate": false}


def _verdicts(given: ArrayLike, name: str) -> NDArray[Any]:
    """Return verdicts as an array of bool, or raise an error about the first bad one."""
    values = np.asarray(given)
    if values.ndim != 1 or (values.dtype != bool and not np.isin(values, (0, 1)).all()):
        wrong = values[~np.isin(values, (0, 1))].ravel()
        first = f"; the first that is not is {wrong[0]!r}" if wrong.size else ""
        raise OptionError(
            f"{name} must be a list of bools, one for each attempt; got an array of "
            f"{values.dtype} of shape {values.shape}{first}"
        )
    return values.astype(bool)
