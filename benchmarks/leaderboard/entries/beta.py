"""A beta with weakly informative priors, each system alone."""

import bayespassk as bp

forecast = bp.Beta()
