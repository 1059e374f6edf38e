from . import estimators as estimators
from .counts import Counts as Counts
from .errors import (
    ConvergenceWarning as ConvergenceWarning,
    CountsError as CountsError,
    FitFileError as FitFileError,
    InputError as InputError,
    OptionError as OptionError,
    PriorDrivenWarning as PriorDrivenWarning,
)
from .families import Beta as Beta, Family as Family, Prior as Prior
from .fitting import build_model as build_model, fit as fit
from .forecasting import forecast as forecast, summarize as summarize
from .logs import load_example as load_example, read_csv as read_csv
from .plot import plot_forecast as plot_forecast
from .posterior import (
    Diagnostics as Diagnostics,
    diagnostics as diagnostics,
    family_of as family_of,
    load as load,
    log_likelihood as log_likelihood,
    save as save,
)
from .simulating import simulate as simulate, thin as thin

__version__: str
