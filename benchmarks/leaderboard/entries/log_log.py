"""A line through log -log pass@k (Schaeffer 2025, Hughes 2024), bootstrapped."""

forecast = "log-log"
