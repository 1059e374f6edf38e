"""SABER's power law through the measured pass@n (Feng 2026), with its own interval."""

forecast = "saber-anchored"
