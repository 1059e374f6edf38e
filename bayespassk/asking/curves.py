"""fail@k as a curve: nearly straight in (log k, log -log fail@k), where it is interpolated."""

import numpy as np

from bayespassk.arrays import Floats

__all__ = ["complementary", "interpolated"]


def complementary(fail: Floats) -> Floats:
    """Return log -log fail: nearly straight in log k, for power laws and for exponential decay."""
    return np.asarray(np.log(-np.log(np.clip(fail, 1e-300, 1 - 2.0**-53))))


def interpolated(x: Floats, y: Floats, at: Floats) -> Floats:
    """Return y at x = `at`, dims (draw,), on the cubic through the four points around.

    x, dims (draw, point), rises. The result stays between the y of the points next to it; where
    points coincide it is on the line between these two.
    """
    right = (x < at[:, None]).sum(1).clip(1, x.shape[1] - 1)
    index = (right - 2).clip(0, x.shape[1] - 4)[:, None] + np.arange(4)
    xs, ys = np.take_along_axis(x, index, 1), np.take_along_axis(y, index, 1)
    cubic = np.zeros(len(at))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for i in range(4):
            others = np.delete(xs, i, axis=1)
            basis = (at[:, None] - others) / (xs[:, i : i + 1] - others)
            cubic += ys[:, i] * basis.prod(1)
    sides = np.stack([right - 1, right], axis=1)
    (x0, x1), (y0, y1) = (np.take_along_axis(v, sides, 1).T for v in (x, y))
    line = y0 + (at - x0) / (x1 - x0) * (y1 - y0)
    return np.where(np.isfinite(cubic), cubic, line).clip(np.minimum(y0, y1), np.maximum(y0, y1))
