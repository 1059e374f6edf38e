"""In the place where attempts are made: Inspect, pytest."""
