"""Estimators in use elsewhere, each as its source has it: what forecasts are compared with.

None of them is a posterior. "Against every published estimator" in the documentation holds them
against families.
"""

from bayespassk.estimators.beta_binomial import beta_binomial_mle
from bayespassk.estimators.bootstrapping import bootstrap
from bayespassk.estimators.combinatorial import chen
from bayespassk.estimators.exponentiated_power_law import brown
from bayespassk.estimators.extreme_values import gumbel_tail
from bayespassk.estimators.histogram_beta import discretised_beta
from bayespassk.estimators.independent_beta import bayes_at_n
from bayespassk.estimators.line import log_log
from bayespassk.estimators.observed_rates import plug_in
from bayespassk.estimators.saber import (
    saber_anchored,
    saber_anchored_interval,
    saber_budget,
    saber_plugin,
)

__all__ = [
    "bayes_at_n",
    "beta_binomial_mle",
    "bootstrap",
    "brown",
    "chen",
    "discretised_beta",
    "gumbel_tail",
    "log_log",
    "plug_in",
    "saber_anchored",
    "saber_anchored_interval",
    "saber_budget",
    "saber_plugin",
]
