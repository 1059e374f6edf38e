from . import dist as dist, errors as errors, estimators as estimators, verifier as verifier
from .asking.at_least import at_least as at_least
from .asking.budgets import budget_for as budget_for, summarize_budget as summarize_budget
from .asking.coverage import coverage_at_cost as coverage_at_cost
from .asking.crossings import (
    crossing_budget as crossing_budget,
    summarize_crossing as summarize_crossing,
)
from .asking.deployment import (
    deployment_risk as deployment_risk,
    queries_for as queries_for,
)
from .asking.new_system import forecast_new_system as forecast_new_system
from .asking.pairs import difference as difference, summarize_difference as summarize_difference
from .asking.pass_at_k import (
    forecast as forecast,
    pass_hat_k as pass_hat_k,
    tail_exponent as tail_exponent,
)
from .asking.ranks import rank_systems as rank_systems
from .asking.shares import (
    probability_impossible as probability_impossible,
    share_above as share_above,
)
from .asking.spending import (
    compare_at_budget as compare_at_budget,
    cost_per_success as cost_per_success,
    forecast_budget as forecast_budget,
)
from .asking.summaries import summarize as summarize
from .backtesting.verb import backtest as backtest
from .counts import Counts as Counts
from .families import (
    Beta as Beta,
    Dependent as Dependent,
    Family as Family,
    GeneralizedBeta as GeneralizedBeta,
    Kumaraswamy as Kumaraswamy,
    LibbyNovick as LibbyNovick,
    LogitNormal as LogitNormal,
    Mixture as Mixture,
    OneInflated as OneInflated,
    Prior as Prior,
    ScaledBeta as ScaledBeta,
    Verified as Verified,
    ZeroInflated as ZeroInflated,
    family_from_name as family_from_name,
)
from .fitting.given import from_posterior as from_posterior
from .fitting.verb import build_model as build_model, fit as fit
from .gating import Gate as Gate, gate as gate
from .judging.agreeing import agreement as agreement
from .judging.averaging import average as average, disagreement as disagreement
from .judging.calibrating import (
    calibrate as calibrate,
    summarize_calibration as summarize_calibration,
)
from .judging.comparing import compare as compare
from .judging.independence import independence as independence
from .judging.loo_pit import loo_pit as loo_pit
from .judging.predictive import add_predictive as add_predictive
from .judging.prior import prior_predictive as prior_predictive, sensitivity as sensitivity
from .judging.replicating import check as check, summarize_check as summarize_check
from .logs import (
    load_example as load_example,
    read as read,
    read_attempts as read_attempts,
    read_csv as read_csv,
)
from .planning.allocating import allocate as allocate
from .planning.designing import design as design
from .planning.live import Plan as Plan
from .plot import (
    plot_backtest as plot_backtest,
    plot_budget as plot_budget,
    plot_check as plot_check,
    plot_compare as plot_compare,
    plot_design as plot_design,
    plot_difference as plot_difference,
    plot_family as plot_family,
    plot_forecast as plot_forecast,
    plot_loo_pit as plot_loo_pit,
)
from .posterior.diagnostics import Diagnostics as Diagnostics, diagnostics as diagnostics
from .posterior.fitted import family_of as family_of
from .posterior.likelihood import log_likelihood as log_likelihood
from .posterior.saving import load as load, save as save
from .published import Curve as Curve, forecast_curve as forecast_curve
from .reporting import report as report
from .running.many import fit_many as fit_many
from .scoring import summarize_backtest as summarize_backtest
from .simulating import simulate as simulate, thin as thin

__version__: str
