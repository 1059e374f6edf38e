"""Beta-binomial of largest likelihood (Kazdan 2025), bootstrapped."""

forecast = "beta-binomial-mle"
