from . import estimators as estimators
from .allocating import allocate as allocate
from .auditing import audited_rates as audited_rates, paired_rates as paired_rates
from .backtesting import backtest as backtest
from .calibrating import calibrate as calibrate, summarize_calibration as summarize_calibration
from .checking import (
    check as check,
    loo_pit as loo_pit,
    prior_predictive as prior_predictive,
    sensitivity as sensitivity,
    summarize_check as summarize_check,
)
from .comparing import average as average, compare as compare, disagreement as disagreement
from .contrasting import (
    crossing_budget as crossing_budget,
    difference as difference,
    summarize_crossing as summarize_crossing,
    summarize_difference as summarize_difference,
)
from .counts import Counts as Counts
from .designing import design as design
from .errors import (
    ConvergenceWarning as ConvergenceWarning,
    CountsError as CountsError,
    FitFileError as FitFileError,
    ForecastWarning as ForecastWarning,
    InputError as InputError,
    LooWarning as LooWarning,
    OptionError as OptionError,
    PriorDrivenWarning as PriorDrivenWarning,
    SamplingError as SamplingError,
)
from .families import (
    Beta as Beta,
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
from .fitting import build_model as build_model, fit as fit
from .forecasting import (
    forecast as forecast,
    forecast_new_system as forecast_new_system,
    summarize as summarize,
    tail_exponent as tail_exponent,
)
from .functionals import (
    budget_for as budget_for,
    coverage_at_cost as coverage_at_cost,
    pass_hat_k as pass_hat_k,
    probability_impossible as probability_impossible,
    rank_systems as rank_systems,
    share_above as share_above,
    summarize_budget as summarize_budget,
)
from .logs import load_example as load_example, read as read, read_csv as read_csv
from .many import fit_many as fit_many
from .planning import Plan as Plan
from .plot import (
    plot_backtest as plot_backtest,
    plot_check as plot_check,
    plot_compare as plot_compare,
    plot_design as plot_design,
    plot_difference as plot_difference,
    plot_family as plot_family,
    plot_forecast as plot_forecast,
    plot_loo_pit as plot_loo_pit,
)
from .posterior import (
    Diagnostics as Diagnostics,
    diagnostics as diagnostics,
    family_of as family_of,
    load as load,
    log_likelihood as log_likelihood,
    save as save,
)
from .reporting import report as report
from .scoring import summarize_backtest as summarize_backtest
from .simulating import simulate as simulate, thin as thin
from .verifying import (
    apparent_pass_at_k as apparent_pass_at_k,
    best_resampling as best_resampling,
    first_pass_ceiling as first_pass_ceiling,
    first_pass_correct_at_k as first_pass_correct_at_k,
    resampling_utility as resampling_utility,
    true_pass_at_k as true_pass_at_k,
)

__version__: str
