"""Families: parametric distributions of the success probability p over problems."""

import re
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from bayespassk.errors import FitFileError, OptionError
from bayespassk.families.base import Family, Prior
from bayespassk.families.beta import Beta
from bayespassk.families.dependent import Dependent
from bayespassk.families.generalized_beta import GeneralizedBeta
from bayespassk.families.inflated import OneInflated, ZeroInflated
from bayespassk.families.kumaraswamy import Kumaraswamy
from bayespassk.families.libby_novick import LibbyNovick
from bayespassk.families.logit_normal import LogitNormal
from bayespassk.families.mixture import Mixture
from bayespassk.families.scaled_beta import ScaledBeta
from bayespassk.families.verified import Verified
from bayespassk.options import check_text, shown

__all__ = [
    "FAMILIES",
    "Beta",
    "Dependent",
    "Family",
    "GeneralizedBeta",
    "Kumaraswamy",
    "LibbyNovick",
    "LogitNormal",
    "Mixture",
    "OneInflated",
    "Prior",
    "ScaledBeta",
    "Verified",
    "ZeroInflated",
    "as_family",
    "default_family",
    "family_from_name",
    "family_from_spec",
    "family_names",
]

SIMPLE = {
    family.name: family
    for family in (Beta, Kumaraswamy, LibbyNovick, ScaledBeta, GeneralizedBeta, LogitNormal)
}
WRAPPERS = {family.name: family for family in (ZeroInflated, OneInflated, Dependent)}

FAMILIES: tuple[type[Family], ...] = (*SIMPLE.values(), Mixture, *WRAPPERS.values(), Verified)
"""Every kind of family that a saved fit can be of."""

_MIXTURE = re.compile(r"(?P<part>.+)-mixture-(?P<number>[2-9])")


def default_family() -> Family:
    """Return the family that counts are fitted with if none is asked for."""
    return ZeroInflated(LibbyNovick())


def as_family(family: Family | str | None) -> Family:
    """Return a family that was given, the one of a name, or the default for None.

    Raises
    ------
    OptionError
        If it is none of these.
    """
    if family is None:
        return default_family()
    if isinstance(family, str):
        return family_from_name(family)
    if not isinstance(family, Family):
        raise OptionError(
            f"family must be a family such as bp.Beta(), or a name such as 'beta'; got "
            f"{shown(family)}"
        )
    _check_priors(family)
    return family


def _check_priors(family: Family) -> None:
    """Raise an error unless what should be priors are priors, in the components too."""
    for one in fields(family):
        value = getattr(family, one.name)
        if one.type in (Prior, "Prior") and not isinstance(value, Prior):
            raise OptionError(
                f"{one.name} of {family.full_name} must be a bp.Prior; got {shown(value)}"
            )
    for component in family.components:
        _check_priors(component)


def family_names() -> dict[str, str]:
    """Return the names that `family_from_name` knows, each with when to use it.

    Names combine: "zero-inflated-" and "one-inflated-" go before any, "-mixture-2" to
    "-mixture-9" after a simple one.
    """
    simple = {name: family.when for name, family in SIMPLE.items()}
    mixture = {"beta-mixture-2": Mixture.when}
    return simple | mixture | {f"{n}-beta": wrapper.when for n, wrapper in WRAPPERS.items()}


def family_from_name(name: str) -> Family:
    """Return the family called `name` with its default priors.

    Raises
    ------
    OptionError
        If no family has that name.
    """
    check_text(name, "the name of a family")
    for prefix, wrapper in WRAPPERS.items():
        if name.startswith(f"{prefix}-"):
            return wrapper(family_from_name(name.removeprefix(f"{prefix}-")))
    if found := _MIXTURE.fullmatch(name):
        part = family_from_name(found["part"])
        return Mixture(*[part] * int(found["number"]))
    if name in SIMPLE:
        return SIMPLE[name]()
    known = ", ".join(repr(one) for one in family_names())
    raise OptionError(
        f"family must be one of {known}, or a combination such as "
        f"'zero-inflated-kumaraswamy' or 'kumaraswamy-mixture-3'; got {name!r}"
    )


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
                components = [family_from_spec(one) for one in spec.get("components", ())]
                priors = {key: Prior(**value) for key, value in spec["priors"].items()}
                return family(*components, **priors, **spec.get("known", {}))
            except (KeyError, TypeError, OptionError) as error:
                raise FitFileError(
                    f"the fit's description of its family cannot be read: {error}"
                ) from error
    raise FitFileError(
        f"the fit uses the family {spec.get('name')!r}, which this version of bayespassk does not "
        "have; a newer version may"
    )
