"""What to ask where a verifier is sometimes wrong: the truth behind verdicts, and audits of it.

Fit with :class:`bayespassk.Verified` around the family, then ask here. "When the verifier is
wrong" in the documentation has the way.
"""

from bayespassk.asking.truth import (
    apparent_pass_at_k,
    best_resampling,
    first_pass_ceiling,
    first_pass_correct_at_k,
    resampling_utility,
    true_pass_at_k,
)
from bayespassk.auditing import audited_rates, paired_rates

__all__ = [
    "apparent_pass_at_k",
    "audited_rates",
    "best_resampling",
    "first_pass_ceiling",
    "first_pass_correct_at_k",
    "paired_rates",
    "resampling_utility",
    "true_pass_at_k",
]
