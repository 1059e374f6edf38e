"""Judging a fit: a family against its counts, against others, and against simulated truth."""
