"""log_moment of each family against mpmath at the extremes."""

import numpy as np
import pytest

from bayespassk import Beta
from oracles import log_beta_moment


@pytest.mark.parametrize("a", [0.01, 0.3, 5.0])
@pytest.mark.parametrize("b", [0.5, 50.0, 1e5])
@pytest.mark.parametrize("k", [0, 1, 1000, 10**6, 10**12])
def test_beta(a, b, k):
    """To 1e-9 in the logarithm, or to the last digits of a result too large for that."""
    for c, n in [
        (0, 0),
        (0, 100),
        (3, 100),
        (5000, 10_000),
        (1, 3_000_000),
        (1_500_000, 3_000_000),
    ]:
        want = log_beta_moment(a, b, c, n - c + k)
        got = float(Beta().log_moment({"a": a, "b": b}, float(c), float(n - c + k)))
        assert abs(got - want) <= 1e-9 + 16 * np.spacing(abs(float(want))), (c, n)
