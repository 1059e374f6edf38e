"""Rates as they were observed: 1 - (1 - c/n)^k, bootstrapped."""

forecast = "plug-in"
