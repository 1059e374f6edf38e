"""The mixture of binomials of largest likelihood (Kiefer and Wolfowitz 1956), bootstrapped."""

from rivals import npmle


def forecast(counts, k, seed):
    """Return pass@k of resampled problems."""
    return npmle(counts, k, seed)
