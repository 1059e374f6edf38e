"""Backtests: hide attempts of a log, forecast them, and score whoever forecast."""

from bayespassk.backtesting.verb import backtest

__all__ = ["backtest"]
