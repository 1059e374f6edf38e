"""Reports: all that is to be said about fits of some counts, for those who did not make them."""

from bayespassk.reporting.verb import check_path, report

__all__ = ["check_path", "report"]
