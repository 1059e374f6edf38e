"""The default: a Libby-Novick beta with impossible problems, pooled within a benchmark."""

forecast = "default"
