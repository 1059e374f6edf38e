"""Families: parametric distributions of the success probability p over problems."""

from collections.abc import Mapping
from typing import Any

from bayespassk.errors import FitFileError, OptionError
from bayespassk.families.base import Family, Prior
from bayespassk.families.beta import Beta

__all__ = ["FAMILIES", "Beta", "Family", "Prior", "family_from_name", "family_from_spec"]

FAMILIES: tuple[type[Family], ...] = (Beta,)
"""Every family that a name on the command line or in a saved fit can stand for."""


def family_from_name(name: str) -> Family:
    """Return the family called `name` with its default priors.

    Raises
    ------
    OptionError
        If no family has that name.
    """
    for family in FAMILIES:
        if family.name == name:
            return family()
    known = ", ".join(repr(family.name) for family in FAMILIES)
    raise OptionError(f"family must be one of {known}; got {name!r}")


def family_from_spec(spec: Mapping[str, Any]) -> Family:
    """Return the family that :meth:`Family.spec` described, as read back from a saved fit.

    Raises
    ------
    FitFileError
        If the description names a family or a prior that this version does not have.
    """
    for family in FAMILIES:
        if family.name == spec.get("name"):
            try:
                return family(**{key: Prior(**value) for key, value in spec["priors"].items()})
            except (KeyError, TypeError) as error:
                raise FitFileError(
                    f"the fit's description of its family cannot be read: {error}"
                ) from error
    raise FitFileError(
        f"the fit uses the family {spec.get('name')!r}, which this version of bayespassk does not "
        "have; a newer version may"
    )
