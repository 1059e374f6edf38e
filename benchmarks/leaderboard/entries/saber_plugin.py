"""SABER's power law of the tail (Feng 2026), bootstrapped."""

forecast = "saber-plugin"
