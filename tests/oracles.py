"""Reference values from code that shares nothing with the package's."""

import mpmath as mp
import numpy as np
from scipy import special as sp, stats

import bayespassk as bp


def log_beta_moment(alpha: float, beta: float, a: float, b: float) -> mp.mpf:
    """Return log B(alpha + a, beta + b) / B(alpha, beta) to 40 digits or more."""
    with mp.workdps(70):
        x, y, i, j = (mp.mpf(v) for v in (alpha, beta, a, b))

        def log_beta(p, q):
            return mp.loggamma(p) + mp.loggamma(q) - mp.loggamma(p + q)

        return log_beta(x + i, y + j) - log_beta(x, y)


def log_integral(log_f) -> mp.mpf:
    """Return the log of the integral of exp(log_f(x)) over all x, for log_f with one maximum.

    The axis is cut where the integrand has fallen by given amounts on either side of its maximum,
    and long pieces again; each is integrated by mpmath's tanh-sinh rule.
    """
    with mp.workdps(30):
        coarse = [40 - mp.mpf(j) / 8 for j in range(640)] + [
            mp.mpf(-40 - 2 * j) for j in range(2000)
        ]
        mode, step = max(coarse, key=log_f), mp.mpf(1) / 8
        for _ in range(40):
            better = max((mode - step, mode, mode + step), key=log_f)
            if better == mode:
                step /= 2
            mode = better
        top = log_f(mode)

        def fallen_by(amount, side):
            far = mp.mpf(2) ** -12
            while log_f(mode + side * far) - top > -amount and far < 2**20:
                far *= 2
            near = far / 2
            for _ in range(30):
                middle = (near + far) / 2
                if log_f(mode + side * middle) - top > -amount:
                    near = middle
                else:
                    far = middle
            return mode + side * far

        falls = (0.1, 0.3, 0.7, 1.5, 2.5, 4, 6, 9, 14, 20, 30, 45, 60)
        cuts = (
            [fallen_by(v, -1) for v in reversed(falls)] + [mode] + [fallen_by(v, 1) for v in falls]
        )
        points = cuts[:1]
        for cut in cuts[1:]:
            start, pieces = points[-1], max(1, int(mp.ceil(min((cut - points[-1]) / 2, 60))))
            points += [start + (cut - start) * j / pieces for j in range(1, pieces + 1)]
        return top + mp.log(mp.quad(lambda x: mp.exp(log_f(x) - top), points))


def log_moment_of_power(alpha, beta, power, scale, a, b) -> mp.mpf:
    """Return log E[p^a (1-p)^b] for p = scale B^(1/power), B ~ Beta(alpha, beta).

    An integral over x = logit B^(1/power), the logit of p / scale.
    """
    alpha, beta, power, scale = (mp.mpf(float(v)) for v in (alpha, beta, power, scale))
    with mp.workdps(30):
        constant = mp.log(power) - mp.log(mp.beta(alpha, beta))

        def log_f(x):
            log_u, log_v = -mp.log1p(mp.exp(-x)), -mp.log1p(mp.exp(x))
            density = alpha * power * log_u + (beta - 1) * mp.log(-mp.expm1(power * log_u)) + log_v
            log_p = log_u + mp.log(scale)
            log_q = log_v if scale == 1 else mp.log1p(-mp.exp(log_p))
            return constant + density + a * log_p + b * log_q

    return log_integral(log_f)


def survival_of_power(alpha, beta, power, scale, above, a, b) -> float:
    """Return E[p^a (1-p)^b [p > above]] / E[p^a (1-p)^b] for p = scale B^(1/power).

    By the tanh-sinh rule on pieces of x = logit (p / scale) that meet at the threshold.
    """
    with mp.workdps(25):
        alpha, beta, power, scale, above = map(mp.mpf, (alpha, beta, power, scale, above))

        def f(x):
            log_u = -mp.log1p(mp.exp(-x))
            log_rest = mp.log(-mp.expm1(power * log_u))
            q = 1 - scale * mp.exp(log_u) if scale < 1 else 1 / (1 + mp.exp(x))
            density = alpha * power * log_u + (beta - 1) * log_rest - mp.log1p(mp.exp(x))
            return mp.exp(density + a * log_u + b * mp.log(q))

        cut = mp.log(above / (scale - above))
        below = [cut - 400 * (mp.mpf(i) / 60) ** 2 for i in range(60, -1, -1)]
        beyond = [cut + 200 * (mp.mpf(i) / 60) ** 2 for i in range(61)]
        lower, upper = mp.quad(f, below), mp.quad(f, beyond)
        return float(upper / (lower + upper))


def log_moment_of_odds(alpha, beta, log_odds, a, b) -> mp.mpf:
    """Return log E[p^a (1-p)^b] where p has exp(log_odds) times the odds of B ~ Beta(alpha, beta).

    An integral over logit p.
    """
    alpha, beta, log_odds = (mp.mpf(float(v)) for v in (alpha, beta, log_odds))
    with mp.workdps(30):
        constant = mp.log(mp.beta(alpha, beta))

        def log_f(x):
            y = x - log_odds
            density = -alpha * mp.log1p(mp.exp(-y)) - beta * mp.log1p(mp.exp(y)) - constant
            return density - a * mp.log1p(mp.exp(-x)) - b * mp.log1p(mp.exp(x))

    return log_integral(log_f)


def log_moment_of_logit_normal(mu, sigma, a, b) -> mp.mpf:
    """Return log E[p^a (1-p)^b] for logit p ~ Normal(mu, sigma)."""
    mu, sigma = mp.mpf(float(mu)), mp.mpf(float(sigma))

    def log_f(x):
        kernel = -a * mp.log1p(mp.exp(-x)) - b * mp.log1p(mp.exp(x))
        return kernel - ((x - mu) / sigma) ** 2 / 2 - mp.log(sigma * mp.sqrt(2 * mp.pi))

    return log_integral(log_f)


def log_mean_of_verdicts(alpha, beta, t, phi, a, b, k=None, first_pass=False) -> mp.mpf:
    """Return log E[h q^a (1-q)^b] for q = p t + (1-p) phi and p ~ Beta(alpha, beta).

    h is 1, or with k 1 - (1-p)^k, or with first_pass (p t / q)(1 - (1-q)^k), without end if k is
    None. By the trapezoidal rule on the axis of logit p, which for functions as smooth as these is
    right to 20 digits; beyond 60 the integrand is exponential, and its sum geometric.
    """
    with mp.workdps(30):
        alpha, beta, t, phi = (mp.mpf(float(v)) for v in (alpha, beta, t, phi))
        step, end = mp.mpf(1) / 25, 60 * 25

        def f(i):
            x = i * step
            log_p, log_q = -mp.log1p(mp.exp(-x)), -mp.log1p(mp.exp(x))
            p, q = mp.exp(log_p), mp.exp(log_q)
            accepted, rejected = p * t + q * phi, p * (1 - t) + q * (1 - phi)
            h = mp.mpf(1)
            if first_pass:
                h = p * t / accepted * (1 - (0 if k is None else rejected**k))
            elif k is not None:
                h = -mp.expm1(k * log_q)
            return mp.exp(alpha * log_p + beta * log_q) * h * accepted**a * rejected**b

        total = sum(f(i) for i in range(-end, end + 1))
        total += f(-end) / mp.expm1(alpha * step) + f(end) / mp.expm1(beta * step)
        return mp.log(total * step / mp.beta(alpha, beta))


def density(prior: bp.Prior, x: np.ndarray) -> np.ndarray:
    """Return the log density of a prior, by SciPy."""
    return getattr(stats, {"normal": "norm"}.get(prior.kind, prior.kind)).logpdf(
        x, prior.loc, prior.scale
    )


def grid_posterior(counts: bp.Counts, family: bp.Beta) -> dict[str, np.ndarray]:
    """Return the posterior of a beta on a grid of (log a, log b): points and their weights.

    Plain sums of betaln over outcomes, each times its number of problems; a coarse grid finds the
    mode, a fine one covers it.
    """
    outcomes, times = np.unique(
        np.stack([counts.successes, counts.attempts]).astype(float), axis=1, return_counts=True
    )
    c, n = outcomes

    def log_posterior(log_a, log_b):
        a, b = np.exp(log_a)[..., None], np.exp(log_b)[..., None]
        likelihood = sp.betaln(a + c, b + n - c) - sp.betaln(a, b)
        return likelihood @ times + density(family.log_a, log_a) + density(family.log_b, log_b)

    log_a, log_b = np.linspace(-12, 6, 120), np.linspace(-20, 40, 240)
    for points in (160, 160, 160):
        grid = np.meshgrid(log_a, log_b, indexing="ij")
        value = log_posterior(*grid)
        near = value > value.max() - 18
        steps = log_a[1] - log_a[0], log_b[1] - log_b[0]
        log_a, log_b = (
            np.linspace(axis[near].min() - step, axis[near].max() + step, points)
            for axis, step in zip(grid, steps, strict=True)
        )
    grid = np.meshgrid(log_a, log_b, indexing="ij")
    value = log_posterior(*grid)
    weight = np.exp(value - value.max())
    return {
        "log_a": grid[0].ravel(),
        "log_b": grid[1].ravel(),
        "logit_mean": (grid[0] - grid[1]).ravel(),
        "weight": (weight / weight.sum()).ravel(),
    }


def mean_and_sd(values: np.ndarray, weight: np.ndarray) -> tuple[float, float]:
    """Return the weighted mean and standard deviation."""
    mean = float(values @ weight)
    return mean, float(np.sqrt((values - mean) ** 2 @ weight))


def log_estimated_power(alpha, beta, power, scale, c, f, log_p, se, k=0) -> mp.mpf:
    """Return log E[p^c (1-p)^(f+k) N(log_p; log p, se)] for p = scale B^(1/power).

    B ~ Beta(alpha, beta). An integral over x = logit (p / scale), cut about where log p = log_p.
    """
    with mp.workdps(20):
        constant = mp.log(power) - mp.log(mp.beta(alpha, beta))

        def log_density(x):
            log_u, log_v = -mp.log1p(mp.exp(-x)), -mp.log1p(mp.exp(x))
            log_rest = mp.log(-mp.expm1(power * log_u))
            of_p = log_u + mp.log(scale)
            of_q = log_v if scale == 1 else mp.log1p(-mp.exp(of_p))
            return constant + alpha * power * log_u + (beta - 1) * log_rest + log_v, of_p, of_q

        at = log_p - np.log(scale)
        return _log_estimated(log_density, at, c, f + k, log_p, se)


def log_estimated_logit_normal(median, sigma, c, f, log_p, se, k=0) -> mp.mpf:
    """Return the same for logit p ~ N(median, sigma)."""
    with mp.workdps(20):
        constant = -mp.log(sigma * mp.sqrt(2 * mp.pi))

        def log_density(x):
            normal = constant - ((x - median) / sigma) ** 2 / 2
            return normal, -mp.log1p(mp.exp(-x)), -mp.log1p(mp.exp(x))

        return _log_estimated(log_density, log_p, c, f + k, log_p, se)


def _log_estimated(log_density, at, c, f, log_p, se) -> mp.mpf:
    def of(x):
        density, of_p, of_q = log_density(x)
        return mp.exp(density + c * of_p + f * of_q - ((log_p - of_p) / mp.mpf(se)) ** 2 / 2)

    cuts = set(range(-90, 61, 5))
    if at < 0:
        x = at - np.log(-np.expm1(at))
        cuts |= {float(x + se * far) for far in (-12, -6, -3, -1, 0, 1, 3, 6, 12)}
    total = mp.quad(of, [-400, -200, *sorted(cuts), 90, 120])
    return mp.log(total) - mp.log(se * mp.sqrt(2 * mp.pi))
