"""A beta with impossible problems, of largest likelihood, bootstrapped."""

from rivals import zero_inflated_mle


def forecast(counts, k, seed):
    """Return pass@k of resampled problems."""
    return zero_inflated_mle(counts, k, seed)
