"""An exponentiated power law of pass@k (Brown 2024), bootstrapped."""

forecast = "brown"
